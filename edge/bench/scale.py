"""What 100, 1,000 and 10,000 cameras ask of each part, and which part gives way first.

Rates, sizes and memory are measured here and now; what a street does is assumed, and said. The burst after a
time bin is simulated second by second: all events of a bin leave within the minute after it has closed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import text

from broker.collector.store import Store
from broker.embedded import start_broker
from broker.wire import Count, Counts, Status
from edge.bench import made_store, postgres
from edge.bench.flood import event_payload, joined
from edge.bench.intake import intake_speed, memory_mib
from edge.bench.section import Section

CAMERAS = (100, 1_000, 10_000)
INTAKE_EVENTS = 24_000
STORE_EVENTS = 60_000
CONNECTIONS = 1_000
CONNECTIONS_A_GIB = "1 GiB of the broker's memory"


@dataclass(frozen=True)
class Street:
    """What is assumed of a camera and of the people who review; change it and run again.

    Attributes:
        events_a_day: that its rules find, before anyone has looked at them.
        peak_hour_share: of a day's events that fall into its busiest hour; all cameras have it together.
        bin_s, spread_s: of the time bin, and within which its events leave after it has closed.
        clip_bytes: of a clip of ten seconds (the demo's are 12 kB on the mean: `wc -c demo/clips/*`).
        decision_s: that an operator takes for an event, and ``working_s`` a day in which they do.
    """

    events_a_day: float = 50.0
    peak_hour_share: float = 0.10
    bin_s: float = 300.0
    spread_s: float = 45.0
    status_every_s: float = 30.0
    clip_bytes: float = 12_000.0
    event_days: float = 90.0
    clip_days: float = 14.0
    decision_s: float = 15.0
    working_s: float = 6 * 3600.0


@dataclass(frozen=True)
class Basis:
    """What was measured in this run."""

    collector_per_s: float
    broker_per_s: float
    event_bytes: int
    counts_bytes: int
    status_bytes: int
    sqlite_row_bytes: float
    postgresql_row_bytes: float | None
    delete_per_s: float | None
    drop_s: float | None
    connection_kib: float


def measure(data: Path) -> Section:
    """Measure the basis and work out what each part has to bear; no recordings are needed."""
    del data
    basis, street = measured(), Street()
    loads = [load(cameras, street, basis) for cameras in CAMERAS]
    most = breaks(basis, street)
    limits = _limits(basis, most)
    rows = [(name, *(f"{each[name]:,.4g}" for each in loads), limits.get(name, "")) for name in loads[0]]
    return Section(
        title="scale: what so many cameras ask, and where each part gives way",
        columns=("", *(f"{cameras:,} cameras" for cameras in CAMERAS), "one gives way at"),
        rows=rows,
        numbers={
            "basis": asdict(basis),
            "street": asdict(street),
            "loads": {str(cameras): each for cameras, each in zip(CAMERAS, loads, strict=True)},
            "breaks_at_cameras": most,
        },
        remarks=(
            *(f"measured: {name} {value}" for name, value in asdict(basis).items()),
            f"assumed: {street}",
            f"broker, collector and their load shared {os.cpu_count()} cores while they were measured.",
        ),
    )


def measured() -> Basis:
    """Return the basis, measured on this machine."""
    speed = intake_speed(INTAKE_EVENTS)
    sqlite_bytes, postgresql_bytes, delete_per_s, drop_s = _stores()
    return Basis(
        collector_per_s=speed.collector_per_s,
        broker_per_s=speed.broker_per_s,
        event_bytes=len(event_payload("node-1", 1)),
        counts_bytes=len(_counts()),
        status_bytes=len(_status()),
        sqlite_row_bytes=sqlite_bytes,
        postgresql_row_bytes=postgresql_bytes,
        delete_per_s=delete_per_s,
        drop_s=drop_s,
        connection_kib=_connection_kib(),
    )


def load(cameras: int, street: Street, basis: Basis) -> dict[str, float]:
    """Return what so many cameras ask of each part."""
    messages_per_s = _messages_per_s(street) * cameras
    lag_s, backlog = burst(cameras, street, basis.collector_per_s)
    events_a_day = cameras * street.events_a_day
    return {
        "messages a second, busiest hour": messages_per_s,
        "longest wait after a bin, s": lag_s,
        "longest queue after a bin": backlog,
        "connections' memory at the broker, MiB": cameras * basis.connection_kib / 1024,
        "event rows kept, millions": events_a_day * street.event_days / 1e6,
        "rows on SQLite, GiB": events_a_day * street.event_days * basis.sqlite_row_bytes / 2**30,
        "rows on PostgreSQL, GiB": (
            events_a_day * street.event_days * (basis.postgresql_row_bytes or float("nan")) / 2**30
        ),
        "clips kept, GiB": events_a_day * street.clip_days * street.clip_bytes / 2**30,
        "a day's rows deleted one by one, s": events_a_day / (basis.delete_per_s or float("nan")),
        "operators, if all is reviewed": events_a_day * street.decision_s / street.working_s,
    }


def burst(cameras: int, street: Street, collector_per_s: float, *, seed: int = 1) -> tuple[float, float]:
    """Return the longest wait in seconds and the longest queue of a busiest hour, second by second.

    Events of a bin, each with its clip, leave at random instants of ``spread_s`` after it has closed;
    statuses come evenly; counts of all cameras leave as their quarter ends, spread alike.
    """
    rng = np.random.default_rng(seed)
    per_bin = cameras * street.events_a_day * street.peak_hour_share * street.bin_s / 3600
    seconds = 3600
    arriving = np.full(seconds, cameras / street.status_every_s)
    spread = int(street.spread_s)
    for close in range(0, seconds, int(street.bin_s)):
        events = rng.poisson(per_bin)
        seconds_of = rng.integers(close, min(close + spread, seconds), events)
        np.add.at(arriving, seconds_of, 2.0)
    for quarter in range(0, seconds, 900):
        arriving[quarter : quarter + spread] += cameras / spread
    queue = longest = 0.0
    for came in arriving:
        queue = max(0.0, queue + came - collector_per_s)
        longest = max(longest, queue)
    return longest / collector_per_s, longest


def breaks(basis: Basis, street: Street) -> dict[str, float]:
    """Return at how many cameras one collector, one broker and one operator have no more to give."""
    return {
        "one operator": street.working_s / (street.events_a_day * street.decision_s),
        "one collector on SQLite, 2 cores": basis.collector_per_s / _messages_per_s(street),
        "the same, nobody waits over 60 s after a bin": _largest(
            lambda cameras: burst(cameras, street, basis.collector_per_s)[0] <= 60.0
        ),
        "one broker, 2 cores": basis.broker_per_s / _messages_per_s(street),
        CONNECTIONS_A_GIB: 2**20 / basis.connection_kib,
    }


def _limits(basis: Basis, most: Mapping[str, float]) -> dict[str, str]:
    """Return, for what has a limit, at how many cameras one of it gives way, in words."""
    limits = {
        "messages a second, busiest hour": (
            f"collector {most['one collector on SQLite, 2 cores']:,.0f}, "
            f"broker {most['one broker, 2 cores']:,.0f} cameras"
        ),
        "longest wait after a bin, s": (
            f"60 s: {most['the same, nobody waits over 60 s after a bin']:,.0f} cameras"
        ),
        "connections' memory at the broker, MiB": (f"1 GiB: {most[CONNECTIONS_A_GIB]:,.0f} cameras"),
        "operators, if all is reviewed": f"one: {most['one operator']:,.0f} cameras",
    }
    if basis.drop_s is not None:
        limits["a day's rows deleted one by one, s"] = f"dropping a partition takes {basis.drop_s:.2f} s"
    return limits


def _messages_per_s(street: Street) -> float:
    """Return what one camera sends in the busiest hour: events, their clips, counts and statuses."""
    events = street.events_a_day * street.peak_hour_share / 3600
    return 2 * events + 1 / 900 + 1 / street.status_every_s


def _largest(holds: Callable[[int], bool], most: int = 10_000_000) -> float:
    low, high = 1, most
    if holds(high):
        return float("inf")
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return float(low)


def _counts() -> bytes:
    counts = tuple(
        Count(place=f"{kind}-{place}", road_user=user, count=120)
        for kind in ("line", "crosswalk")
        for place in "NESW"
        for user in ("pedestrian", "bicycle", "car", "truck")
    )
    return Counts.model_validate(
        {
            "site": "main-5th",
            "node": "cam-n",
            "seq": 1,
            "start": made_store.UNTIL,
            "counts": counts,
        }
    ).encode()


def _status() -> bytes:
    return Status(site="main-5th", node="cam-n", seq=1, state="running", software="nearmiss 0.1.0").encode()


def _stores() -> tuple[float, float | None, float | None, float | None]:
    """Return bytes a row on SQLite and PostgreSQL, rows deleted a second, seconds to drop as many."""
    with tempfile.TemporaryDirectory(prefix="nearmiss-scale-") as folder:
        path = Path(folder) / "store.db"
        store = Store(f"sqlite:///{path}")
        store.migrate()
        made_store.fill(store, events_wanted=STORE_EVENTS)
        store.close()
        sqlite_bytes = path.stat().st_size / STORE_EVENTS
    if postgres.bin_folder() is None:
        return sqlite_bytes, None, None, None
    with postgres.cluster() as url:
        store = Store(url)
        store.migrate()
        made_store.fill(store, events_wanted=STORE_EVENTS)
        with store.write() as connection:
            size = connection.execute(
                text("SELECT pg_total_relation_size('events') + pg_total_relation_size('decisions')")
            ).scalar_one()
        delete_per_s, drop_s = _deleting(store)
        store.close()
    return sqlite_bytes, size / STORE_EVENTS, delete_per_s, drop_s


def _deleting(store: Store) -> tuple[float, float]:
    """Return how fast old rows are deleted one by one, and how long a partition of as many takes to drop."""
    with store.write() as connection:
        for statement in (
            "CREATE TABLE parted (LIKE events INCLUDING DEFAULTS) PARTITION BY RANGE (time_s)",
            "CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
            "INSERT INTO parted SELECT * FROM events",
            "CREATE INDEX ON parted (site, time_s)",
        ):
            connection.execute(text(statement))
    began = time.perf_counter()
    with store.write() as connection:
        deleted = connection.execute(text("DELETE FROM events")).rowcount
    delete_s = time.perf_counter() - began
    began = time.perf_counter()
    with store.write() as connection:
        connection.execute(text("DROP TABLE parted_old"))
    return deleted / delete_s, round(time.perf_counter() - began, 4)


def _connection_kib() -> float:
    """Return how much memory of the broker one connected node takes."""
    with start_broker() as broker:
        before = memory_mib(broker.pid)
        clients = joined(broker.port, range(CONNECTIONS))
        after = memory_mib(broker.pid)
        for client in clients:
            client.socket.close()
    return max(after - before, 0.1) * 1024 / CONNECTIONS
