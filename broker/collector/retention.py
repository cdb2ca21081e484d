"""The sweeper: nothing is kept longer than its time, and what goes is written down.

Source: shared PRIVACY §4. Clips not reviewed 72 h, reviewed 14 d; plates 30 d; event rows 90 d, then monthly
aggregates only; decisions and proofs 180 d.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, select
from sqlalchemy.exc import SQLAlchemyError

from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.findings import verdicts
from broker.collector.publication.retiring import forget_decisions, retire_counts, retire_events
from broker.collector.store import Store
from broker.collector.tables import blobs, counts, dead_letters, decisions, events, proofs

logger = logging.getLogger(__name__)

EVERY_S = 600.0
HOUR_S, DAY_S = 3600, 86_400
CHUNK = 500


def sweep(store: Store, clips: ClipFolder, retention: Retention, *, now_s: int) -> int:
    """Delete whatever is past its time and return how many things that were."""
    gone = 0
    with store.write() as connection:
        gone += _sweep_blobs(connection, clips, retention, now_s)
        gone += _sweep_events(connection, now_s - int(retention.event_d * DAY_S), now_s)
        old = now_s - int(retention.audit_d * DAY_S)
        retire_counts(connection, before_s=old)
        for table, column in (
            (decisions, decisions.c.decided_s),
            (counts, counts.c.start_s),
            (dead_letters, dead_letters.c.last_s),
            (proofs, proofs.c.swept_s),
        ):
            past = column < old
            if table is decisions:
                # An undo points at what it took back: the pair goes together, once both are past their time.
                later = decisions.alias()
                past &= ~exists().where(later.c.undoes == decisions.c.n, later.c.decided_s >= old)
            gone += _deleted(connection, table, past, why="older than the audit is kept", now_s=now_s)
        forget_decisions(connection)
    return gone


def _sweep_blobs(connection: Connection, clips: ClipFolder, retention: Retention, now_s: int) -> int:
    verdict = verdicts()
    reviewed = exists().where(events.c.clip == blobs.c.hash, events.c.id == verdict.c.event)
    clip, age = blobs.c.kind == "clip", blobs.c.stored_s
    limits: list[tuple[ColumnElement[bool], float, str]] = [
        (clip & ~reviewed, retention.clip_unreviewed_h * HOUR_S, "clip not reviewed in time"),
        (clip, retention.clip_reviewed_d * DAY_S, "reviewed clip past its time"),
        (blobs.c.kind == "plate", retention.plate_d * DAY_S, "plate past its time"),
    ]
    gone = 0
    for which, limit_s, why in limits:
        past = connection.execute(
            select(blobs.c.hash, blobs.c.bytes).where(which, age < now_s - int(limit_s)).limit(10_000)
        ).all()
        # The file first: a row without a file shows as "not kept", a file without a row would be forgotten.
        for hash_, _ in past:
            clips.delete(hash_)
        for start in range(0, len(past), CHUNK):
            hashes = [hash_ for hash_, _ in past[start : start + CHUNK]]
            connection.execute(delete(blobs).where(blobs.c.hash.in_(hashes)))
        _prove(connection, "blobs", why, len(past), sum(size for _, size in past), now_s)
        gone += len(past)
    return gone + _sweep_strays(connection, clips, now_s - int(retention.clip_unreviewed_h * HOUR_S), now_s)


def _sweep_strays(connection: Connection, clips: ClipFolder, before_s: int, now_s: int) -> int:
    """Delete files that no row knows: written, then the collector was killed before it could commit."""
    known = set(connection.execute(select(blobs.c.hash)).scalars())
    strays = clips.older_than(before_s) - known
    for hash_ in strays:
        clips.delete(hash_)
    _prove(connection, "blobs", "file without a row", len(strays), 0, now_s)
    return len(strays)


def _sweep_events(connection: Connection, before_s: int, now_s: int) -> int:
    retire_events(connection, before_s=before_s)
    return _deleted(
        connection, events, events.c.time_s < before_s, why="event row past its time", now_s=now_s
    )


def _deleted(connection: Connection, table: Any, past: ColumnElement[bool], *, why: str, now_s: int) -> int:
    count = connection.execute(delete(table).where(past)).rowcount
    _prove(connection, table.name, why, count, 0, now_s)
    return int(count)


def _prove(connection: Connection, what: str, why: str, deleted: int, size: int, now_s: int) -> None:
    if deleted:
        connection.execute(
            proofs.insert(), {"swept_s": now_s, "what": what, "why": why, "deleted": deleted, "bytes": size}
        )


class Sweeper:
    """Sweeps at the start and every ten minutes, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        clips: ClipFolder,
        retention: Retention,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._clips, self._retention, self._clock = store, clips, retention, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            while True:
                try:
                    sweep(self._store, self._clips, self._retention, now_s=int(self._clock()))
                except (SQLAlchemyError, OSError) as error:
                    logger.error("the sweep failed; again in %d s: %s", EVERY_S, error)
                if self._stop.wait(EVERY_S):
                    return
        except BaseException as error:
            self.error = error
            logger.exception("the sweeper ended")
