"""`nearmiss hold`: the one way to keep a clip longer, by the command a person types."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.collector import findings
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.retention import DAY_S, sweep
from broker.collector.store import Store, keep, stored_events
from broker.collector.tables import audit, holds
from edge.cli import main
from tests.broker.records import BIN_TIME, clip, event

NOW = int((BIN_TIME + timedelta(minutes=10)).timestamp())


@pytest.fixture
def collector(tmp_path: Path) -> Path:
    """A collector's file; in its store two events with clips, the first of them decided on."""
    store = Store(f"sqlite:///{tmp_path / 'nearmiss.db'}")
    store.migrate()
    clips = ClipFolder(tmp_path / "clips")
    drawings = [clip(offset=n).encode() for n in range(2)]
    blobs = [
        {"hash": clips.write(each), "kind": "clip", "bytes": len(each), "plate": None} for each in drawings
    ]
    records = [event(seq=n, clip=str(blob["hash"])) for n, blob in enumerate(blobs, 1)]
    with store.write() as connection:
        keep(connection, new_events=records, new_blobs=blobs, now_s=NOW)
        findings.decide(connection, str(records[0].id), "confirm", reviewer="anna", now_s=NOW)
    store.close()
    path = tmp_path / "collector.toml"
    path.write_text(
        f'[store]\ndatabase = "sqlite:///{tmp_path / "nearmiss.db"}"\nclips = "{tmp_path / "clips"}"\n'
    )
    return path


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["nearmiss", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def ids(path: Path) -> list[str]:
    store = Store(f"sqlite:///{path.with_name('nearmiss.db')}")
    with store.read() as connection:
        found = sorted(stored_events(connection), key=lambda each: each.seq)
    store.close()
    return [str(each.id) for each in found]


def held(path: Path) -> list[tuple[str, str]]:
    store = Store(f"sqlite:///{path.with_name('nearmiss.db')}")
    with store.read() as connection:
        rows = connection.execute(select(holds.c.reason, holds.c.actor)).all()
    store.close()
    return [(row.reason, row.actor) for row in rows]


def test_a_clip_is_held_and_outlives_its_fortnight(
    collector: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided, _ = ids(collector)
    assert typed(monkeypatch, "hold", collector, decided, "--reason", "crash_inquiry") == 0
    assert "held to 30 days" in capsys.readouterr().out
    assert held(collector) == [("crash_inquiry", "console")]
    clips = ClipFolder(collector.with_name("clips"))
    store = Store(f"sqlite:///{collector.with_name('nearmiss.db')}")
    with store.read() as connection:
        row = connection.execute(select(audit).where(audit.c.action == "hold")).mappings().one()
    assert row["subject"] == decided
    left = []
    for day in (15, 31):
        sweep(store, clips, Retention(), now_s=NOW + day * DAY_S)
        left.append(len(clips.hashes()))
    store.close()
    assert left == [1, 0]


@pytest.mark.parametrize(
    ("which", "reason", "problem"),
    [
        (1, "complaint", "nobody has decided on it yet"),
        (0, "curiosity", "reason 'curiosity' is not one of crash_inquiry, complaint"),
        (None, "complaint", "there is none"),
    ],
)
def test_what_cannot_be_held_is_one_line_and_changes_nothing(
    collector: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    which: int | None,
    reason: str,
    problem: str,
) -> None:
    event_id = "0" * 8 if which is None else ids(collector)[which]
    assert typed(monkeypatch, "hold", collector, event_id, "--reason", reason) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert held(collector) == []


def test_a_second_hold_is_refused(
    collector: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided, _ = ids(collector)
    assert typed(monkeypatch, "hold", collector, decided, "--reason", "complaint") == 0
    assert typed(monkeypatch, "hold", collector, decided, "--reason", "court_order") == 2
    assert "held once" in capsys.readouterr().err
    assert held(collector) == [("complaint", "console")]


def test_a_collector_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "hold", tmp_path / "none.toml", "x", "--reason", "complaint") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none.toml" in line
    assert list(tmp_path.iterdir()) == []
