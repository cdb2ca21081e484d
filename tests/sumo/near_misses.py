"""True near misses of a SUMO street, from SUMO's own shapes step by step and the textbook's definitions.

Nothing of ``edge`` is asked. Outlines are shapely polygons at SUMO's positions, angles, lengths and widths.

- PET: what each swept is the union of its outlines; one is inside the conflict area while its outline touches
  what the other swept. Entry of the second minus exit of the first; none if both were inside together (Allen,
  Shin & Cooper 1978), or where the ways run together (less than 30 degrees).
- TTC: at each step both keep their outline's speed and direction until the outlines touch; a vehicle that
  turns keeps to the way it takes (FHWA-HRT-08-051). None where no vehicle does 1 m/s, or who walks is off the
  crossing.

What lies within a margin of a threshold may be said or not: ``unsure``, excused on both sides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely

from tests.sumo.moves import Floats, Trip, outlines

FLAG_S = 1.5
# Our speeds are those of the second around, SUMO's those of one step.
MARGIN_S = 0.15
# A speed is that over so many steps before and after.
SPEED_STEPS = 2
# A gap so near to none may be one or not: PET is undefined where both are inside.
TOUCH_MARGIN_S = 0.25
# SUMO moves who steps from walking area to crossing by up to a metre at once: times about it mean nothing.
LEAP_S = 1.5
# What is looked at twice a second sees a TTC that lasts for this long.
LASTS_S = 0.6
# Who creeps in a queue does one or another step of 1 m/s: sure is who is faster, or slower, than these.
SLOWEST_MPS, FAST_MPS = 0.7, 2.0
ON_ROAD_M, ON_ROAD_MARGIN_M = 0.25, 0.12
TOGETHER_DEG, TOGETHER_MARGIN_DEG = 30.0, 6.0
STANDING_MPS = 0.1
STRIDE_M = 0.5
# Two are in one encounter while no more than this passes between what is flagged.
QUIET_S, QUIET_MARGIN_S = 5.0, 2.0
# A place this near the border of a crosswalk may be either side of it.
BORDER_M = 0.35
ON_FOOT_M = 1.0
# A vehicle turns whose heading changes so much from a second before to three seconds after.
TURN_DEG, TURN_MARGIN_DEG, TURN_BEFORE_S, TURN_AFTER_S = 20.0, 6.0, 1.0, 3.0
# What belongs to one meeting lies within so much of the moments at which the two came near.
AROUND_S = 5.0
# Outlines so far apart make the area a body swept.
SWEPT_EVERY_M = 0.2
HORIZON_S, AHEAD_S = 2.0, 0.1
# As flat a series as this has its least anywhere in it.
FLAT_S = 0.06
TOLERANCE_S = 0.5
OPEN_S = 1.5


@dataclass(frozen=True)
class Flag:
    """PET or TTC of a pair: value, when, where, and whether it may be said either way."""

    value: float
    time: float
    place: tuple[float, float]
    unsure: bool
    pet: bool


@dataclass(frozen=True)
class NearMiss:
    """One encounter; ``times`` and ``places`` of an unsure one are all it may be told at."""

    times: tuple[float, ...]
    places: tuple[str, ...]
    kinds: tuple[str, str]
    names: tuple[str, str]
    unsure: bool
    why: str
    value_s: float
    pet: bool


def near_misses(trips: list[Trip], crossings: dict[str, Any]) -> Iterator[NearMiss]:
    """Return the near misses among some trips; ``crossings`` are SUMO's, by name, as shapely areas."""
    trips = [_moving(trip) for trip in trips]
    ways = {trip.name: _Way.of(trip) for trip in trips}
    for one, other in itertools.combinations(sorted(trips, key=lambda trip: trip.name), 2):
        if one.walks and other.walks:
            continue
        start, end = max(one.time[0], other.time[0]), min(one.time[-1], other.time[-1])
        # Who leaves before the other comes has shared a place with it all the same.
        if start > end + FLAG_S + MARGIN_S:
            continue
        flags = [*_pet(ways[one.name], ways[other.name]), *_ttc(one, other, (start, end))]
        yield from _encounters(one, other, flags, crossings)


def _moving(trip: Trip) -> Trip:
    """Return a trip with the speed at which its outline moves.

    SUMO's own is that of the front along the lane; a body that turns or changes lanes moves by less.
    """
    time, x, y = trip.time, trip.x, trip.y
    index = np.arange(len(time))
    low, high = np.maximum(index - SPEED_STEPS, 0), np.minimum(index + SPEED_STEPS, len(time) - 1)
    speed = np.hypot(x[high] - x[low], y[high] - y[low]) / (time[high] - time[low])
    return replace(trip, speed=speed)


@dataclass(frozen=True)
class _Way:
    """A trip with its outlines, what they swept, and every fourth step of it."""

    trip: Trip
    shapes: Any
    swept: Any
    few: Floats

    @classmethod
    def of(cls, trip: Trip) -> _Way:
        shapes = trip.outlines()
        way = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(trip.x), np.diff(trip.y)))))
        moved = np.append(np.diff(np.floor(way / SWEPT_EVERY_M)) > 0, True)
        moved[0] = True
        area = shapely.union_all(shapes[moved])
        shapely.prepare(area)
        return cls(trip, shapes, area, np.stack([trip.time, trip.x, trip.y])[:, ::4])

    def near(self, other: _Way) -> list[tuple[float, float]]:
        """Return the stretches around the moments at which both were at one place, one after the other."""
        (time, x, y), (time2, x2, y2) = self.few, other.few
        reach = sum(math.hypot(way.trip.length_m, way.trip.width_m) for way in (self, other)) / 2
        # Of few steps: the bodies are long, and the areas of large ones are left later than their middle.
        soon = np.abs(time[:, None] - time2) <= FLAG_S + MARGIN_S + 1.0
        at = np.nonzero(soon & (np.hypot(x[:, None] - x2, y[:, None] - y2) < reach + 1.0))
        stretches: list[tuple[float, float]] = []
        for moment in np.unique(np.concatenate([time[at[0]], time2[at[1]]])).tolist():
            if stretches and moment - stretches[-1][1] <= 2 * AROUND_S:
                stretches[-1] = (stretches[-1][0], moment)
            else:
                stretches.append((moment, moment))
        return [(start - AROUND_S, end + AROUND_S) for start, end in stretches]

    def part(self, span: tuple[float, float]) -> _Way:
        keep = (self.trip.time >= span[0]) & (self.trip.time <= span[1])
        return self if keep.all() else _Way.of(self.trip.part(keep))


def _pet(own: _Way, foe: _Way) -> Iterator[Flag]:
    for span in own.near(foe) if own.swept.intersects(foe.swept) else ():
        one, other = own.part(span), foe.part(span)
        if len(one.trip.time) > 1 and len(other.trip.time) > 1:
            yield from _passed(one, other)


def _passed(one: _Way, other: _Way) -> Iterator[Flag]:
    inside = []
    for way, area in ((one, other.swept), (other, one.swept)):
        trip = way.trip
        on = np.flatnonzero(shapely.intersects(area, way.shapes))
        if not len(on):
            return
        first, last = int(on[0]), int(on[-1])
        enter, leave = float(trip.time[first]), float(trip.time[last])
        if first > 0:
            enter -= _since(area, way.shapes[first - 1], trip, first - 1)
        if last + 1 < len(trip.time):
            leave += _since(area, way.shapes[last + 1], trip, last + 1)
        inside.append((enter, leave, first, last, trip))
    early, late = sorted(inside, key=lambda each: each[0])
    (_, leaves, came, last, first_in), (enters, _, entered, left, second) = early, late
    pet_s = enters - leaves
    if not -TOUCH_MARGIN_S <= pet_s <= FLAG_S + MARGIN_S:
        return
    angle = min(_angle_deg(first_in, last, second), _angle_deg(second, entered, first_in))
    around = np.abs(second.time - enters) <= 0.5
    slow = float(second.speed[around].mean())
    if angle < TOGETHER_DEG - TOGETHER_MARGIN_DEG or slow < STANDING_MPS / 2:
        return
    unsure = abs(pet_s - FLAG_S) < MARGIN_S or pet_s < TOUCH_MARGIN_S
    unsure |= any(trip.leaps(time, LEAP_S) for trip in (first_in, second) for time in (leaves, enters))
    unsure |= angle < TOGETHER_DEG + TOGETHER_MARGIN_DEG or slow < 5 * STANDING_MPS
    unsure |= entered == 0 or last == len(first_in.time) - 1
    where = _middle((first_in, slice(came, last + 1)), (second, slice(entered, left + 1)))
    yield Flag(pet_s, enters, where, bool(unsure), pet=True)


def _since(area: Any, shape: Any, trip: Trip, index: int) -> float:
    """Return how much of a step an outline was inside already, from how far off it was at its other end."""
    step = float(trip.time[1] - trip.time[0])
    return step - min(float(shapely.distance(area, shape)) / max(float(trip.speed[index]), 0.05), step)


def _angle_deg(trip: Trip, index: int, other: Trip) -> float:
    """Return at which angle the other passed the place where one was."""
    there = int(np.argmin(np.hypot(other.x - trip.x[index], other.y - trip.y[index])))
    return abs(math.degrees(math.remainder(_course(trip, index) - _course(other, there), 2 * math.pi)))


def _course(trip: Trip, index: int) -> float:
    """Return where somebody goes: where a vehicle faces; on foot, the way it came.

    SUMO turns who stands, or steps aside, to face anywhere.
    """
    away = np.hypot(trip.x[: index + 1] - trip.x[index], trip.y[: index + 1] - trip.y[index])
    came = np.flatnonzero(away >= STRIDE_M)
    if not trip.walks or not len(came):
        return float(trip.heading[index])
    start = int(came[-1])
    return math.atan2(trip.y[index] - trip.y[start], trip.x[index] - trip.x[start])


def _ttc(one: Trip, other: Trip, span: tuple[float, float]) -> Iterator[Flag]:
    """Return every step at which TTC is flagged, or may be."""
    if span[0] >= span[1]:
        return
    a = np.flatnonzero((one.time >= span[0] - 1e-6) & (one.time <= span[1] + 1e-6))
    b = np.flatnonzero((other.time >= span[0] - 1e-6) & (other.time <= span[1] + 1e-6))
    count = min(len(a), len(b))
    a, b = a[:count:2], b[:count:2]
    reach = (math.hypot(one.length_m, one.width_m) + math.hypot(other.length_m, other.width_m)) / 2
    away = np.hypot(one.x[a] - other.x[b], one.y[a] - other.y[b]) - reach
    near = away <= (one.speed[a] + other.speed[b]) * (FLAG_S + MARGIN_S + 0.2)
    driving = np.zeros(len(a), dtype=bool)
    sure = np.ones(len(a), dtype=bool)
    fastest = np.zeros(len(a))
    for trip, index in ((one, a), (other, b)):
        if trip.walks:
            near &= trip.out_m[index] > ON_ROAD_M - ON_ROAD_MARGIN_M
            sure &= trip.out_m[index] > ON_ROAD_M + ON_ROAD_MARGIN_M
        else:
            fastest = np.maximum(fastest, trip.speed[index])
    driving = fastest >= SLOWEST_MPS
    sure &= fastest >= FAST_MPS
    at = np.flatnonzero(near & driving)
    if not len(at):
        return
    turns = [_turned_deg(trip, index[at]) for trip, index in ((one, a), (other, b))]
    turning, bending = (
        np.maximum(*turns) > limit for limit in (TURN_DEG + TURN_MARGIN_DEG, TURN_DEG - TURN_MARGIN_DEG)
    )
    straight = _ttc_s(one, other, a[at], b[at], reach, along=False)
    along = np.full(len(at), math.inf)
    if bending.any():
        along[bending] = _ttc_s(one, other, a[at][bending], b[at][bending], reach, along=True)
    for row, index in enumerate(at.tolist()):
        values = [float(along[row])] if turning[row] else [float(straight[row])]
        if bending[row] and not turning[row]:
            values.append(float(along[row]))
        ttc_s = min(values)
        if not 0 < ttc_s <= FLAG_S + MARGIN_S:
            continue
        where = _middle((one, slice(a[index], a[index] + 1)), (other, slice(b[index], b[index] + 1)))
        unsure = not sure[index] or any(not 0 < each < FLAG_S - MARGIN_S for each in values)
        yield Flag(ttc_s, float(one.time[a[index]]), where, bool(unsure), pet=False)


def _turned_deg(trip: Trip, index: Any) -> Floats:
    """Return by how much a vehicle's heading changes around some steps; 0 on foot."""
    if trip.walks:
        return np.zeros(len(index))
    before = np.searchsorted(trip.time, trip.time[index] - TURN_BEFORE_S).clip(0, len(trip.time) - 1)
    after = np.searchsorted(trip.time, trip.time[index] + TURN_AFTER_S).clip(0, len(trip.time) - 1)
    turned = trip.heading[after] - trip.heading[before]
    return np.asarray(np.degrees(np.abs(np.arctan2(np.sin(turned), np.cos(turned)))))


def _ttc_s(one: Trip, other: Trip, a: Any, b: Any, reach: float, *, along: bool) -> Floats:
    """Return TTC at some steps of both, going straight on or along the ways they take."""
    horizon = np.arange(0.0, HORIZON_S + 1e-9, AHEAD_S)
    poses = [_ahead(one, a, horizon, along), _ahead(other, b, horizon, along)]
    apart = np.hypot(poses[0][0] - poses[1][0], poses[0][1] - poses[1][1]) - reach
    # Farther apart than their corners reach they cannot touch.
    close = apart < 2.0
    shapes = [
        outlines(*(values[close] for values in pose), trip.length_m, trip.width_m)
        for pose, trip in zip(poses, (one, other), strict=True)
    ]
    apart[close] = shapely.distance(shapes[0], shapes[1])
    return np.array([_touch_s(row, horizon) for row in apart])


def _touch_s(apart: Floats, horizon: Floats) -> float:
    """Return when distances first reach zero, on the line through the two before; inf if never."""
    touching = np.flatnonzero(apart <= 0)
    if not len(touching):
        return math.inf
    at = int(touching[0])
    if at == 0:
        return 0.0
    before = float(apart[at - 1])
    pace = (float(apart[at - 2]) - before) / AHEAD_S if at >= 2 else before / AHEAD_S
    return float(horizon[at - 1]) + min(before / max(pace, 1e-6), AHEAD_S)


def _ahead(trip: Trip, index: Any, horizon: Floats, follow: bool) -> tuple[Floats, Floats, Floats]:
    """Return centre and heading (steps, horizon) of who goes on at its present speed."""
    along = trip.speed[index][:, None] * horizon
    if trip.walks or not follow:
        x = trip.x[index][:, None] + along * np.cos(trip.heading[index])[:, None]
        y = trip.y[index][:, None] + along * np.sin(trip.heading[index])[:, None]
        return x, y, np.broadcast_to(trip.heading[index][:, None], along.shape)
    way = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(trip.x), np.diff(trip.y)))))
    keep = np.append(np.diff(way) > 1e-6, True)
    own, heading = way[keep], np.unwrap(trip.heading[keep])
    reach = way[index][:, None] + along
    over = np.maximum(reach - own[-1], 0.0)
    turned = np.interp(reach, own, heading)
    x = np.interp(reach, own, trip.x[keep]) + over * np.cos(heading[-1])
    y = np.interp(reach, own, trip.y[keep]) + over * np.sin(heading[-1])
    return x, y, turned


def _middle(*stays: tuple[Trip, slice]) -> tuple[float, float]:
    """Return where the smaller was meanwhile; of equals the middle between the two."""
    least = min(trip.length_m for trip, _ in stays)
    small = [(trip, index) for trip, index in stays if trip.length_m < 1.5 * least]
    return (
        float(np.mean([trip.x[index].mean() for trip, index in small])),
        float(np.mean([trip.y[index].mean() for trip, index in small])),
    )


def _encounters(one: Trip, other: Trip, flags: list[Flag], crossings: dict[str, Any]) -> Iterator[NearMiss]:
    """Return one near miss for what is flagged together: by PET where there is one, else at the least TTC."""
    flags = sorted(flags, key=lambda flag: flag.time)
    groups: list[list[Flag]] = []
    for flag in flags:
        if groups and flag.time - groups[-1][-1].time <= QUIET_S:
            groups[-1].append(flag)
        else:
            groups.append([flag])
    gaps = [late[0].time - early[-1].time for early, late in itertools.pairwise(groups)]
    close = any(gap < QUIET_S + QUIET_MARGIN_S for gap in gaps)
    for group in groups:
        yield from _told(one, other, group, crossings, split=close)


def _told(
    one: Trip, other: Trip, group: list[Flag], crossings: dict[str, Any], *, split: bool
) -> Iterator[NearMiss]:
    pets = [flag for flag in group if flag.pet]
    ttcs = [flag for flag in group if not flag.pet]
    # Once is noise: of two steps in a row the larger counts.
    ttcs = [
        replace(
            min(one_, next_, key=lambda flag: flag.value),
            value=max(one_.value, next_.value),
            unsure=one_.unsure or next_.unsure,
        )
        for one_, next_ in itertools.pairwise(ttcs)
        if next_.time - one_.time < 0.15
    ]
    if ttcs and ttcs[-1].time - ttcs[0].time < LASTS_S:
        ttcs = [replace(flag, unsure=True) for flag in ttcs]
    ttcs = [
        replace(flag, unsure=flag.unsure or any(trip.leaps(flag.time, LEAP_S) for trip in (one, other)))
        for flag in ttcs
    ]
    sure_ttcs = [flag for flag in ttcs if not flag.unsure]
    candidates: list[Flag] = []
    sure_pet = next((flag for flag in pets if not flag.unsure), None)
    least = min(ttcs, key=lambda flag: flag.value, default=None)
    why = ""
    if sure_pet is not None:
        candidates = [sure_pet]
    elif pets:
        why = "PET near a threshold"
        candidates = [flag for flag in (pets[0], least) if flag is not None]
    elif least is not None:
        flat = [flag for flag in ttcs if flag.value <= least.value + FLAT_S]
        if not sure_ttcs:
            why = "TTC near a threshold"
        elif least.unsure:
            why = "TTC least near a threshold"
        elif max(abs(flag.time - least.time) for flag in flat) > TOLERANCE_S - 0.1:
            why = "TTC flat at its least"
        candidates = [*flat, least] if why else [least]
    if split and not why:
        why = "two encounters close together"
    on_foot = one.walks or other.walks
    told = [
        (flag, _places(flag.place, crossings, margin_m=ON_FOOT_M if on_foot else 0.0)) for flag in candidates
    ]
    places = tuple(dict.fromkeys(place for _, own in told for place in own))
    why = why or ("place on a border" if len(places) > 1 else "")
    times = [flag.time for flag, _ in told]
    if why and told:
        # At any time about it, for it is open what is flagged and what is least.
        times = np.arange(group[0].time - OPEN_S, group[-1].time + OPEN_S, TOLERANCE_S).tolist()
    names, kinds = (one.name, other.name), (one.kind, other.kind)
    if told:
        yield NearMiss(tuple(times), places, kinds, names, bool(why), why, told[0][0].value, told[0][0].pet)


def _places(point: tuple[float, float], crossings: dict[str, Any], *, margin_m: float) -> tuple[str, ...]:
    """Return where a point is: a crosswalk's name, ``junction``, or both on the border."""
    at = shapely.Point(point)
    signed = {}
    for name, area in crossings.items():
        away = float(shapely.distance(at, area)) or -float(shapely.distance(at, area.boundary))
        signed[name] = away - margin_m
    if not signed:
        return ("junction",)
    sure = [name for name, value in signed.items() if value < -BORDER_M]
    maybe = [name for name, value in signed.items() if abs(value) <= BORDER_M]
    if len(sure) == 1 and not maybe:
        return (sure[0],)
    return (*sure, *maybe, *(() if sure else ("junction",)))
