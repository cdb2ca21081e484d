"""What is published stands on a real broker, retained, and comes again after it has lost everything."""

from __future__ import annotations

import random
import threading
import time

import pytest

from broker.collector.publication.courier import Announcer, CourierThread
from broker.collector.publication.webhooks import Courier
from broker.collector.store import Store
from broker.embedded import Broker, start_broker
from broker.mqtt import Session, wait_until
from broker.published import Publication
from broker.topics import publication_topic
from tests.broker.publication.test_webhooks import HOOK, City, say
from tests.broker.publication.years import year_of

pytestmark = pytest.mark.broker
TOPIC = publication_topic("main-5th", "red_light_entry")


def heard(broker: Broker) -> dict[str, bytes]:
    """Return what somebody who comes late is told."""
    came: dict[str, bytes] = {}
    session = Session(
        host="127.0.0.1",
        port=broker.port,
        client_id=f"late-{random.random()}",
        subscriptions=("nearmiss/published/#",),
        on_message=came.__setitem__,
    )
    try:
        assert wait_until(session, lambda: bool(came), timeout_s=10)
    finally:
        session.close()
    return came


def test_the_last_publication_of_a_rule_is_what_a_late_comer_hears(sqlite_store: Store) -> None:
    first, second, third = list(year_of("red_light_entry", "quarter", "place", random.Random(1)))[:3]
    say(sqlite_store, [first, second])
    with start_broker(software="mosquitto") as broker:
        announcer = Announcer(sqlite_store, host="127.0.0.1", port=broker.port)
        assert _said(announcer) == 1
        assert heard(broker) == {TOPIC: second.encode()}
        say(sqlite_store, [third])
        assert _said(announcer) == 1
        assert heard(broker) == {TOPIC: third.encode()}
        assert Publication.decode(heard(broker)[TOPIC]) == third
        announcer.drop()
        assert _said(announcer) == 1
        announcer.close()


def test_the_thread_carries_to_webhooks_until_it_is_closed(sqlite_store: Store) -> None:
    say(sqlite_store, list(year_of("red_light_entry", "quarter", "place", random.Random(1)))[:2])
    arrived = threading.Event()
    city = City()

    def post(url: str, body: bytes, headers: object) -> int:
        arrived.set()
        return city(url, body, headers)  # type: ignore[arg-type]

    thread = CourierThread(Courier(sqlite_store, [HOOK], post=post), None, every_s=0.01)
    thread.start()
    assert arrived.wait(10)
    thread.close()
    assert not thread.alive
    assert len(city.came) == 2


def _said(announcer: Announcer) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if count := announcer.step():
            for _ in range(10):
                announcer.step()
            return count
    return 0
