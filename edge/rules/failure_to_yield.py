"""Failure to yield: a vehicle drives over a crosswalk close in front of a pedestrian who is on it by right.

By right: the pedestrian was on the carriageway within the crosswalk before the vehicle reached it, and had
not started against the signal. Close in front: where their ways cross, the pedestrian arrives within two
seconds of the vehicle's leaving, or has stopped on the road within two metres of it. A vehicle that passes
behind has yielded; one that stood on the crosswalk first had nobody to yield to.

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
from edge.measures import passages, separation_m
from edge.rules.finding import Finding, Measure, Outcome
from edge.rules.meetings import Meeting
from edge.rules.places import Places
from edge.rules.samples import KINDS
from edge.rules.ticks import TCX, TCY, TDEPTH, TICK_S, TKIND, TLENGTH, TX, TY, TickTrack
from edge.scene import State

CLOSE_S = 2.0
CLOSE_M = 2.0
MOVING_MPS = 1.0
STANDING_MPS = 0.3


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
    for claim in claims.get(walker.path.serial, []):
        if "red" in claim.states and claim.states == {"red"}:
            continue
        tick = _reaches(vehicle, claim.crosswalk)
        if tick is None or tick * TICK_S <= claim.time:
            continue
        verdict: Outcome = "undecidable" if claim.states - {"green", "amber"} else "occurred"
        found = _cut_off(walker, vehicle, tick, claim.crosswalk, places)
        if found is not None:
            return _finding(walker, vehicle, tick, claim, verdict, gap_s=found)
    return None


def _reaches(vehicle: TickTrack, crosswalk: Crosswalk) -> int | None:
    """Return the first tick at which the front is on the crosswalk, driving; None if it was there before."""
    rows = vehicle.rows
    x = rows[:, TX] + rows[:, TLENGTH] / 2 * rows[:, TCX]
    y = rows[:, TY] + rows[:, TLENGTH] / 2 * rows[:, TCY]
    on = np.flatnonzero(shapely.contains_xy(shapely.Polygon(crosswalk.polygon), x, y))
    if not len(on) or on[0] == 0 or vehicle.speeds()[on[0]] < MOVING_MPS:
        return None
    return vehicle.start + int(on[0])


def _cut_off(
    walker: TickTrack, vehicle: TickTrack, tick: int, crosswalk: Crosswalk, places: Places
) -> float | None:
    """Return the gap behind the vehicle, NaN if the pedestrian stopped for it; None if not cut off."""
    if not walker.start <= tick < walker.end:
        return None
    row = walker.rows[tick - walker.start]
    off = shapely.distance(shapely.Point(row[TX], row[TY]), shapely.Polygon(crosswalk.polygon))
    if not row[TDEPTH] > 0 or off > places.site.thresholds.crosswalk_margin_m:
        return None
    found = passages(walker.times(), walker.footprints(), vehicle.times(), vehicle.footprints())
    if found is not None:
        arrives, passes = found
        gap_s = arrives.enter - passes.leave
        if gap_s < 0:
            return None
        if gap_s <= CLOSE_S:
            return gap_s
    # It came later or never: it may have stopped on the road and let the vehicle pass.
    common = (max(walker.start, vehicle.start), min(walker.end, vehicle.end) - 1)
    one, other = walker.between(*common), vehicle.between(*common)
    if not len(one.rows):
        return None
    apart = separation_m(one.footprints(), other.footprints())
    nearest = int(apart.argmin())
    stopped = one.speeds()[nearest] < STANDING_MPS and one.rows[nearest, TDEPTH] > 0
    return math.nan if stopped and apart[nearest] < CLOSE_M and _facing(one, other, nearest) else None


def _facing(walker: TickTrack, vehicle: TickTrack, at: int) -> bool:
    """Return whether the way of the pedestrian leads on to where the vehicle is."""
    row, there = walker.rows[at], vehicle.rows[at]
    return bool(row[TCX] * (there[TX] - row[TX]) + row[TCY] * (there[TY] - row[TY]) > 0)


def _finding(
    walker: TickTrack, vehicle: TickTrack, tick: int, claim: Claim, verdict: Outcome, *, gap_s: float
) -> Finding:
    row = vehicle.rows[tick - vehicle.start]
    measures = {"speed_mps": Measure(float(vehicle.speeds()[tick - vehicle.start]), math.nan)}
    if math.isfinite(gap_s):
        measures["gap_s"] = Measure(gap_s, TICK_S / 2)
    return Finding(
        rule="failure_to_yield",
        outcome=verdict,
        time=(tick - 0.5) * TICK_S,
        time_sigma_s=TICK_S / 2,
        place=claim.crosswalk.id,
        road_user=KINDS[int(row[TKIND])],
        signal=None,
        measures=measures,
        x=float(row[TX]),
        y=float(row[TY]),
        tracks=(vehicle.path.number, walker.path.number),
    )
