"""Keeps a shared detector's process alive: started, noticed when it dies or hangs, and started again."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from models.card import ModelError
from models.shared import DetectorGoneError, SharedDetector

logger = logging.getLogger(__name__)

READY_WITHIN_S = 60.0
# A look that takes longer than this hangs.
HANGS_AFTER_S = 15.0
_LOOK_EVERY_S = 0.1
_ASK_EVERY_S = 5.0
# Between two beginnings of a process that keeps dying.
_SOONEST_S, _LATEST_S = 0.2, 10.0


class GivenUpError(Exception):
    """The wanted end came before the process was ready."""


class SharedDetectorProcess:
    """Owns the process of one model; use it as a context.

    Args:
        given_up: asked a few times a second at the start, which takes long on a busy host; True ends it.

    Attributes:
        path: the socket cameras connect to; in a folder only this user can open.
        restarts: how often the process had to be started again.

    Raises:
        ModelError: the model cannot be used; its own words.
        GivenUpError: ``given_up`` said so.
    """

    def __init__(
        self,
        model: str,
        *,
        provider: str | None = None,
        threads: int | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._given_up = given_up
        self._command = [model, provider or "", str(threads or 0)]
        self._folder = tempfile.TemporaryDirectory(prefix="nearmiss-detector-")
        self.path = Path(self._folder.name) / "socket"
        self.restarts = 0
        self._process: subprocess.Popen[str] | None = None
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="detector keeper", daemon=True)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self._start()
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._process is not None:
            self._process.kill()  # else the keeper may wait for an answer of one that hangs
        self._keeper.join(timeout=READY_WITHIN_S)
        self._stop()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "models.shared_server", str(self.path), *self._command],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C ends the cameras first, which still have frames to look at
        )

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        process.kill()
        process.communicate()
        self._process = None
        self._folder.cleanup()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        assert self._process is not None
        while not self._answers(within_s=1.0):
            if self._process.poll() is not None:
                _, told = self._process.communicate()
                raise ModelError(told.strip().splitlines() or ["the shared detector ended at its start"])
            if self._given_up():
                raise GivenUpError
            if time.monotonic() > deadline:
                raise ModelError(f"the shared detector was not ready within {READY_WITHIN_S:g} s")
            time.sleep(_LOOK_EVERY_S)

    def _answers(self, *, within_s: float) -> bool:
        """Return whether the process greets a newcomer: it does so between two looks."""
        try:
            SharedDetector(self.path, back_within_s=within_s).close()
        except DetectorGoneError:
            return False
        return True

    def _keep(self) -> None:
        """Look after the process until the end."""
        pause_s, asked = _SOONEST_S, time.monotonic()
        # A process that was started again has to load its libraries and its network first, which takes long
        # on a busy host; until it has answered once it has the time of a first start.
        answered = True
        while not self._ending.wait(_LOOK_EVERY_S):
            process = self._process
            assert process is not None
            if process.poll() is None and time.monotonic() - asked >= (_ASK_EVERY_S if answered else 0):
                if self._answers(within_s=HANGS_AFTER_S):
                    pause_s, answered, asked = _SOONEST_S, True, time.monotonic()
                elif answered or time.monotonic() - asked > READY_WITHIN_S:
                    logger.warning("the shared detector hangs; it is ended and started again")
                    process.kill()
                    process.wait()
            if process.poll() is not None and not self._ending.is_set():
                logger.warning("the shared detector ended (%s); it is started again", process.returncode)
                with contextlib.suppress(OSError, ValueError):
                    process.communicate(timeout=1)
                if self._ending.wait(pause_s):
                    return
                pause_s, asked, answered = min(2 * pause_s, _LATEST_S), time.monotonic(), False
                self.restarts += 1
                self._start()
