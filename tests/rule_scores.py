"""Precision and recall of every rule on made scenes: events and tempting non-events, truth in closed form.

``python -m tests.rule_scores`` prints the table of docs/rules. Each scene draws its numbers from a seed never
used while the rules were written, its noise (none, or 0.1 to 0.2 m and a tenth of the rows lost) and its
frame rate too.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from broker.wire import LocalEvent, Rule
from calibration.site import Site
from edge.evaluate import Evaluation, evaluate
from edge.events import local_event
from edge.rules.finding import Finding
from edge.scene import Kind
from tests.edge.test_rules_others import BOXED
from tests.scenes import ListSignals, Movement, cross_site, drive, judged, profile, red_at, scenes, turn, walk

SEED = 4099
SITE, AFTER_STOP = cross_site(), cross_site(right_on_red="after_stop")
LIGHT = red_at(100.0, groups=("A",))
LAMP = ListSignals({"P": [(0.0, "green"), (90.0, "amber"), (100.0, "red"), (140.0, "green")]})
A = {"at": (3.5, -13.0), "heading_deg": 90.0}
VEHICLES: tuple[Kind, ...] = ("car", "car", "car", "truck", "bus", "motorcycle", "bicycle")


@dataclass(frozen=True)
class Made:
    """One scene and what truly happens in it: (rule, place, road user, second road user, time)."""

    movements: tuple[Movement, ...]
    signals: ListSignals
    truth: tuple[tuple[Rule, str, Kind, Kind | None, float], ...] = ()
    site: Site = SITE


def straight(chance: random.Random) -> Made:
    kind = chance.choice(VEHICLES)
    time = chance.choice((chance.uniform(92.0, 136.0), chance.uniform(96.5, 103.0)))
    car = drive(time=time, kind=kind, speed_mps=chance.uniform(3, 15), **A)
    rule: Rule | None = (
        "amber_entry" if 97 <= time < 100 else "red_light_entry" if 100 <= time < 130 else None
    )
    return Made((car,), LIGHT, ((rule, "A", kind, None, time),) if rule else ())


def waiting(chance: random.Random) -> Made:
    """Stops somewhere near the line on red, drifts, goes on green, or sometimes on red."""
    stop, goes = chance.uniform(-3.0, -0.2), chance.choice((131.5, 131.5, chance.uniform(110, 127)))
    drift = chance.uniform(0.0, 0.3)
    ways = [
        (88.0, -60.0),
        (101.0, stop),
        (104.0, stop + drift),
        (goes - 1, stop),
        (goes, stop),
        (goes + 5, 45.0),
    ]
    crosses = goes + 5.0 * -stop / (45.0 - stop)
    truth = (("red_light_entry", "A", "car", None, crosses),) if crosses < 130 else ()
    return Made((profile(ways=ways, **A),), LIGHT, truth)  # type: ignore[arg-type]  # literal strings


def turning(chance: random.Random) -> Made:
    """Turns right on red where a stop is asked for: rolling or after a stop; or left, or straight on."""
    time, slowest = chance.uniform(104.0, 120.0), chance.choice((0.02, chance.uniform(1.5, 4.0)))
    where = chance.uniform(-3.0, -0.8)

    def speed(way: float) -> float:
        return max(slowest, min(6.0, 0.02 + 1.2 * abs(way - where)))

    what = chance.choice(("right", "right", "left", "straight"))
    if what == "straight":
        car = drive(time=time, speed_mps=chance.uniform(5, 12), **A)
    else:
        right = what == "right"
        car = turn(time=time, radius_m=6.0 if right else 9.0, right=right, speed=speed, after_s=12.0, **A)
    rule: Rule = "right_on_red_without_stop" if what == "right" else "red_light_entry"
    truth = () if what == "right" and slowest < 0.5 else ((rule, "A", "car", None, time),)
    return Made((car,), LIGHT, truth, AFTER_STOP)  # type: ignore[arg-type]  # literal strings


def on_foot(chance: random.Random) -> Made:
    """Steps on at any time; some turn back within the first half metre."""
    time, speed, y = chance.uniform(84.0, 145.0), chance.uniform(0.8, 2.2), chance.uniform(-11.0, -8.0)
    side = chance.choice((-1.0, 1.0))
    start = (time - 4 / speed, side * 11, y)
    if chance.random() < 0.25:
        far = chance.uniform(0.1, 0.5)
        back = time + far / speed
        return Made((walk(start, (back, side * (7 - far), y), (back + 4 / speed, side * 11, y)),), LAMP)
    rule: Rule | None = None
    if 90 <= time < 100:
        rule = "pedestrian_late_start"
    elif 100 <= time < 140:
        rule = "pedestrian_against_signal"
    person = walk(start, (time + 18 / speed, -side * 11, y))
    return Made((person,), LAMP, ((rule, "ped0", "pedestrian", None, time),) if rule else ())


def outside(chance: random.Random) -> Made:
    """Crosses on, near or far from the crosswalk, or comes back to its own kerb, or walks along it."""
    time, speed = chance.uniform(50.0, 70.0), chance.uniform(1.0, 2.0)
    y = chance.choice((chance.uniform(-45, -13), chance.uniform(-11.5, -8.0)))
    what = chance.choice(("across", "across", "back", "along"))
    if what == "along":
        return Made((walk((time, -6.6, -55), (time + 30, -6.6, -16)),), LAMP)
    start = (time - 4 / speed, -11.0, y)
    if what == "back":
        turns = time + 5 / speed
        return Made((walk(start, (turns, -2.0, y), (turns + 9 / speed, -11.0, y)),), LAMP)
    person = walk(start, (time + 18 / speed, 11.0, y))
    truth = (("crossing_outside_crosswalk", "ped0", "pedestrian", None, time),) if y < -12 else ()
    return Made((person,), LAMP, truth)  # type: ignore[arg-type]  # literal strings


def two_cars(chance: random.Random) -> Made:
    """At right angles with any gap, or one behind the other, or in opposite lanes."""
    speed, pet = chance.uniform(5, 14), chance.choice((chance.uniform(0.2, 1.4), chance.uniform(1.7, 4.0)))
    what = chance.choice(("cross", "cross", "cross", "follow", "oppose"))
    first = drive(at=(-0.9, 0), time=100.0, heading_deg=0, speed_mps=speed)
    if what == "follow":
        behind = drive(at=(-0.9, 0), time=100.0 + 4.5 / speed + pet, heading_deg=0, speed_mps=speed)
        return Made((first, behind), ListSignals())
    if what == "oppose":
        return Made((first, drive(at=(0, 2.6), time=100.0, heading_deg=180, speed_mps=speed)), ListSignals())
    entry = 100.0 + (4.5 + 1.8) / speed + pet
    second = drive(at=(0, -0.9), time=entry, heading_deg=90, speed_mps=speed)
    truth = (("near_miss", "junction", "car", "car", entry),) if pet < 1.5 else ()
    return Made((first, second), ListSignals(), truth)  # type: ignore[arg-type]  # literal strings


def car_and_person(chance: random.Random) -> Made:
    """A car passes the crosswalk before, close behind or long after a pedestrian, who had the walk."""
    speed, pace = chance.uniform(5, 12), chance.uniform(1.1, 1.8)
    person = walk((100 - 10.5 / pace, -7.0 - 4.0, -9.5), (100 + 10.5 / pace, 10.0, -9.5))
    # The pedestrian's middle is at x = 3.5 at ``meets``; its footprint is clear of the car's way a bit later.
    meets = 100 + 4.0 / pace
    clear, reach = meets + 1.15 / pace, meets - 1.15 / pace
    if chance.random() < 0.5:
        gap = chance.choice((chance.uniform(0.3, 1.3), chance.uniform(1.8, 4.0)))
        car = drive(at=(3.5, -9.75), time=clear + gap, heading_deg=90, speed_mps=speed)
        truth = (("near_miss", "ped0", "pedestrian", "car", clear + gap),) if gap < 1.5 else ()
        return Made((person, car), ListSignals({"P": [(0.0, "green")]}), truth)  # type: ignore[arg-type]
    gap = chance.choice((chance.uniform(0.3, 1.3), chance.uniform(2.4, 4.0)))
    leaves = reach - gap
    car = drive(at=(3.5, -9.25 + 4.5), time=leaves, heading_deg=90, speed_mps=speed)
    enters = leaves - (6.25) / speed  # its front at y = -11, the edge of the crosswalk
    truth2 = []
    if gap < 1.5:
        truth2.append(("near_miss", "ped0", "car", "pedestrian", reach))
    if gap < 2.0:
        truth2.append(("failure_to_yield", "ped0", "car", None, enters))
    return Made((person, car), ListSignals({"P": [(0.0, "green")]}), tuple(truth2))  # type: ignore[arg-type]


def against_traffic(chance: random.Random) -> Made:
    time, speed, x = chance.uniform(50, 60), chance.uniform(4, 12), chance.uniform(1.2, 5.8)
    what = chance.choice(("wrong", "right side", "backs up"))
    if what == "wrong":
        car = drive(at=(x, -13), time=time, heading_deg=-90, speed_mps=speed)
        return Made((car,), ListSignals(), (("wrong_way", "A", "car", None, time),))
    if what == "right side":
        return Made((drive(at=(-x, -13), time=time, heading_deg=-90, speed_mps=speed),), ListSignals())
    ways = [(time, -30.0), (time + 6, 2.0), (time + 8, 2.0), (time + 14, -8.0), (time + 18, -8.0)]
    return Made((profile(ways=ways, **A),), ListSignals())


def queueing(chance: random.Random) -> Made:
    """Enters behind a standing queue and stands in the box at red, or waits before the line."""
    queue = profile(ways=[(60, 22.0), (150, 22.0), (155, 60.0)], **A)
    time = chance.uniform(85.0, 96.0)
    if chance.random() < 0.5:
        ways = [(time - 10, -60.0), (time, 0.0), (time + 2, 16.5), (145, 16.5), (149, 50.0)]
        return Made(
            (queue, profile(ways=ways, **A)), LIGHT, (("blocking_box", "box", "car", None, time),), BOXED
        )
    ways = [(time - 10, -60.0), (time, -1.0), (131, -1.0), (138, 10.0)]
    return Made((queue, profile(ways=ways, **A)), LIGHT, (), BOXED)


# Each maker, and the rules whose truth it knows: who stops dead behind a queue is a near miss too.
MAKERS: tuple[tuple[Callable[[random.Random], Made], frozenset[Rule]], ...] = (
    (straight, frozenset({"red_light_entry", "amber_entry"})),
    (waiting, frozenset({"red_light_entry"})),
    (turning, frozenset({"red_light_entry", "right_on_red_without_stop"})),
    (on_foot, frozenset({"pedestrian_against_signal", "pedestrian_late_start"})),
    (outside, frozenset({"crossing_outside_crosswalk"})),
    (two_cars, frozenset({"near_miss"})),
    (car_and_person, frozenset({"near_miss", "failure_to_yield"})),
    (against_traffic, frozenset({"wrong_way"})),
    (queueing, frozenset({"blocking_box"})),
)


def measured(per_maker: int, *, seed: int = SEED, rate_hz: float | None = None) -> Evaluation:
    """Return the evaluation over ``per_maker`` scenes of each kind, at one frame rate or at some of three."""
    chance = random.Random(seed)
    found: list[LocalEvent] = []
    truth: list[LocalEvent] = []
    for number in range(per_maker * len(MAKERS)):
        maker, rules = MAKERS[number % len(MAKERS)]
        made = maker(chance)
        noise_m, drop = chance.choice(((0.0, 0.0), (0.1, 0.1), (0.2, 0.1)))
        frames = scenes(
            made.movements, made.signals, rate_hz=_rate_hz(chance, rate_hz), jitter_m=noise_m,
            sigma_m=noise_m or math.nan, drop=drop, seed=seed + number, phase=chance.uniform(0, 0.1),
        )  # fmt: skip
        # Scenes are an hour apart, so that no event of one is matched with another's.
        findings = judged(made.site if rate_hz is None else _allowing(made.site, rate_hz), frames)
        found += [_event(each, number) for each in findings if each.rule in rules]
        truth += [_event(_true(*each), number) for each in made.truth]
    return evaluate(found, truth)


def _allowing(site: Site, rate_hz: float) -> Site:
    """Return a site that lets its rules judge at a rate, however low: how they fare there is the question."""
    lowest_hz = min(site.thresholds.min_frame_rate_hz, 0.8 * rate_hz)
    thresholds = site.thresholds.model_copy(update={"min_frame_rate_hz": lowest_hz})
    return site.model_copy(update={"thresholds": thresholds})


def _rate_hz(chance: random.Random, given: float | None) -> float:
    """Return a frame rate; chance is asked either way, so that scenes are the same at every rate."""
    drawn = chance.choice((10.0, 12.5, 25.0))
    return drawn if given is None else given


def _event(finding: Finding, number: int) -> LocalEvent:
    later = replace(finding, time=finding.time + 3600.0 * number, signal=None, caused_by=None)
    return local_event(number + 1, later, site="made", node="judge", detector="made", clip=None)


def _true(rule: Rule, place: str, user: Kind, second: Kind | None, time: float) -> Finding:
    return Finding(rule, "occurred", time, 0.0, place, user, None, {}, 0.0, 0.0, (0,), second)


if __name__ == "__main__":
    from edge.evaluate import _print

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="?", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    _print(measured(chosen.scenes, seed=chosen.seed))
