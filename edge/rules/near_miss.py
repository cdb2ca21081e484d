"""Near miss: two road users at the same place within 1.5 s (PET), or 1.5 s before it (TTC).

PET is judged where ways cross, TTC where two move against each other. Followers in a lane have no PET: the
gap between them is a headway. Two pedestrians have no traffic conflict; neither have a standing vehicle and
a pedestrian, nor a vehicle and a pedestrian who is not on the road. Recorded is what is flagged for review:
PET ≤ ``pet_flag_s`` or TTC ≤ ``ttc_flag_s``, one event per pair and encounter.

===========  ==================================================  =======================
flagged by   time                                                road users
===========  ==================================================  =======================
PET          the second enters the conflict area                 first and second inside
TTC alone    TTC is least                                        the faster, the slower
===========  ==================================================  =======================

The place is the crosswalk the smaller road user (of equals: the point between them) was on, else
``junction``.

Source: Allen, Shin & Cooper (1978); Gettman et al., FHWA-HRT-08-051 (2008): thresholds and TTC along the way
really taken, so that a turning car is not projected into the oncoming lane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.measures import Footprints, deceleration_to_avoid_mps2, separation_m, time_to_collision_s
from edge.rules.conflict_area import stays
from edge.rules.extremes import of_dip
from edge.rules.finding import Finding, Measure, Outcome
from edge.rules.gate import EXACT_M
from edge.rules.identity import jumps
from edge.rules.meetings import Meeting
from edge.rules.pair_errors import (
    HALF_TICKS,
    TLEFT,
    TLEFT_MPS,
    position_sigma_m,
    row_at,
    speed_at,
    unbent,
)
from edge.rules.path import HALF_S
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
    TSIGMA,
    TSPEED_SIGMA,
    TVX,
    TVY,
    TWIDTH,
    TX,
    TY,
    TickTrack,
)
from edge.rules.turning import along_ways, drift_mps, narrowed, turning
from edge.rules.verdict import DOUBT_SIGMAS

# Ways that meet at less than this are one behind the other.
CROSSING_DEG = 30.0
MOVING_MPS = 1.0
# Of what a peak stands out half a second to either side, speeds over a second round off so much.
ROUNDED = 0.2
# Longer ones are not worth a number.
LONGEST_TTC_S = 3.0
# Once is noise: a conflict lasts at least this many ticks.
LEAST_TICKS = 2
# A least TTC this close to the end of a track is not known to be the least, nor is the way from there on: a
# car that turns as the recording ends would be projected into the queue beside it.
CUT_TICKS = 3
# A quarter metre off the kerb is where a person waits to cross.
ON_ROAD_M = 0.25


@dataclass(frozen=True, slots=True)
class _Reading:
    """A value at an instant.

    Attributes:
        cut: it may have been no conflict: the track ends there, or within errors the two would not touch.
        instant_sigma_s: error of the instant among the frames, without that of their clock.
        picked: by how much a speed there is too high, over its variance.
    """

    value: float
    sigma: float
    time: float
    x: float
    y: float
    first: TickTrack
    second: TickTrack
    instant_sigma_s: float
    clock_sigma_s: float
    drac: Measure | None = None
    cut: bool = False
    picked: float = 0.0


def near_miss(meeting: Meeting, places: Places) -> Finding | None:
    """Return the finding of one meeting of two road users, or None where they kept their distance."""
    if meeting.first.pedestrian and meeting.second.pedestrian:
        return None
    limits = places.site.thresholds
    meeting = Meeting(unbent(meeting.first), unbent(meeting.second))
    pet = _pet(meeting, limits.pet_record_s)
    ttc = _ttc(meeting, places)
    by_pet = _verdict(pet, limits.pet_flag_s)
    by_ttc = _verdict(ttc, limits.ttc_flag_s)
    if by_pet is None and by_ttc is None:
        return None
    verdict: Outcome = "occurred" if "occurred" in (by_pet, by_ttc) else "undecidable"
    chosen = pet if by_pet == verdict else ttc
    assert chosen is not None
    tick = round(chosen.time / TICK_S)
    places_err_m = [float(row_at(track, tick)[TSIGMA]) for track in (chosen.first, chosen.second)]
    if any(error_m > limits.max_position_sigma_m * 1.001 for error_m in places_err_m):
        # As on the second STRUDL clip: half a second of a car behind a tree is no road user that enters.
        verdict = "undecidable"
    if any(jumps(track.path.rows, chosen.time, chosen.time) for track in (chosen.first, chosen.second)):
        verdict = "undecidable"
    measures = {}
    if pet is not None:
        measures["pet_s"] = Measure(pet.value, pet.sigma)
    if ttc is not None:
        measures["ttc_s"] = Measure(ttc.value, ttc.sigma)
    if ttc is not None and ttc.drac is not None:
        measures["drac_mps2"] = ttc.drac
    measures["conflict_speed_mps"] = _conflict_speed(chosen, tick)
    on_foot = meeting.first.pedestrian or meeting.second.pedestrian
    margin_m = limits.crosswalk_margin_m if on_foot else 0.0
    kinds = [KINDS[int(row_at(track, tick)[TKIND])] for track in (chosen.first, chosen.second)]
    return Finding(
        rule="near_miss",
        outcome=verdict,
        time=chosen.time,
        time_sigma_s=math.hypot(chosen.instant_sigma_s, chosen.clock_sigma_s),
        place=places.place_at(chosen.x, chosen.y, margin_m=margin_m),
        road_user=kinds[0],
        road_user2=kinds[1],
        signal=None,
        measures=measures,
        x=chosen.x,
        y=chosen.y,
        tracks=(chosen.first.path.number, chosen.second.path.number),
    )


def _conflict_speed(chosen: _Reading, tick: int) -> Measure:
    """Return the speed of the faster, freed of that where TTC reads least a closing speed reads too high."""
    tracks = sorted(
        (chosen.first, chosen.second), key=lambda track: -math.hypot(*row_at(track, tick)[[TVX, TVY]])
    )
    own, other = (row_at(track, tick) for track in tracks)
    speed = speed_at(tracks[0], tick, chosen.instant_sigma_s)
    closing = own[[TVX, TVY]] - other[[TVX, TVY]]
    along = float(closing @ own[[TVX, TVY]]) / max(float(np.hypot(*closing)) * speed.value, 1e-9)
    return Measure(speed.value - chosen.picked * along * float(own[TSPEED_SIGMA]) ** 2, speed.sigma)


def _verdict(reading: _Reading | None, flag_s: float) -> Outcome | None:
    if reading is None:
        return None
    error = DOUBT_SIGMAS * reading.sigma
    if reading.value <= flag_s - error and not reading.cut:
        return "occurred"
    return "undecidable" if reading.value <= flag_s + min(error, flag_s) else None


def _pet(meeting: Meeting, record_s: float) -> _Reading | None:
    one, other = meeting.first, meeting.second
    found = stays(one, other)
    if found is None:
        return None
    first, second, passed, entered = one, other, found[0], found[1]
    if entered.enter.time < passed.enter.time:
        first, second, passed, entered = other, one, found[1], found[0]
    pet_s = entered.enter.time - passed.leave.time
    if not 0 <= pet_s <= record_s:
        return None
    leaves, enters = round(passed.leave.time / TICK_S), round(entered.enter.time / TICK_S)
    row, row2 = row_at(first, leaves), row_at(second, enters)
    if _alongside(row, second) or _alongside(row2, first):
        return None
    if math.hypot(row2[TVX], row2[TVY]) < 0.1:
        # It only stands at the edge of what the other swept.
        return None
    x, y = _where(
        (first, round(passed.enter.time / TICK_S), leaves),
        (second, enters, round(entered.leave.time / TICK_S)),
    )
    sigma_s = math.hypot(passed.leave.sigma_s, entered.enter.sigma_s)
    instant = entered.enter
    return _Reading(pet_s, sigma_s, instant.time, x, y, first, second, instant.sigma_s, float(row2[TCLOCK]))


def _where(*stays: tuple[TickTrack, int, int]) -> tuple[float, float]:
    """Return the middle of where the smaller road user was meanwhile; of equals, between the two."""
    lengths = [float(track.rows[0, TLENGTH]) for track, _, _ in stays]
    smallest = [stay for stay, length in zip(stays, lengths, strict=True) if length < 1.5 * min(lengths)]
    middles = []
    for track, start, end in smallest:
        rows = track.between(start, max(end, start)).rows
        rows = rows if len(rows) else row_at(track, start)[None, :]
        middles.append((float(rows[:, TX].mean()), float(rows[:, TY].mean())))
    return float(np.mean([x for x, _ in middles])), float(np.mean([y for _, y in middles]))


def _alongside(row: Floats, other: TickTrack) -> bool:
    """Return whether the other went the same way at this place: it followed, merged or branched off.

    Ways that run together have no conflict area with an end; what is between the two is a headway.
    """
    away = np.hypot(other.rows[:, TX] - row[TX], other.rows[:, TY] - row[TY])
    there = other.rows[int(away.argmin())]
    return bool(row[TCX] * there[TCX] + row[TCY] * there[TCY] > math.cos(math.radians(CROSSING_DEG)))


def _ttc(meeting: Meeting, places: Places) -> _Reading | None:
    start = max(meeting.first.start, meeting.second.start)
    last = min(meeting.first.end, meeting.second.end) - 1
    if last - start + 1 < LEAST_TICKS:
        return None
    near = _near(meeting.first.between(start, last), meeting.second.between(start, last))
    if near is None:
        return None
    start, last = start + near[0], start + near[1]
    one, other = meeting.first.between(start, last), meeting.second.between(start, last)
    eligible = _eligible(one, other, places)
    if not (eligible[1:] & eligible[:-1]).any():
        return None
    series = _series(meeting, one, other, np.flatnonzero(eligible))
    # The second least of neighbours: a single tick is no series.
    lasting = np.minimum(np.maximum(series[:-1], series[1:]), LONGEST_TTC_S + 1)
    at = int(lasting.argmin())
    ttc_s = float(lasting[at])
    if ttc_s > LONGEST_TTC_S:
        return None
    at += int(series[at + 1] < series[at])
    value = float(min(series[at], ttc_s))
    row, row2 = one.rows[at], other.rows[at]
    closing = max(math.hypot(row[TVX] - row2[TVX], row[TVY] - row2[TVY]), 0.3)
    position = math.hypot(position_sigma_m(row), position_sigma_m(row2)) / closing
    speed = value * math.hypot(row[TSPEED_SIGMA], row2[TSPEED_SIGMA]) / closing
    left = value * math.hypot(row[TLEFT_MPS], row2[TLEFT_MPS]) / closing
    sigma = math.hypot(position, speed)
    first, second = (one, other) if one.speeds()[at] >= other.speeds()[at] else (other, one)
    x, y = _where((one, start + at, start + at), (other, start + at, start + at))
    drac = _drac(one, other, np.maximum(series, 0.05))
    cut = start + at + CUT_TICKS >= min(meeting.first.end, meeting.second.end)
    # Who passes close by in the next lane is on a course to collide but for noise.
    doubt_m = DOUBT_SIGMAS * math.hypot(position, speed) * closing
    doubt_m += value * sum(drift_mps(track, start + at) for track in (meeting.first, meeting.second))
    cut |= not _touches(meeting, start + at, less_m=doubt_m)
    dip = of_dip(series, at, sigma, step_s=TICK_S, window_s=2 * HALF_S, slope_share=(speed / sigma) ** 2)
    least = Measure(dip.least.value, math.hypot(dip.least.sigma, left))
    instant = (dip.instant_sigma_s, float(row[TCLOCK]))
    time = (start + at) * TICK_S
    # Of an error of TTC so much is that of the closing speed, and of that each road user's own.
    picked = dip.shift * value / closing / sigma
    return _Reading(least.value, least.sigma, time, x, y, first, second, *instant, drac, cut, picked)


def _eligible(one: TickTrack, other: TickTrack, places: Places) -> NDArray[np.bool_]:
    """Return at which ticks two may conflict: apart, a vehicle moving, a pedestrian on the road."""
    eligible = np.zeros(len(one.rows), dtype=bool)
    for track in (one, other):
        if not track.pedestrian:
            eligible |= track.speeds() >= MOVING_MPS
    road = places.carriageway
    for track in (one, other):
        if track.pedestrian and road is not None and road.has_roadways:
            eligible &= track.rows[:, TDEPTH] > ON_ROAD_M
    at = np.flatnonzero(eligible)
    eligible[at] = separation_m(one.footprints()[at], other.footprints()[at]) > 0
    return eligible


def _series(meeting: Meeting, one: TickTrack, other: TickTrack, at: NDArray[np.intp]) -> Floats:
    """Return TTC at each of some common ticks; ``inf`` elsewhere, most of which nobody need compute."""
    series = np.full(len(one.rows), np.inf)
    rows, rows2 = one.rows[at], other.rows[at]
    series[at] = time_to_collision_s(
        one.footprints()[at],
        other.footprints()[at],
        rows2[:, TVX] - rows[:, TVX],
        rows2[:, TVY] - rows[:, TVY],
    )
    ticks = one.start + at
    turns = turning(meeting.first, ticks) | turning(meeting.second, ticks)
    if turns.any():
        series[at[turns]] = along_ways(meeting, ticks[turns])
    return series


def _touches(meeting: Meeting, tick: int, *, less_m: float) -> bool:
    """Return whether the two would touch at all, were each narrower and shorter by half of so much."""
    ticks = np.array([tick])
    if (turning(meeting.first, ticks) | turning(meeting.second, ticks)).any():
        return bool(np.isfinite(along_ways(meeting, ticks, less_m=less_m)[0]))
    rows = [row_at(track, tick) for track in (meeting.first, meeting.second)]
    one, other = (
        Footprints(
            *(row[[column]] for column in (TX, TY, TCX, TCY)),
            *(narrowed(row[[column]] / 2, less_m) for column in (TLENGTH, TWIDTH)),
        )
        for row in rows
    )
    closing_x, closing_y = (rows[1][[column]] - rows[0][[column]] for column in (TVX, TVY))
    return bool(np.isfinite(time_to_collision_s(one, other, closing_x, closing_y))[0])


def _drac(one: TickTrack, other: TickTrack, ttc_s: Floats) -> Measure:
    """Return the largest DRAC of a series, u² / 2g, with the errors of the closing speed u and the gap g.

    A slope over ± h by least squares weighs with h² - t², so it rounds a parabola's peak off by a fifth of
    what it stands out at ± h, a flatter one by nothing, a sharper one by more: by anything up to twice that.
    """
    closing_mps = np.hypot(one.rows[:, TVX] - other.rows[:, TVX], one.rows[:, TVY] - other.rows[:, TVY])
    series = deceleration_to_avoid_mps2(closing_mps, ttc_s)
    at = int(series.argmax())
    value, closing = float(series[at]), max(float(closing_mps[at]), 0.3)
    rows = (one.rows[at], other.rows[at])
    speed = 2 * math.hypot(*(float(row[TSPEED_SIGMA]) for row in rows)) / closing
    left = 2 * math.hypot(*(float(row[TLEFT_MPS]) for row in rows)) / closing
    gap = math.hypot(*(position_sigma_m(row) for row in rows)) / max(closing * float(ttc_s[at]), EXACT_M)
    share = math.hypot(speed, gap)
    peak = of_dip(
        -series, at, value * share, step_s=TICK_S, window_s=2 * HALF_S, slope_share=(speed / share) ** 2
    ).least
    sides = series[[max(at - HALF_TICKS, 0), min(at + HALF_TICKS, len(series) - 1)]]
    rounded = ROUNDED * max(-peak.value - float(sides.mean()), 0.0) * max(float(row[TLEFT]) for row in rows)
    return Measure(rounded - peak.value, math.hypot(peak.sigma, value * left, rounded / math.sqrt(3)))


def _near(one: TickTrack, other: TickTrack) -> tuple[int, int] | None:
    """Return the first and last tick at which the two could touch within the longest TTC."""
    away = np.hypot(one.rows[:, TX] - other.rows[:, TX], one.rows[:, TY] - other.rows[:, TY])
    reach = sum(float(np.hypot(*track.rows[0, TLENGTH : TWIDTH + 1])) / 2 for track in (one, other))
    near = np.flatnonzero(away - reach <= (one.speeds() + other.speeds()) * LONGEST_TTC_S)
    return (int(near[0]), int(near[-1])) if len(near) >= LEAST_TICKS else None
