"""Exposure: how many road users of each kind entered or crossed each place, per quarter of an hour."""

from __future__ import annotations

import math
from collections import Counter

from edge.rules.finding import Exposure
from edge.scene import Kind

QUARTER_S = 900.0


class ExposureCounts:
    """Counts entries at stop lines and starts at crosswalks; a quarter is given out once it is over."""

    def __init__(self, *, start: float = -math.inf, end: float = math.inf) -> None:
        """Count from ``start`` until before ``end``, seconds UTC."""
        self._start, self._end = start, end
        self._counts: Counter[tuple[float, str, Kind]] = Counter()

    def add(self, time: float, place: str, kind: Kind) -> None:
        if self._start <= time < self._end:
            self._counts[math.floor(time / QUARTER_S) * QUARTER_S, place, kind] += 1

    def take(self, before: float) -> list[Exposure]:
        """Return and forget the counts of every quarter that ended by an instant."""
        over = sorted(key for key in self._counts if key[0] + QUARTER_S <= before)
        return [Exposure(*key, count=self._counts.pop(key)) for key in over]
