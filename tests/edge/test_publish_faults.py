"""What lies between a node and its collector fails: a day without a broker, half-open TCP, a cut network."""

from __future__ import annotations

import functools
import os
import random
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.intake import Intake
from broker.collector.store import Store, explained, gaps, stored_events
from broker.embedded import free_port, start_broker
from broker.mqtt import Session
from edge import publish
from edge.outbox import Outbox
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, event, status
from tests.conftest import ROOT

pytestmark = pytest.mark.broker
DAY_S = 86_400.0
NOW = 1_795_162_500.0


def publisher(
    outbox: Outbox, port: int, *, clock: Callable[[], float] = time.time, **more: float
) -> Publisher:
    started = Publisher(
        outbox,
        site=SITE,
        node=NODE,
        host="127.0.0.1",
        port=port,
        health=lambda seq: status(seq=seq).model_copy(update={"given_up": outbox.given_up(64)}),
        clock=clock,
        longest_pause_s=0.3,
        **more,  # type: ignore[arg-type]
    )
    started.start()
    return started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    opened.migrate()
    yield opened
    opened.close()


def collecting(store: Store, folder: Path, port: int) -> Collector:
    collector = Collector(Intake(store, ClipFolder(folder / "clips")), host="127.0.0.1", port=port)
    collector.start()
    assert collector.ready.wait(10)
    return collector


def until(reached: Callable[[], bool], *, what: str, timeout_s: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.02)


def all_stored_once(store: Store, put: set[str]) -> None:
    with store.read() as connection:
        found = [str(each.id) for each in stored_events(connection)]
        missing = gaps(connection, SITE, NODE)
    assert sorted(found) == sorted(put)
    assert missing == []


def test_a_day_without_a_broker_is_drained_at_a_rate(store: Store, tmp_path: Path) -> None:
    port, rate_hz, count = free_port(), 100.0, 250
    time_s = NOW
    put: set[str] = set()
    with Outbox(tmp_path / "outbox.db", retry_s=30.0) as outbox:
        started = publisher(outbox, port, clock=lambda: time_s, most_hz=rate_hz)
        rng = random.Random(1)
        for n in range(count):  # the day passes, an event every six minutes
            time_s = NOW + n * DAY_S / count
            record = event()
            put.add(str(record.id))
            outbox.put_event(record, None, due=time_s + rng.uniform(315, 360))
        time_s += 600
        assert outbox.level().rows == count and not started.connected
        with start_broker(port=port):
            collector = collecting(store, tmp_path, port)
            until(lambda: outbox.level().rows < count, what="the first receipts")
            begun, left = time.monotonic(), outbox.level().rows
            until(lambda: not outbox.level().rows, what="all receipts")
            took = time.monotonic() - begun
            started.close()
            collector.close()
        assert took > (left - 2 * publish.WINDOW) / rate_hz, "faster than the rate it was given"
    all_stored_once(store, put)


def test_what_an_outbox_gave_up_is_explained_at_the_collector(store: Store, tmp_path: Path) -> None:
    """The broker is up and the collector down: messages leave, get no receipt, and are given up for room."""
    room = 12 * len(event().encode())
    with start_broker() as broker, Outbox(tmp_path / "outbox.db", quota_bytes=room, retry_s=0.5) as outbox:
        started = publisher(outbox, broker.port, hold_s=0.5)
        until(lambda: started.connected, what="a connection")
        for n in range(30):
            outbox.put_event(event(), None, due=0.0)
            until(lambda n=n: outbox.last_seq == n + 1, what="each to leave")  # type: ignore[misc]
        evicted = outbox.level().evicted_events
        assert evicted > 10
        collector = collecting(store, tmp_path, broker.port)
        until(lambda: not outbox.level().rows, what="all receipts")
        started.tell_now()
        until(lambda: bool(explanations(store)), what="the status")
        started.close()
        collector.close()
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == []
        assert len(stored_events(connection)) == 30 - evicted
    assert sum(last - first + 1 for first, last in explanations(store)) == evicted


def explanations(store: Store) -> list[tuple[int, int]]:
    with store.read() as connection:
        return explained(connection, SITE, NODE)


def registered(selector: selectors.BaseSelector) -> set[object]:
    return {key.fileobj for key in selector.get_map().values()}


class Wire:
    """A TCP proxy that can go silent without closing anything, as a router does that has lost its power."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._dead: set[socket.socket] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def go_silent(self) -> None:
        """Carry nothing more on the connections there are; new ones are carried."""
        self._dead |= set(self._pairs)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.02):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    if sock is self._server:
                        here = self._server.accept()[0]
                        there = socket.create_connection(("127.0.0.1", self._to_port))
                        self._pairs |= {here: there, there: here}
                        for each in (here, there):
                            selector.register(each, selectors.EVENT_READ)
                    elif sock in self._dead:
                        selector.unregister(sock)  # what comes is never read
                    elif not self._carried(sock):
                        for each in (sock, self._pairs[sock]):
                            if each in registered(selector):
                                selector.unregister(each)
                            each.close()

    def _carried(self, sock: socket.socket) -> bool:
        """Carry what has come; False where one side has gone."""
        try:
            chunk = sock.recv(1 << 16)
            self._pairs[sock].sendall(chunk)
        except OSError:
            return False
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for each in (self._server, *self._pairs):
            each.close()


def test_half_open_tcp_is_noticed_and_nothing_is_lost(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "Session", functools.partial(Session, keepalive_s=2))
    put: set[str] = set()
    with (
        start_broker() as broker,
        Wire(broker.port) as wire,
        Outbox(tmp_path / "outbox.db", retry_s=0.5) as outbox,
    ):
        collector = collecting(store, tmp_path, broker.port)
        started = publisher(outbox, wire.port)
        for n in range(30):
            record = event()
            put.add(str(record.id))
            outbox.put_event(record, None, due=0.0)
            if n == 10:
                until(lambda: started.connected and outbox.level().rows == 0, what="a good beginning")
                wire.go_silent()
        assert outbox.level().rows > 0
        until(lambda: not outbox.level().rows, what="all receipts, by a connection made anew")
        started.close()
        collector.close()
    all_stored_once(store, put)


CUT_NETWORK = """
import subprocess, sys, time
from pathlib import Path
from broker.embedded import start_broker
from tests.edge.test_publish_faults import *

def link(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)

link("up")
folder = Path(sys.argv[1])
store = Store(f"sqlite:///{folder / 'cut.db'}")
store.migrate()
put = set()
with start_broker() as broker, Outbox(folder / "cut-outbox.db", retry_s=0.5) as outbox:
    collector = collecting(store, folder, broker.port)
    started = publisher(outbox, broker.port)
    for cut in range(3):
        for n in range(20):
            record = event()
            put.add(str(record.id))
            outbox.put_event(record, None, due=0.0)
            time.sleep(0.01)
            if n == 10:
                link("down")
        time.sleep(1.5)
        assert outbox.level().rows > 0, "the cut did nothing"
        link("up")
        until(lambda: not outbox.level().rows, what=f"all receipts after cut {cut}")
    started.close()
    collector.close()
all_stored_once(store, put)
store.close()
print("ok", len(put))
"""


def test_a_cut_network_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(CUT_NETWORK)
    try:
        done = subprocess.run(
            [
                "unshare",
                "--net",
                sys.executable,
                str(tmp_path / "script.py"),
                str(tmp_path),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.stderr.startswith("unshare") or "'ip'" in done.stderr or "RTNETLINK" in done.stderr:
        pytest.skip(f"no network of its own can be made here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok 60" in done.stdout
