"""True failures to yield of a SUMO street, from SUMO's own crossings, lamps and shapes.

A pedestrian is on a crosswalk while SUMO has it on that crossing's edge; a vehicle reaches the crosswalk when
its front, SUMO's position, is first within SUMO's crossing. Whether the pedestrian was there by right is
SUMO's lamp at its start (``truths``). Close in front: docs/rules/failure_to_yield.md, between outlines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from tests.sumo.moves import Trip
from tests.sumo.truths import Started

CLOSE_S, CLOSE_M = 2.0, 2.0
# Bodies there together for so long have touched.
TOGETHER_S = 0.3
MOVING_MPS, MOVING_MARGIN = 1.0, 0.3
STANDING_MPS, STANDING_MARGIN = 0.3, 0.25
AROUND_S = 15.0
# SUMO moves who steps from walking area to crossing by up to a metre at once: nothing is told of that moment.
AROUND_LEAP_S = 1.0
# Instants and gaps this near to what decides may be told either way.
MARGIN_S, MARGIN_M = 0.15, 0.3


@dataclass(frozen=True)
class Unyielding:
    """One vehicle before one pedestrian, when its front reached the crosswalk."""

    time: float
    place: str
    kind: str
    unsure: bool
    gap_s: float
    names: tuple[str, str]


def failures_to_yield(
    trips: list[Trip], started: list[Started], crossings: dict[str, Any]
) -> Iterator[Unyielding]:
    """Return every one; ``crossings`` are SUMO's, by the crosswalk's name, as shapely areas."""
    by_name = {trip.name: trip for trip in trips}
    vehicles = [trip for trip in trips if not trip.walks]
    for start in started:
        walker, area = by_name.get(start.name), crossings.get(start.place)
        if walker is None or area is None or start.state == "red":
            continue
        there = np.flatnonzero([edge == start.edge for edge in walker.edges])
        there = there[walker.time[there] >= start.time - 1.0]
        if not len(there):
            continue
        # Within it without a break: one comes back over the same crossing later.
        breaks = np.flatnonzero(np.diff(there) > 1)
        on = there[: int(breaks[0]) + 1] if len(breaks) else there
        for vehicle in vehicles:
            if vehicle.time[0] < walker.time[on[-1]] and vehicle.time[-1] > walker.time[on[0]]:
                found = _before(vehicle, walker, on, start, area)
                if found is not None:
                    yield found


def _before(vehicle: Trip, walker: Trip, on: Any, start: Started, area: Any) -> Unyielding | None:
    reached = _reaches(vehicle, area)
    if reached is None or not start.time - MARGIN_S < reached[0] < walker.time[on[-1]] + MARGIN_S:
        return None
    time, index = reached
    speed = float(vehicle.speed[index])
    if speed < MOVING_MPS - MOVING_MARGIN:
        return None
    unsure = start.unsure or abs(time - start.time) < MARGIN_S or abs(time - walker.time[on[-1]]) < MARGIN_S
    unsure |= speed < MOVING_MPS + MOVING_MARGIN or walker.leaps(time, AROUND_LEAP_S)
    # What happens long before and after is no part of it.
    some = [trip.part(np.abs(trip.time - time) <= AROUND_S) for trip in (walker, vehicle)]
    walker, vehicle = some
    ways = [trip.outlines() for trip in some]
    gap_s, together_s = _gap_s(walker, vehicle, *ways)
    if together_s is not None:
        if together_s < TOGETHER_S - MARGIN_S:
            return None
        unsure |= together_s < TOGETHER_S + MARGIN_S
        return Unyielding(time, start.place, vehicle.kind, bool(unsure), 0.0, (vehicle.name, walker.name))
    if gap_s is not None and gap_s < 0:
        return None
    if gap_s is not None and gap_s <= CLOSE_S + MARGIN_S:
        unsure |= gap_s > CLOSE_S - MARGIN_S or gap_s < MARGIN_S / 3
        return Unyielding(time, start.place, vehicle.kind, bool(unsure), gap_s, (vehicle.name, walker.name))
    stopped = _stopped(walker, vehicle, *ways)
    if stopped is None:
        return None
    return Unyielding(
        time, start.place, vehicle.kind, bool(unsure or stopped), float("nan"), (vehicle.name, walker.name)
    )


def _reaches(vehicle: Trip, area: Any) -> tuple[float, int] | None:
    x, y = vehicle.front()
    within = np.flatnonzero(shapely.contains_xy(area, x, y))
    if not len(within) or within[0] == 0:
        return None
    first = int(within[0])
    step = float(vehicle.time[first] - vehicle.time[first - 1])
    before = shapely.distance(area, shapely.Point(x[first - 1], y[first - 1]))
    return float(vehicle.time[first - 1]) + min(before / max(vehicle.speed[first], 0.05), step), first


def _gap_s(walker: Trip, vehicle: Trip, steps: Any, driven: Any) -> tuple[float | None, float | None]:
    """Return from the vehicle's leaving to the pedestrian's entering, and for how long both were there.

    The gap is below 0 where the pedestrian came first; None where the ways do not meet. For how long both
    were there is None where they were not.
    """
    walked, swept = shapely.union_all(steps), shapely.union_all(driven)
    shapely.prepare(walked)
    shapely.prepare(swept)
    own = walker.time[np.flatnonzero(shapely.intersects(swept, steps))]
    other = vehicle.time[np.flatnonzero(shapely.intersects(walked, driven))]
    if not len(own) or not len(other):
        return None, None
    together_s = float(min(own[-1], other[-1]) - max(own[0], other[0]))
    return float(own[0] - other[-1]), together_s if together_s > 0 else None


def _stopped(walker: Trip, vehicle: Trip, steps: Any, driven: Any) -> bool | None:
    """Return whether it is unsure that the pedestrian stopped close to the vehicle; None if it did not."""
    start, end = max(walker.time[0], vehicle.time[0]), min(walker.time[-1], vehicle.time[-1])
    a = np.flatnonzero((walker.time >= start - 1e-6) & (walker.time <= end + 1e-6))
    b = np.flatnonzero((vehicle.time >= start - 1e-6) & (vehicle.time <= end + 1e-6))
    count = min(len(a), len(b))
    if not count:
        return None
    apart = shapely.distance(steps[a[:count]], driven[b[:count]])
    at = int(apart.argmin())
    row = int(a[at])
    if walker.speed[row] > STANDING_MPS + STANDING_MARGIN or walker.out_m[row] <= 0:
        return None
    if apart[at] > CLOSE_M + MARGIN_M:
        return None
    cx, cy = walker.faces(row)
    facing = cx * (vehicle.x[b[at]] - walker.x[row]) + cy * (vehicle.y[b[at]] - walker.y[row])
    if facing < -MARGIN_M:
        return None
    unsure = abs(walker.speed[row] - STANDING_MPS) < STANDING_MARGIN or apart[at] > CLOSE_M - MARGIN_M
    return bool(unsure or facing < MARGIN_M or walker.out_m[row] < 0.1)
