"""A node at work, as a process of its own: its clock is set by a day, its broker away, its file read anew."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.intake import Intake
from broker.collector.store import Store, gaps, stored_events
from broker.embedded import free_port, start_broker
from edge.node import DRAIN_HZ
from edge.outbox import Outbox, fresh_numbers
from edge.publish import WINDOW
from tests.broker.records import NODE, SITE, event
from tests.edge import busy_node
from tests.edge.cameras import MjpegCamera
from tests.edge.running import Running

pytestmark = [pytest.mark.broker, pytest.mark.slow]

RATE_HZ = 12.0
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
NODE_TOML = """
[node]
id = "cam-n"
site = "site.toml"
[source]
url = "{url}"
clock_sigma_s = 0.01
frame_rate_hz = {rate}
[broker]
port = {port}
[outbox]
path = "{outbox}"
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    opened.migrate()
    yield opened
    opened.close()


@contextmanager
def node_at_work(folder: Path, port: int, outbox: str = "outbox.db", **environment: str) -> Iterator[Running]:
    """A node that watches an MJPEG camera; a car goes over the line on red every five seconds."""
    # The plan's second of green is well away from the test, also with a clock set by whole days.
    epoch = datetime.fromtimestamp(time.time() // 86_400 * 86_400 + time.time() % 600 - 60.0, UTC)
    (folder / "site.toml").write_text(busy_node.SITE.format(epoch=epoch.isoformat().replace("+00:00", "Z")))
    with MjpegCamera(rate=RATE_HZ) as camera:
        text = NODE_TOML.format(url=camera.url, rate=RATE_HZ, port=port, outbox=outbox)
        (folder / "node.toml").write_text(text)
        node = Running(
            folder / "node.toml", environment, program=("-m", "tests.edge.busy_node"), more=(str(folder),)
        )
        try:
            yield node
        finally:
            node.close()


def collecting(store: Store, folder: Path, port: int) -> Collector:
    collector = Collector(Intake(store, ClipFolder(folder / "clips")), host="127.0.0.1", port=port)
    collector.start()
    assert collector.ready.wait(10)
    return collector


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def told(folder: Path) -> set[str]:
    return set(lines(folder / "told"))


def ids(store: Store) -> list[str]:
    with store.read() as connection:
        return [str(each.id) for each in stored_events(connection)]


@pytest.mark.skipif(not FAKETIME, reason="no libfaketime: apt-get install faketime")
def test_a_day_without_a_broker_and_a_clock_set_forth_and_back(tmp_path: Path, store: Store) -> None:
    """Messages wait, cars go on being found, the clock leaps a day forth and back; then all is drained."""
    offset, port, waiting = tmp_path / "offset", free_port(), 300
    offset.write_text("+0")
    put = set()
    with Outbox(tmp_path / "outbox.db", first_seq=fresh_numbers()) as outbox:
        outbox.claim(SITE, NODE)
        for _ in range(waiting):
            record = event()
            put.add(str(record.id))
            outbox.put_event(record, None, due=time.time())
    environment = {
        "LD_PRELOAD": str(FAKETIME[-1]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with node_at_work(tmp_path, port, **environment) as node:
        node.until(lambda: len(told(tmp_path)) >= 1, what="an event", timeout_s=60)
        for day in ("+1d", "+0"):
            steps, before = sum("times begin anew" in line for line in node.said), len(told(tmp_path))
            offset.write_text(day)
            node.until_said("times begin anew", times=steps + 1)
            node.until(lambda n=before: len(told(tmp_path)) >= n + 1, what="an event by the new time")  # type: ignore[misc]
        with start_broker(port=port):
            collector = collecting(store, tmp_path, port)
            node.until_said("connected to the broker")
            begun, left = time.monotonic(), waiting + len(told(tmp_path))
            node.until(lambda: len(ids(store)) >= left, what="all of it", timeout_s=120)
            took_s = time.monotonic() - begun
            node.until(lambda: told(tmp_path) <= set(ids(store)), what="the last", timeout_s=120)
            assert node.end() == 0
            collector.close()
    in_order(tmp_path, store, put=put, begun_anew=2)
    assert took_s > (left - 2 * WINDOW) / DRAIN_HZ, "faster than a node drains"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds little more than a node's ballast, where this may be made."""
    place = tmp_path / "state"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Take all the room that is left on a disk."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_node_whose_disk_is_full_finds_on_and_loses_nothing(
    small_disk: Path, tmp_path: Path, store: Store
) -> None:
    with start_broker() as broker, node_at_work(tmp_path, broker.port, outbox="state/outbox.db") as node:
        node.until(lambda: len(told(tmp_path)) >= 1, what="an event", timeout_s=60)
        filler = small_disk / "filler"
        fill(filler)
        node.until_said("the ballast is given up")
        fill(filler)  # its room too
        node.until_said("what is found waits in memory until there is room")
        before = len(told(tmp_path))
        node.until(lambda: len(told(tmp_path)) > before, what="another event")
        filler.unlink()
        collector = collecting(store, tmp_path, broker.port)
        node.until_said("what waited in memory is stored")
        node.until(lambda: told(tmp_path) <= set(ids(store)), what="all of them", timeout_s=120)
        assert node.end() == 0
        collector.close()
    in_order(tmp_path, store, begun_anew=0, outbox="state/outbox.db")


def in_order(
    folder: Path,
    store: Store,
    *,
    put: Set[str] = frozenset(),
    begun_anew: int,
    outbox: str = "outbox.db",
) -> None:
    """Everything that was found is stored or waits, once; each car was found, but for one on the line."""
    found, all_told = ids(store), told(folder) | put
    with Outbox(folder / outbox) as left:
        waits = {row.key for row in left.take(math.inf, 10_000) if row.kind == "event"}
    assert len(found) == len(set(found)), "one twice"
    assert set(found) | waits == all_told, "one lost, or one invented"
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == []
    missed = len(lines(folder / "cars")) - len(told(folder))
    assert 0 <= missed <= begun_anew + 1, f"{missed} cars were not found, or some twice"


def test_sighup_with_events_in_flight_loses_and_doubles_none(tmp_path: Path, store: Store) -> None:
    with start_broker() as broker, node_at_work(tmp_path, broker.port) as node:
        collector = collecting(store, tmp_path, broker.port)
        for reload in range(3):
            node.until(lambda n=reload: len(told(tmp_path)) > 2 * n, what="an event", timeout_s=60)  # type: ignore[misc]
            node.child.send_signal(signal.SIGHUP)
            node.until_said("the new configuration counts from now on", times=reload + 1)
        node.until(lambda: told(tmp_path) <= set(ids(store)), what="all of them", timeout_s=120)
        assert node.end() == 0
        collector.close()
    in_order(tmp_path, store, begun_anew=3)
