"""The sweeper: the clock moved to the limit and one more, every store empty."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from broker.collector import findings, holds, plates
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.retention import DAY_S, HOUR_S, KEPT, sweep, used_bytes
from broker.collector.store import Refusal, Store, keep, refuse, stored_events
from broker.collector.tables import audit, blobs, metadata, proofs, retired
from tests.broker.records import BIN_TIME, clip, event, plate, status
from tests.broker.records import counts as quarter
from tests.broker.test_intake import png

NOW = int((BIN_TIME + timedelta(minutes=10)).timestamp())


def blob(clips: ClipFolder, kind: str, payload: bytes) -> dict[str, object]:
    return {"hash": clips.write(payload), "kind": kind, "bytes": len(payload), "plate": None}


@pytest.fixture
def filled(store: Store, clips: ClipFolder) -> Store:
    """Two events with a clip each, the first one confirmed, and a plate."""
    first, second = blob(clips, "clip", clip().encode()), blob(clips, "clip", clip(offset=1).encode())
    records = [event(seq=1, clip=first["hash"]), event(seq=2, clip=second["hash"])]
    with store.write() as connection:
        keep(
            connection,
            new_events=records,
            new_counts=[quarter(seq=3)],
            new_blobs=[first, second, blob(clips, "plate", plate().encode())],
            now_s=NOW,
        )
        refuse(connection, [Refusal("nearmiss/v1/a/b/event", "ab" * 32, 1, "broken")], now_s=NOW)
        findings.decide(connection, str(records[0].id), "confirm", reviewer="local", now_s=NOW)
        findings.decide(connection, str(records[0].id), "reject", reviewer="local", now_s=NOW)
        findings.undo(connection, reviewer="local", now_s=NOW)
    return store


def kept(store: Store, clips: ClipFolder, *, after_s: float) -> tuple[int, int, int]:
    """Sweep so long after and return how many clips, plates and events are left."""
    sweep(store, clips, Retention(), now_s=NOW + int(after_s))
    with store.read() as connection:
        kinds = list(connection.execute(select(blobs.c.kind)).scalars())
        assert len(clips.hashes()) == len(kinds), "a file without a row, or a row without a file"
        return kinds.count("clip"), kinds.count("plate"), len(stored_events(connection))


@pytest.mark.parametrize(
    ("after_s", "left"),
    [
        pytest.param(72 * HOUR_S, (2, 1, 2), id="72 h: all there"),
        pytest.param(72 * HOUR_S + 1, (1, 1, 2), id="a second later: the clip nobody reviewed has gone"),
        pytest.param(14 * DAY_S, (1, 1, 2), id="14 d: the reviewed one is there"),
        pytest.param(14 * DAY_S + 1, (0, 1, 2), id="a second later: it has gone"),
        pytest.param(30 * DAY_S + 1, (0, 0, 2), id="30 d: the plate too"),
        pytest.param(90 * DAY_S + 1, (0, 0, 0), id="90 d: the events too"),
    ],
)
def test_nothing_outlives_its_time(
    filled: Store, clips: ClipFolder, after_s: float, left: tuple[int, int, int]
) -> None:
    assert kept(filled, clips, after_s=after_s) == left


def test_what_is_left_of_events_is_a_number_a_month(filled: Store, clips: ClipFolder) -> None:
    for _ in range(2):
        sweep(filled, clips, Retention(), now_s=NOW + 91 * DAY_S)
    with filled.read() as connection:
        rows = connection.execute(
            select(retired.c.verdict, retired.c.count).order_by(retired.c.verdict)
        ).all()
        month = connection.execute(select(retired.c.month_s).distinct()).scalar_one()
    assert [tuple(row) for row in rows] == [("confirm", 1), ("undecided", 1)]
    assert month == 1793491200  # 2026-11-01T00:00:00Z


def test_every_table_says_how_long_it_is_kept() -> None:
    assert set(KEPT) == set(metadata.tables)


def test_in_the_end_every_store_is_empty_and_the_proof_says_why(filled: Store, clips: ClipFolder) -> None:
    """A status, a hold, a plate painted out and one that waits are there too."""
    with filled.write() as connection:
        keep(connection, new_statuses=[status()], now_s=NOW)
        (decided, _) = sorted(stored_events(connection), key=lambda each: each.seq)
        holds.hold(connection, str(decided.id), "complaint", actor="anna", now_s=NOW)
        for n in (1, 2):
            picture = plate(background=png()).model_copy(update={"bend": n / 10})
            came = blob(clips, "plate", picture.encode())
            keep(connection, new_blobs=[came], now_s=NOW)
            plates.arrived(connection, clips, [(str(came["hash"]), picture, "cam-n")], now_s=NOW)
        plates.paint(connection, clips, str(came["hash"]), [0], actor="anna", now_s=NOW)
    sweep(filled, clips, Retention(), now_s=NOW + 181 * DAY_S)
    timed = {name for name, limit in KEPT.items() if "_d" in limit or "as long as" in limit}
    assert {"events", "blobs", "holds", "plate_states", "decisions", "nodes", "audit"} <= timed
    with filled.read() as connection:
        for name in sorted(timed - {"proofs", "audit"}):
            count = connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
            assert count == 0, name
        # What is left of the trail is the row that says it was cut.
        assert list(connection.execute(select(audit.c.action)).scalars()) == ["cut"]
        written = connection.execute(
            select(proofs.c.what, proofs.c.why, proofs.c.deleted, proofs.c.bytes)
        ).all()
    assert clips.hashes() == set()
    assert sorted((row.what, row.why, row.deleted) for row in written) == [
        ("audit", "older than the audit is kept", 5),
        ("blobs", "clip not reviewed in time", 1),
        ("blobs", "held clip past its time", 1),
        ("blobs", "plate nobody approved in time", 1),
        ("blobs", "plate past its time", 2),
        ("counts", "older than the audit is kept", 1),
        ("dead_letters", "older than the audit is kept", 1),
        ("decisions", "older than the audit is kept", 3),
        ("events", "event row past its time", 2),
        ("nodes", "older than the audit is kept", 1),
        ("proofs", "older than the audit is kept", 1),  # that the plate was painted out
    ]
    assert all(row.bytes > 0 for row in written if row.what == "blobs")


def test_a_second_sweep_finds_nothing_more(filled: Store, clips: ClipFolder) -> None:
    assert sweep(filled, clips, Retention(), now_s=NOW + 181 * DAY_S) > 0
    assert sweep(filled, clips, Retention(), now_s=NOW + 181 * DAY_S + 600) == 0


@pytest.mark.parametrize(
    ("after_s", "left"),
    [
        pytest.param(14 * DAY_S + 1, 1, id="14 d: the held one stays"),
        pytest.param(30 * DAY_S, 1, id="30 d: still"),
        pytest.param(30 * DAY_S + 1, 0, id="a second later: held or not, it has gone"),
    ],
)
def test_a_hold_keeps_a_clip_to_thirty_days_and_no_longer(
    filled: Store, clips: ClipFolder, after_s: float, left: int
) -> None:
    with filled.write() as connection:
        (decided, _) = sorted(stored_events(connection), key=lambda each: each.seq)
        holds.hold(connection, str(decided.id), "court_order", actor="anna", now_s=NOW + 5)
        assert decided.clip is not None
        assert holds.held(connection, decided.clip) == "court_order"
        row = connection.execute(select(audit).order_by(audit.c.n.desc()).limit(1)).mappings().one()
    assert (row["actor"], row["action"], row["subject"]) == ("anna", "hold", str(decided.id))
    assert kept(filled, clips, after_s=after_s)[0] == left


@pytest.mark.parametrize(
    ("which", "reason", "problem"),
    [
        pytest.param(0, "curiosity", "reason 'curiosity' is not one of crash_inquiry", id="another reason"),
        pytest.param(1, "complaint", "nobody has decided", id="not reviewed"),
        pytest.param(None, "complaint", "there is none", id="no such event"),
    ],
)
def test_what_cannot_be_held(filled: Store, which: int | None, reason: str, problem: str) -> None:
    with filled.write() as connection:
        ids = [str(each.id) for each in sorted(stored_events(connection), key=lambda each: each.seq)]
        with pytest.raises(holds.HoldError, match=problem):
            holds.hold(connection, "0" if which is None else ids[which], reason, actor="anna", now_s=NOW)


def test_a_clip_is_held_once(filled: Store) -> None:
    with filled.write() as connection:
        (decided, _) = sorted(stored_events(connection), key=lambda each: each.seq)
        holds.hold(connection, str(decided.id), "complaint", actor="anna", now_s=NOW)
        with pytest.raises(holds.HoldError, match="held once"):
            holds.hold(connection, str(decided.id), "court_order", actor="bert", now_s=NOW)


def test_over_their_room_clips_go_reviewed_first_oldest_first_and_held_ones_stay(
    sqlite_store: Store, clips: ClipFolder
) -> None:
    """Six clips, a megabyte each (as the rows say), and room for three: two of them reviewed, one held."""
    sizes = 2**20
    drawn = [clips.write(clip(offset=n).encode()) for n in range(6)]
    records = [event(seq=n + 1, clip=hash_) for n, hash_ in enumerate(drawn)]
    with sqlite_store.write() as connection:
        keep(connection, new_events=records, now_s=NOW)
        for n, hash_ in enumerate(drawn):
            row = {"hash": hash_, "kind": "clip", "bytes": sizes, "plate": None}
            keep(connection, new_blobs=[row], now_s=NOW + n)
        for n in (0, 2, 4):
            findings.decide(connection, str(records[n].id), "confirm", reviewer="anna", now_s=NOW)
        holds.hold(connection, str(records[0].id), "complaint", actor="anna", now_s=NOW)

    def left(room_mb: int) -> list[int]:
        sweep(sqlite_store, clips, Retention(clip_mb=room_mb), now_s=NOW + 100)
        with sqlite_store.read() as connection:
            assert used_bytes(connection) <= room_mb * 2**20
        return [n for n, hash_ in enumerate(drawn) if clips.read(hash_) is not None]

    assert left(6) == [0, 1, 2, 3, 4, 5]
    assert left(5) == [0, 1, 3, 4, 5], "the oldest reviewed one that is not held"
    assert left(4) == [0, 1, 3, 5], "the next reviewed one"
    assert left(2) == [0, 5], "then the oldest that nobody has looked at"
    with sqlite_store.read() as connection:
        written = connection.execute(select(proofs.c.why, proofs.c.deleted, proofs.c.bytes)).all()
    assert [tuple(row) for row in written] == [
        ("over the room for clips: reviewed", 1, sizes),
        ("over the room for clips: reviewed", 1, sizes),
        ("over the room for clips: not reviewed", 2, 2 * sizes),
    ]


def test_a_plan_without_a_picture_stays_as_long_as_it_is_sent(filled: Store, clips: ClipFolder) -> None:
    payload = plate().encode()
    with filled.write() as connection:
        keep(
            connection,
            new_blobs=[blob(clips, "plate", payload)],
            plans=[str(blob(clips, "plate", payload)["hash"])],
            now_s=NOW + 20 * DAY_S,
        )
    assert kept(filled, clips, after_s=40 * DAY_S)[1] == 1
    assert kept(filled, clips, after_s=50 * DAY_S + 1)[1] == 0


def test_a_file_no_row_knows_goes_after_its_time(sqlite_store: Store, clips: ClipFolder) -> None:
    name = clips.write(clip().encode())
    written = int(clips.path(name).stat().st_mtime)
    sweep(sqlite_store, clips, Retention(), now_s=written + 72 * HOUR_S)
    assert clips.hashes() == {name}
    sweep(sqlite_store, clips, Retention(), now_s=written + 72 * HOUR_S + 2)
    assert clips.hashes() == set()
