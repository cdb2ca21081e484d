"""Conflicts as SUMO's SSM device (``device.ssm``) writes them, and its definitions on tracks of ours.

The device measures along lanes. Where two lanes cross, a vehicle's conflict area begins where half of the
other vehicle's width lies before the crossing of the lanes' middles, and is as long as that width::

        entry = s(P) - f W / 2 + (W - w) / 2        s    way of the front along its lane
        exit  = entry + w + L                       P    where the middles of the two lanes cross
                                                    W, w width of the other's lane, of the other
        f = 2 / max(sin angle, 0.2) - 1             L    own length

A lane with a waiting position inside the junction (a left turn) is two lanes to SUMO, and for the second the
device takes its first metre for the crossing: ``entry = start of the second lane + (W - w) / 2``, however far
the crossing lies behind it. The exit errs by as much.

Source: MSDevice_SSM::classifyEncounter, determinePET, determineTTCandDRAC and MSLink::setRequestInformation
of SUMO 1.28 (https://github.com/eclipse-sumo/sumo, EPL-2.0): read, not copied.
"""

from __future__ import annotations

import csv
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import shapely
import sumolib
from numpy.typing import NDArray

from edge.measures import Footprints, time_to_collision_s
from tests.sumo.world import World

Floats = NDArray[np.float64]
# Types of encounter, as the device numbers them.
FOLLOWING, MERGING, CROSSING = frozenset({2, 3}), frozenset({6, 7}), frozenset({10, 11, 12, 13})
SHALLOWEST_SINE = 0.2


@dataclass(frozen=True)
class Conflict:
    """One conflict of the device's file; the pair in order of name, each number None where not measured.

    ``pet_time`` is when the second entered, ``ttc_time`` when TTC was least, both in the time of tracks.csv.
    """

    pair: tuple[str, str]
    pet_s: float | None
    pet_time: float
    ttc_s: float | None
    ttc_time: float
    ttc_type: int
    ttc_ego: str


def read_conflicts(world: World, *, step_s: float) -> list[Conflict]:
    """Return the conflicts of a world, each pair of vehicles once.

    Both vehicles carry a device, so each conflict is written twice. The device says the time of the step
    that is being computed; tracks.csv that of its end.
    """
    assert world.ssm is not None
    found: dict[tuple[str, str], Conflict] = {}
    for each in ET.parse(world.ssm).getroot():
        ego, foe = str(each.get("ego")), str(each.get("foe"))
        numbers = {name: _numbers(each, name, step_s) for name in ("PET", "minTTC")}
        (pet_s, pet_time, _), (ttc_s, ttc_time, kind) = numbers["PET"], numbers["minTTC"]
        pair = (min(ego, foe), max(ego, foe))
        known = found.get(pair)
        if known is None or (known.pet_s is None and pet_s is not None):
            found[pair] = Conflict(pair, pet_s, pet_time, ttc_s, ttc_time, kind, ego)
    return sorted(found.values(), key=lambda each: each.pair)


def _numbers(element: ET.Element, name: str, step_s: float) -> tuple[float | None, float, int]:
    [found] = element.iter(name)
    if found.get("value") == "NA":
        return None, math.nan, -1
    return float(found.get("value", "")), float(found.get("time", "")) + step_s, int(found.get("type", ""))


@dataclass(frozen=True, eq=False)
class Driven:
    """One vehicle's front along its way: ``at`` (N, 2) points, ``way`` metres driven, rising; ``times``."""

    name: str
    kind: str
    times: Floats
    at: Floats
    way: Floats
    heading: Floats
    length_m: float
    width_m: float

    def time_at(self, way_m: float) -> float:
        """Return when the front was there; NaN where it was not seen there."""
        rises = np.append(True, np.diff(self.way) > 1e-9)
        return float(np.interp(way_m, self.way[rises], self.times[rises], left=np.nan, right=np.nan))

    def way_of(self, point: tuple[float, float]) -> float:
        return float(shapely.line_locate_point(shapely.LineString(self.at), shapely.Point(point)))

    def step_speed(self, time: float) -> float:
        """Return the speed of the step that ended at an instant, as SUMO has it; NaN where not seen."""
        at = int(np.searchsorted(self.times, time - 1e-6))
        if at == 0 or at >= len(self.times) or abs(self.times[at] - time) > 1e-6:
            return math.nan
        return float((self.way[at] - self.way[at - 1]) / (self.times[at] - self.times[at - 1]))

    def apart_deg(self, other: Driven, time: float) -> float:
        """Return the angle between two headings at an instant, 0 to 180."""
        one, two = (float(each.heading[int(np.argmin(np.abs(each.times - time)))]) for each in (self, other))
        return abs(math.degrees(math.remainder(one - two, 2 * math.pi)))

    def ahead_m(self, point: tuple[float, float], time: float) -> float:
        """Return how far before the front a point lies, along the heading at an instant."""
        at = int(np.argmin(np.abs(self.times - time)))
        dx, dy = point[0] - self.at[at, 0], point[1] - self.at[at, 1]
        return float(dx * math.cos(self.heading[at]) + dy * math.sin(self.heading[at]))

    def rear(self, time: float) -> tuple[float, float]:
        at = int(np.argmin(np.abs(self.times - time)))
        heading = self.heading[at]
        return (
            float(self.at[at, 0] - self.length_m * math.cos(heading)),
            float(self.at[at, 1] - self.length_m * math.sin(heading)),
        )

    def footprint(self, time: float) -> tuple[Footprints, Floats]:
        """Return the rectangle and the velocity (1, 2) at an instant."""
        at = int(np.argmin(np.abs(self.times - time)))
        ahead = np.array([math.cos(self.heading[at]), math.sin(self.heading[at])])
        centre = self.at[at] - self.length_m / 2 * ahead
        values = (*centre, *ahead, self.length_m / 2, self.width_m / 2)
        velocity = self.step_speed(time) * ahead
        return Footprints(*(np.array([value]) for value in values)), velocity[None, :]

    def footprints(self) -> Footprints:
        """Return the rectangles at all instants."""
        ahead = np.stack([np.cos(self.heading), np.sin(self.heading)], axis=-1)
        centre = self.at - self.length_m / 2 * ahead
        sizes = (np.full(len(ahead), size / 2) for size in (self.length_m, self.width_m))
        return Footprints(centre[:, 0], centre[:, 1], ahead[:, 0], ahead[:, 1], *sizes)

    def direction(self, way_m: float) -> float:
        """Return the direction of the way, radians, over the metre around a place."""
        ends = [np.interp([way_m - 0.5, way_m + 0.5], self.way, self.at[:, axis]) for axis in (0, 1)]
        return math.atan2(ends[1][1] - ends[1][0], ends[0][1] - ends[0][0])


def read_driven(world: World) -> dict[str, Driven]:
    """Return every vehicle of tracks.csv by SUMO's name."""
    names = {str(number): name for name, number in world.numbers.items()}
    rows: dict[str, list[list[float]]] = {}
    kinds: dict[str, str] = {}
    columns = ("time", "x", "y", "heading_deg", "length_m", "width_m")
    with world.tracks.open() as file:
        for row in csv.DictReader(file):
            if row["kind"] != "pedestrian":
                rows.setdefault(row["track"], []).append([float(row[column]) for column in columns])
                kinds[row["track"]] = row["kind"]
    driven = {}
    for number, values in rows.items():
        table = np.array(values)
        heading = np.deg2rad(table[:, 3])
        ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        at = table[:, 1:3] + table[:, 4:5] / 2 * ahead
        way = np.append(0.0, np.cumsum(np.hypot(*np.diff(at, axis=0).T)))
        name = names[number]
        driven[name] = Driven(
            name, kinds[number], table[:, 0], at, way, heading, float(table[0, 4]), float(table[0, 5])
        )
    return driven


@dataclass(frozen=True)
class Area:
    """When one vehicle was in the conflict area as SUMO draws it, metres of its way and seconds."""

    entry_m: float
    exit_m: float
    enters: float
    leaves: float


class Lanes:
    """The lanes inside a junction, in our coordinates."""

    def __init__(self, world: World) -> None:
        self._inner = world.inner
        net = sumolib.net.readNet(str(world.folder / "net.xml"), withInternal=True)
        shift = np.array(world.centre)
        self._shapes: dict[str, Floats] = {}
        self._widths: dict[str, float] = {}
        self._ends: dict[str, str] = {}
        for edge in net.getEdges(withInternal=True):
            for lane in edge.getLanes():
                if edge.getFunction() == "internal":
                    self._shapes[lane.getID()] = np.asarray(lane.getShape())[:, :2] - shift
                    self._widths[lane.getID()] = float(lane.getWidth())
                    self._ends[lane.getID()] = str(lane.getOutgoing()[0].getTo().getID())

    def areas(self, one: Driven, other: Driven, *, waiting: bool = True) -> tuple[Area, Area] | None:
        """Return the conflict areas of two vehicles as SUMO has them; None where their lanes do not cross.

        ``waiting``: with a left turn's area beginning at its waiting position, as the device has it; else at
        the crossing.
        """
        crossing = _crossing(one, other)
        if crossing is None:
            return None
        own, foe = one.way_of(crossing), other.way_of(crossing)
        between = one.direction(own) - other.direction(foe)
        factor = 2 / max(abs(math.sin(between)), SHALLOWEST_SINE) - 1
        return (
            self._area(one, other, own, crossing, factor, waiting=waiting),
            self._area(other, one, foe, crossing, factor, waiting=waiting),
        )

    def bands(self, one: Driven, other: Driven) -> tuple[Area, Area] | None:
        """Return the conflict areas of two straight bands as wide as the bodies, at the same angle.

        From the corner of the front that is first in to the corner of the rear that is last out::

            half = (w + v |cos angle|) / (2 sin angle)     w, v: width of the other, own
        """
        crossing = _crossing(one, other)
        if crossing is None:
            return None
        ways = [one.way_of(crossing), other.way_of(crossing)]
        between = one.direction(ways[0]) - other.direction(ways[1])
        sine, cosine = max(abs(math.sin(between)), SHALLOWEST_SINE), abs(math.cos(between))
        areas = []
        for own, foe, way in ((one, other, ways[0]), (other, one, ways[1])):
            half = (foe.width_m + own.width_m * cosine) / (2 * sine)
            entry, leaves = way - half, way + half + own.length_m
            areas.append(Area(entry, leaves, own.time_at(entry), own.time_at(leaves)))
        return areas[0], areas[1]

    def straight(self, one: Driven, other: Driven) -> bool:
        """Return whether both keep their heading, to 5 degrees, from the front's entry to the rear's exit."""
        areas = self.bands(one, other)
        if areas is None:
            return False
        for own, area in zip((one, other), areas, strict=True):
            there = (own.way >= area.entry_m - own.length_m) & (own.way <= area.exit_m)
            turned = own.heading[there] - own.heading[there][0]
            if np.abs(np.arctan2(np.sin(turned), np.cos(turned))).max() > math.radians(5):
                return False
        return True

    def angle_deg(self, one: Driven, other: Driven) -> float:
        """Return the angle between the ways where they cross, 0 to 180; NaN where they do not."""
        point = _crossing(one, other)
        if point is None:
            return math.nan
        between = one.direction(one.way_of(point)) - other.direction(other.way_of(point))
        return abs(math.degrees(math.remainder(between, 2 * math.pi)))

    def changed(self, name: str) -> bool:
        """Return whether a vehicle changed lanes inside the junction."""
        edges = [lane.rsplit("_", 1)[0] for lane in self._inner.get(name, [])]
        return len(edges) != len(set(edges))

    def merge(self, one: str, other: str) -> bool:
        """Return whether two vehicles left the junction by the same edge."""
        ends = [
            self._ends.get(self._inner[name][-1]) if self._inner.get(name) else None for name in (one, other)
        ]
        return ends[0] is not None and ends[0] == ends[1]

    def _area(
        self,
        own: Driven,
        foe: Driven,
        way_m: float,
        point: tuple[float, float],
        factor: float,
        *,
        waiting: bool,
    ) -> Area:
        lane_m = self._width_at(foe.name, point)
        before_m = way_m - factor * lane_m / 2
        start = self._second_lane(own, way_m) if waiting else None
        entry = (before_m if start is None else start) + (lane_m - foe.width_m) / 2
        leaves = entry + foe.width_m + own.length_m
        return Area(entry, leaves, own.time_at(entry), own.time_at(leaves))

    def _second_lane(self, own: Driven, way_m: float) -> float | None:
        """Return where the lane behind the waiting position begins, if the crossing lies on it."""
        lanes = self._inner.get(own.name, [])
        # Another lane of the same edge is a change of lanes.
        behind = [lane for lane in lanes if lane.rsplit("_", 1)[0] != lanes[0].rsplit("_", 1)[0]]
        if not behind:
            return None
        start = own.way_of(tuple(self._shapes[behind[0]][0]))
        return start if way_m > start else None

    def _width_at(self, name: str, point: tuple[float, float]) -> float:
        lanes = self._inner.get(name, [])
        if not lanes:
            return math.nan
        where = shapely.Point(point)
        nearest = min(lanes, key=lambda lane: shapely.LineString(self._shapes[lane]).distance(where))
        return self._widths[nearest]


def _crossing(one: Driven, other: Driven) -> tuple[float, float] | None:
    met = shapely.intersection(shapely.LineString(one.at), shapely.LineString(other.at))
    if met.is_empty or met.geom_type not in ("Point", "MultiPoint"):
        return None
    point = met if met.geom_type == "Point" else next(iter(met.geoms))
    return float(point.x), float(point.y)


def pet_of(areas: tuple[Area, Area]) -> tuple[float, float]:
    """Return PET by SUMO's definition and when the second entered; NaN where both were inside together."""
    first, second = sorted(areas, key=lambda area: area.enters)
    return second.enters - first.leaves, second.enters


def ttc_as_sumo(conflict: Conflict, driven: dict[str, Driven], lanes: Lanes) -> float | None:
    """Return TTC by SUMO's definition at the instant of the device's least; None where tracks do not tell.

    Following: gap over the difference in speed. Crossing: the second's way to its conflict
    area over its speed, as if the first stood there. Speeds are those of one step.
    """
    ego_leads = conflict.ttc_type in (3, 10, 12)
    foe = next(name for name in conflict.pair if name != conflict.ttc_ego)
    lead, follow = (conflict.ttc_ego, foe) if ego_leads else (foe, conflict.ttc_ego)
    leader, follower = driven[lead], driven[follow]
    time = conflict.ttc_time
    speeds = [each.step_speed(time) for each in (leader, follower)]
    if any(math.isnan(speed) for speed in speeds):
        return None
    here = float(np.interp(time, follower.times, follower.way))
    if conflict.ttc_type in CROSSING:
        areas = lanes.areas(follower, leader)
        return None if areas is None else (areas[0].entry_m - here) / max(speeds[1], 1e-6)
    gap_m = follower.ahead_m(leader.rear(time), time)
    closing = speeds[1] - speeds[0]
    return gap_m / closing if closing > 0 else None


def ttc_of_footprints(conflict: Conflict, driven: dict[str, Driven]) -> float:
    """Return our TTC, between footprints that keep their velocity, at the instant of the device's least."""
    one, other = (driven[name] for name in conflict.pair)
    shapes, velocities = zip(*(each.footprint(conflict.ttc_time) for each in (one, other)), strict=True)
    relative = velocities[1] - velocities[0]
    return float(time_to_collision_s(shapes[0], shapes[1], relative[:, 0], relative[:, 1])[0])
