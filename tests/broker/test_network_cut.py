"""A cable that is pulled between a node and its broker: TLS, in a network namespace of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.intake import Intake
from broker.collector.store import Store, gaps, stored_events
from broker.embedded import mosquitto_path
from broker.wire import Status
from edge.outbox import Outbox
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, SOFTWARE, event
from tests.broker.secure import secure_broker

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed"),
]
HERE, THERE = "10.213.77.1", "10.213.77.2"


@dataclass
class Cable:
    """A link into a namespace where the broker listens."""

    namespace: str
    device: str

    def pull(self) -> None:
        ip("link", "set", self.device, "down")

    def plug(self) -> None:
        ip("link", "set", self.device, "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[Cable]:
    name = f"nm{secrets.token_hex(3)}"
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no network namespace may be made here")
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("addr", "add", f"{HERE}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{THERE}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError:
        subprocess.run(["ip", "netns", "del", name], check=False)
        pytest.skip("no virtual cable may be made here")
    yield Cable(name, f"{name}a")
    ip("netns", "del", name)


def test_what_is_found_while_the_cable_is_out_arrives_once(
    cable: Cable, sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    with (
        secure_broker(hosts=(THERE,), listen=THERE, namespace=cable.namespace) as broker,
        Outbox(tmp_path / "outbox.db", retry_s=0.5) as outbox,
    ):
        collector = Collector(
            Intake(sqlite_store, clips), host=THERE, port=broker.port, tls=broker.tls("collector", "main")
        )
        node = Publisher(
            outbox,
            site=SITE,
            node=NODE,
            host=THERE,
            port=broker.port,
            tls=broker.tls("node", NODE),
            health=lambda seq: Status(site=SITE, node=NODE, seq=seq, state="running", software=SOFTWARE),
            hold_s=0.5,
            longest_pause_s=0.5,
        )
        collector.start()
        node.start()

        def settled() -> bool:
            deadline = time.monotonic() + 60
            while outbox.level().rows and time.monotonic() < deadline:
                time.sleep(0.05)
            return outbox.level().rows == 0

        for _ in range(10):
            outbox.put_event(event(), None, due=time.time())
        assert settled()
        cable.pull()
        for _ in range(20):
            outbox.put_event(event(), None, due=time.time())
        time.sleep(1.0)
        assert outbox.level().rows == 20, "nothing arrives, nothing is receipted"
        cable.plug()
        assert settled()
        node.close()
        collector.close()
    with sqlite_store.read() as connection:
        assert sorted(each.seq for each in stored_events(connection)) == list(range(1, 31))
        assert gaps(connection, SITE, NODE) == []
