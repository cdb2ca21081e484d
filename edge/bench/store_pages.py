"""The review page over a store of a million events: how long a whole request takes, drawn and sent.

Asked over HTTP by somebody who may review everywhere, and by somebody who may at two sites of ten.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import event, select

from broker.collector import accounts, sessions
from broker.collector.clips import ClipFolder
from broker.collector.review.guard import COOKIE
from broker.collector.review.server import ReviewServer
from broker.collector.sessions import Times
from broker.collector.store import Store
from broker.collector.tables import events

FEW = ("site-02", "site-07")
# How far into a tab the deep page lies, as a share of its events.
DEEP = 0.6


@dataclass(frozen=True)
class PageQuestion:
    """An address, who asks for it, and how long that may take."""

    name: str
    limit_ms: float
    path: str
    who: str = "everywhere"


PAGES: tuple[PageQuestion, ...] = (
    PageQuestion("page: the queue", 100, "/"),
    PageQuestion("page: the queue, one rule", 100, "/?rule=failure_to_yield"),
    PageQuestion("page: the queue, one rule at one site", 100, "/?rule=near_miss&site=site-02"),
    PageQuestion("page: the queue, two sites of ten", 100, "/", "two"),
    PageQuestion("page: the queue, two sites, one rule", 100, "/?rule=near_miss", "two"),
    PageQuestion("page: what is confirmed", 100, "/?state=confirm"),
    PageQuestion("page: what is confirmed, far down", 100, "/?state=confirm&after={deep}"),
    PageQuestion("page: what is confirmed, far down, two sites, one rule", 100,
                 "/?state=confirm&rule=near_miss&after={deep}", "two"),
    PageQuestion("page: an event, and the next", 100, "/events/{deep}"),
    PageQuestion("page: statistics", 1000, "/statistics"),
    PageQuestion("page: statistics, two sites", 1000, "/statistics", "two"),
)  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """How long a page took, how much of this process that was, and what it asked of the store.

    On a machine that does other work too, ``cpu_ms`` says more; who asks is in it, PostgreSQL is not.
    """

    page: PageQuestion
    took_ms: float
    cpu_ms: float
    said: list[tuple[str, object]]


def asked(store: Store, *, times: int) -> Iterator[Answered]:
    """Ask for each page several times and yield the median."""
    now = int(time.time())
    with store.write() as connection:
        accounts.add(connection, "everywhere", role="reviewer", actor="console", now_s=now)
        accounts.add(connection, "two", role="reviewer", sites=FEW, actor="console", now_s=now)
        tokens = {
            name: sessions.begin(connection, name, times=Times(), now_s=now) for name in ("everywhere", "two")
        }
    deep = _deep(store)
    with tempfile.TemporaryDirectory(prefix="nearmiss-pages-") as folder:
        server = ReviewServer(store, ClipFolder(Path(folder)))
        server.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=120) as browser:
                for page in PAGES:
                    path = page.path.format(deep=deep)
                    headers = {"Cookie": f"{COOKIE}={tokens[page.who]}", "Accept": "text/html"}
                    with _noted(store) as said:
                        browser.get(path, headers=headers).raise_for_status()
                    took, cpu = [], []
                    for _ in range(times):
                        began, worked = time.perf_counter(), time.process_time()
                        browser.get(path, headers=headers)
                        took.append(1000 * (time.perf_counter() - began))
                        cpu.append(1000 * (time.process_time() - worked))
                    yield Answered(page, statistics.median(took), statistics.median(cpu), list(said))
        finally:
            server.close()


def _deep(store: Store) -> str:
    """Return an event far down among the confirmed, of a site both may see."""
    confirmed = select(events.c.id).where(events.c.tab == "confirm", events.c.site == FEW[0])
    with store.read() as connection:
        ordered = connection.execute(confirmed.order_by(events.c.urgency, events.c.id)).scalars().all()
    return str(ordered[int(len(ordered) * DEEP)])


@contextlib.contextmanager
def _noted(store: Store) -> Iterator[list[tuple[str, object]]]:
    said: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement not in {each for each, _ in said}:
            said.append((statement, values))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
