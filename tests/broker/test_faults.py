"""What goes wrong around a collector and its broker: a full disk, a clock that jumps, a line that is dead."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.health import Health
from broker.collector.intake import Intake
from broker.collector.store import Store, stored_events
from broker.collector.tables import dead_letters, nodes
from broker.embedded import mosquitto_path, start_broker
from broker.mqtt import Session, wait_until
from broker.topics import MAX_BYTES, Address
from edge.outbox import Outbox
from tests.broker.records import NODE, SITE, clip, event, status
from tests.broker.test_two_collectors import publisher

HERE = Address(SITE, NODE, "event")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB of its own, where this may be made."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.broker
def test_a_full_disk_gives_no_receipt_says_so_and_recovers(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("broker.collector.collector.STORE_PAUSE_S", 0.1)
    caplog.set_level("INFO")
    store = Store(f"sqlite:///{small_disk / 'collector.db'}")
    store.migrate()
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(max(free.f_bavail * free.f_frsize - 150_000, 0)))
    intake = Intake(store, ClipFolder(tmp_path / "clips"))
    with start_broker() as broker, Outbox(tmp_path / "outbox.db", retry_s=0.3) as outbox:
        collector = Collector(intake, host=broker.host, port=broker.port)
        health = Health(store, collector, threads={}, disks={"store": small_disk}, room_bytes=100_000)
        collector.start()
        with publisher(outbox, broker.port):
            put = 0
            deadline = time.monotonic() + 60
            while not collector.store_fails:
                assert time.monotonic() < deadline, "150 kB are never full"
                for _ in range(50):
                    outbox.put_event(event(), None, due=time.time())
                    put += 1
                time.sleep(0.1)
            assert not health.ready()["store"].well
            assert not health.ready()["disk of store"].well
            with store.read() as connection:
                stored = len(stored_events(connection))
            assert outbox.level().rows >= put - stored > 0, "what is not stored has no receipt"

            ballast.unlink()
            while outbox.level().rows and time.monotonic() < deadline:
                time.sleep(0.05)
            assert outbox.level().rows == 0
        assert health.ready()["store"].well
        collector.close()
    with store.read() as connection:
        assert len(stored_events(connection)) == put
        assert connection.execute(select(func.count()).select_from(dead_letters)).scalar_one() == 0
    assert sum("the store fails" in message for message in caplog.messages) >= 1
    assert "the store takes messages again" in caplog.messages
    store.close()


def test_a_full_disk_of_clips_gives_no_receipt_and_leaves_nothing_half_written(
    small_disk: Path, sqlite_store: Store
) -> None:
    intake, payload = Intake(sqlite_store, ClipFolder(small_disk / "clips")), clip().encode()
    message = (HERE.to("clip").topic, payload)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with pytest.raises(OSError, match="No space left"):
        intake.take([message])
    assert [path for path in (small_disk / "clips").rglob("*") if path.is_file()] == []
    ballast.unlink()
    [(_, receipt)] = intake.take([message])
    [kept] = [path for path in (small_disk / "clips").rglob("*") if path.is_file()]
    assert receipt.hashes == (kept.stem,)
    assert kept.read_bytes() == payload


@pytest.mark.parametrize("step_s", [-86_400, 86_400], ids=["a day back", "a day on"])
def test_a_clock_that_jumps_by_a_day_changes_nothing(
    store: Store, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    intake, record = Intake(store, clips), event(seq=1)
    messages = [(HERE.topic, record.encode()), (HERE.to("status").topic, status(seq=1).encode())]
    first = intake.take(messages)
    now = time.time()
    monkeypatch.setattr("broker.collector.store.time.time", lambda: now + step_s)
    assert intake.take(messages) == first
    later = event(seq=2)
    assert intake.take([(HERE.topic, later.encode())])
    with store.read() as connection:
        assert {each.id for each in stored_events(connection)} == {record.id, later.id}
        heard_s = connection.execute(select(nodes.c.heard_s)).scalar_one()
    assert abs(heard_s - (now + step_s)) < 5, "the last status counts, whatever the clock says"


class Line:
    """A small TCP proxy whose line can go dead: both ends stay open, and nothing passes."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.dead = threading.Event()
        self._ended = threading.Event()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._ended.is_set():
                if self.dead.is_set():
                    time.sleep(0.02)  # what arrives stays in the kernel, as behind a cut cable
                    continue
                for key, _ in selector.select(0.02):
                    if key.fileobj is self._listener:
                        near, _ = self._listener.accept()
                        far = socket.create_connection(("127.0.0.1", self._target))
                        self._peers |= {near: far, far: near}
                        selector.register(near, selectors.EVENT_READ)
                        selector.register(far, selectors.EVENT_READ)
                    else:
                        self._pass(selector, key.fileobj)
        for each in [self._listener, *self._peers]:
            each.close()

    def _pass(self, selector: selectors.BaseSelector, near: object) -> None:
        assert isinstance(near, socket.socket)
        if near not in self._peers:
            return
        far = self._peers[near]
        try:
            content = near.recv(65_536)
            if content:
                far.sendall(content)
                return
        except OSError:
            pass
        for each in (near, far):
            selector.unregister(each)
            del self._peers[each]
            each.close()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)


@contextmanager
def line(port: int) -> Iterator[Line]:
    opened = Line(port)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.broker
def test_a_half_open_connection_is_noticed_and_made_anew() -> None:
    said: list[bool] = []
    with start_broker() as broker, line(broker.port) as wire:
        session = Session(
            host="127.0.0.1",
            port=wire.port,
            client_id="collector",
            on_connection=said.append,
            version=broker.mqtt_version,
            keepalive_s=1,
            longest_pause_s=0.2,
        )
        assert wait_until(session, lambda: said == [True], timeout_s=10)
        wire.dead.set()
        assert wait_until(session, lambda: said == [True, False], timeout_s=15)
        wire.dead.clear()
        assert wait_until(session, lambda: said == [True, False, True], timeout_s=15)
        session.close()


@pytest.mark.broker
@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_a_message_too_large_is_not_even_sent_to_the_collector(
    sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    intake = Intake(sqlite_store, clips)
    with start_broker(software="mosquitto") as broker, Outbox(tmp_path / "outbox.db", retry_s=0.5) as outbox:
        collector = Collector(intake, host=broker.host, port=broker.port)
        collector.start()
        assert collector.ready.wait(10)
        flood = Session(host=broker.host, port=broker.port, client_id="flood", burst=10)
        assert wait_until(flood, lambda: flood.connected, timeout_s=10)
        for _ in range(3):
            flood.publish(HERE.to("plate").topic, bytes(max(MAX_BYTES.values()) + 100_000))
            wait_until(flood, lambda: False, timeout_s=0.2)
        with publisher(outbox, broker.port):
            outbox.put_event(event(), None, due=time.time())
            deadline = time.monotonic() + 20
            while outbox.level().rows and time.monotonic() < deadline:
                wait_until(flood, lambda: False, timeout_s=0.05)
        assert outbox.level().rows == 0
        assert collector.connected, "it was not thrown off"
        assert intake.stored["refused"] == 0, "nothing of it came here"
        flood.close()
        collector.close()
