"""Scenes whose every number is known, one maker a rule: what stated errors are held against."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calibration.site import Site
from edge.scene import State
from tests.edge.test_rules_others import BOXED
from tests.scenes import ListSignals, Movement, Pose, cross_site, drive, profile, turn, walk

SITE, AFTER_STOP = cross_site(), cross_site(right_on_red="after_stop")
# Rows of the site's first crosswalk end here, and its margin.
CROSSWALK_Y, MARGIN_M = -11.0, 1.0
TIME = "time"


@dataclass(frozen=True)
class Trial:
    """What was made, by which rule it is judged, and the true values: measures by name, and ``time``."""

    rule: str
    movements: tuple[Movement, ...]
    signals: ListSignals
    truths: Mapping[str, float]
    site: Site = SITE


def _lamp(chance: random.Random, group: str, sigma_s: float, *, amber_s: float = 3.0) -> ListSignals:
    """The light turns red at 100; the file says so with its own error, the same for every change."""
    told = 100.0 + chance.gauss(0, sigma_s)
    states: list[tuple[float, State]] = [
        (0.0, "green"),
        (told - amber_s, "amber"),
        (told, "red"),
        (160.0, "green"),
    ]
    return ListSignals({group: states}, sigma_s=sigma_s)


def red_light(chance: random.Random, sigma_s: float) -> Trial:
    time, speed = chance.uniform(102.0, 125.0), chance.uniform(4, 15)
    car = drive(
        at=(chance.uniform(1, 6), -13), time=time, heading_deg=90, speed_mps=speed, before_s=3.0, after_s=2.0,
        kind=chance.choice(("car", "truck", "motorcycle")),
    )  # fmt: skip
    truths = {TIME: time, "into_red_s": time - 100, "speed_mps": speed}
    return Trial("red_light_entry", (car,), _lamp(chance, "A", sigma_s), truths)


def amber(chance: random.Random, sigma_s: float) -> Trial:
    """Seen from before the onset on, so that distance and speed at the onset are told."""
    time, speed = chance.uniform(98.2, 99.0), chance.uniform(5, 15)
    car = drive(
        at=(3.5, -13), time=time, heading_deg=90, speed_mps=speed, before_s=time - 97 + 2.0, after_s=2.0
    )
    truths = {
        TIME: time,
        "into_amber_s": time - 97.0,
        "speed_mps": speed,
        "distance_at_onset_m": speed * (time - 97.0),
        "speed_at_onset_mps": speed,
    }
    return Trial("amber_entry", (car,), _lamp(chance, "A", sigma_s), truths)


def rolling_turn(chance: random.Random, sigma_s: float) -> Trial:
    """Turns right on red, slowest somewhere in the last metres before the line."""
    time, slowest = chance.uniform(104.0, 120.0), chance.uniform(1.8, 4.0)
    where = chance.uniform(-3.0, -1.0)

    def speed(way: float) -> float:
        return min(7.0, math.sqrt(slowest**2 + 1.6 * abs(way - where)))

    car = turn(
        at=(3.5, -13), time=time, heading_deg=90, radius_m=6.0, right=True, speed=speed, before_s=4.0,
        after_s=6.0,
    )  # fmt: skip
    truths = {TIME: time, "into_red_s": time - 100, "speed_mps": speed(0.0), "min_speed_mps": slowest}
    return Trial("right_on_red_without_stop", (car,), _lamp(chance, "A", sigma_s), truths, AFTER_STOP)


def against_signal(chance: random.Random, sigma_s: float) -> Trial:
    time, speed = chance.uniform(102.0, 125.0), chance.uniform(1.0, 2.0)
    person = walk((time - 3 / speed, -10, -9.5), (time + 6 / speed, -1, -9.5))
    truths = {TIME: time, "into_dont_walk_s": time - 100, "speed_mps": speed}
    return Trial("pedestrian_against_signal", (person,), _lamp(chance, "P", sigma_s), truths)


def late_start(chance: random.Random, sigma_s: float) -> Trial:
    time, speed = chance.uniform(92.0, 98.0), chance.uniform(1.0, 2.0)
    person = walk((time - 3 / speed, -10, -9.5), (time + 6 / speed, -1, -9.5))
    truths = {TIME: time, "into_clearance_s": time - 90, "speed_mps": speed}
    lamp = _lamp(chance, "P", sigma_s, amber_s=10.0)
    return Trial("pedestrian_late_start", (person,), lamp, truths)


def outside(chance: random.Random, sigma_s: float) -> Trial:
    del sigma_s
    time, speed, off = chance.uniform(50, 60), chance.uniform(1.0, 2.0), chance.uniform(2.0, 8.0)
    y = CROSSWALK_Y - off
    person = walk((time - 3 / speed, -10, y), (time + 17 / speed, 10, y))
    truths = {TIME: time, "speed_mps": speed, "outside_m": off}
    return Trial("crossing_outside_crosswalk", (person,), ListSignals(), truths)


def crossing_cars(chance: random.Random, sigma_s: float) -> Trial:
    """Two cars at right angles at speeds of their own; the second reaches the area ``pet`` later."""
    del sigma_s
    fast, other, pet = chance.uniform(5, 14), chance.uniform(5, 14), chance.uniform(0.4, 0.9)
    first = drive(at=(-0.9, 0), time=100.0, heading_deg=0, speed_mps=fast, before_s=3, after_s=3)
    entry = 100.0 + (4.5 + 1.8) / fast + pet
    second = drive(at=(0, -0.9), time=entry, heading_deg=90, speed_mps=other, before_s=3, after_s=3)
    truths = {TIME: entry, "pet_s": pet, "conflict_speed_mps": max(fast, other)}
    return Trial("near_miss", (first, second), ListSignals(), truths)


def braking_follower(chance: random.Random, sigma_s: float) -> Trial:
    """A car closes on a slower one and brakes down to its speed, harder and harder for a second, then evenly.

    Truth is read from its way at every hundredth of a second.
    """
    del sigma_s
    lead, closing = chance.uniform(2, 6), chance.uniform(5, 9)
    brakes, harder_s, left = chance.uniform(3.0, 5.5), chance.uniform(0.8, 1.2), chance.uniform(0.8, 1.6)
    step = 0.01
    ways, speeds = [0.0], [closing]
    while speeds[-1] > 0:
        now = step * len(speeds)
        speeds.append(speeds[-1] - step * brakes * min(now / harder_s, 1.0))
        ways.append(ways[-1] + step * (speeds[-1] + speeds[-2]) / 2)
    speeds[-1], gap = 0.0, ways[-1] + left
    series = [(gap - way) / speed for way, speed in zip(ways, speeds, strict=True) if speed > 0.05]
    least = min(range(len(series)), key=series.__getitem__)
    drac = max(speed**2 / 2 / (gap - way) for way, speed in zip(ways, speeds, strict=True))

    def back(now: float) -> Pose:
        since = now - 100.0
        own = closing * since if since <= 0 else ways[min(round(since / step), len(ways) - 1)]
        return -20.0 + lead * since + own - 2.25, -3.0, 0.0

    def front(now: float) -> Pose:
        return -20.0 + gap + lead * (now - 100.0) + 2.25, -3.0, 0.0

    movements = (Movement("car", 96.5, 105.0, back), Movement("car", 96.5, 105.0, front))
    truths = {
        TIME: 100.0 + step * least,
        "ttc_s": series[least],
        "drac_mps2": drac,
        "conflict_speed_mps": lead + speeds[least],
    }
    return Trial("near_miss", movements, ListSignals(), truths)


def wrong_way(chance: random.Random, sigma_s: float) -> Trial:
    """Comes up the approach and stops there."""
    del sigma_s
    time, speed, far = chance.uniform(50, 60), chance.uniform(4, 12), chance.uniform(6.0, 14.0)
    ways = [(time - 2.0, -2.0 * speed), (time, 0.0), (time + far / speed, far), (time + 7.0, far)]
    car = profile(at=(chance.uniform(1.5, 5.5), -13), heading_deg=-90, ways=ways)
    truths = {TIME: time, "speed_mps": speed, "wrong_way_m": far}
    return Trial("wrong_way", (car,), ListSignals(), truths)


def blocked(chance: random.Random, sigma_s: float) -> Trial:
    """Stands in the box behind a queue at red, and leaves it some seconds later at an even pace."""
    line = {"at": (3.5, -13.0), "heading_deg": 90.0}
    time, entry_mps = chance.uniform(85.0, 94.0), chance.uniform(5.0, 10.0)
    leaves, pace = chance.uniform(103.5, 107.5), chance.uniform(2.0, 6.0)
    # Its centre leaves the box (y = 7) when its front is 22.25 m beyond the line.
    goes = leaves - (22.25 - 16.5) / pace
    queue = profile(ways=[(80.0, 22.0), (goes - 1.0, 22.0), (goes + 3.0, 60.0)], **line)  # type: ignore[arg-type]
    came = time + 16.5 / entry_mps
    ways = [(time - 3.0, -3.0 * entry_mps), (came, 16.5), (goes, 16.5), (goes + 20.0 / pace, 36.5)]
    car = profile(ways=ways, **line)  # type: ignore[arg-type]  # literal strings
    truths = {TIME: time, "inside_at_red_s": leaves - 100.0, "speed_mps": entry_mps}
    return Trial("blocking_box", (queue, car), _lamp(chance, "A", sigma_s), truths, BOXED)


def cut_off(chance: random.Random, sigma_s: float) -> Trial:
    """A car passes close in front of a pedestrian who has the walk."""
    del sigma_s
    speed, pace, gap = chance.uniform(5, 12), chance.uniform(1.1, 1.8), chance.uniform(0.4, 1.3)
    person = walk((100 - 14.5 / pace, -11.0, -9.5), (100 + 6.5 / pace, 10.0, -9.5))
    # Its middle is at x = 3.5 at 100; its front is on the way of the car, x = 2.6, 1.15 m before.
    reach = 100 - 1.15 / pace
    leaves = reach - gap
    # The car's rear leaves y = -9.25 then; its front reached the crosswalk, y = -11, earlier.
    car = drive(
        at=(3.5, -9.25 + 4.5), time=leaves, heading_deg=90, speed_mps=speed, before_s=3.0, after_s=3.0
    )
    enters = leaves - 6.25 / speed
    truths = {TIME: enters, "gap_s": gap, "speed_mps": speed}
    return Trial("failure_to_yield", (person, car), ListSignals({"P": [(0.0, "green")]}), truths)


MAKERS: tuple[Callable[[random.Random, float], Trial], ...] = (
    red_light,
    amber,
    rolling_turn,
    against_signal,
    late_start,
    outside,
    crossing_cars,
    braking_follower,
    wrong_way,
    blocked,
    cut_off,
)
