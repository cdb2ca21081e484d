"""The outbox: what is put stays until receipted, and leaves in an order that tells nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.wire import Counts, Event, Receipt
from edge.outbox import LONGEST_RETRY_S, Outbox, sha256
from tests.broker.records import clip, counts, event, plate

NOW = 1_000_000.0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", retry_s=30.0) as opened:
        yield opened


def test_an_event_leaves_on_its_receipt_only(outbox: Outbox) -> None:
    first, second = event(), event()
    outbox.put_event(first, None, due=NOW)
    outbox.put_event(second, None, due=NOW)
    outbox.take(NOW, 10)

    assert outbox.settle(Receipt(ids=(first.id,))) == {str(first.id)}
    assert outbox.settle(Receipt(ids=(first.id,))) == set()  # the same receipt again
    assert outbox.level().rows == 1
    assert [row.key for row in outbox.take(NOW + 31, 10)] == [str(second.id)]


def test_clips_and_plates_leave_by_hash_and_counts_by_number(outbox: Outbox) -> None:
    drawing, record = clip(), event(clip=sha256(clip().encode()))
    outbox.put_event(record, drawing, due=NOW)
    plate_hash = outbox.put_plate(plate(), due=NOW)
    outbox.put_counts(counts(), due=NOW)
    rows = {row.kind: row for row in outbox.take(NOW, 10)}
    seq = Counts.decode(rows["counts"].payload).seq

    assert rows["clip"].payload == drawing.encode()
    assert rows["plate"].key == plate_hash == sha256(plate().encode())
    outbox.settle(Receipt(seqs=(Event.decode(rows["event"].payload).seq,)))
    assert outbox.level().rows == 4, "an event's number is no receipt for it"
    outbox.settle(Receipt(ids=(record.id,), hashes=(rows["clip"].key, plate_hash), seqs=(seq,)))
    assert outbox.level().rows == 0


def test_numbers_follow_the_order_of_leaving_without_a_gap(outbox: Outbox) -> None:
    late, early = event(), event()
    outbox.put_event(late, None, due=NOW + 5)
    outbox.put_event(early, None, due=NOW + 1)
    assert outbox.take(NOW, 10) == []
    left = [Event.decode(row.payload) for row in outbox.take(NOW + 10, 10)]
    assert [(each.id, each.seq) for each in left] == [(early.id, 1), (late.id, 2)]
    assert outbox.last_seq == 2


def test_what_has_no_receipt_comes_again_with_the_same_number_later_each_time(outbox: Outbox) -> None:
    outbox.put_event(event(), None, due=NOW)
    payloads, time, pauses = [], NOW, []
    for _ in range(8):
        before = time
        while not (rows := outbox.take(time, 1)):
            time += 5.0
        payloads.append(rows[0].payload)
        pauses.append(time - before)
    assert len(set(payloads)) == 1
    assert pauses == [0.0, 30.0, 60.0, 120.0, 240.0, 480.0, LONGEST_RETRY_S, LONGEST_RETRY_S]


def test_a_message_put_twice_is_one_row(outbox: Outbox) -> None:
    record, drawing = event(), clip()
    outbox.put_event(record, drawing, due=NOW)
    outbox.put_event(record, drawing, due=NOW)
    assert outbox.level().rows == 2


def test_a_message_no_collector_takes_is_quarantined_and_others_leave(outbox: Outbox) -> None:
    huge = plate(background="A" * 4_000_000)  # the largest its schema allows
    outbox.put_plate(huge, due=NOW)
    assert outbox.level().quarantined == 0

    giant = clip().model_copy(update={"glyphs": clip().glyphs * 4000})
    outbox.put_event(event(), giant, due=NOW)
    assert [(kind, "at most 400000" in reason) for _, kind, reason in outbox.quarantined()] == [
        ("clip", True)
    ]
    assert sorted(row.kind for row in outbox.take(NOW, 10)) == ["event", "plate"]


def test_clips_are_given_up_before_events_and_each_is_counted(tmp_path: Path) -> None:
    size = len(event().encode()) + len(clip().encode())
    with Outbox(tmp_path / "outbox.db", quota_bytes=10 * size) as outbox:
        for n in range(30):
            outbox.put_event(event(), clip(offset=n), due=NOW + n)
        level = outbox.level()
        kinds = [row.kind for row in outbox.take(NOW + 100, 100)]
    assert level.bytes <= 10 * size
    assert level.evicted_clips > 0
    assert level.evicted_clips + level.evicted_events + level.rows == 60
    assert kinds.count("clip") == 0, "events were given up while clips were left"


def test_after_a_lost_connection_suspects_go_last_and_alone(outbox: Outbox) -> None:
    suspects = [event(), event()]
    for each in suspects:
        outbox.put_event(each, None, due=NOW)
    outbox.dropped([row.key for row in outbox.take(NOW, 10)])
    outbox.again(NOW)
    fresh = event()
    outbox.put_event(fresh, None, due=NOW)

    assert [row.key for row in outbox.take(NOW, 10)] == [str(fresh.id)]
    alone = outbox.take(NOW, 10)
    assert len(alone) == 1
    outbox.passed(alone[0].key)
    outbox.again(NOW)
    assert alone[0].key in [row.key for row in outbox.take(NOW, 10)]


def test_what_was_put_outlives_a_kill_in_the_middle(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from edge.outbox import Outbox; from tests.broker.records import event\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "while True:\n"
        "    each = event(); outbox.put_event(each, None, due=1.0); print(each.id, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "outbox.db")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = [child.stdout.readline().strip() for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    with Outbox(tmp_path / "outbox.db") as outbox:
        kept = {row.key for row in outbox.take(NOW, 1_000_000)}
    assert {str(UUID(id_)) for id_ in said} <= kept


class OutboxMachine(RuleBasedStateMachine):
    """Any mixture of putting, sending, losing, receipting and starting again, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "outbox.db"
        self.outbox = Outbox(self.path, retry_s=30.0)
        self.now = NOW
        self.kept: dict[str, int | None] = {}  # event id → its number, once it has left
        self.given = 0

    @rule(wait=st.integers(0, 100))
    def put(self, wait: int) -> None:
        record = event()
        self.outbox.put_event(record, None, due=self.now + wait)
        self.kept[str(record.id)] = None

    @rule(limit=st.integers(0, 5))
    def take(self, limit: int) -> None:
        for row in self.outbox.take(self.now, limit):
            seq = Event.decode(row.payload).seq
            known = self.kept[row.key]
            if known is None:
                self.given += 1
                assert seq == self.given, "a gap, or a number twice"
                self.kept[row.key] = seq
            else:
                assert seq == known, "sent again under another number"

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def receipt(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.kept)))
        self.outbox.settle(Receipt(ids=(UUID(key),)))
        del self.kept[key]

    @rule(seconds=st.integers(1, 700))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.outbox.dropped([data.draw(st.sampled_from(sorted(self.kept)))])

    @rule()
    def start_again(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.path, retry_s=30.0)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.outbox.level().rows == len(self.kept)
        assert self.outbox.last_seq == self.given

    def teardown(self) -> None:
        self.outbox.close()
        self._folder.cleanup()


OutboxMachine.TestCase.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_course_of_events = OutboxMachine.TestCase
