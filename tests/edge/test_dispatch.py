"""When messages leave: after the bin, in an order that tells nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from broker.drawing import Clip
from broker.wire import Counts, Event
from edge.dispatch import SETTLE_S, SPREAD_S, Dispatch, leaves_at
from edge.outbox import Outbox, sha256
from edge.rules.finding import Exposure
from tests.broker.records import BIN_TIME, NODE, SITE, clip, local_event, plate

START, BIN_S = BIN_TIME.timestamp(), 300


class Street:
    """A dispatch whose clock the test sets."""

    def __init__(self, outbox: Outbox, *, at_once: bool = False) -> None:
        self.now = START
        self.outbox = outbox
        self.dispatch = Dispatch(
            self.outbox,
            site=SITE,
            node=NODE,
            time_bin_s=BIN_S,
            at_once=at_once,
            clock=lambda: self.now,
            draw=random.Random(8).uniform,
        )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as opened:
        yield opened


def test_order_of_leaving_is_unrelated_to_order_of_happening(outbox: Outbox) -> None:
    street = Street(outbox)
    happened: dict[str, float] = {}
    for n in range(200):
        second = n * BIN_S / 200
        street.now = START + second + 5.0  # the seconds of its clip later
        id_ = street.dispatch.event(
            local_event(n + 1, time=datetime.fromtimestamp(START + second, UTC)), None
        )
        happened[str(id_)] = second
    assert street.outbox.take(START + BIN_S + SETTLE_S, 1000) == [], "left before its bin had settled"
    left = [Event.decode(row.payload) for row in street.outbox.take(START + BIN_S + SPREAD_S, 1000)]
    assert [each.seq for each in left] == list(range(1, 201))
    assert {each.time for each in left} == {BIN_TIME}
    correlation, _ = spearmanr([happened[str(each.id)] for each in left], range(200))
    assert abs(correlation) < 0.15


@pytest.mark.parametrize(
    ("now", "earliest", "latest"),
    [
        pytest.param(START + 1, START + 315, START + 360, id="waits for its bin to close"),
        pytest.param(START + 304, START + 315, START + 360, id="found while the bin had just closed"),
        pytest.param(START + 9000, START + 9000, START + 9060, id="of a bin long past: spread all the same"),
    ],
)
def test_messages_leave_within_a_minute_after_the_bin(now: float, earliest: float, latest: float) -> None:
    drawn = [leaves_at(START, time_bin_s=BIN_S, now=now, draw=random.Random(n).uniform) for n in range(200)]
    assert earliest <= min(drawn) < max(drawn) <= latest


def test_on_loopback_nothing_waits(outbox: Outbox) -> None:
    street = Street(outbox, at_once=True)
    street.dispatch.event(local_event(), None)
    assert len(street.outbox.take(street.now, 10)) == 1


def test_a_clip_names_the_plate_and_the_event_names_the_clip(outbox: Outbox) -> None:
    street = Street(outbox, at_once=True)
    plate_hash = street.dispatch.plate(plate())
    street.dispatch.event(local_event(clip="0" * 64), clip())
    rows = {row.kind: row for row in street.outbox.take(street.now, 10)}
    assert Clip.decode(rows["clip"].payload) == clip(plate=plate_hash)
    assert Event.decode(rows["event"].payload).clip == sha256(rows["clip"].payload) == rows["clip"].key


def test_an_event_without_a_drawing_names_none(outbox: Outbox) -> None:
    street = Street(outbox, at_once=True)
    street.dispatch.event(local_event(clip="0" * 64), None)
    assert [Event.decode(row.payload).clip for row in street.outbox.take(street.now, 10)] == [None]


def test_a_consequence_names_its_cause(outbox: Outbox) -> None:
    street = Street(outbox, at_once=True)
    cause = street.dispatch.event(local_event(1), None)
    effect = street.dispatch.event(local_event(2, rule="near_miss", caused_by=1), None)
    sent = {
        each.id: each for each in (Event.decode(row.payload) for row in street.outbox.take(street.now, 9))
    }
    assert (sent[cause].caused_by, sent[effect].caused_by) == (None, cause)


def test_an_event_of_another_node_is_none_of_ours(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="an event of main-5th/cam-s at main-5th/cam-n"):
        Street(outbox).dispatch.event(local_event(node="cam-s"), None)


def test_counts_go_a_message_a_quarter(outbox: Outbox) -> None:
    street = Street(outbox, at_once=True)
    quarters = [
        Exposure(START, "N", "car", 3),
        Exposure(START, "ped0", "pedestrian", 1),
        Exposure(START + 900, "N", "car", 4),
    ]
    assert street.dispatch.counts(quarters) == 2
    sent = [Counts.decode(row.payload) for row in street.outbox.take(street.now, 10)]
    assert {(each.start, len(each.counts)) for each in sent} == {
        (BIN_TIME, 2),
        (BIN_TIME + timedelta(minutes=15), 1),
    }
