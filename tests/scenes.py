"""Made scenes with exact truth: movements along ways, signals as lists of changes.

A movement is a function of time; scenes sample it. What happens when is known in closed form, so a test's
truth is exact: ``drive(A, at_line=101.25)`` is 1.25 s into ``red_at(100.0)``.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from calibration.site import Crosswalk, Roadway, Site, SiteInfo, StopLine, Thresholds
from edge.rules.engine import Engine
from edge.rules.finding import Finding
from edge.scene import Kind, RoadUser, Scene, SignalReading, State

Pose = tuple[float, float, float]  # x, y, heading_deg
SIZES: dict[Kind, tuple[float, float]] = {
    "pedestrian": (0.5, 0.5),
    "bicycle": (1.8, 0.6),
    "motorcycle": (2.2, 0.8),
    "car": (4.5, 1.8),
    "bus": (12.0, 2.5),
    "truck": (9.0, 2.5),
}


@dataclass(frozen=True)
class ListSignals:
    """Signals as (time, state) lists per group: ``edge.scene.Signals`` without a file."""

    groups: Mapping[str, Sequence[tuple[float, State]]] = field(default_factory=dict)
    sigma_s: float = 0.0

    def _readings(self, group: str) -> list[SignalReading]:
        return [
            SignalReading(group, state, time, self.sigma_s, "file")
            for time, state in self.groups.get(group, ())
        ]

    def at(self, group: str, time: float) -> SignalReading:
        readings = self._readings(group)
        index = bisect.bisect_right([reading.since or 0.0 for reading in readings], time) - 1
        return readings[index] if index >= 0 else SignalReading(group, "unknown", None, math.inf, "none")

    def changes(self, group: str, start: float, end: float) -> list[SignalReading]:
        return [reading for reading in self._readings(group) if start < (reading.since or 0.0) <= end]


def red_at(
    time: float, *, groups: Iterable[str] = ("A",), amber_s: float = 3.0, red_s: float = 30.0
) -> ListSignals:
    """Green since 0, amber ``amber_s`` before ``time``, red at ``time``, green again ``red_s`` later."""
    cycle: list[tuple[float, State]] = [
        (0.0, "green"),
        (time - amber_s, "amber"),
        (time, "red"),
        (time + red_s, "green"),
    ]
    return ListSignals(dict.fromkeys(groups, cycle))


@dataclass(frozen=True)
class Movement:
    """One road user: where it is from ``start`` to ``end``."""

    kind: Kind
    start: float
    end: float
    pose: Callable[[float], Pose]
    size: tuple[float, float] | None = None


def drive(
    *,
    at: tuple[float, float],
    time: float,
    heading_deg: float,
    speed_mps: float = 10.0,
    kind: Kind = "car",
    before_s: float = 4.0,
    after_s: float = 4.0,
    front: bool = True,
) -> Movement:
    """Straight at constant speed: the front (or the centre) is at a point at an instant."""
    angle = math.radians(heading_deg)
    back = SIZES[kind][0] / 2 if front else 0.0

    def pose(now: float) -> Pose:
        way = speed_mps * (now - time) - back
        return at[0] + way * math.cos(angle), at[1] + way * math.sin(angle), heading_deg

    return Movement(kind, time - before_s, time + after_s, pose)


def profile(
    *,
    at: tuple[float, float],
    heading_deg: float,
    ways: Sequence[tuple[float, float]],
    kind: Kind = "car",
    front: bool = True,
) -> Movement:
    """Along a straight line by (time, metres of the front beyond the point), linear in between."""
    angle = math.radians(heading_deg)
    back = SIZES[kind][0] / 2 if front else 0.0
    times = [time for time, _ in ways]

    def pose(now: float) -> Pose:
        index = min(max(bisect.bisect_right(times, now) - 1, 0), len(ways) - 2)
        (t0, w0), (t1, w1) = ways[index], ways[index + 1]
        way = w0 + (w1 - w0) * (now - t0) / (t1 - t0) - back
        return at[0] + way * math.cos(angle), at[1] + way * math.sin(angle), heading_deg

    return Movement(kind, times[0], times[-1], pose)


def walk(*points: tuple[float, float, float], kind: Kind = "pedestrian") -> Movement:
    """On foot through (time, x, y), straight and even in between."""
    times = [point[0] for point in points]

    def pose(now: float) -> Pose:
        index = min(max(bisect.bisect_right(times, now) - 1, 0), len(points) - 2)
        (t0, x0, y0), (t1, x1, y1) = points[index], points[index + 1]
        share = (now - t0) / (t1 - t0)
        heading = math.degrees(math.atan2(y1 - y0, x1 - x0)) if (x0, y0) != (x1, y1) else math.nan
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), heading

    return Movement(kind, times[0], times[-1], pose)


def turn(
    *,
    at: tuple[float, float],
    time: float,
    heading_deg: float,
    radius_m: float,
    right: bool,
    straight_m: float = 4.0,
    speed: Callable[[float], float] | float = 6.0,
    kind: Kind = "car",
    before_s: float = 6.0,
    after_s: float = 6.0,
) -> Movement:
    """Front at a point at an instant, then ``straight_m`` on, then a quarter turn, then straight on.

    ``speed`` is constant or a function of the front's metres beyond the point.
    """
    back = SIZES[kind][0] / 2
    side = -1.0 if right else 1.0
    arc = radius_m * math.pi / 2

    def place(way: float) -> Pose:
        angle = math.radians(heading_deg)
        ahead, left = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
        bent = min(max(way - straight_m, 0.0), arc)
        theta = bent / radius_m
        forward = min(way, straight_m) + radius_m * math.sin(theta)
        sideways = side * radius_m * (1 - math.cos(theta))
        rest = max(way - straight_m - arc, 0.0)
        sideways += side * rest
        return (
            at[0] + forward * ahead[0] + sideways * left[0],
            at[1] + forward * ahead[1] + sideways * left[1],
            heading_deg + side * math.degrees(theta),
        )

    constant = speed if isinstance(speed, (int, float)) else None
    table: list[tuple[float, float]] = []
    if constant is None:
        assert callable(speed)
        step = 0.01
        way, now = 0.0, time
        while now < time + after_s:
            table.append((now, way))
            way, now = way + step * speed(way), now + step
        way, now = 0.0, time
        while now > time - before_s:
            way, now = way - step * speed(way), now - step
            table.insert(0, (now, way))
    instants = [instant for instant, _ in table]

    def pose(now: float) -> Pose:
        if constant is not None:
            return place(constant * (now - time) - back)
        index = min(max(bisect.bisect_right(instants, now) - 1, 0), len(table) - 2)
        (t0, w0), (t1, w1) = table[index], table[index + 1]
        return place(w0 + (w1 - w0) * (now - t0) / (t1 - t0) - back)

    return Movement(kind, time - before_s, time + after_s, pose)


def scenes(
    movements: Iterable[Movement],
    signals: ListSignals,
    *,
    rate_hz: float = 10.0,
    time_sigma_s: float = 0.005,
    sigma_m: float = math.nan,
    jitter_m: float = 0.0,
    seed: int = 0,
    phase: float = 0.0,
    drop: float = 0.0,
    trusted: bool = True,
) -> Iterator[Scene]:
    """Sample movements at a frame rate; ``jitter_m`` is added to positions, ``drop`` leaves samples out."""
    chance = random.Random(seed)
    users = list(enumerate(movements, start=1))
    begin = min(movement.start for _, movement in users)
    end = max(movement.end for _, movement in users)
    first = math.ceil((begin - phase) * rate_hz)
    for step in range(first, math.floor((end - phase) * rate_hz + 1e-9) + 1):
        now = phase + step / rate_hz
        seen = []
        for number, movement in users:
            if not movement.start <= now <= movement.end or (drop and chance.random() < drop):
                continue
            x, y, heading = movement.pose(now)
            length, width = movement.size or SIZES[movement.kind]
            seen.append(
                RoadUser(
                    track=number,
                    kind=movement.kind,
                    x=x + chance.gauss(0, jitter_m) if jitter_m else x,
                    y=y + chance.gauss(0, jitter_m) if jitter_m else y,
                    heading_deg=heading,
                    length_m=length,
                    width_m=width,
                    sigma_m=sigma_m,
                )
            )
        yield Scene(now, time_sigma_s, tuple(seen), signals, trusted)


def judged(site: Site, frames: Iterable[Scene], *, beat_s: float = 0.5) -> list[Finding]:
    """Return everything the engine finds in some scenes, in order of time."""
    engine = Engine(site, beat_s=beat_s)
    found = [finding for scene in frames for finding in engine.judge(scene)]
    return sorted([*found, *engine.finish()], key=lambda finding: (finding.time, finding.rule, finding.place))


def rules_found(findings: Iterable[Finding]) -> list[tuple[str, str, str, float]]:
    """Return rule, outcome, place and time to a hundredth of a second."""
    return [(each.rule, each.outcome, each.place, round(each.time, 2)) for each in findings]


def same(one: Iterable[Finding], other: Iterable[Finding]) -> bool:
    """Return whether two lists of findings say the same, every time and number to a millionth."""
    first, second = list(one), list(other)
    return [_said(each) for each in first] == [_said(each) for each in second] and all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
        for each, its in zip(first, second, strict=True)
        for a, b in zip(_numbers(each), _numbers(its), strict=True)
    )


def _said(finding: Finding) -> tuple[str, str, str, tuple[str, ...]]:
    return finding.rule, finding.outcome, finding.place, tuple(sorted(finding.measures))


def _numbers(finding: Finding) -> list[float]:
    measures = (finding.measures[name] for name in sorted(finding.measures))
    return [finding.time, *(number for each in measures for number in (each.value, each.sigma))]


def cross_site(
    *, right_on_red: str = "prohibited", drive_on: str = "right", thresholds: Thresholds | None = None
) -> Site:
    """Two roads 14 m wide that cross at right angles; stop line A for northbound traffic, B for eastbound.

    ::

                  │   ┆   │
          ────────┘   ┆   └────────   y = 7
           B |                        y = 0: eastbound below, westbound above
          ────────┐   ┆   ┌────────   y = -7
                  │ ped0  │           crosswalk y = -11 .. -8
                  │   ┆──A│           stop line y = -13, x = 0 .. 7
    """
    return Site(
        site=SiteInfo(id="cross", drive_on="left" if drive_on == "left" else "right"),
        stop_lines=(
            StopLine.model_validate_json(
                f'{{"id":"A","signal_group":"A","line":[[0,-13],[7,-13]],"heading_deg":90,'
                f'"right_on_red":"{right_on_red}"}}'
            ),
            StopLine(id="B", signal_group="B", line=((-13.0, -7.0), (-13.0, 0.0)), heading_deg=0.0),
        ),
        crosswalks=(
            Crosswalk(
                id="ped0",
                signal_group="P",
                polygon=((-7.0, -11.0), (7.0, -11.0), (7.0, -8.0), (-7.0, -8.0)),
            ),
        ),
        roadways=(
            Roadway(polygon=((-60.0, -7.0), (60.0, -7.0), (60.0, 7.0), (-60.0, 7.0))),
            Roadway(polygon=((-7.0, -60.0), (7.0, -60.0), (7.0, 60.0), (-7.0, 60.0))),
        ),
        thresholds=thresholds or Thresholds(),
    )
