"""Several collectors share one broker: each message goes to one, and one that is killed loses none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.collector.store import Store, gaps, stored_events
from broker.embedded import free_port, mosquitto_path, start_broker
from broker.wire import Status
from edge.outbox import Outbox
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, SOFTWARE, event

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed"),
]


class Member:
    """One collector of the group, in a process of its own."""

    def __init__(self, folder: Path, number: int, port: int, database: str) -> None:
        self.watch = free_port()
        config = folder / f"collector{number}.toml"
        config.write_text(
            f'[broker]\nport = {port}\n[intake]\ngroup = "main"\n[store]\ndatabase = "{database}"\n'
            f"[review]\nenabled = false\n[watch]\nport = {self.watch}\nroom_mb = 0\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker.collector.serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("health: ")
        assert self.process.stdout.readline() == "collector: ready\n"

    def taken(self) -> float:
        said = httpx.get(f"http://127.0.0.1:{self.watch}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(said)
            for sample in family.samples
            if sample.name == "nearmiss_messages_total" and sample.labels["kind"] == "event"
        )

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def publisher(outbox: Outbox, port: int) -> Iterator[Publisher]:
    started = Publisher(
        outbox,
        site=SITE,
        node=NODE,
        host="127.0.0.1",
        port=port,
        health=lambda seq: Status(site=SITE, node=NODE, seq=seq, state="running", software=SOFTWARE),
        hold_s=0.5,
        longest_pause_s=1.0,
    )
    started.start()
    yield started
    started.close()


def test_two_share_the_work_and_one_that_is_killed_loses_nothing(empty_database: str, tmp_path: Path) -> None:
    store = Store(empty_database)
    store.migrate()
    with start_broker(software="mosquitto") as broker, Outbox(tmp_path / "outbox.db", retry_s=0.5) as outbox:
        members = [Member(tmp_path, number, broker.port, empty_database) for number in (1, 2)]
        try:
            with publisher(outbox, broker.port):
                for number in range(200):
                    outbox.put_event(event(), None, due=time.time())
                    if number == 100:
                        assert all(member.taken() > 10 for member in members) or _soon(members)
                        members[0].process.kill()
                deadline = time.monotonic() + 40
                while outbox.level().rows and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert outbox.level().rows == 0
        finally:
            for member in members:
                member.end()
    with store.read() as connection:
        stored = stored_events(connection)
        assert gaps(connection, SITE, NODE) == []
    assert sorted(each.seq for each in stored) == list(range(1, 201))
    store.close()


def _soon(members: list[Member]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if all(member.taken() > 10 for member in members):
            return True
        time.sleep(0.1)
    return False
