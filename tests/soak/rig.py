"""One combination of broker and store under faults: its processes, the faults, and what was found."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select

from broker.collector.store import Store, gaps
from broker.collector.tables import counts, dead_letters, events, runs
from broker.embedded import Broker, Software, ends_with_parent, start_broker, stop_child
from tests.broker.records import NODE, SITE
from tests.soak.ledger import Ledger

Part = Literal["node", "broker", "collector"]
Fault = tuple[Part, Literal["kill", "stop"]]
PARTS: tuple[Part, ...] = ("node", "broker", "collector")
START_S = 60.0
DRAIN_S = 180.0


def plan(faults: int, chance: random.Random) -> list[Fault]:
    """Return faults in random order of which every part gets its share, kills and stops alike."""
    kinds: list[Fault] = [(part, how) for part in PARTS for how in ("kill", "stop")]  # type: ignore[misc]
    order: list[Fault] = []
    while len(order) < faults:
        chance.shuffle(kinds)
        order += kinds
    return order[:faults]


@dataclass
class Result:
    """One row of the table."""

    broker: str
    store: str
    faults: Counter[Fault]
    promised: int = 0
    stored: int = 0
    lost: int = 0
    invented: int = 0  # stored, yet never put
    doubled: int = 0
    gaps: int = 0
    clips_missing: int = 0
    refused: int = 0
    quarantined: int = 0
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        wrong = (self.lost, self.invented, self.doubled, self.gaps, self.clips_missing, self.refused)
        return self.promised > 0 and not any(wrong) and self.quarantined == 0


@dataclass
class Rig:
    """The processes of one chain; each is started again after it was killed, as an init system would."""

    folder: Path
    software: Software
    database: str
    rate_hz: float
    chance: random.Random
    broker: Broker | None = None
    children: dict[Part, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, faults: int, *, store: str) -> Result:
        result = Result(self.software, store, Counter())
        begin = time.monotonic()
        try:
            self.broker = start_broker(software=self.software)
            self.start("collector")
            self.start("node")
            for part, how in plan(faults, self.chance):
                self.progress(self.chance.randint(3, 12))
                self.fault(part, how)
                result.faults[part, how] += 1
            (self.folder / "enough").touch()
            self._drain()
            self._judge(result)
        finally:
            self.close()
        result.seconds = time.monotonic() - begin
        return result

    def start(self, part: Part) -> None:
        if part == "broker":
            assert self.broker is not None
            port = self.broker.port
            self.broker.stop()
            self.broker = start_broker(port=port, software=self.software)
            return
        assert self.broker is not None
        if part == "collector":
            config = self.folder / "collector.toml"
            config.write_text(
                f"[broker]\nport = {self.broker.port}\n[store]\ndatabase = '{self.database}'\n"
                "[review]\nenabled = false\n"
            )
            command = ["-m", "broker.collector.serve", str(config)]
        else:
            command = ["-m", "tests.soak.node", str(self.folder), str(self.broker.port)]
            command += [self.broker.mqtt_version, str(self.rate_hz)]
        log = (self.folder / f"{part}.log").open("ab")
        ready = (self.folder / f"{part}.ready").open("wb")
        with log, ready:
            self.children[part] = subprocess.Popen(
                [sys.executable, *command],
                stdout=ready,
                stderr=log,
                preexec_fn=ends_with_parent(),
            )

    def fault(self, part: Part, how: str) -> None:
        """Kill a part and start it again, or let it stand still for a while."""
        pid = self._pid(part)
        if how == "stop":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.2, 3.0))
            os.kill(pid, signal.SIGCONT)
            return
        if part == "broker":
            assert self.broker is not None
            self.broker.kill()
        else:
            self.children[part].kill()
            self.children[part].wait()
        time.sleep(self.chance.uniform(0.0, 0.5))
        self.start(part)

    def progress(self, count: int) -> None:
        """Wait until some more has been stored, so that each fault meets a chain at work."""
        goal, deadline = self.stored() + count, time.monotonic() + START_S
        while self.stored() < goal:
            self._watch()
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing is stored any more; logs lie in {self.folder}")
            time.sleep(0.05)

    def stored(self) -> int:
        """Return the last number of the first run: what is stored without a gap so far."""
        with contextlib.suppress(Exception):  # not made yet, or in the middle of its migration
            store = Store(self.database)
            try:
                with store.read() as connection:
                    return int(connection.execute(select(func.max(runs.c.last))).scalar() or 0)
            finally:
                store.close()
        return 0

    def close(self) -> None:
        for child in self.children.values():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGCONT)
            stop_child(child)
        if self.broker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.broker.pid, signal.SIGCONT)
            self.broker.stop()

    def _pid(self, part: Part) -> int:
        assert self.broker is not None
        return self.broker.pid if part == "broker" else self.children[part].pid

    def _watch(self) -> None:
        for part, child in self.children.items():
            if child.poll() is not None:
                tail = (self.folder / f"{part}.log").read_text(errors="replace")[-400:]
                raise AssertionError(f"the {part} ended by itself with {child.returncode}: {tail}")

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while not (self.folder / "drained").exists():
            child = self.children["collector"]
            assert child.poll() is None, "the collector ended by itself"
            if time.monotonic() > deadline:
                return  # what is still in the outbox shows as lost
            time.sleep(0.1)
        self.children["node"].wait(30)

    def _judge(self, result: Result) -> None:
        ledger = Ledger(self.folder / "ledger")
        store = Store(self.database)
        try:
            with store.read() as connection:
                ids = list(connection.execute(select(events.c.id)).scalars())
                numbers = list(connection.execute(select(events.c.seq)).scalars())
                tallies = list(connection.execute(select(counts.c.seq)).scalars())
                named = set(connection.execute(select(events.c.clip)).scalars()) - {None}
                result.gaps = sum(last - first + 1 for first, last in gaps(connection, SITE, NODE))
                result.refused = int(
                    connection.execute(select(func.coalesce(func.sum(dead_letters.c.times), 0))).scalar_one()
                )
        finally:
            store.close()
        promised, intended = ledger.promised, ledger.intended
        promised_counts = sum(key.startswith("counts-") for key in promised)
        intended_counts = sum(key.startswith("counts-") for key in intended)
        promised_ids = {key for key in promised if not key.startswith("counts-")}
        result.promised = len(promised)
        result.stored = len(ids) + len(tallies)
        result.lost = len(promised_ids - set(ids)) + max(promised_counts - len(tallies), 0)
        result.invented = len(set(ids) - intended) + max(len(tallies) - intended_counts, 0)
        result.doubled = len([*ids, *numbers, *tallies]) - len(set(ids)) - len({*numbers, *tallies})
        kept = {path.stem for path in (self.folder / "clips").glob("??/*.json")}
        result.clips_missing = len(named - kept)
        drained = self.folder / "drained"
        result.quarantined = int(drained.read_text()) if drained.exists() else 0
