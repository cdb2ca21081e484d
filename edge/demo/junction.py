"""The demo's junction: its lanes, lines, crosswalks, lamps and the signal plan, in metres and seconds.

::

              N leg
               │ ↓ ┊ ↑ │            y north
        ───────┘ ══════└───────     │
    W leg   → ‖        ‖  ←   E leg └── x east
        ───────┐ ══════┌───────
               │   ┊   │            ══ ‖ crosswalks
              S leg
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.scene import State

SITE_ID = "demo-junction"
START = "2026-06-12T15:20:00Z"  # a recording needs a start; nothing else hangs on it

HALF_ROAD_M = 5.0  # a lane of 3.5 m and a cycle lane of 1.5 m on either side
LANE_M = 1.9  # middle of the motor lane
CYCLE_LANE_M = 4.2
CROSSWALK_M = (6.5, 9.7)  # from the middle of the junction
STOP_LINE_M = 11.2
LEG_M = 95.0

Point = tuple[float, float]
GROUPS = ("NS", "EW", "walk-NS", "walk-EW")
# Conflicting directions: while NS is green, pedestrians walk north and south, over the legs E and W.
CYCLE_S = 40.0
_PLAN: Mapping[str, tuple[tuple[float, State], ...]] = {
    "NS": ((0.0, "green"), (14.0, "amber"), (17.5, "red")),
    "EW": ((0.0, "red"), (20.0, "green"), (34.0, "amber"), (37.5, "red")),
    "walk-NS": ((0.0, "green"), (7.0, "amber"), (14.0, "red")),
    "walk-EW": ((0.0, "red"), (20.0, "green"), (27.0, "amber"), (34.0, "red")),
}


@dataclass(frozen=True)
class Plan:
    """The fixed-time plan: ``offset_s`` is how far the cycle has gone when the recording starts."""

    offset_s: float
    duration_s: float

    def changes(self, group: str) -> list[tuple[float, State]]:
        """Return time and new state of each change of a group, the state at time 0 first."""
        rows: list[tuple[float, State]] = []
        for cycle in range(-1, int((self.duration_s + self.offset_s) / CYCLE_S) + 1):
            for at, state in _PLAN[group]:
                rows.append((cycle * CYCLE_S + at - self.offset_s, state))
        distinct = [row for i, row in enumerate(rows) if i == 0 or rows[i - 1][1] != row[1]]
        first = max(i for i, (time, _) in enumerate(distinct) if time <= 0)
        return [(max(time, 0.0), state) for time, state in distinct[first:] if time <= self.duration_s]

    def state(self, group: str, time: float) -> State:
        """Return what a group shows at an instant."""
        shown = (time + self.offset_s) % CYCLE_S
        return [state for at, state in _PLAN[group] if at <= shown][-1]


@dataclass(frozen=True)
class Approach:
    """A leg's stop line: where vehicles enter the junction, and their direction."""

    leg: str
    group: str
    heading_deg: float
    line: tuple[Point, Point]


# The camera looks north-east: before the lines S and W it sees too little road to judge an entry.
IN_VIEW = ("N", "E")


@dataclass(frozen=True)
class CrosswalkPlace:
    leg: str
    group: str
    polygon: tuple[Point, Point, Point, Point]


APPROACHES = (
    Approach("N", "NS", -90.0, ((-HALF_ROAD_M, STOP_LINE_M), (0.0, STOP_LINE_M))),
    Approach("E", "EW", 180.0, ((STOP_LINE_M, 0.0), (STOP_LINE_M, HALF_ROAD_M))),
    Approach("S", "NS", 90.0, ((0.0, -STOP_LINE_M), (HALF_ROAD_M, -STOP_LINE_M))),
    Approach("W", "EW", 0.0, ((-STOP_LINE_M, -HALF_ROAD_M), (-STOP_LINE_M, 0.0))),
)


def _rectangle(x1: float, y1: float, x2: float, y2: float) -> tuple[Point, Point, Point, Point]:
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


_NEAR, _FAR = CROSSWALK_M
CROSSWALKS = (
    CrosswalkPlace("N", "walk-EW", _rectangle(-HALF_ROAD_M, _NEAR, HALF_ROAD_M, _FAR)),
    CrosswalkPlace("E", "walk-NS", _rectangle(_NEAR, -HALF_ROAD_M, _FAR, HALF_ROAD_M)),
    CrosswalkPlace("S", "walk-EW", _rectangle(-HALF_ROAD_M, -_FAR, HALF_ROAD_M, -_NEAR)),
    CrosswalkPlace("W", "walk-NS", _rectangle(-_FAR, -HALF_ROAD_M, -_NEAR, HALF_ROAD_M)),
)
ROADWAYS = {
    "road-EW": _rectangle(-LEG_M, -HALF_ROAD_M, LEG_M, HALF_ROAD_M),
    "road-NS": _rectangle(-HALF_ROAD_M, -LEG_M, HALF_ROAD_M, LEG_M),
}


@dataclass(frozen=True)
class Head:
    """A signal head as it stands: its group, the middle of its lowest lamp, and where it faces."""

    group: str
    x: float
    y: float
    z: float
    facing_deg: float
    pedestrian: bool

    @property
    def lamps(self) -> Iterator[tuple[State, float]]:
        """Return lamp colour and height over ``z``, from the bottom."""
        if self.pedestrian:
            return iter((("green", 0.0), ("red", 0.42)))
        return iter((("green", 0.0), ("amber", 0.44), ("red", 0.88)))


# Only heads that face the camera (in the south-west) show anything: those on the far sides.
HEADS = (
    Head("NS", 2.4, 12.6, 4.6, -90.0, pedestrian=False),
    Head("EW", 12.6, -2.4, 4.6, 180.0, pedestrian=False),
    Head("walk-EW", 6.3, 10.6, 2.3, 180.0, pedestrian=True),
    Head("walk-NS", 10.6, 6.3, 2.3, -90.0, pedestrian=True),
)
