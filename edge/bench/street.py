"""A made street of tracks: what ``nearmiss bench --only judge`` judges.

Four approaches with queues, platoons and turning traffic, pedestrians on four crosswalks, signals in a cycle
of 90 s; some fifty road users at a time, ten rows a second each.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

from calibration.site import Crosswalk, Roadway, Site, SiteInfo, StopLine
from edge.scene import SignalReading, State
from edge.signals.history import SignalHistory
from edge.tracks import COLUMNS

CYCLE_S = 90.0
RATE_HZ = 10.0
# Green, amber and red of the two directions in one cycle.
PHASES: dict[str, tuple[tuple[float, State], ...]] = {
    "NS": ((0.0, "green"), (40.0, "amber"), (43.0, "red")),
    "EW": ((0.0, "red"), (45.0, "green"), (84.0, "amber"), (87.0, "red")),
}


def site() -> Site:
    arms = [(0.0, "E"), (90.0, "N"), (180.0, "W"), (270.0, "S")]
    lines, walks = [], []
    for angle, name in arms:
        # Traffic towards the centre drives on the right of its arm.
        lines.append(
            StopLine(
                id=name,
                signal_group="EW" if name in "EW" else "NS",
                line=(_turned(15, 0, angle), _turned(15, 7, angle)),
                heading_deg=(angle + 180 + 180) % 360 - 180,
            )
        )
        corners = ((9.0, -7.0), (13.0, -7.0), (13.0, 7.0), (9.0, 7.0))
        walks.append(
            Crosswalk(
                id=f"ped{name}",
                signal_group="NS" if name in "EW" else "EW",
                polygon=tuple(_turned(x, y, angle) for x, y in corners),
            )
        )
    roads = (
        Roadway(polygon=((-150, -7), (150, -7), (150, 7), (-150, 7))),
        Roadway(polygon=((-7, -150), (7, -150), (7, 150), (-7, 150))),
    )
    return Site(site=SiteInfo(id="bench"), stop_lines=tuple(lines), crosswalks=tuple(walks), roadways=roads)


def _turned(x: float, y: float, angle_deg: float) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


def signals(until_s: float) -> SignalHistory:
    return SignalHistory(
        SignalReading(group, state, cycle * CYCLE_S + at, 0.0, "file")
        for cycle in range(math.ceil(until_s / CYCLE_S) + 1)
        for group, states in PHASES.items()
        for at, state in states
    )


def write(path: Path, rows: int, chance: random.Random) -> float:
    """Write rows until there are enough; return how many seconds of street they are."""
    queues: dict[int, list[_Car]] = {lane: [] for lane in range(8)}
    walkers: list[_Walker] = []
    written, step, number = 0, 0, 0
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        while written < rows:
            now = step / RATE_HZ
            step += 1
            for lane, queue in queues.items():
                if chance.random() < 0.022 and (not queue or queue[-1].way > -100):
                    number += 1
                    queue.append(_Car(number, lane, chance))
                ahead: _Car | None = None
                for car in queue:
                    car.move(ahead, _shows(car.group, now))
                    ahead = car
                    file.write(car.row(now))
                    written += 1
                queues[lane] = [car for car in queue if car.way < 100]
            if chance.random() < 0.09:
                number += 1
                walkers.append(_Walker(number, chance))
            for walker in walkers:
                walker.move(_shows(walker.group, now))
                file.write(walker.row(now))
                written += 1
            walkers = [walker for walker in walkers if walker.way < 20]
    return step / RATE_HZ


def _shows(group: str, now: float) -> State:
    return [state for at, state in PHASES[group] if at <= now % CYCLE_S][-1]


class _Car:
    """Follows the one ahead and the light; ``way`` is its front's metres beyond the stop line."""

    def __init__(self, number: int, lane: int, chance: random.Random) -> None:
        self.number, self.angle, self.across = number, 90.0 * (lane // 2), 1.75 + 3.5 * (lane % 2)
        self.group = "EW" if lane // 2 in (0, 2) else "NS"
        self.way, self.speed, self.wish = -120.0, 12.0, chance.uniform(10, 15)

    def move(self, ahead: _Car | None, light: State) -> None:
        room = 1e3 if ahead is None else ahead.way - 4.5 - self.way - 2.0
        can_stop = self.way < -0.12 * self.speed**2 or light == "red"
        if light != "green" and self.way < -0.5 and can_stop:
            room = min(room, -0.8 - self.way)
        safe = max(-3.0 + math.sqrt(9.0 + 6.0 * max(room, 0.0)), 0.0)
        self.speed = max(min(self.speed + 0.2, self.wish, safe), 0.0)
        self.way += self.speed / RATE_HZ

    def row(self, now: float) -> str:
        x, y = _turned(15.0 - self.way + 2.25, self.across, self.angle)
        heading = (self.angle + 360) % 360 - 180
        return f"{now:.2f},{self.number},car,{x:.3f},{y:.3f},{heading:.2f},4.5,1.8\n"


class _Walker:
    """Walks up to a kerb, waits for walk, crosses; one in fifty does not wait."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number, self.angle = number, 90.0 * chance.randrange(4)
        self.group = "NS" if self.angle in (0.0, 180.0) else "EW"
        self.side, self.at = chance.choice((-1.0, 1.0)), chance.uniform(9.5, 12.5)
        self.way, self.speed, self.waits = -12.0, chance.uniform(1.1, 1.7), chance.random() > 0.02

    def move(self, light: State) -> None:
        if self.waits and light != "green" and -0.3 < self.way <= 0.0:
            return
        self.way += self.speed / RATE_HZ

    def row(self, now: float) -> str:
        x, y = _turned(self.at, self.side * (self.way - 7.3), self.angle)
        heading = (self.angle + self.side * 90.0 + 180) % 360 - 180
        return f"{now:.2f},{self.number},pedestrian,{x:.3f},{y:.3f},{heading:.2f},0.5,0.5\n"
