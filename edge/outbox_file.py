"""The file of an outbox: its table, how it is opened, and one transaction."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from types import TracebackType

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
  key TEXT PRIMARY KEY,             -- the event's id, the clip's or plate's sha256, a random id for counts
  kind TEXT NOT NULL CHECK (kind IN ('event', 'counts', 'clip', 'plate')),
  payload BLOB NOT NULL,            -- the record; an event's and counts' seq is provisional until it leaves
  bytes INTEGER NOT NULL,
  seq INTEGER UNIQUE,               -- NULL until it leaves; always for clips and plates
  due REAL NOT NULL,                -- not to leave before, seconds UTC
  attempts INTEGER NOT NULL DEFAULT 0,
  drops INTEGER NOT NULL DEFAULT 0, -- how often the connection ended while the broker had it unacknowledged
  quarantine TEXT                   -- why it is not sent any more
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due) WHERE quarantine IS NULL AND drops = 0;
CREATE INDEX IF NOT EXISTS outbox_dropped ON outbox (due) WHERE quarantine IS NULL AND drops > 0;
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner (site TEXT NOT NULL, node TEXT NOT NULL);
"""


class DiskFullError(Exception):
    """There is no room for even the smallest write."""


def is_full(error: sqlite3.OperationalError) -> bool:
    """Return whether a write failed for want of room: of the disk, or of the file's own limit."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL


def opened(path: Path, *, quota_bytes: int) -> sqlite3.Connection:
    """Open the file, or make it; what is committed outlives a power cut."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",  # what was receipted is overwritten, not left in free pages
        "wal_autocheckpoint=64",  # the log stays smaller than the ballast, which makes room for it
        f"journal_size_limit={4 * 2**20}",
        # Beyond the quota the file does not grow: in WAL mode a full disk refuses even a DELETE.
        f"max_page_count={max(2 * quota_bytes, 2**22) // 4096}",
    ):
        database.execute(f"PRAGMA {pragma}")
    database.executescript(SCHEMA)
    return database


class Transaction:
    """One writer at a time, all or nothing."""

    def __init__(self, database: sqlite3.Connection, lock: threading.RLock) -> None:
        self._database, self._lock = database, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        return self._database

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._database.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()
