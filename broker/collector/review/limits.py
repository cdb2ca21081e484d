"""How often somebody may do something: so many times within a window that moves with the clock.

Kept in the memory of the one process that serves the pages: an address is never written down.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_KEYS = 10_000


class Limit:
    """At most ``times`` within ``window_s`` for each key."""

    def __init__(self, times: int, window_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._times, self._window_s, self._clock = times, window_s, clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take one; return 0, or how many seconds until there is one to take again."""
        now = self._clock()
        with self._lock:
            taken = self._taken.setdefault(key, deque())
            self._taken.move_to_end(key)
            while taken and taken[0] <= now - self._window_s:
                taken.popleft()
            if len(taken) >= self._times:
                return taken[0] + self._window_s - now
            taken.append(now)
            # Whoever invents keys pushes out the oldest, and costs no more memory.
            while len(self._taken) > _MOST_KEYS:
                self._taken.popitem(last=False)
            return 0.0

    def give_back(self, key: str) -> None:
        """Take one less: what was taken turned out to need none."""
        with self._lock:
            taken = self._taken.get(key)
            if taken:
                taken.pop()
