"""What really happened, from SUMO's own lanes, lamps and speeds.

No geometry of ours is asked: a vehicle has entered when SUMO moves it from its approach lane into the
junction, a pedestrian has stepped onto the carriageway when SUMO moves them from a walking area to a
crossing, and the lamp is what SUMO's signal program shows on that very link.
"""

from __future__ import annotations

import json
import math
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
# A start is real a metre from the kerb. Who stands before that, held up by others, and no farther out than
# the toes reach, starts when going on; near that limit either may be said (docs/rules).
REAL_M = 1.0
TOES_M, TOES_UNSURE_M = 0.25, 0.05
WAITING_MPS, WAITING_S = 0.1, 1.5
# Less is a hesitation: speeds are those of a second (docs/rules). Between the two either may be said.
HESITATION_S = 0.5
LEFT_M = 0.1
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
class Started:
    """A pedestrian's start on a crosswalk; ``state``: what its lamp showed, None without one."""

    name: str
    edge: str
    place: str
    time: float
    state: str | None
    unsure: bool


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
    """A pedestrian in the first metre of a crossing.

    ``kerb``: the position on SUMO's crossing at which it begins for this one; ``waited``: how far out it last
    stood, metres; ``still_s``: for how long by now, ``stood_s`` at the most; ``went``: when it was last at
    that place, and the lamp.
    """

    crossing: Crossing
    time: float
    kerb: float
    lamp: Lamp | None
    point: Any
    waited: float | None = None
    still_s: float = 0.0
    stood_s: float = 0.0
    went: tuple[float, Lamp | None] = (0.0, None)


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
        zebras: bool = False,
    ) -> None:
        self._lines, self._crossings = lines, crossings
        self._near_side, self._right_on_red = near_side, right_on_red
        self._box, self._step_s, self._zebras = box, step_s, zebras
        self._driven: dict[str, _Driven] = {}
        self._inside: dict[str, _Entered] = {}
        self._on_edge: dict[str, str] = {}
        self._stepping: dict[str, _Stepping] = {}
        self._outlines = {
            crossing_id(each.edge): shapely.LineString(each.centre_line).buffer(
                each.width_m / 2, cap_style="flat"
            )
            for each in crossings.values()
            if each.link is not None or zebras
        }
        self.events: list[dict[str, Any]] = []
        # How many events SUMO's own numbers leave open; how many stood in the first metre of a crossing.
        self.unsure = self.stood_at_kerb = 0
        # (vehicle, approach lane, when its rear was over the stop line): what goes backwards in a mirror.
        self.rears: list[tuple[str, str, float]] = []
        self._rear_due: dict[str, tuple[str, float]] = {}
        self.entries = self.steps_on = 0
        self.started: list[Started] = []
        self.left_open: Counter[str] = Counter()

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
            long_m = shapely.LineString(crossing.centre_line).length
            kerb = 0.0 if position < long_m / 2 else long_m
            self._stepping[name] = _Stepping(crossing, now - self._step_s / 2, kerb, lamp, point)
        if name in self._stepping:
            self._went_on(persons, name, now, lamps, position)
        self._on_edge[name] = edge

    def _went_on(self, persons: Any, name: str, now: float, lamps: dict[str, Lamp], position: float) -> None:
        """Judge a step onto the carriageway once it is real."""
        step = self._stepping[name]
        crossing = step.crossing
        if persons.getRoadID(name) == crossing.edge:
            out_m = abs(position - step.kerb)
            lamp = None if crossing.link is None else lamps[crossing_id(crossing.edge)]
            step.still_s = step.still_s + self._step_s if persons.getSpeed(name) < WAITING_MPS else 0.0
            step.stood_s = max(step.stood_s, step.still_s)
            if step.still_s >= HESITATION_S - 1e-6:
                step.waited = out_m
            if step.waited is not None and out_m <= step.waited + LEFT_M:
                step.went = (now, lamp)
            if out_m < REAL_M:
                return
        del self._stepping[name]
        if step.waited is None:
            self._started(name, step.time, step, step.lamp)
            return
        self.stood_at_kerb += 1
        time, lamp = step.went
        unsure = step.stood_s < WAITING_S - 1e-6 or abs(step.waited - TOES_M) < TOES_UNSURE_M
        toes = step.waited <= TOES_M
        # Who goes on with the walk from within a metre of the kerb has started then.
        walk = lamp is not None and lamp.state == "green"
        if walk and not toes and lamp is not None:
            # It stepped on before: whether it was there by right by then is another question.
            state, edge = lamp.state, step.crossing.edge
            self.started.append(Started(name, edge, crossing_id(edge), step.time, state, unsure=True))
        if unsure or not (toes or walk):
            self._started(name, step.time, step, step.lamp, unsure=unsure)
        if unsure or toes:
            self._started(name, time, step, lamp, unsure=unsure)

    def _started(
        self, name: str, time: float, step: _Stepping, lamp: Lamp | None, *, unsure: bool = False
    ) -> None:
        """Add what a start was, if it was anything."""
        rules = {"red": "pedestrian_against_signal", "amber": "pedestrian_late_start"}
        edge = step.crossing.edge
        if step.crossing.link is not None or self._zebras:
            state = None if lamp is None else lamp.state
            self.started.append(Started(name, edge, crossing_id(edge), time, state, unsure))
        elif not self._zebras:
            place = min(self._outlines, key=lambda each: self._outlines[each].distance(step.point))
            self._event("crossing_outside_crosswalk", time, place, "pedestrian", None, unsure=unsure)
        if lamp is not None and lamp.state in rules:
            self._event(rules[lamp.state], time, crossing_id(edge), "pedestrian", lamp, unsure=unsure)

    def forget(self, names: set[str]) -> None:
        """Drop vehicles that have left; one that blocks a box is judged by what was seen of it."""
        for gone in self._driven.keys() - names:
            del self._driven[gone]
            self._inside.pop(gone, None)
            self._rear_due.pop(gone, None)

    @property
    def outlines(self) -> dict[str, Any]:
        """SUMO's crosswalks by name, as shapely areas in the network's coordinates."""
        return self._outlines

    def add(self, event: dict[str, Any]) -> None:
        """Add an event that is computed from whole trips."""
        self.unsure += event.get("outcome") == "undecidable"
        self.events.append({"v": 1, **event})

    def write(self, path: Path, *, site: str) -> dict[str, int]:
        """Write truth.jsonl; returns how many of each rule."""
        self.events.sort(key=lambda event: str(event["time"]))
        with path.open("w") as file:
            for n, event in enumerate(self.events, 1):
                file.write(json.dumps({**event, "n": n, "site": site}) + "\n")
        return dict(Counter(str(event["rule"]) for event in self.events if "outcome" not in event))

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
        ahead, unsure = self._stuck_ahead(vehicles, name, entered.time)
        if ahead or unsure:
            entered.blocked = True
            self._event("blocking_box", entered.time, "box", entered.kind, None, unsure=unsure)

    def _stuck_ahead(self, vehicles: Any, name: str, entered: float) -> tuple[bool, bool]:
        """Return whether the one ahead stands and did so at the entry, and whether that is unsure.

        SUMO's leader is on the lanes it will drive. Where it has none, one that stands within reach on
        another lane may be taken for one; where bodies overlap nobody is ahead.
        """
        leader = vehicles.getLeader(name, AHEAD_M + 2.5)
        gap_m = leader[1] + vehicles.getMinGap(name) if leader else math.inf
        if not leader or gap_m > AHEAD_M or leader[0] not in self._driven:
            return False, self._somebody_ahead(vehicles, name)
        if vehicles.getSpeed(leader[0]) > STANDING_MPS:
            return False, False
        speeds = self._driven[leader[0]].speeds
        then = min(speeds, key=lambda each: abs(each[0] - entered))[1]
        unsure = abs(then - STUCK_MPS) < UNSURE_MPS or (gap_m < 0 and then < STUCK_MPS)
        return then < STUCK_MPS, unsure

    def _somebody_ahead(self, vehicles: Any, name: str) -> bool:
        """Return whether somebody on another lane stands within reach of the front."""
        heading = math.radians(90 - vehicles.getAngle(name))
        x, y = vehicles.getPosition(name)
        for other in vehicles.getIDList():
            turned = math.radians(90 - vehicles.getAngle(other)) - heading
            if other == name or vehicles.getSpeed(other) > STANDING_MPS or math.cos(turned) < 0.5:
                continue
            ox, oy = vehicles.getPosition(other)
            back = vehicles.getLength(other)
            dx = ox - back * math.cos(heading + turned) - x
            dy = oy - back * math.sin(heading + turned) - y
            ahead = dx * math.cos(heading) + dy * math.sin(heading)
            if -1.5 <= ahead <= AHEAD_M + 1.0 and math.hypot(dx, dy) <= AHEAD_M + 3.0:
                return True
        return False

    def _event(
        self, rule: str, time: float, place: str, road_user: str, lamp: Lamp | None, *, unsure: bool = False
    ) -> None:
        """Add a true event; what is unsure excuses what is found there and is no miss (edge.matching)."""
        event: dict[str, Any] = {"v": 1, "rule": rule, "time": rfc3339(time)}
        event |= {"place": place, "road_user": road_user}
        if unsure:
            event["outcome"] = "undecidable"
            self.unsure += 1
            self.left_open[rule] += 1
        if lamp is not None:
            event["measures"] = {INTO[rule]: {"value": round(time - lamp.since, 3), "sigma": 0.05}}
            event["signal"] = {
                "group": place, "state": lamp.state, "since": rfc3339(lamp.since), "source": "file",
            }  # fmt: skip
        self.events.append(event)


def rfc3339(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"1970-01-01T{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:06.3f}Z"
