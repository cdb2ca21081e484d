"""What really happened, from SUMO's own lanes, lamps and speeds.

No geometry of ours is asked: a vehicle has entered when SUMO moves it from its approach lane into the
junction, a pedestrian has stepped onto the carriageway when SUMO moves them from a walking area to a
crossing, and the lamp is what SUMO's signal program shows on that very link.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely

from tests.sumo.layout import Crossing, Line, crossing_id

# The definitions of docs/rules, in SUMO's terms.
STOP_ZONE_M = 5.0
STOPPED_MPS = 0.5
STANDING_MPS = 0.5
CONFIRM_S = 1.0
AHEAD_M = 6.0
STUCK_MPS = 2.5
# The one ahead was about that fast: whether it was stuck is a matter of whose speed one takes.
UNSURE_MPS = 0.5
# Who comes to stand this near the kerb, on SUMO's crossing already (held up by others), may have started or
# not by centimetres in how a kerb is drawn: left out of the tracks and of the truth.
AMBIGUOUS_M = 0.45
# Who changed lanes nearer to the line may still have been between two when its rear was over it.
STEADY_M = 25.0
INTO = {
    "red_light_entry": "into_red_s",
    "right_on_red_without_stop": "into_red_s",
    "amber_entry": "into_amber_s",
    "pedestrian_against_signal": "into_dont_walk_s",
    "pedestrian_late_start": "into_clearance_s",
}


@dataclass(frozen=True)
class Lamp:
    state: str
    since: float


@dataclass
class _Entered:
    """A vehicle inside the junction that came in by right."""

    lane: str
    time: float
    kind: str
    red: float | None = None
    stood_s: float = 0.0
    blocked: bool = False


@dataclass
class _Driven:
    """What is remembered of a vehicle; ``changed_m``: how far it had driven when it last changed lanes."""

    lane: str
    position: float
    slowest_near_line: float = float("inf")
    changed_m: float = 0.0
    speeds: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class _Stepping:
    """A pedestrian in the first step onto a crossing."""

    crossing: Crossing
    time: float
    position: float
    lamp: Lamp | None
    point: Any


class Truths:
    """Follows one simulation, step by step; times are those at the end of a step."""

    def __init__(
        self,
        *,
        lines: dict[str, Line],
        crossings: dict[str, Crossing],
        near_side: str,
        right_on_red: str,
        box: Any,
        step_s: float,
    ) -> None:
        self._lines, self._crossings = lines, crossings
        self._near_side, self._right_on_red = near_side, right_on_red
        self._box, self._step_s = box, step_s
        self._driven: dict[str, _Driven] = {}
        self._inside: dict[str, _Entered] = {}
        self._on_edge: dict[str, str] = {}
        self._stepping: dict[str, _Stepping] = {}
        self._outlines = {
            crossing_id(each.edge): shapely.LineString(each.centre_line).buffer(
                each.width_m / 2, cap_style="flat"
            )
            for each in crossings.values()
            if each.link is not None
        }
        self.events: list[dict[str, Any]] = []
        self.ambiguous: set[str] = set()
        # Entries of which SUMO's own numbers do not tell whether they block the box.
        self.unsure: list[float] = []
        # (vehicle, approach lane, when its rear was over the stop line): what goes backwards in a mirror.
        self.rears: list[tuple[str, str, float]] = []
        self._rear_due: dict[str, tuple[str, float]] = {}
        self.entries = self.steps_on = 0

    def vehicle(
        self,
        vehicles: Any,
        name: str,
        now: float,
        lamps: dict[str, Lamp],
        kind: str,
        centre: tuple[float, float],
    ) -> None:
        """Take one vehicle at the end of a step."""
        lane, speed, position = (
            vehicles.getLaneID(name),
            vehicles.getSpeed(name),
            vehicles.getLanePosition(name),
        )
        before = self._driven.get(name)
        here = self._driven[name] = _Driven(lane, position)
        if before is not None:
            here.speeds, here.changed_m = before.speeds, before.changed_m
            if lane != before.lane and lane.rsplit("_", 1)[0] == before.lane.rsplit("_", 1)[0]:
                here.changed_m = vehicles.getDistance(name)
            here.slowest_near_line = before.slowest_near_line if before.lane == lane else float("inf")
        here.speeds.append((now, speed))
        if lane in self._lines and self._lines[lane].length_m - position <= STOP_ZONE_M:
            here.slowest_near_line = min(here.slowest_near_line, speed)
        if before is not None and before.lane in self._lines and lane.startswith(":J"):
            left_m = self._lines[before.lane].length_m - before.position
            share = min(max(left_m / max(speed * self._step_s, 1e-6), 0.0), 1.0)
            time = now - self._step_s * (1 - share)
            self._entered(name, before, time, lane, lamps[before.lane], kind)
            travelled = vehicles.getDistance(name) - (1 - share) * speed * self._step_s
            if travelled - before.changed_m >= STEADY_M:
                self._rear_due[name] = (before.lane, travelled + vehicles.getLength(name))
        self._rear(vehicles, name, now, speed)
        if name in self._inside:
            self._still_inside(vehicles, name, now, lamps, centre, speed)

    def person(self, persons: Any, name: str, now: float, lamps: dict[str, Lamp]) -> None:
        """Take one pedestrian at the end of a step."""
        edge = persons.getRoadID(name)
        crossing = self._crossings.get(edge)
        position = persons.getLanePosition(name)
        if crossing is not None and self._on_edge.get(name) != edge:
            self.steps_on += 1
            lamp = None if crossing.link is None else lamps[crossing_id(edge)]
            point = shapely.Point(persons.getPosition(name))
            self._stepping[name] = _Stepping(crossing, now - self._step_s / 2, position, lamp, point)
        elif name in self._stepping:
            self._went_on(persons, name, now, lamps, position)
        self._on_edge[name] = edge

    def _went_on(self, persons: Any, name: str, now: float, lamps: dict[str, Lamp], position: float) -> None:
        """Judge a step onto the carriageway once it led on."""
        step = self._stepping[name]
        crossing = step.crossing
        over_m = abs(position - step.position)
        if over_m < AMBIGUOUS_M and persons.getSpeed(name) < 0.1:
            self.ambiguous.add(name)
        if over_m < AMBIGUOUS_M and self._on_edge.get(name) == crossing.edge:
            return
        del self._stepping[name]
        if crossing.link is None:
            place = min(self._outlines, key=lambda each: self._outlines[each].distance(step.point))
            self._event("crossing_outside_crosswalk", step.time, place, "pedestrian", None, name)
        elif step.lamp is not None:
            rule = {"red": "pedestrian_against_signal", "amber": "pedestrian_late_start"}.get(step.lamp.state)
            if rule:
                place = crossing_id(crossing.edge)
                self._event(rule, step.time, place, "pedestrian", step.lamp, name)

    def forget(self, names: set[str]) -> None:
        """Drop vehicles that have left; one that blocks a box is judged by what was seen of it."""
        for gone in self._driven.keys() - names:
            del self._driven[gone]
            self._inside.pop(gone, None)
            self._rear_due.pop(gone, None)

    def write(self, path: Path, *, site: str) -> dict[str, int]:
        """Write truth.jsonl; returns how many of each rule."""
        self.events = [each for each in self.events if each.pop("who") not in self.ambiguous]
        self.events.sort(key=lambda event: str(event["time"]))
        with path.open("w") as file:
            for n, event in enumerate(self.events, 1):
                file.write(json.dumps({**event, "n": n, "site": site}) + "\n")
        return dict(Counter(str(event["rule"]) for event in self.events))

    def _entered(self, name: str, before: _Driven, time: float, internal: str, lamp: Lamp, kind: str) -> None:
        self.entries += 1
        rule = {"red": "red_light_entry", "amber": "amber_entry"}.get(lamp.state)
        turns = self._lines[before.lane].directions.get(internal.rsplit("_", 1)[0], "s")
        if rule == "red_light_entry" and turns == self._near_side and self._right_on_red != "prohibited":
            stopped = before.slowest_near_line <= STOPPED_MPS
            rule = None if stopped or self._right_on_red == "allowed" else "right_on_red_without_stop"
        if rule:
            self._event(rule, time, before.lane, kind, lamp)
        if lamp.state in ("green", "amber"):
            self._inside[name] = _Entered(before.lane, time, kind)

    def _rear(self, vehicles: Any, name: str, now: float, speed: float) -> None:
        due = self._rear_due.get(name)
        if due is None or vehicles.getDistance(name) < due[1]:
            return
        over_s = (vehicles.getDistance(name) - due[1]) / max(speed, 1e-6)
        self.rears.append((name, due[0], now - min(over_s, self._step_s)))
        del self._rear_due[name]

    def _still_inside(
        self,
        vehicles: Any,
        name: str,
        now: float,
        lamps: dict[str, Lamp],
        centre: tuple[float, float],
        speed: float,
    ) -> None:
        """Look for who stands in the box at red behind one that was stuck already when it came in."""
        entered = self._inside[name]
        lamp = lamps[entered.lane]
        if entered.red is None and lamp.state == "red":
            entered.red = lamp.since
        if not self._box.contains(shapely.Point(centre)):
            if entered.red is not None or now > entered.time + 60.0:
                del self._inside[name]
            return
        if entered.red is None or entered.blocked:
            return
        if speed < STANDING_MPS and now > entered.red:
            entered.stood_s += self._step_s
        if entered.stood_s < CONFIRM_S or abs(now - entered.red - CONFIRM_S) > 1.5:
            return
        leader = vehicles.getLeader(name, AHEAD_M + 2.5)
        if not leader or leader[1] + vehicles.getMinGap(name) > AHEAD_M or leader[0] not in self._driven:
            return
        speeds = self._driven[leader[0]].speeds
        then = min(speeds, key=lambda each: abs(each[0] - entered.time))
        if vehicles.getSpeed(leader[0]) <= STANDING_MPS and abs(then[1] - STUCK_MPS) < UNSURE_MPS:
            entered.blocked = True
            self.unsure.append(entered.time)
        elif vehicles.getSpeed(leader[0]) <= STANDING_MPS and then[1] < STUCK_MPS:
            entered.blocked = True
            self._event("blocking_box", entered.time, "box", entered.kind, None)

    def _event(
        self, rule: str, time: float, place: str, road_user: str, lamp: Lamp | None, who: str = ""
    ) -> None:
        event: dict[str, Any] = {"v": 1, "rule": rule, "time": rfc3339(time), "who": who}
        event |= {"place": place, "road_user": road_user}
        if lamp is not None:
            event["measures"] = {INTO[rule]: {"value": round(time - lamp.since, 3), "sigma": 0.05}}
            event["signal"] = {
                "group": place, "state": lamp.state, "since": rfc3339(lamp.since), "source": "file",
            }  # fmt: skip
        self.events.append(event)


def rfc3339(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"1970-01-01T{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:06.3f}Z"
