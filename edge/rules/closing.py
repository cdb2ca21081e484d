"""Pairs that move against each other: who would touch soon if both kept their speeds.

Everybody is looked at together, half a second apart; of all pairs the cheap questions are asked first, and
TTC is computed for the few that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from edge.measures import Footprints, time_to_collision_s
from edge.rules.samples import Floats, Integers
from edge.rules.ticks import TCX, TCY, TLENGTH, TVX, TVY, TWIDTH, TX, TY, TickTrack

LOOK_EVERY = 5
# A little more than the longest TTC worth measuring.
NEAR_TTC_S = 2.2
STANDING_MPS = 0.3
# So many pairs are asked about at once: a crowd must not take more memory for it.
AT_ONCE = 100_000


class ClosingLook:
    """Looks at every ``LOOK_EVERY``-th tick once."""

    def __init__(self) -> None:
        self._looked = -(2**62)

    def feed(self, every: Iterable[TickTrack], until: int) -> Iterator[tuple[int, int, int]]:
        """Yield (tick, serial, serial) of the pairs that are closing at ticks not looked at yet."""
        tracks = [track for track in every if len(track.rows) and track.end > self._looked]
        first, self._looked = self._looked + 1, max(self._looked, until)
        looks = [_looks(track, first, until) for track in tracks]
        counts = np.array([len(rows) for _, rows in looks], dtype=np.int64)
        if len(tracks) < 2 or not counts.any():
            return
        tick = np.concatenate([ticks for ticks, _ in looks])
        order = np.argsort(tick, kind="stable")
        whose = np.repeat(np.arange(len(tracks)), counts)[order]
        tick, rows = tick[order], np.concatenate([rows for _, rows in looks])[order]
        serial = np.array([track.path.serial for track in tracks])[whose]
        walking = np.array([track.pedestrian for track in tracks])[whose]
        for one, other in _near(rows, tick, walking):
            pair = np.sort(np.stack([serial[one], serial[other]], axis=-1), axis=1)
            yield from zip(tick[one].tolist(), *pair.T.tolist(), strict=True)


def _looks(track: TickTrack, first: int, until: int) -> tuple[Integers, Floats]:
    begin = -(-max(first, track.start) // LOOK_EVERY) * LOOK_EVERY
    ticks = np.arange(begin, min(track.end, until + 1), LOOK_EVERY)
    return ticks, track.rows[ticks - track.start]


def _near(rows: Floats, tick: Integers, walking: NDArray[np.bool_]) -> Iterator[tuple[Integers, Integers]]:
    """Yield the indices of two rows of one tick that would touch soon, the first of them of a vehicle."""
    speed = np.hypot(rows[:, TVX], rows[:, TVY])
    moving = np.flatnonzero((speed > STANDING_MPS) & ~walking)
    start = np.searchsorted(tick, tick[moving])
    many = np.searchsorted(tick, tick[moving], side="right") - start
    reach = np.hypot(rows[:, TLENGTH], rows[:, TWIDTH]) / 2
    for part in _cut(many):
        one = np.repeat(moving[part], many[part])
        begin = np.cumsum(many[part]) - many[part]
        other = np.arange(len(one)) + np.repeat(start[part] - begin, many[part])
        dx, dy, vx, vy = (rows[one, column] - rows[other, column] for column in (TX, TY, TVX, TVY))
        against = (dx * vx + dy * vy < 0) & (one != other)
        one, other, dx, dy, vx, vy = (each[against] for each in (one, other, dx, dy, vx, vy))
        away = np.hypot(dx, dy) - reach[one] - reach[other]
        close = away <= np.hypot(vx, vy) * NEAR_TTC_S + 0.5
        one, other = one[close], other[close]
        soon = time_to_collision_s(_widened(rows[one]), _widened(rows[other]), -vx[close], -vy[close])
        yield one[soon <= NEAR_TTC_S], other[soon <= NEAR_TTC_S]


def _cut(many: Integers) -> Iterator[slice]:
    """Return slices of so many rows each that their pairs are at most ``AT_ONCE``, or one row's."""
    ends, start = np.cumsum(many), 0
    while start < len(many):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + AT_ONCE, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _widened(rows: Floats) -> Footprints:
    return Footprints(
        rows[:, TX], rows[:, TY], rows[:, TCX], rows[:, TCY], rows[:, TLENGTH] / 2 + 0.3,
        rows[:, TWIDTH] / 2 + 0.3,
    )  # fmt: skip
