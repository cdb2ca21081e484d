"""One true event from end to end: a film over RTSP, signals by MQTT, TLS to the broker, the store."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from broker.collector.store import Store, gaps, stored_events
from broker.drawing import Clip
from broker.embedded import LOOPBACK, start_broker
from broker.mqtt import Session, wait_until
from broker.wire import Event, LocalEvent, WireSignal
from edge.demo.junction import SITE_ID, Plan
from edge.demo.truth import true_events
from edge.outbox import Outbox
from tests.broker.secure import SecureBroker, secure_broker
from tests.edge.cameras import RtspCamera
from tests.edge.filmed import BIN_S, OFFSET_S, Controller, car, write_film
from tests.edge.running import Running

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SECONDS = 22.0
ACTORS = (
    car("on green", (140, 132, 32), "N", 5.0, 10.0),
    car("2 s into red", (44, 40, 196), "N", 14.0, 11.0),
)
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
host = "127.0.0.1"
port = {port}
tls = {{ ca = "{tls.ca}", certificate = "{tls.certificate}", key = "{tls.key}" }}
"""
COLLECTOR = """
[broker]
host = "127.0.0.1"
port = {port}
tls = {{ ca = "{tls.ca}", certificate = "{tls.certificate}", key = "{tls.key}" }}
[review]
enabled = false
"""


@pytest.fixture
def broker() -> Iterator[SecureBroker]:
    with secure_broker(nodes=("cam-n",)) as started:
        yield started


def say(city: Session, zero_s: float, until_s: float) -> None:
    """Tell the junction's states."""
    controller = Controller(city)
    while (now := time.time()) < until_s:
        controller.turn(zero_s=zero_s, now_s=now)
        city.step(0.02)


def test_a_car_over_the_line_on_red_is_a_row_with_a_clip_at_its_true_time(
    broker: SecureBroker, tmp_path: Path
) -> None:
    film = write_film(tmp_path, ACTORS, seconds=SECONDS)
    [truth] = true_events(ACTORS, Plan(offset_s=OFFSET_S, duration_s=SECONDS))
    assert truth.rule == "red_light_entry"
    (tmp_path / "collector.toml").write_text(
        COLLECTOR.format(port=broker.port, tls=broker.tls("collector", "main"))
    )
    told = tmp_path / "told"
    with start_broker() as city_broker, RtspCamera(film=film) as camera:
        (tmp_path / "node.toml").write_text(
            NODE.format(
                camera=camera.url, city=city_broker.port, port=broker.port, tls=broker.tls("node", "cam-n")
            )
        )
        city = Session(
            host=LOOPBACK, port=city_broker.port, client_id="city", version=city_broker.mqtt_version
        )
        assert wait_until(city, lambda: city.connected, timeout_s=10)
        collector = Running(tmp_path / "collector.toml", program=("-m", "edge", "collect"))
        node = Running(tmp_path / "node.toml", program=("-m", "tests.edge.told_node"), more=(str(told),))
        try:
            word, _, zero = camera.said(within_s=60.0).partition(" ")
            assert word == "playing"
            zero_s = float(zero)
            say(city, zero_s, zero_s + SECONDS)
            camera.kill()  # what was found is told without it
            node.until(told.exists, what="the event")
            event_id, _, line = told.read_text().strip().partition(" ")
            exact = LocalEvent.decode(line.encode())
            node.until(lambda: bool(stored(tmp_path)), what="a row in the store", timeout_s=BIN_S + 60.0)
            node.until_said("connected to the broker")
            assert node.end() == 0
        finally:
            node.close()
            collector.close()
            city.close()
    true_s = zero_s + truth.time
    assert exact.time_sigma_s is not None
    assert abs(exact.time.timestamp() - true_s) < 2 * exact.time_sigma_s < 0.25
    into_red = exact.measures["into_red_s"]
    assert into_red.sigma is not None
    assert abs(into_red.value - truth.measure[1]) < 2 * into_red.sigma

    [event] = stored(tmp_path)
    assert str(event.id) == event_id
    assert (event.rule, event.outcome, event.place, event.road_user) == (
        *(truth.rule, "occurred", truth.place, "car"),
    )
    assert event.signal == WireSignal(group="NS", state="red", source="mqtt")
    assert event.time.timestamp() == exact.time.timestamp() // BIN_S * BIN_S, "its bin, and no more"
    assert event.clip is not None
    payload = (tmp_path / "clips" / event.clip[:2] / f"{event.clip}.json").read_bytes()
    clip = Clip.decode(payload)
    assert [glyph.kind for glyph in clip.glyphs if glyph.role == "first"] == ["car"]
    assert {lamp.group for lamp in clip.lamps} >= {"NS"}
    with Outbox(tmp_path / "outbox.db") as outbox:
        # What is left is the count of the quarter that SIGTERM ended.
        assert {row.kind for row in outbox.take(math.inf, 10)} <= {"counts"}, "the rest has its receipt"


def stored(folder: Path) -> list[Event]:
    """Return what the collector holds; nothing as long as it has no store."""
    if not (folder / "collector.db").exists():
        return []
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    try:
        with store.read() as connection:
            assert gaps(connection, SITE_ID, "cam-n") == []
            return stored_events(connection)
    except OperationalError:
        return []  # its tables are being made
    finally:
        store.close()
