"""What the hot paths cost, each beside a yardstick computed in the same run, and the most it may be.

A second hangs on the machine and on who else is at work there; how much more a path computes than a yardstick
of a fixed size hardly does. Both are CPU time, in turns, the least of several rounds: other work can only add
to it. ``excess`` says in words which path has become dearer than its limit, and a test asks it.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from edge.bench import pets, speed, street
from edge.bench.flood import event_payload, node_address
from edge.bench.section import Section
from edge.judge import judged
from edge.signals.lines import Problems
from edge.timings import Timings
from edge.tracks import TracksFile
from models.zoo import load

ROUNDS = 5
FRAMES, ROWS, EVENTS = 60, 40_000, 2_000
# Frames in which libraries are loaded and tables grow.
WARM = 10
# Half as much again as measured, or a little more: `nearmiss bench --only ratios`.
LIMITS = {"line": 0.65, "judge": 30.0, "event": 6.0, "intake": 9.0}


@dataclass(frozen=True)
class Ratio:
    """One path beside its yardstick; ``limit`` is the most it may be."""

    name: str
    path: str
    yardstick: str
    ratio: float

    @property
    def limit(self) -> float:
        return LIMITS[self.name]


def measure(data: Path) -> Section:
    """Measure every path; the line needs a recording and a network of the data folder."""
    with tempfile.TemporaryDirectory(prefix="nearmiss-ratios-") as name:
        folder = Path(name)
        ratios = [line(folder, data), judge(folder), event(), intake(folder)]
    return Section(
        title="Ratios: CPU time of the hot paths, each beside a yardstick",
        columns=("path", "yardstick", "ratio", "limit"),
        rows=[(each.path, each.yardstick, f"{each.ratio:.2f}", f"{each.limit:g}") for each in ratios],
        numbers={each.name: asdict(each) | {"limit": each.limit} for each in ratios},
        remarks=excess(ratios) or ["No path is dearer than its limit."],
    )


def excess(ratios: Sequence[Ratio]) -> list[str]:
    """Return which paths are dearer than they may be, a line each."""
    return [
        f"{each.path}: {each.ratio:.2f} times {each.yardstick}, expected at most {each.limit:g}"
        for each in ratios
        if not each.ratio <= each.limit
    ]


def line(folder: Path, data: Path, *, rounds: int = 2) -> Ratio:
    """Return all stages of a frame beside the detector over a bare inference, by their means."""
    detector = load(str(data / speed.MODEL), threads=1)
    site = pets.write_site(folder / "pets.toml", data)
    bare_s: list[float] = []
    beside_s: list[float] = []
    for _ in range(rounds):
        timings = Timings(keep=True, clock=time.thread_time)
        bare_s += [_spent_s(detector.infer) for _ in range(FRAMES // 2)]
        speed.one_round(detector, site, pets.video(data), 1, timings, frames=FRAMES)
        assert timings.each_s is not None
        stages = [each[WARM:] for stage, each in timings.each_s.items() if stage not in speed.NOT_BESIDE]
        beside_s.append(sum(statistics.fmean(each) for each in stages))
    return Ratio("line", "a frame beside the detector", "bare inference", min(beside_s) / min(bare_s))


def judge(folder: Path, *, rounds: int = ROUNDS) -> Ratio:
    """Return what `nearmiss judge` takes for a street, over what Python's csv module takes to read it."""
    path = folder / "tracks.csv"
    street_s = street.write(path, ROWS, Random(1))
    site, signals = street.site(), street.signals(street_s)

    def judge() -> None:
        problems = Problems(path)
        judged(TracksFile(path, problems, start_time=0.0), site, signals)
        problems.raise_if_any()

    def read() -> None:
        with path.open(newline="") as file:
            for _ in csv.reader(file):
                pass

    return Ratio("judge", "judging tracks", "reading them as CSV", _in_turns(judge, read, rounds))


def event(*, rounds: int = ROUNDS) -> Ratio:
    """Return what it takes to check an event of the wire, over reading it as JSON."""
    from broker.wire import Event

    payloads = [event_payload("node-0", seq) for seq in range(1, EVENTS + 1)]
    return Ratio(
        "event",
        "checking an event",
        "reading it as JSON",
        _in_turns(
            lambda: [Event.decode(each) for each in payloads],
            lambda: [json.loads(each) for each in payloads],
            rounds,
        ),
    )


def intake(folder: Path, *, rounds: int = ROUNDS) -> Ratio:
    """Return what a collector takes to store events, over reading them as JSON into a bare SQLite table."""
    from broker.collector.clips import ClipFolder
    from broker.collector.intake import Intake
    from broker.collector.store import Store

    store = Store(f"sqlite:///{folder / 'store.db'}")
    store.migrate()
    taking = Intake(store, ClipFolder(folder / "clips"))
    topic, given = node_address(0).topic, iter(range(rounds + 1))

    def take() -> None:
        first = next(given) * EVENTS + 1
        for seq in range(first, first + EVENTS, 100):
            taking.take([(topic, event_payload("node-0", each)) for each in range(seq, seq + 100)])

    bare = sqlite3.connect(folder / "bare.db")
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("CREATE TABLE events (id TEXT PRIMARY KEY, payload TEXT)")

    def keep() -> None:
        for seq in range(0, EVENTS, 100):
            rows = [event_payload("node-0", each) for each in range(seq, seq + 100)]
            with bare:
                bare.executemany(
                    "INSERT INTO events VALUES (?, ?)", [(json.loads(each)["id"], each) for each in rows]
                )

    try:
        return Ratio("intake", "storing events", "JSON into a bare table", _in_turns(take, keep, rounds))
    finally:
        bare.close()
        store.close()


def _in_turns(path: Callable[[], object], yardstick: Callable[[], object], rounds: int) -> float:
    """Return the least CPU time of one over that of the other, a first round of both left out."""
    spent_s = [(_spent_s(path), _spent_s(yardstick)) for _ in range(rounds + 1)][1:]
    return min(each for each, _ in spent_s) / min(each for _, each in spent_s)


def _spent_s(work: Callable[[], object]) -> float:
    """Return the CPU time this thread takes for it."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin
