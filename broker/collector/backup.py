"""`nearmiss backup` and `nearmiss restore`: every row of a store in one file, never a clip.

The file is a SQLite database of the same tables, whatever the store is: it outlives a change of database, an
older one is brought to this version when it is restored, and any SQLite tool opens it. Rows are read in one
transaction while the collector goes on.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from broker.collector.config import database_url, load_collector
from broker.collector.store import Store
from broker.collector.tables import metadata

# What lives with the files of clips and plates, which are in no backup (shared PRIVACY §4), and what is true
# of one running collector only: a restored session would open doors that were closed.
LEFT_OUT = {"blobs", "holds", "plate_states", "sweeps", "sessions"}
# What a new store begins with: the ends of an audit trail that has no row yet.
BEGUN = {"audit_ends"}
ROWS = 1000


class BackupError(RuntimeError):
    """Nothing was written or changed; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


def run_backup(collector: Path, out: Path) -> dict[str, int]:
    """Write the store of a collector to a file and return how many rows of each table."""
    config = load_collector(collector)
    store = Store(database_url(collector, config))
    try:
        store.migrate()
        return backup(store, out)
    finally:
        store.close()


def run_restore(collector: Path, source: Path) -> dict[str, int]:
    """Fill the empty store of a collector from a file and return how many rows of each table."""
    config = load_collector(collector)
    store = Store(database_url(collector, config))
    try:
        store.migrate()
        return restore(store, source)
    finally:
        store.close()


def backup(store: Store, out: Path) -> dict[str, int]:
    """Write every row to a new file, whole or not at all.

    Raises:
        BackupError: the file is there already, or cannot be written.
    """
    if out.exists():
        raise BackupError(f"{out}: there already; a backup overwrites nothing")
    if not out.parent.is_dir():
        raise BackupError(f"{out}: no folder {out.parent}")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            aside = Path(folder) / "backup.db"
            with _opened(aside) as target:
                target.migrate()
                with _snapshot(store) as source, target.write() as connection:
                    rows = _copy(source, connection)
            _as_one_file(aside)
            aside.replace(out)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise BackupError(f"{out}: {_line(error)}") from error
    return rows


def restore(store: Store, source: Path) -> dict[str, int]:
    """Fill an empty store, in one transaction.

    Raises:
        BackupError: no backup, or one of a later version; or the store holds something.
    """
    _must_be_a_backup(source)
    with store.read() as connection:
        held = [
            table.name
            for table in _tables()
            if table.name not in BEGUN and connection.execute(select(table).limit(1)).first()
        ]
    if held:
        raise BackupError(
            f"{store.engine.url.render_as_string(hide_password=True)}: holds {', '.join(held)}; "
            "expected an empty store"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="nearmiss-restore-") as folder:
            aside = Path(folder) / "backup.db"  # the backup itself is not touched
            shutil.copyfile(source, aside)
            with _opened(aside) as older:
                older.migrate()
                with older.read() as rows, store.write() as connection:
                    copied = _copy(rows, connection)
                    _continue_numbers(connection)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise BackupError(f"{source}: {_line(error)}") from error
    return copied


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def _copy(source: Connection, target: Connection) -> dict[str, int]:
    copied = {}
    for table in _tables():
        # In order of the key: a row that points at another of its table comes after it.
        statement = select(table).order_by(*table.primary_key.columns)
        count = 0
        if table.name in BEGUN:
            target.execute(delete(table))
        for rows in source.execute(statement.execution_options(yield_per=ROWS)).mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])
            count += len(rows)
        copied[table.name] = count
    return copied


def _continue_numbers(connection: Connection) -> None:
    """Let PostgreSQL number new rows behind those that were restored; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in _tables():
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = text(f"SELECT pg_get_serial_sequence('{table.name}', '{column.name}')")
        name = connection.execute(sequence).scalar()
        last = connection.execute(select(func.max(column))).scalar()
        if name is not None and last is not None:
            connection.execute(text("SELECT setval(:name, :last)"), {"name": name, "last": last})


@contextmanager
def _snapshot(store: Store) -> Iterator[Connection]:
    """Yield a connection to which the store stands still, while others go on writing."""
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    else:
        with store.read() as connection:
            yield connection


@contextmanager
def _opened(path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{path}")
    try:
        yield store
    finally:
        store.close()


def _as_one_file(path: Path) -> None:
    """Leave one synced file that only its owner reads, without the journal beside it."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        connection.close()
    path.chmod(0o600)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _must_be_a_backup(path: Path) -> None:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise BackupError(f"{path}: no backup of a collector: {error}") from error
    if said != "ok":
        raise BackupError(f"{path}: damaged: {said}")


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
