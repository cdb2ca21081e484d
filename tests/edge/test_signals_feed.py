"""Signal states by MQTT: plain records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.embedded import start_broker
from broker.mqtt import Session, wait_until
from calibration.site import Site
from edge.scene import SignalReading
from edge.signals.feed import Feed, feed_of

NOW = 1_768_000_000.0


class FakeBroker:
    """Hands each message to whoever subscribed to its topic."""

    def __init__(self) -> None:
        self._listeners: list[tuple[tuple[str, ...], Callable[[str, bytes], None]]] = []

    def connect(self, *, subscriptions: tuple[str, ...], on_message: Callable[[str, bytes], None]) -> None:
        self._listeners.append((subscriptions, on_message))

    def publish(self, topic: str, payload: bytes) -> None:
        for subscriptions, on_message in self._listeners:
            if topic in subscriptions:
                on_message(topic, payload)


def feed(**table: Any) -> Feed:
    site = Site.model_validate_json(
        json.dumps(
            {
                "site": {"id": "main-5th"},
                "crosswalks": [{"id": "c", "signal_group": "N", "polygon": [[0, 0], [1, 0], [1, 1]]}],
                "signal_feed": {"topic": "city/5th/signals", **table},
            }
        )
    )
    found = feed_of(site, now=lambda: NOW)
    assert found is not None
    return found


def said(**fields: Any) -> bytes:
    return json.dumps({"group": "N", "state": "red", "time": NOW - 1.0, **fields}).encode()


def test_a_change_travels_through_the_broker() -> None:
    broker, signals = FakeBroker(), feed()
    broker.connect(subscriptions=signals.subscriptions, on_message=signals.receive)
    broker.publish("city/5th/signals", said(state="green", time="2026-01-09T23:06:00.5Z", sigma_s=0.02))
    broker.publish("city/6th/signals", said())
    broker.publish("city/5th/signals", said())
    assert signals.history.at("N", NOW - 1.5) == SignalReading("N", "green", 1767999960.5, 0.02, "mqtt")
    assert signals.history.at("N", NOW) == SignalReading("N", "red", NOW - 1.0, 0.1, "mqtt")


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"red", id="no JSON"),
        pytest.param(said(group="Q"), id="a group the site lacks"),
        pytest.param(said(state="violet"), id="no such state"),
        pytest.param(said(time="2026-01-09T23:06:00"), id="no zone"),
        pytest.param(said(time=12.5), id="a time relative to nothing"),
        pytest.param(said(time=NOW + 60), id="a minute ahead of the clock"),
        pytest.param(said(time=float("nan")), id="no time"),
        pytest.param(said(plate="KA-123"), id="a field that is not ours"),
        pytest.param(said()[:-1] + b" " * 20_000 + b"}", id="too long"),
    ],
)
def test_what_cannot_be_used_is_counted_and_changes_nothing(payload: bytes) -> None:
    signals = feed()
    signals.receive("city/5th/signals", said(state="green", time=NOW - 5))
    signals.receive("city/5th/signals", payload)
    assert signals.refused == 1
    assert signals.history.at("N", NOW).state == "green"


def test_a_late_message_changes_nothing() -> None:
    signals = feed()
    for state, time in [("red", NOW - 1), ("green", NOW - 30)]:
        signals.receive("city/5th/signals", said(state=state, time=time))
    assert signals.history.at("N", NOW).state == "red"


def test_a_sender_that_repeats_itself_may_fall_silent() -> None:
    signals = feed(stale_after_s=20.0)
    signals.receive("city/5th/signals", said(time=NOW - 300))
    assert signals.history.at("N", NOW + 19).since == NOW - 300
    assert signals.history.at("N", NOW + 21).state == "unknown"


def test_refusals_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    signals = feed()
    for payload in (b"?", b"?", said(), b"?"):
        signals.receive("city/5th/signals", payload)
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("after", "state", "since"),
    [
        pytest.param(None, "unknown", None, id="nothing since"),
        pytest.param(("red", NOW - 9), "red", NOW - 9, id="the same word again: nothing was missed"),
        pytest.param(("green", NOW - 2), "green", NOW - 2, id="the change that was missed, with its time"),
    ],
)
def test_a_lost_connection_is_believed_again_only_by_a_new_word(
    after: tuple[str, float] | None, state: str, since: float | None
) -> None:
    signals = feed()
    signals.receive("city/5th/signals", said(time=NOW - 9))
    signals.lost()
    signals.lost()
    if after is not None:
        signals.receive("city/5th/signals", said(state=after[0], time=after[1]))
    reading = signals.history.at("N", NOW)
    assert (reading.state, reading.since) == (state, since)
    assert signals.history.at("N", NOW - 5).state == "red"


def test_late_news_are_told(caplog: pytest.LogCaptureFixture) -> None:
    signals = feed()
    for state, time in [("red", NOW - 60), ("green", NOW - 0.2), ("green", NOW - 0.2)]:
        signals.receive("city/5th/signals", said(state=state, time=time))
    assert signals.delay_s == 0.2  # the first word tells no delay: it may have been kept by the broker
    late = feed()
    for state, time in [("red", NOW - 60), ("green", NOW - 4), ("red", NOW - 2)]:
        late.receive("city/5th/signals", said(state=state, time=time))
    assert late.delay_s == 2.0
    assert [record.message[:26] for record in caplog.records] == ["signal states come 4.0 s a"]


@pytest.mark.broker
def test_a_feed_over_a_real_broker() -> None:
    signals = feed()
    with start_broker() as broker:
        listener = Session(
            host=broker.host,
            port=broker.port,
            client_id="listener",
            subscriptions=signals.subscriptions,
            on_message=signals.receive,
        )
        sender = Session(host=broker.host, port=broker.port, client_id="sender")
        assert wait_until(listener, lambda: listener.connected, timeout_s=20)
        assert wait_until(sender, lambda: sender.connected, timeout_s=20)
        sender.publish("city/5th/signals", said())
        sender.step(0.2)
        assert wait_until(listener, lambda: signals.history.at("N", NOW).state == "red", timeout_s=20)
        listener.close()
        sender.close()
