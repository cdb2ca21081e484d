"""The publish thread against a real broker and a collector that the test plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.drawing import Clip
from broker.embedded import Broker, mosquitto_path, start_broker
from broker.mqtt import WINDOW, Session
from broker.topics import Address, intake_filters
from broker.wire import Event, Receipt, Status
from edge.outbox import Outbox, sha256
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, clip, event, status

pytestmark = pytest.mark.broker
HERE = Address(SITE, NODE, "event")


class PlayedCollector:
    """Takes every message and sends a receipt only when told to."""

    def __init__(self, broker: Broker) -> None:
        self.came: list[tuple[str, bytes]] = []
        self.session = Session(
            host=broker.host,
            port=broker.port,
            client_id="collector",
            subscriptions=intake_filters(),
            on_message=lambda topic, payload: self.came.append((topic, payload)),
            version=broker.mqtt_version,
            longest_pause_s=0.2,
        )

    def until(self, reached: Callable[[], object], timeout_s: float = 10.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while not reached():
            if time.monotonic() > deadline:
                return False
            self.session.step(0.02)
        return True

    def events(self) -> list[Event]:
        return [Event.decode(payload) for topic, payload in self.came if topic == HERE.topic]

    def statuses(self) -> list[Status]:
        topic = HERE.to("status").topic
        return [Status.decode(payload) for name, payload in self.came if name == topic]

    def receipt(self, *records: Event) -> None:
        payload = Receipt(ids=tuple(each.id for each in records)).encode()
        self.session.publish(HERE.to("receipt").topic, payload)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with start_broker() as started:
        yield started


@pytest.fixture
def collector(broker: Broker) -> Iterator[PlayedCollector]:
    played = PlayedCollector(broker)
    assert played.until(lambda: played.session.connected)
    yield played
    played.session.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", retry_s=0.3) as opened:
        yield opened


def publisher(outbox: Outbox, broker: Broker, **more: float) -> Publisher:
    return Publisher(
        outbox,
        site=SITE,
        node=NODE,
        host=broker.host,
        port=broker.port,
        health=lambda seq: status(seq=seq),
        longest_pause_s=0.2,
        version=broker.mqtt_version,
        **more,  # type: ignore[arg-type]  # whatever a test wants to set
    )


@pytest.fixture
def running(outbox: Outbox, broker: Broker) -> Iterator[Publisher]:
    started = publisher(outbox, broker)
    started.start()
    yield started
    started.close()
    assert started.error is None


def test_an_event_is_sent_until_it_is_receipted(
    running: Publisher, outbox: Outbox, collector: PlayedCollector
) -> None:
    record = event()
    outbox.put_event(record, None, due=0.0)
    assert collector.until(lambda: len(collector.events()) >= 2), "sent again without a receipt"
    assert {each.id for each in collector.events()} == {record.id}
    assert {each.seq for each in collector.events()} == {1}
    collector.receipt(record)
    assert collector.until(lambda: outbox.level().rows == 0)


def test_no_more_than_the_window_is_on_its_way(
    outbox: Outbox, broker: Broker, collector: PlayedCollector
) -> None:
    for _ in range(3 * WINDOW):
        outbox.put_event(event(), None, due=0.0)
    slow = publisher(outbox, broker, hold_s=60.0)
    slow.start()
    assert collector.until(lambda: len(collector.events()) >= WINDOW)
    assert not collector.until(lambda: len(collector.events()) > WINDOW, timeout_s=0.5)
    collector.receipt(*collector.events()[:5])
    assert collector.until(lambda: len(collector.events()) >= WINDOW + 5)
    slow.close()


def test_a_clip_goes_before_its_event_and_is_what_the_event_names(
    running: Publisher, outbox: Outbox, collector: PlayedCollector
) -> None:
    drawing = clip()
    outbox.put_event(event(clip=sha256(drawing.encode())), drawing, due=0.0)
    assert collector.until(
        lambda: len({topic for topic, _ in collector.came} - {HERE.to("status").topic}) == 2
    )
    first, second = [message for message in collector.came if message[0] != HERE.to("status").topic][:2]
    assert Clip.decode(first[1]) == drawing
    assert Event.decode(second[1]).clip == sha256(first[1])


def test_the_status_is_retained_and_the_will_says_lost(
    outbox: Outbox, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = iter([False, False, True])

    def cuts_the_cable(self: Publisher) -> None:
        if self.connected and next(cut, False):
            self.session.drop()

    monkeypatch.setattr(Publisher, "_watch", cuts_the_cable)
    before = PlayedCollector(broker)
    assert before.until(lambda: before.session.connected)
    node = publisher(outbox, broker)
    node.start()
    assert before.until(lambda: [each.state for each in before.statuses()][-2:] == ["lost", "running"])

    late = PlayedCollector(broker)
    assert late.until(late.statuses)
    assert [each.state for each in late.statuses()] == ["running"]
    for session in (before.session, late.session):
        session.close()
    node.close()


def test_what_a_broker_does_not_take_is_quarantined_and_the_rest_arrives(tmp_path: Path) -> None:
    if mosquitto_path() is None:
        pytest.skip("mosquitto is not installed")
    with start_broker(max_packet_bytes=4000) as small, Outbox(tmp_path / "outbox.db") as outbox:
        collector = PlayedCollector(small)
        big = clip().model_copy(update={"glyphs": clip().glyphs * 100})
        outbox.put_event(event(), big, due=0.0)
        sender = publisher(outbox, small)
        sender.start()
        assert collector.until(lambda: len(collector.events()) == 1)
        ((_, kind, reason),) = outbox.quarantined()
        assert kind == "clip"
        assert "the broker takes packets of 4000" in reason
        sender.close()
        collector.session.close()


def test_a_message_the_broker_hangs_up_on_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mosquitto_path() is None:
        pytest.skip("mosquitto is not installed")
    with start_broker(max_packet_bytes=4000) as small, Outbox(tmp_path / "outbox.db", retry_s=0.1) as outbox:
        # As if it had not said what it takes: it hangs up on each try.
        monkeypatch.setattr(Publisher, "_limit", lambda self: None)
        collector = PlayedCollector(small)
        big = clip().model_copy(update={"glyphs": clip().glyphs * 100})
        records = [event() for _ in range(5)]
        outbox.put_event(records[0], big, due=0.0)
        for each in records[1:]:
            outbox.put_event(each, None, due=0.0)
        sender = publisher(outbox, small)
        sender.start()
        assert collector.until(lambda: outbox.level().quarantined == 1, timeout_s=20)
        assert "hung up" in outbox.quarantined()[0][2]
        assert collector.until(
            lambda: {each.id for each in collector.events()} == {each.id for each in records}
        )
        sender.close()
        collector.session.close()


def test_messages_without_receipts_raise_an_alarm_and_receipts_end_it(
    outbox: Outbox, broker: Broker, collector: PlayedCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.publish.WATCH_EVERY_S", 0.05)
    monkeypatch.setattr("edge.publish.ALARM_ATTEMPTS", 2)
    sender = publisher(outbox, broker)
    sender.start()
    record = event()
    outbox.put_event(record, None, due=0.0)
    assert collector.until(lambda: sender.overdue)
    collector.receipt(record)
    assert collector.until(lambda: not sender.overdue)
    sender.close()


def test_a_defect_in_the_thread_shows(
    outbox: Outbox, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_arguments: object) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(outbox, "take", defect)
    sender = publisher(outbox, broker)
    sender.start()
    sender._thread.join(10)
    assert not sender.alive
    assert str(sender.error) == "a defect of ours"
