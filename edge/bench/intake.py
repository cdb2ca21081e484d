"""How fast a collector takes events in, with receipts, beside what the broker alone delivers in the same run.

The collector is the real one, in a process of its own, on SQLite, its disk synced at every commit; the nodes
are many connections of this process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from broker.embedded import ends_with_parent, start_broker, stop_child
from edge.bench.flood import Flood, joined, listener
from edge.bench.section import Section
from edge.errors import InputError

EVENTS = 60_000
PARTS = 10
# Of the parts, so many with a thousand nodes connected; and so many rounds of the broker alone.
CROWDED = 3
ROUNDS = 3
NODES = 20
MANY_NODES = 1000
STALL_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class IntakeSpeed:
    """What one run measured."""

    events: int
    broker_per_s: float
    collector_per_s: float
    ratio: float
    collector_cpu_us: float
    many_nodes: int
    many_nodes_per_s: float
    memory_mib: tuple[float, ...]  # of the collector, after each tenth of the events
    stored: int  # rows in the store at the end
    software: str


def measure(data: Path, *, events: int = EVENTS) -> Section:
    """Flood a broker and a collector on this machine; the recordings are not needed."""
    del data
    speed = intake_speed(events)
    return Section(
        title="intake: events to a collector on SQLite, with receipts",
        columns=("", "measured"),
        rows=(
            ("broker", speed.software),
            ("events through the collector", f"{speed.events:,}"),
            ("the broker alone, to a bare subscriber", f"{speed.broker_per_s:,.0f} a second"),
            ("stored and receipted", f"{speed.collector_per_s:,.0f} a second"),
            ("of the broker's own rate", f"{speed.ratio:.2f}"),
            ("the collector's CPU", f"{speed.collector_cpu_us:.0f} µs an event"),
            (
                f"the same with {speed.many_nodes:,} nodes connected",
                f"{speed.many_nodes_per_s:,.0f} a second",
            ),
            (
                "the collector's memory after each tenth",
                ", ".join(f"{mib:.0f}" for mib in speed.memory_mib) + " MiB",
            ),
            ("events in the store at the end", f"{speed.stored:,}"),
        ),
        numbers=asdict(speed),
        remarks=(
            f"medians of {ROUNDS} rounds of the broker alone, {PARTS - CROWDED} tenths through the collector "
            f"and {CROWDED} with many nodes; nodes, broker and collector share {os.cpu_count()} cores. "
            "`--events 1000000` for the long run.",
        ),
    )


def intake_speed(events: int = EVENTS, *, nodes: int = NODES, many: int = MANY_NODES) -> IntakeSpeed:
    """Measure once.

    Args:
        events: through the collector, the parts with many nodes among them.
        many: nodes connected at a time in the last parts.

    Raises:
        InputError: too few events for so many parts.
    """
    part = events // PARTS
    if part < 100:
        raise InputError(f"--events: {events} are too few, at least {100 * PARTS}")
    with tempfile.TemporaryDirectory(prefix="nearmiss-intake-") as name, start_broker() as broker:
        folder = Path(name)
        # Others than those the collector knows: their numbers begin at 1 again.
        aside = joined(broker.port, range(100_000, 100_000 + nodes))
        bare, alone = listener(broker.port), []
        for _ in range(ROUNDS):
            alone.append(part / Flood(aside, bare).run(part, timeout_s=STALL_S))
        for client in (*aside, bare):
            client.socket.close()
        with collector(folder, broker.port) as pid:
            few = Flood(joined(broker.port, range(nodes)))
            took, memory, cpu_s = [], [], cpu_seconds(pid)
            for _ in range(PARTS - CROWDED):
                took.append(part / few.run(part, timeout_s=STALL_S))
                memory.append(round(memory_mib(pid), 1))
            cpu_us = (cpu_seconds(pid) - cpu_s) / few.taken * 1e6
            crowd, crowded = Flood(joined(broker.port, range(nodes, nodes + many))), []
            for _ in range(CROWDED):
                crowded.append(part / crowd.run(part, timeout_s=STALL_S))
                memory.append(round(memory_mib(pid), 1))
            for client in (*few.clients, *crowd.clients):
                client.socket.close()
        stored, software = rows(folder), broker.software
    broker_per_s, collector_per_s = statistics.median(alone), statistics.median(took)
    return IntakeSpeed(
        events=few.taken + crowd.taken,
        broker_per_s=round(broker_per_s, 1),
        collector_per_s=round(collector_per_s, 1),
        ratio=round(collector_per_s / broker_per_s, 3),
        collector_cpu_us=round(cpu_us, 1),
        many_nodes=many,
        many_nodes_per_s=round(statistics.median(crowded), 1),
        memory_mib=tuple(memory),
        stored=stored,
        software=software,
    )


def rows(folder: Path) -> int:
    """Return how many events the collector's store holds."""
    with contextlib.closing(sqlite3.connect(folder / "collector.db")) as database:
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])


@contextmanager
def collector(folder: Path, port: int) -> Iterator[int]:
    """Run a collector in a process of its own and yield its pid once it takes messages."""
    config = folder / "collector.toml"
    config.write_text(f"[broker]\nport = {port}\n[review]\nenabled = false\n")
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "broker.collector.serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=ends_with_parent(),
        )
    assert child.stdout is not None
    try:
        if not child.stdout.readline().startswith(b"collector: ready"):
            raise InputError(f"the collector did not start: {(folder / 'log').read_text()[-300:]}")
        yield child.pid
    finally:
        stop_child(child)
        child.stdout.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
