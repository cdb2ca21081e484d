"""The sweeper: the clock moved to the limit and one more, every store empty."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from broker.collector import findings
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.retention import DAY_S, HOUR_S, Sweeper, sweep
from broker.collector.store import Refusal, Store, keep, refuse, stored_events
from broker.collector.tables import blobs, counts, dead_letters, decisions, proofs, retired
from tests.broker.records import BIN_TIME, clip, event, plate
from tests.broker.records import counts as quarter

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


def test_in_the_end_every_store_is_empty_and_the_proof_says_why(filled: Store, clips: ClipFolder) -> None:
    sweep(filled, clips, Retention(), now_s=NOW + 181 * DAY_S)
    with filled.read() as connection:
        for table in (blobs, counts, decisions, dead_letters):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
        assert stored_events(connection) == []
        written = connection.execute(select(proofs.c.what, proofs.c.deleted)).all()
    assert sorted((row.what, row.deleted) for row in written) == [
        ("blobs", 1),
        ("blobs", 1),
        ("blobs", 1),
        ("counts", 1),
        ("dead_letters", 1),
        ("decisions", 3),
        ("events", 2),
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


def test_the_sweeper_sweeps_as_it_starts(sqlite_store: Store, clips: ClipFolder) -> None:
    with sqlite_store.write() as connection:
        keep(connection, new_blobs=[blob(clips, "clip", clip().encode())], now_s=NOW)
    sweeper = Sweeper(sqlite_store, clips, Retention(), clock=lambda: NOW + 73 * HOUR_S)
    sweeper.start()
    while clips.hashes():
        assert sweeper.alive
    sweeper.close()
    assert not sweeper.alive
    assert sweeper.error is None
