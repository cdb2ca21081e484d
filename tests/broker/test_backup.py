"""Backup and restore: every row but those of clips, between SQLite and PostgreSQL either way."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from typer.testing import CliRunner

from broker.collector import audit
from broker.collector.audit_check import verified
from broker.collector.backup import LEFT_OUT, BackupError, backup, restore
from broker.collector.clips import ClipFolder
from broker.collector.findings import Verdict, decide, undo
from broker.collector.intake import Intake
from broker.collector.store import Store, stored_events
from broker.collector.tables import metadata
from broker.topics import Address
from edge.cli import app
from tests.broker.records import NODE, SITE, clip, counts, event, plate, status

HERE = Address(SITE, NODE, "event")


def rows(store: Store) -> dict[str, list[Any]]:
    with store.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


@pytest.fixture
def filled(store: Store, clips: ClipFolder) -> Store:
    """A store with something of every kind, clips too."""
    drawing = clip()
    records = [event(seq=n, clip=None) for n in range(1, 30)]
    Intake(store, clips).take(
        [
            *((HERE.topic, each.encode()) for each in records),
            (HERE.to("counts").topic, counts(seq=40).encode()),
            (HERE.to("status").topic, status(seq=40).encode()),
            (HERE.to("plate").topic, plate().encode()),
            (HERE.to("clip").topic, drawing.encode()),
            (HERE.topic, b"nonsense"),
        ]
    )
    given: tuple[Verdict, ...] = ("confirm", "reject", "unclear")
    for each, verdict in zip(records, given, strict=False):
        decide_as(store, str(each.id), verdict)
    with store.write() as connection:
        assert undo(connection, reviewer="local", now_s=1_800_000_001)
        audit.append(connection, actor="console", action="export", subject="x", now_s=1_800_000_000)
    return store


def decide_as(store: Store, event_id: str, verdict: Verdict) -> None:
    with store.write() as connection:
        assert decide(connection, event_id, verdict, reviewer="local", now_s=1_800_000_000)


def test_every_row_comes_back_and_no_clip_does(filled: Store, tmp_path: Path) -> None:
    before = rows(filled)
    out = tmp_path / "backup.db"
    said = backup(filled, out)
    assert said["events"] == 29
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup.db"]
    assert clip().encode()[:60] not in out.read_bytes()

    other = Store(f"sqlite:///{tmp_path / 'other' / 'collector.db'}")
    other.migrate()
    assert restore(other, out) == said
    after = rows(other)
    assert {name: found for name, found in after.items() if name not in LEFT_OUT} == {
        name: found for name, found in before.items() if name not in LEFT_OUT
    }
    assert all(after[name] == [] for name in LEFT_OUT & set(after))
    other.close()


def test_it_comes_back_into_postgresql_and_goes_on(filled: Store, tmp_path: Path, postgres_url: str) -> None:
    out = tmp_path / "backup.db"
    backup(filled, out)
    before = rows(filled)
    filled.close()
    wipe(postgres_url)
    target = Store(postgres_url)
    target.migrate()
    restore(target, out)
    after = rows(target)
    assert {name: found for name, found in after.items() if name not in LEFT_OUT} == {
        name: found for name, found in before.items() if name not in LEFT_OUT
    }
    with target.read() as connection:
        undecided = stored_events(connection)[-1]
        assert verified(connection).problem is None
    decide_as(target, str(undecided.id), "confirm")
    target.close()


def wipe(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def test_nothing_is_overwritten(filled: Store, tmp_path: Path) -> None:
    out = tmp_path / "backup.db"
    backup(filled, out)
    before = out.read_bytes()
    with pytest.raises(BackupError, match="overwrites nothing"):
        backup(filled, out)
    with pytest.raises(BackupError, match="expected an empty store"):
        restore(filled, out)
    with pytest.raises(BackupError, match="no folder"):
        backup(filled, tmp_path / "none" / "backup.db")
    assert out.read_bytes() == before


def test_a_file_that_is_no_backup_is_told_and_changes_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"no database" * 1000), ("none", None)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BackupError, match="no backup of a collector"):
            restore(sqlite_store, path)
    assert rows(sqlite_store)["events"] == []


def test_a_restore_that_fails_half_way_leaves_the_store_empty(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "backup.db"
    backup(filled, out)
    other = Store(f"sqlite:///{tmp_path / 'other.db'}")
    other.migrate()

    def fails(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("broker.collector.backup._continue_numbers", fails)
    with pytest.raises(BackupError, match="No space"):
        restore(other, out)
    assert rows(other)["events"] == []
    other.close()


def test_the_commands_say_how_many_rows(tmp_path: Path) -> None:
    def collector(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "collector.toml").write_text("[review]\nenabled = false\n")
        return folder / "collector.toml"

    here, there = collector("here"), collector("there")
    store = Store(f"sqlite:///{here.parent / 'collector.db'}")
    store.migrate()
    Intake(store, ClipFolder(here.parent / "clips")).take([(HERE.topic, event().encode())])
    store.close()
    out = tmp_path / "backup.db"
    said = CliRunner().invoke(app, ["backup", str(here), str(out)])
    assert (said.exit_code, "events 1" in said.output) == (0, True), said.output
    said = CliRunner().invoke(app, ["restore", str(there), str(out)])
    assert (said.exit_code, "events 1" in said.output) == (0, True), said.output
    store = Store(f"sqlite:///{there.parent / 'collector.db'}")
    with store.read() as connection:
        assert len(stored_events(connection)) == 1
    store.close()
