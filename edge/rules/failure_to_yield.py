"""Failure to yield: a vehicle drives over a crosswalk close in front of a pedestrian who is on it by right.

By right: the pedestrian was on the carriageway within the crosswalk before the vehicle reached it, and had
not started against the signal (``pedestrian_signal.begun``). Close in front: where their ways cross, the
pedestrian arrives within two seconds of the vehicle's leaving, or has stopped on the crosswalk within two
metres of it, or both were there together: they touched. A vehicle that passes behind has yielded; one that
stood on the crosswalk first had nobody to yield to.

The instant is that at which the vehicle's front reaches the crosswalk; ``gap_s`` is the pedestrian's time
gap where it arrived.

Source: Uniform Vehicle Code 11-502(a); gap of a vehicle passing in front of a pedestrian: van Houten et al.,
Transportation Research Record 2519 (2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely

from calibration.site import Crosswalk
from edge.measures import separation_m
from edge.rules.conflict_area import stays
from edge.rules.finding import Finding, Measure, Outcome
from edge.rules.identity import jumps
from edge.rules.meetings import Meeting
from edge.rules.pair_errors import (
    instant_sigma_s,
    row_at,
    speed_at,
    unbent,
)
from edge.rules.places import Places
from edge.rules.samples import KINDS, Floats
from edge.rules.ticks import (
    TCLOCK,
    TCX,
    TCY,
    TDEPTH,
    TICK_S,
    TKIND,
    TLENGTH,
    TX,
    TY,
    TickTrack,
    tick_after,
)
from edge.scene import State

CLOSE_S = 2.0
CLOSE_M = 2.0
# Bodies in one place for less than this may be noise: the vehicle passed right behind.
TOGETHER_S = 0.3
MOVING_MPS = 1.0
STANDING_MPS = 0.3
# Who stands this far off the crosswalk has half of the body on it.
BODY_M = 0.25


@dataclass(frozen=True, slots=True)
class Claim:
    """A pedestrian's start at a crosswalk, and every state the signal may have shown (none: no signal)."""

    time: float
    crosswalk: Crosswalk
    states: frozenset[State]


def failure_to_yield(meeting: Meeting, claims: dict[int, list[Claim]], places: Places) -> Finding | None:
    """Return the finding of one meeting, or None where nobody had to yield or somebody did."""
    if meeting.first.pedestrian == meeting.second.pedestrian:
        return None
    walker, vehicle = (
        (meeting.first, meeting.second) if meeting.first.pedestrian else (meeting.second, meeting.first)
    )
    started = claims.get(walker.path.serial)
    if not started:
        return None
    walker, vehicle = unbent(walker), unbent(vehicle)
    for claim in started:
        if "red" in claim.states and claim.states == {"red"}:
            continue
        time = _reaches(vehicle, claim.crosswalk)
        if time is None or time <= claim.time:
            continue
        tick = tick_after(time)
        verdict: Outcome = "undecidable" if claim.states - {"green", "amber"} else "occurred"
        if any(jumps(track.path.rows, time, time) for track in (walker, vehicle)):
            verdict = "undecidable"
        found = _cut_off(walker, vehicle, tick, claim.crosswalk, places)
        if found is not None:
            return _finding(walker, vehicle, time, claim, verdict, gap=found)
    return None


def _reaches(vehicle: TickTrack, crosswalk: Crosswalk) -> float | None:
    """Return when the front reaches the crosswalk, driving; None if it was there before."""
    rows = vehicle.rows
    x = rows[:, TX] + rows[:, TLENGTH] / 2 * rows[:, TCX]
    y = rows[:, TY] + rows[:, TLENGTH] / 2 * rows[:, TCY]
    shape = shapely.Polygon(crosswalk.polygon)
    on = np.flatnonzero(shapely.contains_xy(shape, x, y))
    if not len(on) or on[0] == 0 or vehicle.speeds()[on[0]] < MOVING_MPS:
        return None
    first = int(on[0])
    away, inside = shapely.distance(
        shape.boundary, shapely.points(x[first - 1 : first + 1], y[first - 1 : first + 1])
    )
    return (vehicle.start + first - float(inside / max(away + inside, 1e-9))) * TICK_S


def _cut_off(
    walker: TickTrack, vehicle: TickTrack, tick: int, crosswalk: Crosswalk, places: Places
) -> Measure | None:
    """Return the gap behind the vehicle, NaN if the pedestrian stopped or was hit; None if not cut off."""
    if not walker.start <= tick < walker.end:
        return None
    row = walker.rows[tick - walker.start]
    # Who stands past the end of the crosswalk, at a round corner, say, waits for another one.
    stands = walker.speeds()[tick - walker.start] < STANDING_MPS
    margin_m = BODY_M if stands else places.site.thresholds.crosswalk_margin_m
    if not row[TDEPTH] > 0 or _off_m(row, crosswalk) > margin_m:
        return None
    found = stays(walker, vehicle)
    if found is not None:
        arrives, passes = found[0].enter, found[1].leave
        gap_s = arrives.time - passes.time
        if gap_s < 0:
            together_s = min(each.leave.time for each in found) - max(each.enter.time for each in found)
            return Measure(math.nan, math.nan) if together_s > TOGETHER_S else None
        if gap_s <= CLOSE_S:
            return Measure(gap_s, math.hypot(arrives.sigma_s, passes.sigma_s))
    # It came later or never: it may have stopped on the road and let the vehicle pass.
    common = (max(walker.start, vehicle.start), min(walker.end, vehicle.end) - 1)
    one, other = walker.between(*common), vehicle.between(*common)
    if not len(one.rows):
        return None
    apart = separation_m(one.footprints(), other.footprints())
    nearest = int(apart.argmin())
    stopped = one.speeds()[nearest] < STANDING_MPS and one.rows[nearest, TDEPTH] > 0
    stopped &= _off_m(one.rows[nearest], crosswalk) <= BODY_M
    if not (stopped and apart[nearest] < CLOSE_M and _facing(one, other, nearest)):
        return None
    return Measure(math.nan, math.nan)


def _off_m(row: Floats, crosswalk: Crosswalk) -> float:
    return float(shapely.distance(shapely.Point(row[TX], row[TY]), shapely.Polygon(crosswalk.polygon)))


def _facing(walker: TickTrack, vehicle: TickTrack, at: int) -> bool:
    """Return whether the way of the pedestrian leads on to where the vehicle is."""
    row, there = walker.rows[at], vehicle.rows[at]
    return bool(row[TCX] * (there[TX] - row[TX]) + row[TCY] * (there[TY] - row[TY]) > 0)


def _finding(
    walker: TickTrack, vehicle: TickTrack, time: float, claim: Claim, verdict: Outcome, *, gap: Measure
) -> Finding:
    tick = tick_after(time)
    row = row_at(vehicle, tick)
    instant_s = instant_sigma_s(row)
    measures = {"speed_mps": speed_at(vehicle, tick, instant_s)}
    if math.isfinite(gap.value):
        measures["gap_s"] = gap
    return Finding(
        rule="failure_to_yield",
        outcome=verdict,
        time=time,
        time_sigma_s=math.hypot(instant_s, float(row[TCLOCK])),
        place=claim.crosswalk.id,
        road_user=KINDS[int(row[TKIND])],
        signal=None,
        measures=measures,
        x=float(row[TX]),
        y=float(row[TY]),
        tracks=(vehicle.path.number, walker.path.number),
    )
