"""What the node has to say and the collector has not yet confirmed: one SQLite table.

A row leaves on the collector's receipt only. It is written with `synchronous=FULL`: once ``put`` returns, the
message outlives a power cut. Sequence numbers are given as messages leave, in that order and without gaps, so
that they tell nothing about the order of events within a bin (shared PRIVACY §2).
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID, uuid4

from broker.topics import MAX_BYTES
from broker.wire import Clip, Counts, Event, Plate, Receipt

Kind = Literal["event", "counts", "clip", "plate"]

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
"""
# Clips give way before plates, those before counts, and events go last.
EVICTION_ORDER: tuple[Kind, ...] = ("clip", "plate", "counts", "event")
DEFAULT_QUOTA_BYTES = 256 * 2**20
RETRY_S = 30.0
LONGEST_RETRY_S = 600.0


@dataclass(frozen=True, slots=True)
class Row:
    """A message that may leave now: its payload is complete."""

    key: str
    kind: Kind
    payload: bytes
    drops: int


@dataclass(frozen=True, slots=True)
class Level:
    """How full the outbox is, and what it had to give up since it was made."""

    rows: int
    bytes: int
    quarantined: int
    evicted_clips: int
    evicted_events: int
    evicted_counts: int


class Outbox:
    """Messages waiting for the collector's receipt; safe to use from several threads.

    Args:
        path: the database; made where it is not there.
        quota_bytes: of payloads; beyond it clips are given up before events, each one counted.
        retry_s: a message without a receipt comes again after this, then after twice as long, and so on.
    """

    def __init__(
        self,
        path: Path,
        *,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        retry_s: float = RETRY_S,
    ) -> None:
        self._quota_bytes = quota_bytes
        self._retry_s = retry_s
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=200",
            f"journal_size_limit={4 * 2**20}",
            # Beyond the quota the file does not grow: in WAL mode a full disk refuses even a DELETE.
            f"max_page_count={max(2 * quota_bytes, 2**22) // 4096}",
        ):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(SCHEMA)
        (self._bytes,) = self._database.execute("SELECT coalesce(sum(bytes), 0) FROM outbox").fetchone()

    def put_event(self, event: Event, clip: Clip | None, *, due: float) -> None:
        """Keep an event, and the clip it names, until receipted. ``event.seq`` is provisional."""
        with self._transaction():
            if clip is not None:
                payload = clip.encode()
                self._insert(sha256(payload), "clip", payload, due)
            self._insert(str(event.id), "event", event.encode(), due)

    def put_counts(self, counts: Counts, *, due: float) -> None:
        """Keep counts until receipted. ``counts.seq`` is provisional."""
        with self._transaction():
            self._insert(str(uuid4()), "counts", counts.encode(), due)

    def put_plate(self, plate: Plate, *, due: float) -> str:
        """Keep a plate until receipted and return its hash."""
        payload = plate.encode()
        with self._transaction():
            self._insert(sha256(payload), "plate", payload, due)
        return sha256(payload)

    def take(self, now: float, limit: int) -> list[Row]:
        """Return up to ``limit`` messages that may leave, oldest first, each with its number.

        They count as sent: without a receipt they come again, later each time. A message that was on its way
        when a connection ended comes alone and after all others, so that one the broker hangs up on is known.
        """
        if limit <= 0:
            return []
        with self._transaction() as database:
            due = "SELECT key, kind, payload, seq, attempts, drops FROM outbox WHERE quarantine IS NULL"
            rows = database.execute(
                f"{due} AND drops = 0 AND due <= ? ORDER BY due, kind, key LIMIT ?", (now, limit)
            ).fetchall()
            if not rows:
                rows = database.execute(
                    f"{due} AND drops > 0 AND due <= ? ORDER BY due, kind, key LIMIT 1", (now,)
                ).fetchall()
            taken = []
            for key, kind, payload, seq, attempts, drops in rows:
                if kind in ("event", "counts"):
                    seq = seq or self._count("seq", 1)
                    payload = _numbered(kind, payload, seq)
                pause = min(self._retry_s * 2 ** min(attempts, 20), LONGEST_RETRY_S)
                database.execute(
                    "UPDATE outbox SET seq = ?, attempts = attempts + 1, due = ? WHERE key = ?",
                    (seq, now + pause, key),
                )
                taken.append(Row(key, kind, payload, drops))
            return taken

    def settle(self, receipt: Receipt) -> set[str]:
        """Remove what the collector has committed; return the keys of what was removed."""
        with self._transaction() as database:
            gone = []
            for condition, values in (
                ("kind = 'event' AND key = ?", [str(id_) for id_ in receipt.ids]),
                ("kind IN ('clip', 'plate') AND key = ?", list(receipt.hashes)),
                ("kind = 'counts' AND seq = ?", list(receipt.seqs)),
            ):
                for value in values:
                    gone += database.execute(
                        f"DELETE FROM outbox WHERE {condition} RETURNING key, bytes", (value,)
                    ).fetchall()
        self._bytes -= sum(size for _, size in gone)
        return {key for key, _ in gone}

    def dropped(self, keys: Iterable[str]) -> None:
        """Note that the connection ended while the broker had not acknowledged these."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE outbox SET drops = drops + 1 WHERE key = ?", [(key,) for key in keys]
            )

    def passed(self, key: str) -> None:
        """Note that the broker took a message it had been suspected to hang up on."""
        with self._transaction() as database:
            database.execute("UPDATE outbox SET drops = 0 WHERE key = ?", (key,))

    def again(self, now: float) -> None:
        """Let everything that was sent and not receipted leave again at once."""
        with self._transaction() as database:
            database.execute("UPDATE outbox SET due = ? WHERE attempts > 0 AND due > ?", (now, now))

    def quarantine(self, key: str, reason: str) -> None:
        """Keep a message, yet send it no more."""
        with self._transaction() as database:
            database.execute("UPDATE outbox SET quarantine = ? WHERE key = ?", (reason, key))

    def quarantined(self) -> list[tuple[str, str, str]]:
        """Return key, kind and reason of each message in quarantine."""
        with self._lock:
            return self._database.execute(
                "SELECT key, kind, quarantine FROM outbox WHERE quarantine IS NOT NULL ORDER BY key"
            ).fetchall()

    @property
    def last_seq(self) -> int:
        """The last sequence number given; 0 before the first."""
        return self._tally("seq")

    def level(self) -> Level:
        """Return how full the outbox is."""
        with self._lock:
            rows, size, quarantined = self._database.execute(
                "SELECT count(*), coalesce(sum(bytes), 0), count(quarantine) FROM outbox"
            ).fetchone()
            return Level(
                rows=rows - quarantined,
                bytes=size,
                quarantined=quarantined,
                evicted_clips=self._tally("evicted_clip") + self._tally("evicted_plate"),
                evicted_events=self._tally("evicted_event"),
                evicted_counts=self._tally("evicted_counts"),
            )

    def unreceipted(self, attempts: int) -> int:
        """Return how many messages have been sent at least so often without a receipt."""
        with self._lock:
            (count,) = self._database.execute(
                "SELECT count(*) FROM outbox WHERE quarantine IS NULL AND attempts >= ?", (attempts,)
            ).fetchone()
            return int(count)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _insert(self, key: str, kind: Kind, payload: bytes, due: float) -> None:
        (known,) = self._database.execute("SELECT count(*) FROM outbox WHERE key = ?", (key,)).fetchone()
        if known:
            return
        reason = None
        if len(payload) > MAX_BYTES[kind]:
            # A collector refuses it, and some brokers hang up on it: it must never leave.
            reason = f"{len(payload)} bytes, at most {MAX_BYTES[kind]} for {kind}"
        self._make_room(len(payload))
        self._database.execute(
            "INSERT INTO outbox (key, kind, payload, bytes, due, quarantine) VALUES (?, ?, ?, ?, ?, ?)",
            (key, kind, payload, len(payload), due, reason),
        )
        self._bytes += len(payload)

    def _make_room(self, size: int) -> None:
        for kind in EVICTION_ORDER:
            while self._bytes + size > self._quota_bytes:
                oldest = self._database.execute(
                    "SELECT key, bytes FROM outbox WHERE kind = ?"
                    " ORDER BY quarantine IS NULL, due, key LIMIT 1",
                    (kind,),
                ).fetchone()
                if oldest is None:
                    break
                self._database.execute("DELETE FROM outbox WHERE key = ?", (oldest[0],))
                self._count(f"evicted_{kind}", 1)
                self._bytes -= oldest[1]

    def _count(self, name: str, by: int) -> int:
        (value,) = self._database.execute(
            "INSERT INTO tally VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + ? RETURNING value",
            (name, by, by),
        ).fetchone()
        return int(value)

    def _tally(self, name: str) -> int:
        with self._lock:
            row = self._database.execute("SELECT value FROM tally WHERE name = ?", (name,)).fetchone()
            return int(row[0]) if row else 0

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database, self._lock)


class _Transaction:
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


def sha256(payload: bytes) -> str:
    """Return the name of a clip or plate: the hash of the bytes that travel."""
    return hashlib.sha256(payload).hexdigest()


def event_id() -> UUID:
    """Return an id that carries no time and links nothing."""
    return uuid4()


def _numbered(kind: Kind, payload: bytes, seq: int) -> bytes:
    record = Event.decode(payload) if kind == "event" else Counts.decode(payload)
    return record.model_copy(update={"seq": seq}).encode()
