"""Whether a track is one road user's: where it goes on elsewhere than it went, two may have swapped.

Trackers swap two that come near each other, and take one for another that has gone. Where a track jumps near
the instant of a verdict, nobody knows whose verdict it is.
"""

from __future__ import annotations

import numpy as np

from edge.rules.path import SIGMA, TIME, UNTOLD_M, X, Y
from edge.rules.samples import Floats

# A jump this far from where the track led to, and this long before or after, is too near.
JUMP_M, JUMP_SIGMAS, NEAR_S = 0.7, 5.0, 1.0
# Nothing on a road brakes or turns harder.
HARDEST_MPS2 = 10.0
# No vehicle at a junction is faster; a step beyond that and this much slip of its box is none of a vehicle.
FASTEST_MPS, SLIP_M = 50.0, 2.0


def jumps(rows: Floats, start: float, end: float) -> bool:
    """Return whether the rows of a path jump from a second before ``start`` to a second after ``end``.

    Each position is held against where the two before lead to. Braking or turning as hard as can be moves it
    by a·dt² at most; noise by five of √(1 + (1 + r)² + r²) sigma, r the ratio of the two steps in time.
    """
    near = rows[(rows[:, TIME] >= start - NEAR_S) & (rows[:, TIME] <= end + NEAR_S)]
    if len(near) < 3:
        return False
    steps = np.maximum(np.diff(near[:, TIME]), 1e-3)
    ratio = steps[1:] / steps[:-1]
    off = [each[2:] - each[1:-1] - ratio * (each[1:-1] - each[:-2]) for each in (near[:, X], near[:, Y])]
    sigma = np.nan_to_num(near[2:, SIGMA], nan=UNTOLD_M)
    spread = np.sqrt(1 + (1 + ratio) ** 2 + ratio**2) * sigma
    hardest = HARDEST_MPS2 * steps[1:] * (steps[1:] + steps[:-1]) / 2
    return bool((np.hypot(*off) > JUMP_M + hardest + JUMP_SIGMAS * spread).any())


def jumped(rows: Floats) -> bool:
    """Return whether a track went further between two samples than any vehicle: a slip, or another's."""
    way = np.hypot(np.diff(rows[:, X]), np.diff(rows[:, Y]))
    sigma = np.nan_to_num(rows[:, SIGMA], nan=0.0)
    return bool((way > FASTEST_MPS * np.diff(rows[:, TIME]) + SLIP_M + 3 * (sigma[1:] + sigma[:-1])).any())
