"""The sweeper: a thread that deletes what is past its time, and says whether it keeps up.

If it stands still or fails, the collector takes no new clips (shared PRIVACY §4): what cannot be deleted in
time must not come in. Events go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from broker.collector import audit
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.retention import sweep
from broker.collector.store import Store, upsert
from broker.collector.tables import sweeps

logger = logging.getLogger(__name__)

EVERY_S = 600.0
# Two sweeps may fail, as while a database starts again; then no clip is taken.
BEHIND_S = 3 * EVERY_S
NOTED_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sweeps:
    """How the sweeping of one collector goes, as it lies in the store."""

    collector: str
    tried_s: int
    swept_s: int | None
    error: str | None

    def behind(self, now_s: float) -> bool:
        return self.swept_s is None or now_s - self.swept_s > BEHIND_S


class Sweeper:
    """Sweeps at the start and every ten minutes, in a thread of its own.

    Args:
        name: of this collector among several on one store.
        clock: seconds UTC.
    """

    def __init__(
        self,
        store: Store,
        clips: ClipFolder,
        retention: Retention,
        *,
        name: str = "collector",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._clips, self._retention, self._clock = store, clips, retention, clock
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._swept_s: float | None = None
        self._failure: str | None = None
        self._behind = False
        self._noted: audit.Link | None = None
        self._noted_s = float("-inf")
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def keeps_up(self) -> bool:
        """Whether clips may be taken: the last sweep has succeeded, and not long ago. Logs each change."""
        swept_s = self._swept_s
        behind = not self.alive or swept_s is None or self._clock() - swept_s > BEHIND_S
        if behind != self._behind and swept_s is not None:
            if behind:
                logger.error("the sweeper is behind: no clip or plate is taken until it sweeps again")
            else:
                logger.info("the sweeper keeps up: clips are taken again")
            self._behind = behind
        return not behind

    def health(self) -> Mapping[str, str | float | bool | None]:
        """Return whether it keeps up, when it swept last and what failed."""
        return {"ok": self.keeps_up, "swept_s": self._swept_s, "error": self._failure}

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            while True:
                self.once()
                if self._stop.wait(EVERY_S):
                    return
        except BaseException as error:
            self.error, self._failure = error, type(error).__name__
            logger.exception("the sweeper ended")

    def once(self) -> bool:
        """Sweep now; False where it failed."""
        now = self._clock()
        try:
            sweep(self._store, self._clips, self._retention, now_s=int(now))
        except (SQLAlchemyError, OSError) as error:
            self._failure = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            logger.error("the sweep failed; again in %d s: %s", EVERY_S, error)
        else:
            self._swept_s, self._failure = now, None
            self._note_head(now)
        self._tell(int(now))
        return self._failure is None

    def _note_head(self, now: float) -> None:
        """Say where the audit trail stands, for a log that leaves this machine."""
        if now - self._noted_s < NOTED_EVERY_S:
            return
        try:
            with self._store.read() as connection:
                head = audit.head(connection)
        except SQLAlchemyError as error:
            logger.error("the head of the audit trail could not be read: %s", error)
            return
        self._noted_s = now
        if head != self._noted:
            self._noted = head
            logger.info("audit head %d:%s", head.n, head.hash)

    def _tell(self, now_s: int) -> None:
        swept_s = None if self._swept_s is None else int(self._swept_s)
        row = {"collector": self._name, "tried_s": now_s, "swept_s": swept_s, "error": self._failure}
        try:
            with self._store.write() as connection:
                upsert(connection, sweeps, [row], update=("tried_s", "swept_s", "error"))
        except SQLAlchemyError as error:
            logger.error("how the sweep went could not be written down: %s", error)


def sweepings(connection: Connection) -> list[Sweeps]:
    """Return how the sweeping of each collector goes."""
    rows = connection.execute(select(sweeps).order_by(sweeps.c.collector))
    return [Sweeps(row.collector, row.tried_s, row.swept_s, row.error) for row in rows]
