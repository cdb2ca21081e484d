"""The end of a node in order, and its new beginning: SIGTERM, Ctrl-C, SIGHUP, a source that hangs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGTERM lets the frames on the line finish; a source that hangs is left after this.
PATIENCE_S = 3.0


class Stopped(Exception):
    """The wanted end of a source that hangs."""


class Ending:
    """Whether the node is to end or to read its configuration again, and the way out of an endless wait."""

    def __init__(self) -> None:
        self.wanted = False
        self.reload_wanted = False
        self._waiting = False

    @contextmanager
    def waiting(self, is_waiting: bool = True) -> Iterator[None]:
        """Mark a wait for the source: it alone is left after ``PATIENCE_S``, by ``Stopped``.

        Never a write: what goes to the outbox goes there whole. Within a wait, ``waiting(False)`` marks one.
        """
        before, self._waiting = self._waiting, is_waiting
        try:
            yield
        finally:
            self._waiting = before

    @contextmanager
    def on_signals(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` at the first SIGTERM or Ctrl-C; note a SIGHUP."""

        def wanted(_number: int, _frame: FrameType | None) -> None:
            if not self.wanted:
                self.wanted = True
                stop()
                signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

        def leave(_number: int, _frame: FrameType | None) -> None:
            if self._waiting:
                raise Stopped

        def reload(_number: int, _frame: FrameType | None) -> None:
            self.reload_wanted = True

        handlers = {
            signal.SIGTERM: wanted,
            signal.SIGINT: wanted,
            signal.SIGALRM: leave,
            signal.SIGHUP: reload,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            for number, handler in before.items():
                signal.signal(number, handler)
