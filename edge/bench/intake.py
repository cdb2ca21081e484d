"""How fast a collector takes events in, with receipts, beside what the broker alone delivers in the same run.

The collector is the real one, in a process of its own, on SQLite, its disk synced at every commit; the nodes
are many connections of this process.
"""

from __future__ import annotations

import os
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
    first_mib: float  # memory of the collector after a tenth of the events
    last_mib: float
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
            ("the collector's memory, first tenth", f"{speed.first_mib:.0f} MiB"),
            ("the collector's memory, at the end", f"{speed.last_mib:.0f} MiB"),
        ),
        numbers=asdict(speed),
        remarks=(
            f"broker and collector take turns, {ROUNDS} rounds each, medians; nodes, broker and "
            f"collector share {os.cpu_count()} cores. `--events 1000000` for the long run.",
        ),
    )


def intake_speed(
    events: int = EVENTS, *, rounds: int = ROUNDS, nodes: int = NODES, many: int = MANY_NODES
) -> IntakeSpeed:
    """Measure once.

    Args:
        events: through the collector, all rounds and the many nodes together.
        many: nodes connected at a time in the last part.

    Raises:
        InputError: too few events for so many parts.
    """
    parts = rounds + 1
    share = events // parts
    if share < 100:
        raise InputError(f"--events: {events} are too few, at least {100 * parts}")
    with tempfile.TemporaryDirectory(prefix="nearmiss-intake-") as name, start_broker() as broker:
        # Others than those the collector knows: their numbers begin at 1 again.
        aside = joined(broker.port, range(100_000, 100_000 + nodes))
        bare, alone = listener(broker.port), []
        for _ in range(rounds):
            alone.append(share / Flood(aside, bare).run(share, timeout_s=STALL_S))
        for client in (*aside, bare):
            client.socket.close()
        with collector(Path(name), broker.port) as pid:
            flood = Flood(joined(broker.port, range(nodes)))
            cpu_s, took = cpu_seconds(pid), []
            first_mib = 0.0
            for number in range(rounds):
                part = share // 10 if number == 0 else share
                took.append(part / flood.run(part, timeout_s=STALL_S))
                if number == 0:
                    first_mib = memory_mib(pid)
                    took[0] = (share - part) / flood.run(share - part, timeout_s=STALL_S)
            cpu_us = (cpu_seconds(pid) - cpu_s) / (rounds * share) * 1e6
            crowd = Flood(joined(broker.port, range(nodes, nodes + many)))
            crowd_per_s = share / crowd.run(share, timeout_s=STALL_S)
            last_mib = memory_mib(pid)
            for client in (*flood.clients, *crowd.clients):
                client.socket.close()
        software = broker.software
    broker_per_s, collector_per_s = statistics.median(alone), statistics.median(took)
    return IntakeSpeed(
        events=share * parts,
        broker_per_s=round(broker_per_s, 1),
        collector_per_s=round(collector_per_s, 1),
        ratio=round(collector_per_s / broker_per_s, 3),
        collector_cpu_us=round(cpu_us, 1),
        many_nodes=many,
        many_nodes_per_s=round(crowd_per_s, 1),
        first_mib=round(first_mib, 1),
        last_mib=round(last_mib, 1),
        software=software,
    )


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
