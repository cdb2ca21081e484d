"""What truly happens in the story, reckoned from its own trajectories and plan.

Nothing of the rules is used here: lines, kerbs and areas are asked with shapely on the exact footprints, a
hundred times a second, so that the two can be compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon, box
from shapely.ops import unary_union

from broker.wire import LocalEvent, LocalSignal, Measure, MeasureName, Rule
from edge import __version__
from edge.demo.junction import APPROACHES, CROSSWALKS, IN_VIEW, ROADWAYS, SITE_ID, START, Plan
from edge.demo.movement import Ride, Walk
from edge.demo.story import SIZE_M, Actor

Floats = NDArray[np.float64]

STEP_S = 0.01
FLAG_S = 1.5
STEPPED_BACK_M = 1.0
OUTSIDE_M = 1.0
CROSSING_DEG = 30.0
_MEETING_AREA = box(-30.0, -30.0, 30.0, 30.0)
_AHEAD_S = np.arange(0.0, FLAG_S + 0.06, 0.05)
_CARRIAGEWAY = unary_union([Polygon(each) for each in ROADWAYS.values()])
_NODE = "truth"


@dataclass(frozen=True)
class TrueEvent:
    """One event of the story: seconds of the recording, and who did it."""

    rule: Rule
    time: float
    place: str
    actor: Actor
    measure: tuple[MeasureName, float]
    group: str | None = None
    second: Actor | None = None


def true_events(actors: Sequence[Actor], plan: Plan) -> list[TrueEvent]:
    """Return everything that happens while the recording runs, in order of time."""
    events: list[TrueEvent] = []
    for actor in actors:
        if isinstance(actor.movement, Walk):
            events += _pedestrian(actor, plan)
        else:
            events += _entries(actor, plan)
    events += _near_misses(actors, plan)
    return sorted((event for event in events if 0.0 <= event.time <= plan.duration_s), key=lambda e: e.time)


def as_records(events: Sequence[TrueEvent], plan: Plan) -> list[LocalEvent]:
    """Return the events as lines of a truth file."""
    start = datetime.fromisoformat(START).astimezone(UTC)
    records = []
    for number, event in enumerate(events, 1):
        signal = None
        if event.group is not None:
            began = max(at for at, _ in plan.changes(event.group) if at <= event.time)
            since = start + timedelta(seconds=began)
            state = plan.state(event.group, event.time)
            signal = LocalSignal(group=event.group, state=state, since=since, source="plan")
        name, value = event.measure
        records.append(
            LocalEvent(
                n=number,
                site=SITE_ID,
                node=_NODE,
                rule=event.rule,
                outcome="occurred",
                time=start + timedelta(seconds=event.time),
                time_sigma_s=0.0,
                place=event.place,
                road_user=event.actor.kind,
                road_user2=event.second.kind if event.second is not None else None,
                signal=signal,
                measures={name: Measure(value=round(value, 3), sigma=0.0)},
                clip=None,
                detector=_NODE,
                software=f"nearmiss {__version__}",
            )
        )
    return records


# -- vehicles over stop lines ----------------------------------------------------------------------------


def _entries(actor: Actor, plan: Plan) -> Iterator[TrueEvent]:
    """Yield entries on amber and red: when the middle of the front bumper touches the line's segment."""
    when = _instants(actor, plan)
    centres, headings = actor.movement.at(when)
    ahead = np.deg2rad(headings)
    half = SIZE_M[actor.kind][0] / 2
    fronts = shapely.points(centres + half * np.stack([np.cos(ahead), np.sin(ahead)], axis=-1))
    for approach in APPROACHES:
        if approach.leg not in IN_VIEW:
            continue
        line = LineString(approach.line)
        (x1, y1), (x2, y2) = approach.line
        # What lies before the line, on the side one comes from.
        back = np.deg2rad(approach.heading_deg + 180.0)
        dx, dy = 200.0 * np.cos(back), 200.0 * np.sin(back)
        before = shapely.contains(
            Polygon([(x1, y1), (x2, y2), (x2 + dx, y2 + dy), (x1 + dx, y1 + dy)]), fronts
        )
        near = shapely.distance(line, fronts) < 1.0
        over = np.flatnonzero(before[:-1] & ~before[1:] & near[1:])
        if len(over) == 0:
            continue
        time = float(when[over[0] + 1])
        state = plan.state(approach.group, time)
        onset = max((at for at, _ in plan.changes(approach.group) if at <= time), default=0.0)
        if state == "red":
            yield TrueEvent(
                "red_light_entry", time, approach.leg, actor, ("into_red_s", time - onset), approach.group
            )
        elif state == "amber":
            yield TrueEvent(
                "amber_entry", time, approach.leg, actor, ("into_amber_s", time - onset), approach.group
            )


# -- pedestrians over kerbs ------------------------------------------------------------------------------


def _pedestrian(actor: Actor, plan: Plan) -> Iterator[TrueEvent]:
    when = _instants(actor, plan)
    places, _ = actor.movement.at(when)
    on_road = shapely.contains(_CARRIAGEWAY, shapely.points(places))
    kerb = _CARRIAGEWAY.boundary
    for start, end in _stretches(on_road):
        way = places[start:end]
        depth = shapely.distance(kerb, shapely.points(way))
        if depth.max() < STEPPED_BACK_M:
            continue  # brushes the kerb, or steps off and back
        time, first = float(when[start]), Point(way[0])
        nearest = min(CROSSWALKS, key=lambda each: Polygon(each.polygon).distance(first))
        place = f"{nearest.leg}-crosswalk"
        marked = Polygon(nearest.polygon)
        outside = float(shapely.distance(marked, shapely.points(way)).max())
        if outside > OUTSIDE_M:
            yield TrueEvent("crossing_outside_crosswalk", time, place, actor, ("outside_m", outside))
            continue
        state = plan.state(nearest.group, time)
        onset = max(at for at, _ in plan.changes(nearest.group) if at <= time)
        if state == "red":
            rule: Rule = "pedestrian_against_signal"
            measure: tuple[MeasureName, float] = ("into_dont_walk_s", time - onset)
        elif state == "amber":
            rule, measure = "pedestrian_late_start", ("into_clearance_s", time - onset)
        else:
            continue
        yield TrueEvent(rule, time, place, actor, measure, nearest.group)


# -- two road users at one place -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Way:
    """An actor's instants near the junction, its footprints then, and all the ground they cover."""

    actor: Actor
    when: Floats
    shapes: NDArray[np.object_]
    swept: Polygon


def _near_misses(actors: Sequence[Actor], plan: Plan) -> Iterator[TrueEvent]:
    ways = [way for way in (_way(actor, plan) for actor in actors) if way is not None]
    for one, other in itertools.combinations(ways, 2):
        if isinstance(one.actor.movement, Walk) and isinstance(other.actor.movement, Walk):
            continue
        event = _by_pet(one, other) or _by_ttc(one.actor, other.actor, plan)
        if event is not None:
            yield event


def _by_pet(one: _Way, other: _Way) -> TrueEvent | None:
    """Return the near miss of two whose swept ways cross, by the time between them."""
    if one.when[0] > other.when[-1] + FLAG_S or other.when[0] > one.when[-1] + FLAG_S:
        return None
    area = one.swept.intersection(other.swept)
    if area.is_empty or area.area < 0.05:
        return None
    inside = [np.flatnonzero(shapely.intersects(way.shapes, area)) for way in (one, other)]
    if any(len(index) == 0 for index in inside):
        return None
    (enter1, leave1), (enter2, leave2) = (
        (float(way.when[index[0]]), float(way.when[index[-1]]))
        for way, index in zip((one, other), inside, strict=True)
    )
    if enter1 > enter2:
        one, other, leave1, enter2 = other, one, leave2, enter1
    pet_s = enter2 - leave1
    if not 0.0 <= pet_s <= FLAG_S:
        return None
    place, heading = other.actor.movement.at(enter2)
    turn = np.deg2rad(heading - one.actor.movement.at(leave1)[1])
    if np.cos(turn) > np.cos(np.deg2rad(CROSSING_DEG)):
        return None  # one behind the other: a headway, not a crossing
    return TrueEvent("near_miss", enter2, _place_at(place), one.actor, ("pet_s", pet_s), None, other.actor)


def _by_ttc(one: Actor, other: Actor, plan: Plan) -> TrueEvent | None:
    """Return the near miss of two that would soon collide, both going on along their ways as they go."""
    shared = np.arange(
        max(one.span_s[0], other.span_s[0], 0.0), min(one.span_s[1], other.span_s[1], plan.duration_s), 0.1
    )
    if len(shared) < 2:
        return None
    gap = np.linalg.norm(one.movement.at(shared)[0] - other.movement.at(shared)[0], axis=-1)
    least = (np.inf, 0.0)
    for now in shared[gap < 45.0]:
        speeds = [_speed(actor, now) for actor in (one, other)]
        reach = sum(speeds) * FLAG_S + (SIZE_M[one.kind][0] + SIZE_M[other.kind][0]) / 2 + 1.0
        if not all(_MEETING_AREA.contains(Point(a.movement.at(now)[0])) for a in (one, other)):
            continue
        if max(speeds) < 1.0 or gap[np.searchsorted(shared, now)] > reach:
            continue
        if any(isinstance(a.movement, Walk) and not _on_road(a, now) for a in (one, other)):
            continue
        ahead = [_ahead(actor, float(now), speed) for actor, speed in zip((one, other), speeds, strict=True)]
        hits = np.flatnonzero(shapely.intersects(ahead[0], ahead[1]))
        if len(hits) and hits[0] > 0:
            least = min(least, (float(_AHEAD_S[hits[0]]), float(now)))
    ttc_s, time = least
    if ttc_s > FLAG_S:
        return None
    fast, slow = (one, other) if _speed(one, time) >= _speed(other, time) else (other, one)
    middle = (one.movement.at(time)[0] + other.movement.at(time)[0]) / 2
    return TrueEvent("near_miss", time, _place_at(middle), fast, ("ttc_s", ttc_s), None, slow)


def _way(actor: Actor, plan: Plan) -> _Way | None:
    when = np.arange(max(actor.span_s[0], 0.0), min(actor.span_s[1], plan.duration_s), 2 * STEP_S)
    if len(when) == 0:
        return None
    shapes = footprints(actor, *actor.movement.at(when))
    near = np.flatnonzero(shapely.intersects(_MEETING_AREA, shapes))
    if len(near) == 0:
        return None
    # Hulls of footprints 0.2 s apart cover what those between them do, ten times as fast.
    coarse = np.append(near[::10], near[-1])
    hulls = [shapely.convex_hull(shapely.union(shapes[i], shapes[j])) for i, j in itertools.pairwise(coarse)]
    return _Way(actor, when[near], shapes[near], unary_union(hulls))


def footprints(actor: Actor, centres: Floats, headings: Floats) -> NDArray[np.object_]:
    length, width, _ = SIZE_M[actor.kind]
    angle = np.deg2rad(headings)[..., None, None]
    corner = np.array([(length, width), (-length, width), (-length, -width), (length, -width)]) / 2
    turned = np.concatenate(
        [
            corner[:, :1] * np.cos(angle) - corner[:, 1:] * np.sin(angle),
            corner[:, :1] * np.sin(angle) + corner[:, 1:] * np.cos(angle),
        ],
        axis=-1,
    )
    return np.asarray(shapely.polygons(centres[..., None, :] + turned))


def _ahead(actor: Actor, now: float, speed_mps: float) -> NDArray[np.object_]:
    """Return footprints for the next seconds, going on along the way at the speed of now."""
    if isinstance(actor.movement, Ride):
        ride = actor.movement
        front = float(ride.course.front_m(now))
        return footprints(actor, *ride.path.at(front + speed_mps * _AHEAD_S - ride.length_m / 2))
    (x, y), heading = actor.movement.at(now)
    angle = np.deg2rad(heading)
    step = speed_mps * _AHEAD_S[:, None] * np.array([np.cos(angle), np.sin(angle)])
    return footprints(actor, np.array([x, y]) + step, np.full(len(_AHEAD_S), heading))


def _speed(actor: Actor, time: float) -> float:
    places, _ = actor.movement.at(np.array([time - 0.02, time + 0.02]))
    return float(np.linalg.norm(places[1] - places[0]) / 0.04)


def _on_road(actor: Actor, time: float) -> bool:
    return bool(_CARRIAGEWAY.contains(Point(actor.movement.at(time)[0])))


def _place_at(point: Floats) -> str:
    for crosswalk in CROSSWALKS:
        if Polygon(crosswalk.polygon).distance(Point(point)) <= OUTSIDE_M:
            return f"{crosswalk.leg}-crosswalk"
    return "junction"


def _instants(actor: Actor, plan: Plan) -> Floats:
    start, end = max(actor.span_s[0], 0.0), min(actor.span_s[1], plan.duration_s)
    return np.arange(start, end, STEP_S)


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last-but-one index of each run of True that has a beginning and an end."""
    change = np.diff(flags.astype(np.int8))
    starts, ends = np.flatnonzero(change == 1) + 1, np.flatnonzero(change == -1) + 1
    if len(starts) and len(ends):
        ends = ends[ends > starts[0]]
    return list(zip(starts.tolist(), ends.tolist(), strict=False))
