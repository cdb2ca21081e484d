"""Two tracks of one vehicle: a tracker that saw it twice is no reason to count or accuse twice.

::

        ┌───────────────┐
        │   ┌───────────┼───┐      two solid bodies cannot stand so;
        │ A │           │ B │      the younger track is a double of the elder
        └───┼───────────┘   │
            └───────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from edge.rules.path import CX, CY, LENGTH, TIME, WIDTH, Path, X, Y
from edge.rules.samples import Floats

# Looked at from so long before an instant to so long after it.
BEFORE_S, AFTER_S = 1.0, 0.5
# From so many samples on it is no chance.
LEAST_SAMPLES = 3
# Of the smaller one's length and width: nearer than this in both, one would stand in the other.
INSIDE = 0.5


def is_double(path: Path, others: Iterable[Path], time: float) -> bool:
    """Return whether a vehicle's track runs inside an elder one's around an instant.

    The elder is the one seen first, then the one of the lower number, so that of two tracks exactly one
    counts, whichever was judged first.
    """
    first, last = path.span(time - BEFORE_S, time + AFTER_S)
    rows = path.rows[first : min(last, path.done)]
    if len(rows) < LEAST_SAMPLES:
        return False
    middle = rows[len(rows) // 2]
    time, x, y = middle[[TIME, X, Y]].tolist()
    # Within half its length along and half its width across it is no farther than half of both.
    reach_m = INSIDE * float(middle[LENGTH] + middle[WIDTH])
    elder_than = (path.first_time, path.number)
    return any(
        (other.first_time, other.number) < elder_than
        and other is not path
        and not _far_off(other.rows, time, x, y, reach_m)
        and _inside(rows, other)
        for other in others
        if len(other.rows)
    )


def _inside(rows: Floats, other: Path) -> bool:
    theirs = other.rows
    common = (rows[:, TIME] >= theirs[0, TIME]) & (rows[:, TIME] <= theirs[-1, TIME])
    rows = rows[common]
    if len(rows) < LEAST_SAMPLES:
        return False
    nearest = np.clip(np.searchsorted(theirs[:, TIME], rows[:, TIME]), 0, len(theirs) - 1)
    dx = rows[:, X] - np.interp(rows[:, TIME], theirs[:, TIME], theirs[:, X])
    dy = rows[:, Y] - np.interp(rows[:, TIME], theirs[:, TIME], theirs[:, Y])
    along = np.abs(dx * rows[:, CX] + dy * rows[:, CY])
    across = np.abs(dy * rows[:, CX] - dx * rows[:, CY])
    length = np.minimum(rows[:, LENGTH], theirs[nearest, LENGTH])
    width = np.minimum(rows[:, WIDTH], theirs[nearest, WIDTH])
    return bool(((along < INSIDE * length) & (across < INSIDE * width)).all())


def _far_off(theirs: Floats, time: float, x: float, y: float, reach_m: float) -> bool:
    """Return whether one instant tells already that they do not stand in each other, as of nearly all."""
    # Plain numbers: this is asked of every track for every entry, and numpy's own cost three times as much.
    after = int(theirs[:, TIME].searchsorted(time))
    if after == len(theirs):
        return False
    before = max(after - 1, 0)
    (t0, x0, y0), (t1, x1, y1) = theirs[before, :3].tolist(), theirs[after, :3].tolist()
    if time < t0:
        return False
    share = (time - t0) / (t1 - t0) if t1 > t0 else 0.0
    away = math.hypot(x0 + share * (x1 - x0) - x, y0 + share * (y1 - y0) - y)
    return away > reach_m
