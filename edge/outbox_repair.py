"""A damaged outbox: set aside, and what can still be read of it taken over."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

logger = logging.getLogger(__name__)

COLUMNS = ("key", "kind", "payload", "bytes", "seq", "due", "attempts", "drops", "quarantine")


def set_aside_if_damaged(path: Path) -> Path | None:
    """Rename a damaged database and return where it is now; None where it is sound, or not there.

    Its log and index go with it: they belong to it alone.
    """
    if not path.exists() or _is_sound(path):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))
    logger.error(
        "%s is damaged: set aside as %s; what can be read of it is taken over", path.name, aside.name
    )
    return aside


def rescue(damaged: Path, into: sqlite3.Connection) -> int:
    """Copy what can still be read of a damaged outbox, numbers included; return how many messages."""
    rows: list[tuple[object, ...]] = []
    tallies: list[tuple[str, int]] = []
    owners: list[tuple[str, str]] = []
    given_up: list[tuple[int, int]] = []
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(damaged)) as old:
        for gathered, statement in (
            (tallies, "SELECT name, value FROM tally"),
            (owners, "SELECT site, node FROM owner"),
            (given_up, "SELECT first, last FROM given_up"),
            (rows, f"SELECT {', '.join(COLUMNS)} FROM outbox"),
        ):
            with contextlib.suppress(sqlite3.Error):
                for row in old.execute(statement):
                    gathered.append(row)
    into.execute("BEGIN IMMEDIATE")
    for name, value in tallies:
        into.execute("INSERT OR REPLACE INTO tally VALUES (?, ?)", (name, value))
    into.executemany("INSERT INTO owner VALUES (?, ?)", owners[:1])
    into.executemany("INSERT OR REPLACE INTO given_up VALUES (?, ?)", given_up)
    kept = 0
    for row in rows:
        with contextlib.suppress(sqlite3.Error):  # a row that breaks the rules of the table is none of ours
            into.execute(f"INSERT INTO outbox VALUES ({', '.join('?' * len(COLUMNS))})", row)
            kept += 1
    into.execute("COMMIT")
    logger.error("%d messages were taken over from the damaged outbox", kept)
    return kept


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        # A lock or an unreadable folder is no damage.
        if isinstance(error, sqlite3.OperationalError):
            raise
        return False
