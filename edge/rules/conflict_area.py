"""When two road users were in their conflict area, and how sure each of these instants is.

The area is what both swept (``edge.measures``). An instant at its edge errs by the road user's own position
and by where the edge is. The edge is the outermost of all places at which the other was, so noise carries it
too far out, by as much as the largest of a sliding average (``extremes.py``): that is taken out. Both errors
are metres across the edge; over the speed at which the two came together or apart there they are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.measures import separation_m, touching
from edge.rules.extremes import of_readings
from edge.rules.pair_errors import SLOWEST_MPS, noise_m, position_sigma_m
from edge.rules.path import HALF_S
from edge.rules.samples import Floats, Integers
from edge.rules.ticks import TICK_S, TVX, TVY, TickTrack

# What somebody's speed may change within a second, and so how far a way bends off the chord of two ticks.
ACCELERATION_MPS2 = 3.0
BEND_M = ACCELERATION_MPS2 * TICK_S**2 / 8 / math.sqrt(3)


@dataclass(frozen=True, slots=True)
class Edge:
    """An instant at the edge of the conflict area, seconds, with its 1-sigma error against the same clock."""

    time: float
    sigma_s: float


@dataclass(frozen=True, slots=True)
class Stay:
    """When one road user came into the conflict area and left it."""

    enter: Edge
    leave: Edge


def stays(one: TickTrack, other: TickTrack) -> tuple[Stay, Stay] | None:
    """Return when each of two was in their conflict area; None where their ways do not meet."""
    met = touching(one.footprints(), other.footprints())
    if met is None:
        return None
    found = _stay(one, other, met[0]), _stay(other, one, met[1])
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _stay(own: TickTrack, other: TickTrack, inside: Integers) -> Stay | None:
    """Return the stay of one; ``inside``: the rows at which it touches what the other swept."""
    enter = _edge(own, other, int(inside.min()), -1)
    leave = _edge(own, other, int(inside.max()), 1)
    return None if enter is None or leave is None else Stay(enter, leave)


def _edge(own: TickTrack, other: TickTrack, inside: int, step: int) -> Edge | None:
    """Return when an edge was passed, near a tick inside; None if only noise was in it."""
    outside = inside + step
    if not 0 <= outside < len(own.rows):
        row = own.rows[inside]
        speed = max(math.hypot(row[TVX], row[TVY]), SLOWEST_MPS)
        return Edge((own.start + inside) * TICK_S, position_sigma_m(row) / speed)
    footprints, swept = own.footprints(), other.footprints()

    def apart_m(row: int) -> Floats:
        return separation_m(footprints[row : row + 1], swept)

    there = apart_m(outside)
    spread_m = noise_m(other.rows[int(there.argmin())])
    edge = of_readings(other.times(), there, spread_m, "mean", window_s=2 * HALF_S, sign=-1.0)
    # The edge is really farther in: whoever is out of it by less was inside as seen.
    beyond_m = float(there.min())
    limit_m = beyond_m - edge.value
    within_m = float(apart_m(inside).min())
    while not within_m <= limit_m < beyond_m:
        inside, beyond_m = inside - step, within_m
        if not 0 <= inside < len(own.rows):
            return None
        within_m = float(apart_m(inside).min())
    share = (limit_m - within_m) / max(beyond_m - within_m, 1e-9)
    error_m = math.hypot(position_sigma_m(own.rows[inside]), edge.sigma, BEND_M)
    speed = max((beyond_m - within_m) / TICK_S, SLOWEST_MPS)
    return Edge((own.start + inside + step * share) * TICK_S, error_m / speed)
