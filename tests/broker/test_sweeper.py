"""A sweeper that stands still or fails: no clip comes in, events go on, and everybody can see it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.intake import Intake
from broker.collector.store import Store, keep, stored_events
from broker.collector.sweeper import BEHIND_S, Sweeper, sweepings
from broker.topics import Address
from broker.wire import Receipt
from tests.broker.records import NODE, SITE, clip, event, plate
from tests.broker.test_retention import HOUR_S, NOW, blob

HERE = Address(SITE, NODE, "event")


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sweeper(sqlite_store: Store, clips: ClipFolder, clock: Clock) -> Any:
    made = Sweeper(sqlite_store, clips, Retention(), clock=clock)
    made.start()
    wait_for(lambda: made.keeps_up)
    yield made
    made.close()


def wait_for(true: Any) -> None:
    for _ in range(1000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_the_sweeper_sweeps_as_it_starts(sqlite_store: Store, clips: ClipFolder) -> None:
    with sqlite_store.write() as connection:
        keep(connection, new_blobs=[blob(clips, "clip", clip().encode())], now_s=NOW)
    sweeper = Sweeper(sqlite_store, clips, Retention(), clock=lambda: NOW + 73 * HOUR_S)
    assert not sweeper.keeps_up, "before its first sweep nothing is taken"
    sweeper.start()
    wait_for(lambda: not clips.hashes() and sweeper.keeps_up)
    sweeper.close()
    assert not sweeper.alive
    assert sweeper.error is None


def taken(sweeper: Sweeper, store: Store, clips: ClipFolder, n: int) -> dict[str, bool]:
    """Send an event with its clip, and a plate; return which of them were receipted."""
    intake = Intake(store, clips, pictures=lambda: sweeper.keeps_up)
    drawing, background = clip(offset=n).encode(), plate().model_copy(update={"bend": n / 100}).encode()
    record = event(seq=n + 1)
    receipts = intake.take(
        [
            (HERE.topic, record.encode()),
            (HERE.to("clip").topic, drawing),
            (HERE.to("plate").topic, background),
        ]
    )
    said = receipts[0][1] if receipts else Receipt()
    with store.read() as connection:
        assert (record in stored_events(connection)) == (record.id in said.ids)
    assert (len(clips.hashes()) > 0) == (len(said.hashes) > 0)
    return {"event": record.id in said.ids, "pictures": len(said.hashes) == 2}


def test_while_it_sweeps_everything_is_taken(
    sweeper: Sweeper, sqlite_store: Store, clips: ClipFolder
) -> None:
    assert taken(sweeper, sqlite_store, clips, 1) == {"event": True, "pictures": True}
    assert sweeper.health() == {"ok": True, "swept_s": float(NOW), "error": None}


def test_a_sweeper_that_stands_still(
    sweeper: Sweeper, sqlite_store: Store, clips: ClipFolder, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now += BEHIND_S + 1
    with caplog.at_level(logging.ERROR):
        assert taken(sweeper, sqlite_store, clips, 1) == {"event": True, "pictures": False}
        assert not sweeper.keeps_up
    assert [record.message for record in caplog.records] == [
        "the sweeper is behind: no clip or plate is taken until it sweeps again"
    ], "told once"
    assert sweeper.once()
    assert taken(sweeper, sqlite_store, clips, 2) == {"event": True, "pictures": True}


def test_a_sweeper_that_died(
    sqlite_store: Store, clips: ClipFolder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("broker.collector.sweeper.sweep", dies)
    sweeper = Sweeper(sqlite_store, clips, Retention(), clock=clock)
    sweeper.start()
    wait_for(lambda: not sweeper.alive)
    assert isinstance(sweeper.error, MemoryError)
    assert sweeper.health()["error"] == "MemoryError"
    assert taken(sweeper, sqlite_store, clips, 1) == {"event": True, "pictures": False}


def test_a_sweep_that_fails_is_written_down_and_leaves_everything(
    sweeper: Sweeper, sqlite_store: Store, clips: ClipFolder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_store.write() as connection:
        keep(connection, new_blobs=[blob(clips, "clip", clip().encode())], now_s=NOW)

    def read_only(_self: ClipFolder, _hash: str) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ClipFolder, "delete", read_only)
    clock.now += 73 * HOUR_S
    assert not sweeper.once()
    with sqlite_store.read() as connection:
        (said,) = sweepings(connection)
    assert said.behind(clock.now)
    assert (said.tried_s, said.swept_s) == (int(clock.now), NOW)
    assert said.error == "PermissionError: [Errno 13] Permission denied"
    assert not sweeper.keeps_up
    monkeypatch.undo()
    assert sweeper.once()
    assert sweeper.keeps_up and clips.hashes() == set()
    with sqlite_store.read() as connection:
        assert sweepings(connection)[0].error is None


def test_the_process_goes_on_without_its_sweeper(tmp_path: Path) -> None:
    """Only the intake's end ends a collector; a dead sweeper is told and takes no clips."""
    import inspect

    from broker.collector import serve

    assert "sweeper" not in inspect.getsource(serve._watch)
    assert "pictures=lambda: sweeper.keeps_up" in inspect.getsource(serve.run)
