"""How fast the collector's store answers with a million events, on SQLite and on PostgreSQL, with the plans.

Each report is a ``Question``: what it asks of the store. To measure another, add it to ``QUESTIONS``; whole
pages, drawn and sent, are in ``store_pages``.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, event

from broker.collector import findings
from broker.collector.findings import Filter
from broker.collector.publication.gathering import gathered
from broker.collector.publication.making import publication
from broker.collector.publication.periods import period_of
from broker.collector.publication.places import Place, Plan
from broker.collector.store import Store
from broker.wire import RULES
from edge.bench import made_store, postgres, store_pages
from edge.bench.section import Section

_ANYWHERE = ((0.0, 0.0), (1.0, 0.0))
SITE = "site-01"
PLAN = Plan(
    site=SITE,
    name="",
    timezone="America/Chicago",
    places=(
        *(Place(id=name, kind="stop_line", outline_m=_ANYWHERE) for name in made_store.APPROACHES),
        *(Place(id=name, kind="crosswalk", outline_m=_ANYWHERE) for name in made_store.CROSSWALKS),
    ),
)
TIMES = 5


@dataclass(frozen=True)
class Question:
    """One thing that is asked of the store, and how long that may take."""

    name: str
    limit_ms: float
    ask: Callable[[Connection], object]


def report_of_a_year(connection: Connection) -> object:
    """Return all that could be published of one site's year: every rule, counted, rounded and hidden."""
    period = period_of("year", made_store.UNTIL.date())
    counted = gathered(connection, site=SITE, period=period, zone=ZoneInfo("America/Chicago"))
    return [publication(PLAN, rule, period, "place", counted[rule].observed()) for rule in RULES]


QUESTIONS: tuple[Question, ...] = (
    Question("queue: a page", 100, lambda connection: findings.queue(connection, Filter())),
    Question("queue: one site", 100, lambda connection: findings.queue(connection, Filter(site=SITE))),
    Question("queue: the tallies", 100, lambda connection: findings.tallies(connection, Filter())),
    Question("report: a year of a site", 1000, report_of_a_year),
)  # fmt: skip


def measure(data: Path) -> Section:
    """Fill a store of each kind and ask; ``NEARMISS_BENCH_EVENTS`` makes it smaller. No data is needed."""
    del data
    wanted = int(os.environ.get("NEARMISS_BENCH_EVENTS", "1000000"))
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, object] = {"events": wanted}
    remarks: list[str] = []
    for kind, opened in (("sqlite", _sqlite), ("postgresql", _postgresql)):
        with opened() as url:
            if url is None:
                remarks.append(f"{kind}: not installed, not measured")
                continue
            store = Store(url)
            store.migrate()
            began = time.perf_counter()
            made_store.fill(store, events_wanted=wanted)
            numbers[f"{kind}: filled in s"] = round(time.perf_counter() - began, 1)
            for question in QUESTIONS:
                took_ms, plans = asked(store, question)
                numbers[f"{kind}: {question.name}, ms"] = round(took_ms, 1)
                kept = "yes" if took_ms <= question.limit_ms else "NO"
                rows.append((f"{kind}: {question.name}", f"{took_ms:.1f}", f"{question.limit_ms:.0f}", kept))
                remarks += [f"{kind}: {question.name}:", *plans]
            for answered in store_pages.asked(store, times=TIMES):
                page = answered.page
                numbers[f"{kind}: {page.name}, ms"] = round(answered.took_ms, 1)
                kept = "yes" if answered.took_ms <= page.limit_ms else "NO"
                numbers[f"{kind}: {page.name}, ms of CPU"] = round(answered.cpu_ms, 1)
                took = f"{answered.took_ms:.1f} ({answered.cpu_ms:.1f})"
                rows.append((f"{kind}: {page.name}", took, f"{page.limit_ms:.0f}", kept))
                with store.read() as connection:
                    remarks += [f"{kind}: {page.name}:", *explained(connection, answered.said)]
            store.close()
    return Section(
        title=f"store: {wanted:,} events of {10} sites, median of {TIMES}",
        columns=("", "ms (of CPU)", "limit ms", "kept"),
        rows=rows,
        numbers=numbers,
        remarks=remarks,
    )


def asked(store: Store, question: Question) -> tuple[float, list[str]]:
    """Return the median time of a question in ms, and the plan of each statement it makes."""
    times = []
    for _ in range(TIMES):
        with store.read() as connection:
            began = time.perf_counter()
            question.ask(connection)
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), plans_of(store, question)


def plans_of(store: Store, question: Question) -> list[str]:
    """Return how the database carries out each statement, an indented line a step."""
    said: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        said.append((statement, values))

    with store.read() as connection:
        event.listen(connection, "before_cursor_execute", note)
        question.ask(connection)
        event.remove(connection, "before_cursor_execute", note)
        return explained(connection, said)


def explained(connection: Connection, said: Sequence[tuple[str, object]]) -> list[str]:
    """Return the plan of each statement that reads, an indented line a step."""
    lines: list[str] = []
    asking = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    for statement, values in said:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            plan = connection.exec_driver_sql(f"{asking} {statement}", values)  # type: ignore[arg-type]
            lines += [f"    {row[-1]}" for row in plan]
    return lines


@contextlib.contextmanager
def _sqlite() -> Iterator[str | None]:
    with tempfile.TemporaryDirectory(prefix="nearmiss-store-") as folder:
        yield f"sqlite:///{folder}/collector.db"


@contextlib.contextmanager
def _postgresql() -> Iterator[str | None]:
    if postgres.bin_folder() is None:
        yield None
        return
    with postgres.cluster() as url:
        yield url
