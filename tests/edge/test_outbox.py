"""The outbox: what is put stays until receipted, and leaves in an order that tells nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.wire import Counts, Event, Receipt
from edge.errors import InputError
from edge.outbox import LONGEST_RETRY_S, Level, Outbox, fresh_numbers, sha256
from tests.broker.records import clip, counts, event, plate
from tests.conftest import ROOT

NOW = 1_000_000.0
QUOTA = 12_000  # a handful of events and clips: giving up is part of the game


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


def test_numbers_of_what_was_given_up_or_quarantined_are_told(tmp_path: Path) -> None:
    size = len(event().encode())
    with Outbox(tmp_path / "outbox.db", quota_bytes=10 * size) as outbox:
        for _ in range(8):
            outbox.put_event(event(), None, due=NOW)
        keys = {Event.decode(row.payload).seq: row.key for row in outbox.take(NOW, 8)}
        outbox.quarantine(keys[5], "too large")
        assert outbox.given_up(64) == ((5, 5),)
        outbox.settle(Receipt(ids=(UUID(keys[2]),)))
        for n in range(14):
            outbox.put_event(event(), None, due=NOW + 1000 + n)
        assert outbox.given_up(64) == ((1, 1), (3, 8)), "what was never numbered leaves no gap"
        assert outbox.given_up(1) == ((3, 8),)
    with Outbox(tmp_path / "outbox.db") as again:
        assert again.given_up(64) == ((1, 1), (3, 8))


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


def test_a_new_outbox_never_repeats_the_numbers_of_one_that_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    numbers = []
    for _ in range(2):
        with Outbox(path, first_seq=fresh_numbers()) as outbox:
            for _ in range(3):
                outbox.put_event(event(), None, due=NOW)
            numbers.append([Event.decode(row.payload).seq for row in outbox.take(NOW, 10)])
            assert numbers[-1] == list(range(outbox.first_seq, outbox.first_seq + 3))
        for each in tmp_path.glob("outbox.db*"):
            each.unlink()
        time.sleep(1.0)
    assert min(numbers[1]) > max(numbers[0])


def test_an_outbox_belongs_to_one_node(outbox: Outbox) -> None:
    outbox.claim("main-5th", "cam-n")
    outbox.put_event(event(), None, due=NOW)
    (row,) = outbox.take(NOW, 10)
    with pytest.raises(InputError, match="1 messages of main-5th/cam-n wait in it"):
        outbox.claim("main-5th", "cam-s")
    outbox.claim("main-5th", "cam-n")
    outbox.settle(Receipt(ids=(UUID(row.key),)))
    outbox.claim("main-5th", "cam-s", first_seq=9000)
    assert (outbox.first_seq, outbox.last_seq) == (9000, 8999)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.write_bytes(b"no database at all" * 500), id="another file"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-4096]), id="cut short"),
        pytest.param(
            lambda file: file.write_bytes(
                file.read_bytes()[:8192] + b"\xff" * 4096 + file.read_bytes()[12288:]
            ),
            id="a page overwritten",
        ),
    ],
)
def test_a_damaged_outbox_is_set_aside_and_what_can_be_read_taken_over(
    harm: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.db"
    with Outbox(path, first_seq=500) as outbox:
        put = [event() for _ in range(60)]
        for each in put:
            outbox.put_event(each, None, due=NOW)
        outbox.take(NOW, 60)
    harm(path)

    with Outbox(path, first_seq=9000) as outbox:
        level = outbox.level()
        outbox.put_event(event(), None, due=NOW)
        numbers = [Event.decode(row.payload).seq for row in outbox.take(NOW + 100_000, 100)]
    assert level.repaired == 1
    assert "is damaged" in caplog.text
    assert (tmp_path / "outbox.db.damaged-1").exists()
    assert len(numbers) == level.rows + 1 == len(set(numbers))
    assert max(numbers) > 559, "a number was given a second time"


def test_a_message_due_in_a_distant_future_was_put_by_a_wrong_clock(outbox: Outbox) -> None:
    outbox.put_event(event(), None, due=NOW + 86_400)  # the clock was a day ahead, and was set back
    outbox.put_event(event(), None, due=NOW + 3600)  # within the largest bin: waits
    assert len(outbox.take(NOW, 10)) == 1


FULL_DISK = """
import sys
from uuid import UUID
from pathlib import Path
from edge.outbox import Outbox
from broker.wire import Receipt
from tests.broker.records import clip, event

folder = Path(sys.argv[1])
outbox = Outbox(folder / "outbox.db", ballast_bytes=400_000)
put = []
for n in range(1200):
    each = event()
    put.append(str(each.id))
    outbox.put_event(each, clip(offset=n), due=1.0)
level = outbox.level()
assert level.evicted_clips > 0 and level.unstored > 0, level
left = []
for turn in range(5000):
    outbox._unstored._try_again_s = 0.0
    rows = outbox.take(1e6 * (turn + 1), 20)
    if not rows:
        break
    left += [row.key for row in rows if row.kind == "event"]
    assert {row.kind for row in rows} <= {"event", "clip"}
    ids = tuple(UUID(row.key) for row in rows if row.kind == "event")
    outbox.settle(Receipt(ids=ids, hashes=tuple(row.key for row in rows if row.kind == "clip")))
level = outbox.level()
assert set(put) == set(left), f"{len(set(put) - set(left))} events lost"
assert (level.rows, level.unstored, level.lost, level.evicted_events) == (0, 0, 0, 0), level
print("ok", len(left))
"""


def test_a_full_disk_costs_clips_and_no_event(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (tmp_path / "script.py").write_text(FULL_DISK)
    script = f"exec {sys.executable} {tmp_path}/script.py {folder}"
    mounted = f"mount -t tmpfs -o size=1m tmpfs {folder} || exit 77; {script}"
    try:
        done = subprocess.run(
            ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no disk of 1 MB can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok 1200" in done.stdout


class OutboxMachine(RuleBasedStateMachine):
    """Any mixture of putting, sending, losing, receipting and starting again, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "outbox.db"
        self.outbox = Outbox(self.path, retry_s=30.0, quota_bytes=QUOTA)
        self.abandoned: list[Outbox] = []
        self.clips: set[str] = set()
        self.now = NOW
        self.kept: dict[str, int | None] = {}  # event id → its number, once it has left
        self.given = 0
        self.given_up: set[int] = set()  # numbers of messages that left, and were then given up for room

    @rule(wait=st.integers(0, 100))
    def put(self, wait: int) -> None:
        record, before = event(), self.outbox.level()
        self.outbox.put_event(record, None, due=self.now + wait)
        self.kept[str(record.id)] = None
        self._evicted_since(before)

    @rule(limit=st.integers(0, 5))
    def take(self, limit: int) -> None:
        for row in self.outbox.take(self.now, limit):
            if row.kind == "clip":
                assert row.key in self.clips
                continue
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
    def crash(self) -> None:
        """kill -9: nothing is closed, and what was not committed is gone."""
        self.abandoned.append(self.outbox)
        with contextlib.suppress(KeyboardInterrupt), self.outbox._file.transaction():
            self.outbox._insert("never-committed", "event", event().encode(), self.now)
            raise KeyboardInterrupt
        self.outbox = Outbox(self.path, retry_s=30.0, quota_bytes=QUOTA)

    @rule(offset=st.integers(0, 40_000))
    def put_with_clip(self, offset: int) -> None:
        record, drawing = event(), clip(offset=offset)
        before = self.outbox.level()
        self.outbox.put_event(record, drawing, due=self.now)
        self.kept[str(record.id)] = None
        self.clips.add(sha256(drawing.encode()))
        self._evicted_since(before)

    def _evicted_since(self, before: Level) -> None:
        """Take what was given up for room out of the model; the counters must say how much."""
        there = dict(self.outbox._file.database.execute("SELECT key, kind FROM outbox").fetchall())
        events = [key for key in self.kept if key not in there]
        clips = [key for key in self.clips if key not in there]
        after = self.outbox.level()
        assert after.evicted_events - before.evicted_events == len(events)
        assert after.evicted_clips - before.evicted_clips == len(clips)
        assert not events or "clip" not in there.values(), "an event was given up while there were clips"
        self.given_up |= {number for key in events if (number := self.kept.pop(key)) is not None}
        self.clips -= set(clips)

    @rule()
    def start_again(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.path, retry_s=30.0, quota_bytes=QUOTA)

    @invariant()
    def nothing_is_lost(self) -> None:
        level = self.outbox.level()
        assert level.rows == len(self.kept) + len(self.clips)
        assert level.bytes <= QUOTA
        assert self.outbox.last_seq == self.given
        runs = self.outbox.given_up(1000)
        assert [number for first, last in runs for number in range(first, last + 1)] == sorted(self.given_up)
        assert all(last + 1 < first for (_, last), (first, _) in pairwise(runs)), "neighbours are one run"

    def teardown(self) -> None:
        for each in self.abandoned:
            each.close()
        self.outbox.close()
        self._folder.cleanup()


OutboxMachine.TestCase.settings = settings(
    max_examples=50, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow]
)
test_any_course_of_events = OutboxMachine.TestCase
