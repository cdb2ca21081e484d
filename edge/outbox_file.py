"""The file of an outbox: its tables, and transactions that outlive a power cut and outlast a full disk."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edge.ballast import Ballast

Done = TypeVar("Done")
Act = Callable[[sqlite3.Connection], Done]

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
-- Runs of numbers that were given to messages which will not arrive: given up for room, or quarantined.
CREATE TABLE IF NOT EXISTS given_up (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
"""


class DiskFullError(Exception):
    """There is no room for even the smallest write."""


def is_full(error: sqlite3.OperationalError) -> bool:
    """Return whether a write failed for want of room: of the disk, or of the file's own limit."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL


class OutboxFile:
    """The database, its lock, and the ballast beside it.

    Args:
        quota_bytes: of payloads; the file does not grow far beyond.
        ballast_bytes: of a file that is given up when the disk is full, so that what waits can still leave.
        free: gives up what can be done without, in a transaction of its own.

    Attributes:
        bytes: of the payloads in it; kept by who writes them, counted anew where a write failed.
        lock: held through each transaction; to be held where several reads belong together.
    """

    def __init__(self, path: Path, *, quota_bytes: int, ballast_bytes: int, free: Act[object]) -> None:
        self.lock = threading.RLock()
        self._free = free
        self.ballast = Ballast(path.with_name(path.name + ".ballast"), size=ballast_bytes)
        self.database = _opened(path, quota_bytes=quota_bytes)
        self.bytes = self._counted_bytes()

    def write(self, act: Act[Done], *, drains: bool = False) -> Done:
        """Do something in one transaction: all of it or nothing, on the disk when this returns.

        Args:
            drains: it lets messages leave, and so makes room: it alone may use the ballast's.

        Raises:
            DiskFullError: there is no room for it, also with all that can be given up gone.
        """
        with self.lock:
            try:
                return self._once(act)
            except DiskFullError:
                self.ballast.release()
                self._make_pages()
                if not drains:
                    self.ballast.hold()
            try:
                return self._once(act)
            finally:
                self.shorten_log()
                self.ballast.hold()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, all or nothing."""
        with self.lock:
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.database
            except BaseException:
                self.database.execute("ROLLBACK")
                raise
            self.database.execute("COMMIT")

    def count(self, name: str, by: int) -> int:
        """Raise a tally within a transaction and return it."""
        (value,) = self.database.execute(
            "INSERT INTO tally VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + ? RETURNING value",
            (name, by, by),
        ).fetchone()
        return int(value)

    def tally(self, name: str) -> int:
        with self.lock:
            row = self.database.execute("SELECT value FROM tally WHERE name = ?", (name,)).fetchone()
            return int(row[0]) if row else 0

    def shorten_log(self) -> None:
        """Write the log back into the file and empty it."""
        with contextlib.suppress(sqlite3.OperationalError):
            self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self.lock:
            self.database.close()

    def _once(self, act: Act[Done]) -> Done:
        try:
            with self.transaction() as database:
                return act(database)
        except BaseException as error:
            self.bytes = self._counted_bytes()
            if isinstance(error, sqlite3.OperationalError) and is_full(error):
                raise DiskFullError from error
            raise

    def _make_pages(self) -> None:
        """Free pages of the file itself, for which the disk needs to have room for the log alone."""
        self.shorten_log()
        with contextlib.suppress(DiskFullError):
            self._once(self._free)
        self.shorten_log()
        self.bytes = self._counted_bytes()

    def _counted_bytes(self) -> int:
        (size,) = self.database.execute("SELECT coalesce(sum(bytes), 0) FROM outbox").fetchone()
        return int(size)


def _opened(path: Path, *, quota_bytes: int) -> sqlite3.Connection:
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
