"""Room on the disk that is given up when there is none left.

SQLite in WAL mode cannot even delete on a full disk: the deletion is written to a log first. A file that is
given up then leaves the log its room, so that what waits can leave, which makes room.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path

logger = logging.getLogger(__name__)

# The disk must have room for this many ballasts before one is held again.
AGAIN_WITH = 3
LOOK_EVERY_S = 10.0


class Ballast:
    """A file of a fixed size that holds nothing; of size 0 none is made."""

    def __init__(self, path: Path, *, size: int) -> None:
        self._path, self._size = path, size
        self._held = False
        self._look_s = 0.0
        self._said = False

    @property
    def held(self) -> bool:
        return self._held

    def hold(self) -> None:
        """Take the room, where the disk has it."""
        if self._size <= 0 or self._held:
            return
        try:
            with self._path.open("wb") as file:
                # Blocks, not a hole: a sparse file would hold nothing.
                os.posix_fallocate(file.fileno(), 0, self._size)
            self._held = True
        except OSError as error:
            if not self._said:
                self._said = True
                logger.warning("no room for a ballast of %d bytes: %s", self._size, error.strerror)
            with contextlib.suppress(OSError):
                self._path.unlink()

    def release(self) -> None:
        """Give the room up."""
        if self._held and not self._said:
            self._said = True
            logger.warning("the disk is full: the ballast is given up")
        self._held = False
        with contextlib.suppress(OSError):
            self._path.unlink()

    def hold_again(self) -> None:
        """Take the room again once the disk has plenty; to be called now and then."""
        if self._held or self._size <= 0 or time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + LOOK_EVERY_S
        with contextlib.suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize > AGAIN_WITH * self._size:
                self.hold()
                self._said = False
