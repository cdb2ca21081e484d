"""What the node has to say and the collector has not yet confirmed: one SQLite table.

A row leaves on the collector's receipt only. It is written with `synchronous=FULL`: once ``put`` returns, the
message outlives a power cut. Sequence numbers are given as messages leave, in that order and without gaps, so
that they tell nothing about the order of events within a bin (shared PRIVACY §2).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from broker.drawing import Clip, Plate
from broker.topics import MAX_BYTES
from broker.wire import Counts, Event, Receipt
from edge.errors import InputError
from edge.giving_up import Kind, give_up, give_up_pictures, given_up, make_room
from edge.outbox_file import DiskFullError, OutboxFile
from edge.outbox_repair import rescue, set_aside_if_damaged
from edge.unstored import Unstored

logger = logging.getLogger(__name__)

DEFAULT_QUOTA_BYTES = 256 * 2**20
RETRY_S = 30.0
# No message waits longer than for the largest bin to close and its spread: what is due later was put when the
# clock was wrong, and leaves now.
LONGEST_WAIT_S = 2 * 3600.0
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
    unstored: int = 0  # wait in memory, because the disk is full
    lost: int = 0  # events the full disk has cost
    repaired: int = 0  # how often a damaged file was begun anew


class Outbox:
    """Messages waiting for the collector's receipt; safe to use from several threads.

    Args:
        path: the database; made where it is not there.
        quota_bytes: of payloads; beyond it clips are given up before events, each one counted.
        retry_s: a message without a receipt comes again after this, then after twice as long, and so on.
        first_seq: the first number of an outbox that is made now: see ``fresh_numbers``.
        ballast_bytes: of a file that is given up when the disk is full, so that what waits can still leave.
    """

    def __init__(
        self,
        path: Path,
        *,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        retry_s: float = RETRY_S,
        first_seq: int = 1,
        ballast_bytes: int = 0,
    ) -> None:
        self._path, self._quota_bytes = path, quota_bytes
        self._retry_s = retry_s
        path.parent.mkdir(parents=True, exist_ok=True)
        damaged = set_aside_if_damaged(path)
        self._file = OutboxFile(
            path,
            quota_bytes=quota_bytes,
            ballast_bytes=ballast_bytes,
            free=lambda _: give_up_pictures(self._file),
        )
        self._unstored = Unstored(self._file)
        database = self._file.database
        if database.execute("SELECT 1 FROM tally WHERE name = 'seq'").fetchone() is None:
            database.executemany(
                "INSERT OR REPLACE INTO tally VALUES (?, ?)",
                [("first_seq", first_seq), ("seq", first_seq - 1)],
            )
        if damaged is not None:
            rescue(damaged, database)
            self._file.write(lambda _: self._file.count("repaired", 1))
            self._file.bytes = self.level().bytes
        self._file.ballast.hold()

    def claim(self, site: str, node: str, *, first_seq: int = 1) -> None:
        """Bind the outbox to a node: its messages name it, and its numbers are that node's.

        Raises:
            InputError: messages of another node wait in it.
        """
        with self._file.lock:
            owner = self._file.database.execute("SELECT site, node FROM owner").fetchone()
            if owner == (site, node):
                return
            if owner is not None and self.level().rows:
                waiting = (
                    f"{self.level().rows} messages of {owner[0]}/{owner[1]} wait in it for their receipts"
                )
                raise InputError(f"{self._path}: {waiting}: {site}/{node} needs an outbox of its own")

            def bind(database: sqlite3.Connection) -> None:
                database.execute("DELETE FROM owner")
                database.execute("INSERT INTO owner VALUES (?, ?)", (site, node))
                if owner is not None:
                    database.execute("UPDATE tally SET value = ? WHERE name = 'first_seq'", (first_seq,))
                    database.execute("UPDATE tally SET value = ? WHERE name = 'seq'", (first_seq - 1,))

            self._file.write(bind)

    def put_event(self, event: Event, clip: Clip | None, *, due: float) -> None:
        """Keep an event, and the clip it names, until receipted. ``event.seq`` is provisional."""

        def put(_: sqlite3.Connection) -> None:
            if clip is not None:
                payload = clip.encode()
                self._insert(sha256(payload), "clip", payload, due)
            self._insert(str(event.id), "event", event.encode(), due)

        self._unstored.keep(put)

    def put_counts(self, counts: Counts, *, due: float) -> None:
        """Keep counts until receipted. ``counts.seq`` is provisional."""
        key, payload = str(uuid4()), counts.encode()
        self._unstored.keep(lambda _: self._insert(key, "counts", payload, due))

    def put_plate(self, plate: Plate, *, due: float) -> str:
        """Keep a plate until receipted and return its hash."""
        payload = plate.encode()
        self._unstored.keep(lambda _: self._insert(sha256(payload), "plate", payload, due))
        return sha256(payload)

    def take(self, now: float, limit: int) -> list[Row]:
        """Return up to ``limit`` messages that may leave, oldest first, each with its number.

        They count as sent: without a receipt they come again, later each time. A message that was on its way
        when a connection ended comes alone and after all others, so that one the broker hangs up on is known.
        """
        self._unstored.store()
        if limit <= 0:
            return []
        try:
            return self._file.write(lambda database: self._taken(database, now, limit), drains=True)
        except DiskFullError:
            return []  # a number that cannot be committed must not leave

    def _taken(self, database: sqlite3.Connection, now: float, limit: int) -> list[Row]:
        due = "SELECT key, kind, payload, seq, attempts, drops FROM outbox WHERE quarantine IS NULL"
        when = "(due <= ? OR due > ?)"
        times = (now, now + LONGEST_WAIT_S)
        rows = database.execute(
            f"{due} AND drops = 0 AND {when} ORDER BY due, kind, key LIMIT ?", (*times, limit)
        ).fetchall()
        if not rows:
            rows = database.execute(
                f"{due} AND drops > 0 AND {when} ORDER BY due, kind, key LIMIT 1", times
            ).fetchall()
        taken = []
        for key, kind, payload, seq, attempts, drops in rows:
            if kind in ("event", "counts"):
                seq = seq or self._file.count("seq", 1)
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

        def remove(database: sqlite3.Connection) -> list[tuple[str, int]]:
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
            return gone

        try:
            gone = self._file.write(remove, drains=True)
        except DiskFullError:
            return set()  # they are sent and receipted again
        with self._file.lock:
            self._file.bytes -= sum(size for _, size in gone)
            if gone and not self._file.bytes:
                self._file.shorten_log()  # what left lies there until it is written over
        return {key for key, _ in gone}

    def dropped(self, keys: Iterable[str]) -> None:
        """Note that the connection ended while the broker had not acknowledged these."""
        rows = [(key,) for key in keys]
        self._note("UPDATE outbox SET drops = drops + 1 WHERE key = ?", *rows)

    def passed(self, key: str) -> None:
        """Note that the broker took a message it had been suspected to hang up on."""
        self._note("UPDATE outbox SET drops = 0 WHERE key = ?", (key,))

    def again(self, now: float) -> None:
        """Let everything that was sent and not receipted leave again at once."""
        self._note("UPDATE outbox SET due = ? WHERE attempts > 0 AND due > ?", (now, now))

    def quarantine(self, key: str, reason: str) -> None:
        """Keep a message, yet send it no more."""

        def keep_back(database: sqlite3.Connection) -> None:
            database.execute("UPDATE outbox SET quarantine = ? WHERE key = ?", (reason, key))
            (number,) = database.execute("SELECT seq FROM outbox WHERE key = ?", (key,)).fetchone() or (None,)
            if number is not None:
                give_up(database, number)

        with contextlib.suppress(DiskFullError):
            self._file.write(keep_back)

    def quarantined(self) -> list[tuple[str, str, str]]:
        """Return key, kind and reason of each message in quarantine."""
        with self._file.lock:
            return self._file.database.execute(
                "SELECT key, kind, quarantine FROM outbox WHERE quarantine IS NOT NULL ORDER BY key"
            ).fetchall()

    @property
    def last_seq(self) -> int:
        """The last sequence number given; one less than the first before that."""
        return self._file.tally("seq")

    def given_up(self, most: int) -> tuple[tuple[int, int], ...]:
        """Return the last runs of numbers that were given and will not arrive, first to last, in order."""
        with self._file.lock:
            return given_up(self._file.database, most)

    @property
    def first_seq(self) -> int:
        """The first number of this outbox: what was sent under lower ones was sent by one before it."""
        return self._file.tally("first_seq") or 1

    def level(self) -> Level:
        """Return how full the outbox is."""
        with self._file.lock:
            self._file.ballast.hold_again()
            rows, size, quarantined = self._file.database.execute(
                "SELECT count(*), coalesce(sum(bytes), 0), count(quarantine) FROM outbox"
            ).fetchone()
            return Level(
                rows=rows - quarantined,
                bytes=size,
                quarantined=quarantined,
                evicted_clips=self._file.tally("evicted_clip") + self._file.tally("evicted_plate"),
                evicted_events=self._file.tally("evicted_event"),
                evicted_counts=self._file.tally("evicted_counts"),
                unstored=len(self._unstored),
                lost=self._unstored.lost,
                repaired=self._file.tally("repaired"),
            )

    def unreceipted(self, attempts: int) -> int:
        """Return how many messages have been sent at least so often without a receipt."""
        with self._file.lock:
            (count,) = self._file.database.execute(
                "SELECT count(*) FROM outbox WHERE quarantine IS NULL AND attempts >= ?", (attempts,)
            ).fetchone()
            return int(count)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _note(self, statement: str, *rows: tuple[object, ...]) -> None:
        """Write what would be nice to know and can be done without."""
        with contextlib.suppress(DiskFullError):
            self._file.write(lambda database: database.executemany(statement, rows))

    def _insert(self, key: str, kind: Kind, payload: bytes, due: float) -> None:
        (known,) = self._file.database.execute("SELECT count(*) FROM outbox WHERE key = ?", (key,)).fetchone()
        if known:
            return
        reason = None
        if len(payload) > MAX_BYTES[kind]:
            # A collector refuses it, and some brokers hang up on it: it must never leave.
            reason = f"{len(payload)} bytes, at most {MAX_BYTES[kind]} for {kind}"
        make_room(self._file, len(payload), quota_bytes=self._quota_bytes)
        self._file.database.execute(
            "INSERT INTO outbox (key, kind, payload, bytes, due, quarantine) VALUES (?, ?, ?, ?, ?, ?)",
            (key, kind, payload, len(payload), due, reason),
        )
        self._file.bytes += len(payload)


def fresh_numbers() -> int:
    """Return the first number of a new outbox, above all that an earlier one of the node can have given.

    An outbox that was deleted must not give its numbers a second time, unnoticed. A thousand numbers a second
    are more than a node ever needs, so counting from the clock is always ahead of counting from then.
    """
    return int(time.time()) * 1000 + 1


def sha256(payload: bytes) -> str:
    """Return the name of a clip or plate: the hash of the bytes that travel."""
    return hashlib.sha256(payload).hexdigest()


def event_id() -> UUID:
    """Return an id that carries no time and links nothing."""
    return uuid4()


def _numbered(kind: Kind, payload: bytes, seq: int) -> bytes:
    record = Event.decode(payload) if kind == "event" else Counts.decode(payload)
    return record.model_copy(update={"seq": seq}).encode()
