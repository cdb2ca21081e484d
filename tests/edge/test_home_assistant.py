"""Home Assistant is told of health alone, and only where it is switched on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from broker.embedded import start_broker
from broker.field_names import FIELD_NAMES
from broker.mqtt import Session, wait_until
from broker.wire import Event, Status
from edge.home_assistant import SENSORS, announcement
from edge.outbox import Outbox
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, status


def test_what_is_shown_are_fields_of_the_status() -> None:
    topic, payload = announcement("main-5th", "cam-n", prefix="homeassistant")
    told = json.loads(payload)
    assert topic == "homeassistant/device/cam-n/config"
    assert told["state_topic"] == "nearmiss/v1/main-5th/cam-n/status"
    assert set(SENSORS) <= set(Status.model_fields)
    assert {each["platform"] for each in told["components"].values()} == {"sensor", "binary_sensor"}
    ids = [each["unique_id"] for each in told["components"].values()]
    assert len(ids) == len(set(ids))


def test_nothing_of_the_street_is_shown() -> None:
    street = set(Event.model_fields) - set(Status.model_fields)
    said = announcement("s", "n", prefix="homeassistant")[1].decode()
    assert street and not [name for name in street if f"value_json.{name} " in said]
    assert {"place", "rule", "measures", "clip"} <= street <= FIELD_NAMES


@pytest.mark.broker
@pytest.mark.parametrize("wanted", [True, False], ids=["switched on", "off, as it is by default"])
def test_a_node_announces_itself_once_a_connection(wanted: bool, tmp_path: Path) -> None:
    came: list[tuple[str, bytes]] = []
    told = announcement(SITE, NODE, prefix="homeassistant")
    with start_broker() as broker, Outbox(tmp_path / "outbox.db") as outbox:
        publisher = Publisher(
            outbox,
            site=SITE,
            node=NODE,
            host=broker.host,
            port=broker.port,
            health=lambda seq: status(seq=seq),
            announcement=told if wanted else None,
        )
        publisher.start()
        deadline = time.monotonic() + 10
        while not publisher.connected and time.monotonic() < deadline:
            time.sleep(0.02)
        home = Session(
            host=broker.host,
            port=broker.port,
            client_id="home",
            subscriptions=["homeassistant/#", "nearmiss/v1/+/+/status"],
            on_message=lambda topic, payload: came.append((topic, payload)),
        )
        assert wait_until(home, lambda: any(topic.endswith("/status") for topic, _ in came), timeout_s=10)
        home.close()
        publisher.close()
    assert [each for each in came if each[0].startswith("homeassistant/")] == ([told] if wanted else [])
