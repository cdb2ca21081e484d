"""A live node for half an hour: a filmed street over RTSP, and faults of camera, broker and collector.

python -m tests.soak.live [--minutes 25] [--seed 1] [--every 40]
Exits 1 where an event was lost, doubled, invented or missed, or where memory, files or threads grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from broker.collector.store import Store, gaps, stored_events
from broker.collector.tables import dead_letters
from broker.embedded import LOOPBACK, ends_with_parent, start_broker, stop_child
from broker.mqtt import NotConnected, Session, wait_until
from broker.wire import LocalEvent
from edge.demo.junction import CYCLE_S, SITE_ID, Plan
from edge.demo.truth import true_events
from tests.edge.cameras import RtspCamera
from tests.edge.filmed import BIN_S, OFFSET_S, Controller, car, write_film

FAULTS = (
    "camera killed",
    "camera frozen",
    "broker killed",
    "broker stopped",
    "collector killed",
    "collector stopped",
)
ACTORS = (
    car("on green", (140, 132, 32), "N", 5.0, 10.0),
    car("2 s into red", (44, 40, 196), "N", 14.0, 11.0),
    car("13 s into red", (168, 92, 36), "N", 25.0, 9.0),
)
TRUE_S = tuple(event.time for event in true_events(ACTORS, Plan(offset_s=OFFSET_S, duration_s=CYCLE_S)))
# A road user is followed so long before an event and judged so long after it: a fault then excuses a miss.
FOLLOWED_S, JUDGED_S = 14.0, 3.0
NEAR_S = 0.5
SAMPLE_EVERY_S = 5.0
# What a node takes while its background, its buffers and its libraries warm up says nothing of a leak.
WARM_S = 150.0
MOST_GROWN = {"memory_mb": 12.0, "files": 6.0, "threads": 3.0}
NODE = """
[node]
id = "cam-n"
site = "site.toml"
[source]
url = "{camera}"
clock_sigma_s = 0.01
[signals]
broker = {{ host = "127.0.0.1", port = {city} }}
[broker]
port = {port}
"""


@dataclass(frozen=True)
class Sample:
    """What the node's own process held at an instant since the start."""

    at_s: float
    memory_mb: float
    files: int
    threads: int


@dataclass
class Result:
    """What half an hour came to."""

    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    true: int = 0  # events of the film while the node could see them undisturbed
    found: int = 0  # of them
    told: int = 0  # put into the outbox, disturbed or not
    invented: int = 0  # told where nothing happened
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    refused: int = 0

    @property
    def grown(self) -> dict[str, float]:
        """How much more it holds in the last third than in the first, medians; nothing of a short run."""
        warm = [sample for sample in self.samples if sample.at_s >= WARM_S]
        third = len(warm) // 3
        if third < 3:
            return {}
        return {
            name: statistics.median(getattr(each, name) for each in warm[-third:])
            - statistics.median(getattr(each, name) for each in warm[:third])
            for name in MOST_GROWN
        }

    @property
    def well(self) -> bool:
        wrong = (self.lost, self.doubled, self.invented, self.gaps, self.refused, self.true - self.found)
        return (
            self.told > 0
            and not any(wrong)
            and all(by <= MOST_GROWN[name] for name, by in self.grown.items())
        )


class Street:
    """The processes of one run, and what truly happened meanwhile."""

    def __init__(self, folder: Path, chance: random.Random, *, every_s: float) -> None:
        self._folder, self._chance, self._every_s = folder, chance, every_s
        self._begun_s = time.time()
        self._zero_s: float | None = None
        self._plays: list[list[float]] = []  # from and to, seconds UTC, of each time the film was played
        self._disturbed: list[float] = []  # instants at which something kept the node from seeing
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._order: list[str] = []

    def run(self, minutes: float) -> Result:
        result = Result()
        film = write_film(self._folder, ACTORS, seconds=CYCLE_S, times=8)
        city_broker, self._broker = start_broker(), start_broker()
        try:
            with RtspCamera(film=film) as self._camera:
                self._start_collector()
                self._start_node(city_broker.port)
                city = Session(
                    host=LOOPBACK, port=city_broker.port, client_id="city", version=city_broker.mqtt_version
                )
                assert wait_until(city, lambda: city.connected, timeout_s=10)
                self._controller = Controller(city)
                self._watch(city, result, until_s=time.time() + minutes * 60)
                self._drain(city)
                city.close()
                self._node.send_signal(signal.SIGTERM)
                self._node.wait(20)
            self._judge(result)
        finally:
            for child in (self._node, self._collector):
                stop_child(child)
            self._broker.stop()
            city_broker.stop()
        return result

    def _watch(self, city: Session, result: Result, *, until_s: float) -> None:
        next_fault_s = time.time() + max(self._every_s, 30.0)
        sampled_s = 0.0
        while (now := time.time()) < until_s:
            self._turn(city, now)
            if now - sampled_s >= SAMPLE_EVERY_S:
                sampled_s = now
                result.samples.append(sample(self._node.pid, now - self._begun_s))
            if now >= next_fault_s and not self._later:
                next_fault_s = now + self._every_s * self._chance.uniform(0.6, 1.4)
                result.faults[self._fault()] += 1

    def _turn(self, city: Session, now: float) -> None:
        """One twentieth of a second: the controller speaks, the camera is heard, what is due is done."""
        assert self._node.poll() is None, f"the node ended by itself; its log lies in {self._folder}"
        if self._camera.process.poll() is None:
            word, _, zero = self._camera.said(within_s=0.0).partition(" ")
            if word == "playing":
                self._play_ends(float(zero))
                self._zero_s = float(zero)
                self._plays.append([self._zero_s, float("inf")])
        if self._zero_s is not None:
            with contextlib.suppress(NotConnected):
                self._controller.turn(zero_s=self._zero_s, now_s=now)
        city.step(0.05)
        for due_s, act in list(self._later):
            if now >= due_s:
                self._later.remove((due_s, act))
                act()

    def _fault(self) -> str:
        if not self._order:
            self._order = list(FAULTS)
            self._chance.shuffle(self._order)
        what, now, chance = self._order.pop(), time.time(), self._chance
        if what == "camera killed":
            self._camera.kill()
            self._play_ends(now)
            self._zero_s = None
            self._disturbed.append(now)
            self._later.append((now + chance.uniform(0.5, 8.0), self._camera.restart))
        elif what == "camera frozen":
            self._camera.freeze()
            self._disturbed.append(now)
            self._later.append((now + chance.uniform(2.0, 12.0), self._thaw))
        elif what == "broker killed":
            self._broker.kill()
            self._later.append((now + chance.uniform(0.5, 15.0), self._start_broker))
        elif what == "collector killed":
            self._collector.kill()
            self._collector.wait()
            self._later.append((now + chance.uniform(0.5, 15.0), self._start_collector))
        else:
            pid = self._broker.pid if what == "broker stopped" else self._collector.pid
            os.kill(pid, signal.SIGSTOP)
            self._later.append((now + chance.uniform(2.0, 30.0), lambda: os.kill(pid, signal.SIGCONT)))
        return what

    def _thaw(self) -> None:
        self._camera.thaw()
        self._disturbed.append(time.time())

    def _play_ends(self, now: float) -> None:
        if self._plays:
            self._plays[-1][1] = min(self._plays[-1][1], now)

    def _start_broker(self) -> None:
        port = self._broker.port
        self._broker.stop()
        self._broker = start_broker(port=port)

    def _start_collector(self) -> None:
        config = self._folder / "collector.toml"
        config.write_text(f"[broker]\nport = {self._broker.port}\n[review]\nenabled = false\n")
        self._collector = self._started("collector", ["-m", "broker.collector.serve", str(config)])

    def _start_node(self, city_port: int) -> None:
        config = self._folder / "node.toml"
        config.write_text(NODE.format(camera=self._camera.url, city=city_port, port=self._broker.port))
        self._node = self._started(
            "node", ["-m", "tests.edge.told_node", str(config), str(self._folder / "told")]
        )

    def _started(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=ends_with_parent(),
            )

    def _drain(self, city: Session) -> None:
        """Let what is under way end, take the camera away, and wait for all receipts."""
        while self._later:
            self._turn(city, time.time())
        self._camera.kill()
        self._play_ends(time.time())
        self._disturbed.append(time.time())
        deadline = time.time() + 2 * BIN_S + 120.0
        # The node tells what it holds 15 s after its last frame, and that leaves when its bin has closed.
        quiet_s = time.time() + 25.0
        while time.time() < deadline and not (
            time.time() > quiet_s and self._told().keys() <= self._stored()
        ):
            city.step(0.2)

    def _told(self) -> dict[str, LocalEvent]:
        path = self._folder / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        parts = [line.partition(" ") for line in lines]
        return {id_: LocalEvent.decode(record.encode()) for id_, _, record in parts}

    def _stored(self) -> set[str]:
        store = Store(f"sqlite:///{self._folder / 'collector.db'}")
        try:
            with store.read() as connection:
                return {str(each.id) for each in stored_events(connection)}
        finally:
            store.close()

    def _judge(self, result: Result) -> None:
        told = self._told()
        truths = [
            play[0] + turn * CYCLE_S + at
            for play in self._plays
            for turn in range(8)
            for at in TRUE_S
            if play[0] + turn * CYCLE_S + at < play[1]
        ]
        times = [event.time.timestamp() for event in told.values()]
        clear = [time_s for time_s in truths if self._undisturbed(time_s)]
        result.true = len(clear)
        result.found = sum(any(abs(each - time_s) < NEAR_S for each in times) for time_s in clear)
        result.told = len(told)
        result.invented = sum(not any(abs(each - time_s) < NEAR_S for time_s in truths) for each in times)
        store = Store(f"sqlite:///{self._folder / 'collector.db'}")
        try:
            with store.read() as connection:
                stored = [str(each.id) for each in stored_events(connection)]
                result.gaps = sum(last - first + 1 for first, last in gaps(connection, SITE_ID, "cam-n"))
                result.refused = connection.execute(
                    select(func.count()).select_from(dead_letters)
                ).scalar_one()
        finally:
            store.close()
        result.lost = len(told.keys() - set(stored))
        result.doubled = len(stored) - len(set(stored)) + len(set(stored) - told.keys())

    def _undisturbed(self, time_s: float) -> bool:
        """Whether the node could see an event, from its road user's coming to its judgement."""
        began = max(play[0] for play in self._plays if play[0] <= time_s)
        return (
            time_s - began > FOLLOWED_S - 2.0
            and time_s - self._begun_s > 45.0
            and not any(time_s - FOLLOWED_S < each < time_s + JUDGED_S for each in self._disturbed)
        )


def sample(pid: int, at_s: float) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Sample(
        at_s,
        int(fields["VmRSS"].split()[0]) / 1024,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(fields["Threads"]),
    )


def live(minutes: float, *, seed: int, every_s: float) -> Result:
    """Run once; the folder is kept where something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-live-"))
    result = Street(folder, random.Random(seed), every_s=every_s).run(minutes)
    if result.well:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what was left lies in {folder}")
    return result


def table(result: Result) -> str:
    """Return the result as Markdown: the node at ten instants, and what became of its events."""
    step = max(1, (len(result.samples) - 1) // 9)
    points = result.samples[::step][:10]
    rows = [
        ("minute", [f"{each.at_s / 60:.1f}" for each in points]),
        ("MiB", [f"{each.memory_mb:.0f}" for each in points]),
        ("files", [str(each.files) for each in points]),
        ("threads", [str(each.threads) for each in points]),
    ]
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    lines.insert(1, "|---|" + "---|" * len(points))
    grown = ", ".join(f"{name} {by:+.1f}" for name, by in result.grown.items()) or "too short to tell"
    lines += [
        "",
        f"Last third against first: {grown}.",
        f"Faults: {', '.join(f'{count} × {name}' for name, count in sorted(result.faults.items()))}.",
        f"Seen undisturbed: {result.true} true events, {result.found} found; told in all {result.told}: "
        f"{result.lost} lost, {result.doubled} doubled, {result.invented} invented, {result.gaps} gaps, "
        f"{result.refused} refused.",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak.live", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=40.0, help="seconds between faults, more or less")
    wanted = parser.parse_args()
    result = live(wanted.minutes, seed=wanted.seed, every_s=wanted.every)
    print(table(result))
    return 0 if result.well else 1


if __name__ == "__main__":
    sys.exit(main())
