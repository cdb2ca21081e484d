"""What each stage of the line costs."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Timings:
    """Adds up the wall time of each stage; keeps every single one where asked, for medians.

    Seen by one thread at a time per stage: the detector's stage is timed in the detector's thread.
    """

    def __init__(self, *, keep: bool = False, clock: Callable[[], float] = time.perf_counter) -> None:
        """
        Args:
            clock: seconds; ``time.thread_time`` counts what a stage computes, whoever else is at work.
        """
        self._clock = clock
        self.total_s: dict[str, float] = {}
        self.count: dict[str, int] = {}
        self.each_s: dict[str, array[float]] | None = {} if keep else None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = self._clock()
        try:
            yield
        finally:
            self.add(name, self._clock() - begin)

    def add(self, name: str, seconds: float) -> None:
        self.total_s[name] = self.total_s.get(name, 0.0) + seconds
        self.count[name] = self.count.get(name, 0) + 1
        if self.each_s is not None:
            self.each_s.setdefault(name, array("d")).append(seconds)
