"""What an outbox gives up for room, and the numbers that will therefore never arrive."""

from __future__ import annotations

import sqlite3
from typing import Literal

from edge.outbox_file import OutboxFile

Kind = Literal["event", "counts", "clip", "plate"]

# Clips give way before plates, those before counts, and events go last.
EVICTION_ORDER: tuple[Kind, ...] = ("clip", "plate", "counts", "event")


def make_room(file: OutboxFile, size: int, *, quota_bytes: int) -> None:
    """Within a transaction, give up messages until so many bytes more fit into the quota."""
    for kind in EVICTION_ORDER:
        while file.bytes + size > quota_bytes:
            oldest = file.database.execute(
                "SELECT key, bytes, seq FROM outbox WHERE kind = ?"
                " ORDER BY quarantine IS NULL, due, key LIMIT 1",
                (kind,),
            ).fetchone()
            if oldest is None:
                break
            key, bytes_, number = oldest
            file.database.execute("DELETE FROM outbox WHERE key = ?", (key,))
            file.count(f"evicted_{kind}", 1)
            file.bytes -= bytes_
            if number is not None:
                give_up(file.database, number)


def give_up_pictures(file: OutboxFile) -> None:
    """Within a transaction, give up every clip and plate: a full disk takes events alone."""
    for kind in ("clip", "plate"):
        gone = file.database.execute("DELETE FROM outbox WHERE kind = ? RETURNING key", (kind,)).fetchall()
        file.count(f"evicted_{kind}", len(gone))


def give_up(database: sqlite3.Connection, number: int) -> None:
    """Note that a number which was given will not arrive; neighbours are one run."""
    first, last = number, number
    for run in database.execute(
        "SELECT first, last FROM given_up WHERE last >= ? AND first <= ?", (number - 1, number + 1)
    ).fetchall():
        first, last = min(first, run[0]), max(last, run[1])
    database.execute("DELETE FROM given_up WHERE first BETWEEN ? AND ?", (first, last))
    database.execute("INSERT INTO given_up VALUES (?, ?)", (first, last))


def given_up(database: sqlite3.Connection, most: int) -> tuple[tuple[int, int], ...]:
    """Return the last runs of numbers that will not arrive, first to last, in order."""
    runs = database.execute(
        "SELECT first, last FROM given_up ORDER BY first DESC LIMIT ?", (most,)
    ).fetchall()
    return tuple((first, last) for first, last in reversed(runs))
