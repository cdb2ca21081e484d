"""What is found while the disk is full: it waits in memory until there is room."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from edge.outbox_file import Act, DiskFullError, OutboxFile

logger = logging.getLogger(__name__)

# Beyond this the oldest is lost, and counted.
MOST = 1000
TRY_AGAIN_S = 1.0


class Unstored:
    """Writes that could not be committed yet, oldest first."""

    def __init__(self, file: OutboxFile) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._waiting: deque[Act[object]] = deque()
        self._try_again_s = 0.0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, act: Act[object]) -> None:
        """Commit a write; where the disk is full, keep it in memory and try again later."""
        self.store()
        with self._lock:
            if not self._waiting:
                try:
                    self._file.write(act)
                    return
                except DiskFullError:
                    logger.error("the disk is full: what is found waits in memory until there is room")
            self._waiting.append(act)
            self._try_again_s = time.monotonic() + TRY_AGAIN_S
            if len(self._waiting) > MOST:
                self._waiting.popleft()
                self.lost += 1

    def store(self) -> None:
        """Commit what waits, where it is time to try."""
        with self._lock:
            if not self._waiting or time.monotonic() < self._try_again_s:
                return
            self._try_again_s = time.monotonic() + TRY_AGAIN_S
            while self._waiting:
                try:
                    self._file.write(self._waiting[0])
                except DiskFullError:
                    return
                self._waiting.popleft()
            logger.warning("there is room on the disk again: what waited in memory is stored")
