"""`nearmiss collect`: it says where its page is, ends in order, and never looks alive when it is not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.collector import serve
from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.config import ConfigError, database_url, is_loopback, load_collector
from broker.collector.health import Check, Health
from broker.collector.intake import Intake
from broker.collector.review.server import ReviewServer
from broker.collector.store import Store
from broker.embedded import free_port, start_broker
from broker.mqtt import Session, wait_until
from broker.topics import Address
from tests.broker.records import NODE, SITE, event
from tests.broker.test_watching import FakeIntake

TOML = """
[broker]
port = {broker}
[store]
database = "sqlite:///state/collector.db"
[review]
port = {review}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "collector.toml"
    path.write_text(TOML.format(broker=free_port(), review=free_port()))
    return path


@pytest.fixture
def started(config: Path) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "edge", "collect", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield child
    if child.poll() is None:
        child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


@pytest.mark.broker
def test_it_waits_for_its_broker_takes_messages_and_ends_at_sigterm(
    config: Path, started: subprocess.Popen[str]
) -> None:
    assert started.stdout is not None
    url = started.stdout.readline().removeprefix("review page: ").strip()
    assert httpx.get(url + "login").status_code == 200, "the page is up before the broker is"
    assert started.stdout.readline().startswith("no account yet: nearmiss user add")
    settings = load_collector(config)
    with start_broker(port=settings.broker.port) as broker:
        assert started.stdout.readline() == "collector: ready\n"
        receipts: list[bytes] = []
        here = Address(SITE, NODE, "event")
        node = Session(
            host=broker.host,
            port=broker.port,
            client_id="node",
            subscriptions=[here.to("receipt").topic],
            on_message=lambda _topic, payload: receipts.append(payload),
            version=broker.mqtt_version,
        )
        assert wait_until(node, lambda: node.connected, timeout_s=10)
        record = event()
        node.publish(here.topic, record.encode())
        assert wait_until(node, lambda: bool(receipts), timeout_s=10)
        assert str(record.id).encode() in receipts[0]
        node.close()
        started.terminate()
        assert started.wait(10) == 0
    assert (config.parent / "state" / "collector.db").is_file()


def test_it_ends_when_its_intake_does(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defect(self: Collector) -> bool:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr("broker.mqtt.Session.step", defect)
    assert serve.run(config) == 1


def test_it_ends_when_its_web_server_does(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = ReviewServer.start

    def start_and_end(self: ReviewServer) -> None:
        began(self)
        self._server.should_exit = True

    monkeypatch.setattr(ReviewServer, "start", start_and_end)
    assert serve.run(config) == 1


def test_a_web_server_that_has_ended_is_not_well(sqlite_store: Store, clips: ClipFolder) -> None:
    page = ReviewServer(sqlite_store, clips)
    page.start()
    health = Health(sqlite_store, FakeIntake(), threads={"review page": page}, disks={}, room_bytes=0)
    assert all(check.well for check in health.ready().values())
    page.close()
    for checks in (health.live(), health.ready()):
        assert checks["review page"] == Check(False, "has ended")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            '[review]\nhost = "0.0.0.0"', ["review: 0.0.0.0 is reached from other machines"], id="open to all"
        ),
        pytest.param(
            '[broker]\nhost = "broker.example"',
            ["broker.tls: broker.example is another machine, reached with TLS only"],
            id="a broker elsewhere",
        ),
        pytest.param(
            "[review]\nport = 0\n[retention]\nclip_unreviewed_h = 100",
            ["review.port", "retention.clip_unreviewed_h"],
            id="two at once",
        ),
        pytest.param("[stores]", ["stores: Extra inputs"], id="an unknown table"),
    ],
)
def test_a_bad_file_is_told_at_once(tmp_path: Path, text: str, problems: list[str]) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        serve.run(path)
    assert len(caught.value.problems) == len(problems)
    for said, expected in zip(caught.value.problems, problems, strict=True):
        assert said.startswith(f"{path}: {expected}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///collector.db", "sqlite:///{folder}/collector.db"),
        ("sqlite:////var/lib/nearmiss/collector.db", "sqlite:////var/lib/nearmiss/collector.db"),
        (
            "postgresql+psycopg://nearmiss@127.0.0.1/nearmiss",
            "postgresql+psycopg://nearmiss@127.0.0.1/nearmiss",
        ),
    ],
)
def test_a_relative_store_lies_beside_its_file(tmp_path: Path, url: str, expected: str) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(f'[store]\ndatabase = "{url}"')
    assert database_url(path, load_collector(path)) == expected.format(folder=tmp_path)


def test_loopback_is_this_machine_alone() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.9.1", "::1"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.1", "localhost.example", ""))


@pytest.mark.broker
def test_a_store_that_fails_gets_no_receipt_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    from broker.collector.clips import ClipFolder

    monkeypatch.setattr("broker.collector.collector.STORE_PAUSE_S", 0.05)
    store = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    store.migrate()
    intake = Intake(store, ClipFolder(tmp_path / "clips"))
    honest, calls = intake.take, []

    def fails_twice(messages: list[tuple[str, bytes]]) -> object:
        calls.append(len(messages))
        if len(calls) <= 2:
            raise OperationalError("INSERT", {}, Exception("disk is full"))
        return honest(messages)

    monkeypatch.setattr(intake, "take", fails_twice)
    with start_broker() as broker:
        collector = Collector(intake, host=broker.host, port=broker.port, client_id="collector")
        collector.start()
        assert collector.ready.wait(10)
        receipts: list[bytes] = []
        here = Address(SITE, NODE, "event")
        node = Session(
            host=broker.host,
            port=broker.port,
            client_id="node",
            subscriptions=[here.to("receipt").topic],
            on_message=lambda _topic, payload: receipts.append(payload),
            version=broker.mqtt_version,
        )
        assert wait_until(node, lambda: node.connected, timeout_s=10)
        record = event()
        deadline = time.monotonic() + 10
        while not receipts and time.monotonic() < deadline:
            node.publish(here.topic, record.encode())
            wait_until(node, lambda: bool(receipts), timeout_s=0.3)
        assert receipts
        assert len(calls) >= 3
        assert collector.alive
        node.close()
        collector.close()
    store.close()
