"""The store: events, counts, decisions and what was refused, in SQLite or PostgreSQL.

The writes of intake; SQLAlchemy Core, the same statements on both. Every write is one transaction;
on SQLite it takes the write lock at once, so that two processes wait for each other instead of failing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, create_engine, event, func, select, update
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from broker.collector.insert import insert_new as insert_new
from broker.collector.insert import upsert as upsert
from broker.collector.sequence import begin, give_up, note
from broker.collector.sequence import explained as explained
from broker.collector.sequence import gaps as gaps
from broker.collector.severity import ranks
from broker.collector.tables import blobs, counts, dead_letters, events, nodes
from broker.wire import Counts, Event, Measure, Status, WireSignal

# Nonsense must not fill the store: letters beyond these are counted in one row.
LETTERS = 10_000
# How long one process waits for another one's write, on SQLite.
BUSY_MS = 10_000


class StoreError(RuntimeError):
    """The store cannot be opened; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not taken."""

    topic: str
    hash: str
    bytes: int
    reason: str


class Store:
    """One database; open as many as there are processes."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    def migrate(self) -> None:
        """Bring the schema to this version, from any earlier one or from nothing.

        Raises:
            StoreError: the database cannot be reached or was made by a later version.
        """
        from broker.collector.migrations import upgrade

        try:
            upgrade(self.engine)
        except (SQLAlchemyError, OSError) as error:
            shown = self.engine.url.render_as_string(hide_password=True)
            raise StoreError(f"{shown}: {str(error).splitlines()[0]}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection.execution_options(nearmiss_read=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def shorten_log(self) -> None:
        """On SQLite: empty the log, where what was deleted lies until it is written over."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                cursor = connection.connection.cursor()
                # Whoever reads is waited for, but not for long: writers wait meanwhile. Another sweep comes.
                cursor.execute("PRAGMA busy_timeout=1000")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")

    def close(self) -> None:
        self.engine.dispose()


def keep(
    connection: Connection,
    *,
    new_events: Sequence[Event] = (),
    new_counts: Sequence[Counts] = (),
    new_statuses: Sequence[Status] = (),
    new_blobs: Sequence[Mapping[str, Any]] = (),
    plans: Sequence[str] = (),
    now_s: int | None = None,
) -> None:
    """Write one batch; what is there already stays as it was.

    Args:
        plans: hashes of plates that are a plan alone, no picture: their time begins again whenever they come.
    """
    now = int(time.time()) if now_s is None else now_s
    insert_new(connection, blobs, [{"stored_s": now, **blob} for blob in new_blobs])
    if plans:
        connection.execute(update(blobs).where(blobs.c.hash.in_(plans)).values(stored_s=now))
    insert_new(connection, events, [event_row(each) for each in new_events])
    insert_new(connection, counts, [row for each in new_counts for row in count_rows(each)])
    latest = {(each.site, each.node): each for each in new_statuses}
    upsert(
        connection,
        nodes,
        [
            {"site": site, "node": node, "status": each.model_dump(mode="json"), "heard_s": now}
            for (site, node), each in latest.items()
        ],
        update=("status", "heard_s"),
    )
    begin(connection, latest.values())
    give_up(connection, latest.values())
    numbers: dict[tuple[str, str], set[int]] = {}
    numbered: list[Event | Counts] = [*new_events, *new_counts]
    for each in numbered:
        numbers.setdefault((each.site, each.node), set()).add(each.seq)
    note(connection, numbers)


def refuse(connection: Connection, refusals: Iterable[Refusal], *, now_s: int | None = None) -> None:
    """Write dead letters; the same payload again only counts up, and so do those beyond ``LETTERS``."""
    now = int(time.time()) if now_s is None else now_s
    came: dict[tuple[str, str], Refusal] = {}
    times: Counter[tuple[str, str]] = Counter()
    for each in refusals:
        came.setdefault((each.hash, each.topic), each)
        times[each.hash, each.topic] += 1
    if not came:
        return
    rows = connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
    beyond = Refusal(
        topic="", hash="0" * 64, bytes=0, reason=f"beyond {LETTERS:,} letters: counted, not kept"
    )
    for key, each in came.items():
        known = connection.execute(
            dead_letters.update()
            .where(dead_letters.c.hash == each.hash, dead_letters.c.topic == each.topic)
            .values(times=dead_letters.c.times + times[key], last_s=now)
        )
        if known.rowcount:
            continue
        if rows >= LETTERS:
            counted = connection.execute(
                dead_letters.update()
                .where(dead_letters.c.hash == beyond.hash)
                .values(times=dead_letters.c.times + times[key], last_s=now)
            )
            if counted.rowcount:
                continue
            each = beyond
        rows += 1
        insert_new(
            connection,
            dead_letters,
            [{**asdict(each), "first_s": now, "last_s": now, "times": times[key]}],
        )


def event_row(record: Event) -> dict[str, Any]:
    signal = record.signal
    return {
        "id": str(record.id),
        "site": record.site,
        "node": record.node,
        "seq": record.seq,
        "rule": record.rule,
        "outcome": record.outcome,
        "time_s": int(record.time.timestamp()),
        "time_sigma_s": record.time_sigma_s,
        "place": record.place,
        "road_user": record.road_user,
        "road_user2": record.road_user2,
        "signal_group": signal.group if signal else None,
        "signal_state": signal.state if signal else None,
        "signal_source": signal.source if signal else None,
        "measures": {name: [each.value, each.sigma] for name, each in record.measures.items()},
        "clip": record.clip,
        "detector": record.detector,
        "software": record.software,
        "caused_by": str(record.caused_by) if record.caused_by else None,
        **ranks(record),
    }


def event_of(row: RowMapping) -> Event:
    """Return the event a row was made of, unchanged."""
    return Event(
        id=UUID(row["id"]),
        seq=row["seq"],
        site=row["site"],
        node=row["node"],
        rule=row["rule"],
        outcome=row["outcome"],
        time=datetime.fromtimestamp(row["time_s"], UTC),
        time_sigma_s=row["time_sigma_s"],
        place=row["place"],
        road_user=row["road_user"],
        road_user2=row["road_user2"],
        signal=None
        if row["signal_group"] is None
        else WireSignal(group=row["signal_group"], state=row["signal_state"], source=row["signal_source"]),
        measures={
            name: Measure(value=value, sigma=sigma) for name, (value, sigma) in row["measures"].items()
        },
        clip=row["clip"],
        detector=row["detector"],
        software=row["software"],
        caused_by=UUID(row["caused_by"]) if row["caused_by"] else None,
    )


def count_rows(record: Counts) -> list[dict[str, Any]]:
    key = {
        "site": record.site,
        "node": record.node,
        "seq": record.seq,
        "start_s": int(record.start.timestamp()),
    }
    return [
        {**key, "place": each.place, "road_user": each.road_user, "count": each.count}
        for each in record.counts
    ]


def stored_events(connection: Connection) -> list[Event]:
    """Return every event, in order of place, bin and id."""
    rows = connection.execute(select(events).order_by(events.c.site, events.c.time_s, events.c.id))
    return [event_of(row) for row in rows.mappings()]


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise StoreError(f"{url}: the store is sqlite:///FILE or postgresql+psycopg://HOST/NAME")
        if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=backend == "postgresql")
    except ModuleNotFoundError as error:
        raise StoreError(f"{parsed.drivername}: pip install 'nearmiss[postgres]' ({error})") from error
    except SQLAlchemyError as error:
        raise StoreError(f"store: {str(error).splitlines()[0]}") from error
    if backend == "sqlite":
        event.listen(engine, "connect", _sqlite_connection)
        event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_MS}",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten, not left in free pages
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("nearmiss_read", False)
    # A transaction that reads first and writes later fails at once where another process wrote in between.
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
