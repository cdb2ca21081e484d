"""One connection: it survives callbacks that fail and brokers that go away."""

from __future__ import annotations

import importlib.util
import time

import pytest

from broker.embedded import Broker, BrokerError, free_port, mosquitto_path, start_broker
from broker.mqtt import NotConnected, Session, Will, wait_until

pytestmark = pytest.mark.broker


def both(first: Session, second: Session, reached: object, *, timeout_s: float = 10.0) -> bool:
    """Drive two sessions from one thread until a condition holds."""
    assert callable(reached)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        first.step(0.02)
        second.step(0.02)
        if reached():
            return True
    return False


def session(broker: Broker, name: str, **more: object) -> Session:
    return Session(
        host=broker.host,
        port=broker.port,
        client_id=name,
        version=broker.mqtt_version,
        longest_pause_s=0.2,
        **more,  # type: ignore[arg-type]  # whatever a test wants to set
    )


def test_a_message_arrives_and_is_acknowledged(broker: Broker) -> None:
    came: list[tuple[str, bytes]] = []
    acknowledged: list[int] = []
    listener = session(
        broker, "listener", subscriptions=["a/+"], on_message=lambda *message: came.append(message)
    )
    speaker = session(broker, "speaker", on_acknowledged=acknowledged.append)
    assert both(listener, speaker, lambda: listener.connected and speaker.connected)
    message = speaker.publish("a/b", b"hello")
    assert both(listener, speaker, lambda: came and acknowledged)
    assert (came, acknowledged) == ([("a/b", b"hello")], [message])
    speaker.close()
    listener.close()


def test_a_failing_callback_ends_nothing(broker: Broker) -> None:
    came: list[bytes] = []

    def fails_once(_topic: str, payload: bytes) -> None:
        came.append(payload)
        if len(came) == 1:
            raise RuntimeError("a defect of ours")

    listener = session(broker, "listener", subscriptions=["a"], on_message=fails_once)
    speaker = session(broker, "speaker")
    assert both(listener, speaker, lambda: listener.connected and speaker.connected)
    speaker.publish("a", b"1")
    speaker.publish("a", b"2")
    assert both(listener, speaker, lambda: len(came) == 2)
    assert listener.faults == 1
    assert listener.connected
    speaker.close()
    listener.close()


def test_it_comes_back_when_the_broker_does() -> None:
    said: list[bool] = []
    broker = start_broker()
    connection = session(broker, "node", subscriptions=["a"], on_connection=said.append)
    try:
        assert wait_until(connection, lambda: said == [True], timeout_s=10)
        broker.kill()
        assert wait_until(connection, lambda: said == [True, False], timeout_s=10)
        with pytest.raises(NotConnected):
            connection.publish("a", b"queued nowhere")
        with start_broker(port=broker.port, software=broker.software):
            assert wait_until(connection, lambda: said == [True, False, True], timeout_s=10)
            connection.close()
    finally:
        broker.stop()


def test_the_will_is_said_for_whoever_goes_without_a_goodbye(broker: Broker) -> None:
    for goodbye, expected in ((True, []), (False, [b"lost"])):
        came: list[bytes] = []
        gone = session(broker, "node", will=lambda: Will("status", b"lost"))
        assert wait_until(gone, lambda gone=gone: gone.connected, timeout_s=10)  # type: ignore[misc]
        if goodbye:
            gone.close()
        else:
            gone.drop()
        listener = session(
            broker,
            "listener",
            subscriptions=["status"],
            on_message=lambda _, what, came=came: came.append(what),
        )
        wait_until(listener, lambda came=came: bool(came), timeout_s=0.5 if goodbye else 5)  # type: ignore[misc]
        assert came == expected
        listener.close()


@pytest.mark.skipif(importlib.util.find_spec("amqtt") is None, reason="amqtt is not installed")
def test_a_broker_of_version_3_is_found_out() -> None:
    with start_broker(software="amqtt") as broker:
        connection = Session(host=broker.host, port=broker.port, client_id="node", longest_pause_s=0.2)
        assert wait_until(connection, lambda: connection.connected, timeout_s=20)
        assert connection.version == "3.1.1"
        connection.close()


@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_mosquitto_is_taken_where_it_is_and_speaks_version_5() -> None:
    with start_broker(max_packet_bytes=10_000) as broker:
        assert broker.software == "mosquitto"
        connection = session(broker, "node")
        assert wait_until(connection, lambda: connection.connected, timeout_s=10)
        assert (connection.version, connection.max_payload_bytes) == ("5", 10_000)
        connection.close()


def test_amqtt_is_taken_where_mosquitto_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.embedded.mosquitto_path", lambda: None)
    with start_broker() as broker:
        assert broker.software == "amqtt"


def test_without_any_broker_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.embedded.mosquitto_path", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BrokerError, match="apt-get install mosquitto"):
        start_broker()


def test_a_port_that_is_taken_is_named() -> None:
    with start_broker() as broker, pytest.raises(BrokerError, match=f"port {broker.port}"):
        start_broker(port=broker.port, software="amqtt")


def test_free_ports_are_on_loopback_and_unprivileged() -> None:
    assert all(port > 1023 for port in (free_port(), free_port()))
