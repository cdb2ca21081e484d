"""The ledger of a study: which files and segments there are, and what became of each.

SQLite beside the results: whatever is killed, what was done stays done. A segment's row names everything its
results were made from by hash, so a file, a site, a model or a version that changed makes new rows.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edge.errors import InputError

State = Literal["waiting", "running", "done", "failed"]
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, changed_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    width INTEGER, height INTEGER, duration_s REAL, problem TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS segments (
    key TEXT PRIMARY KEY, sequence TEXT NOT NULL, start REAL NOT NULL, end REAL NOT NULL,
    stretches TEXT NOT NULL, inputs TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, problem TEXT, began_s REAL, ended_s REAL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class FileRow:
    """What is known of one file; ``problem`` says why it cannot be used, None where it can."""

    path: str
    bytes: int
    changed_ns: int
    sha256: str
    image_size: tuple[int, int] | None
    duration_s: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment; ``stretches`` are the keys of its results, ``inputs`` what they were made from."""

    key: str
    sequence: str
    start: float
    end: float
    stretches: tuple[str, ...]
    inputs: str
    state: State = "waiting"
    attempts: int = 0
    problem: str | None = None


class Ledger:
    """One study's ledger; one process writes it, any may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise InputError(f"{path}: is the ledger of another version of nearmiss ({version})")
            self._database.executescript(_TABLES)
            self._database.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.Error as error:
            raise InputError(f"{path}: not a ledger of a study: {error}") from error

    def file(self, path: str, *, bytes_: int, changed_ns: int) -> FileRow | None:
        """Return what is known of a file, None where it has changed since or was never read."""
        row = self._database.execute(
            "SELECT * FROM files WHERE path=? AND bytes=? AND changed_ns=?", (path, bytes_, changed_ns)
        ).fetchone()
        if row is None:
            return None
        size = None if row[4] is None else (row[4], row[5])
        return FileRow(row[0], row[1], row[2], row[3], size, row[6], row[7])

    def keep_file(self, row: FileRow) -> None:
        width, height = row.image_size or (None, None)
        self._database.execute(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?)",
            (
                *(row.path, row.bytes, row.changed_ns, row.sha256),
                *(width, height, row.duration_s, row.problem),
            ),
        )

    def plan(self, segments: Iterable[SegmentRow]) -> None:
        """Make these the segments of the study; what was done of them stays done, the rest waits anew.

        A segment that failed is tried again: who starts a study once more has mended something.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            done = {row[0] for row in self._database.execute("SELECT key FROM segments WHERE state='done'")}
            known = dict(self._database.execute("SELECT key, attempts FROM segments").fetchall())
            self._database.execute("DELETE FROM segments")
            self._database.executemany(
                "INSERT INTO segments VALUES (?,?,?,?,?,?,?,?,NULL,NULL,NULL)",
                [
                    (
                        *(each.key, each.sequence, each.start, each.end),
                        *(json.dumps(each.stretches), each.inputs),
                        "done" if each.key in done else "waiting",
                        known.get(each.key, 0),
                    )
                    for each in segments
                ],
            )

    def segments(self) -> list[SegmentRow]:
        """Return every segment, in order of sequence and time."""
        rows = self._database.execute(
            "SELECT key, sequence, start, end, stretches, inputs, state, attempts, problem FROM segments"
            " ORDER BY rowid"
        )
        return [
            SegmentRow(key, sequence, start, end, tuple(json.loads(stretches)), *rest)
            for key, sequence, start, end, stretches, *rest in rows.fetchall()
        ]

    def began(self, key: str) -> None:
        self._database.execute(
            "UPDATE segments SET state='running', attempts=attempts+1, began_s=?, problem=NULL WHERE key=?",
            (time.time(), key),
        )

    def ended(self, key: str, problem: str | None) -> None:
        """Note that a segment is done, or why it failed."""
        self._database.execute(
            "UPDATE segments SET state=?, problem=?, ended_s=? WHERE key=?",
            ("done" if problem is None else "failed", problem, time.time(), key),
        )

    def waits(self, key: str) -> None:
        """Put a segment back: its worker was stopped, or did not end well for the first time."""
        self._database.execute("UPDATE segments SET state='waiting' WHERE key=?", (key,))

    def attempts(self, key: str) -> int:
        found = self._database.execute("SELECT attempts FROM segments WHERE key=?", (key,)).fetchone()
        return int(found[0])

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
