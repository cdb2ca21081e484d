"""PET and TTC of ours beside those of SUMO's SSM device, pair by pair, and why one side has none."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass

from calibration.site import load_site
from edge.judge import judged
from edge.measures import passages
from edge.rules.finding import Finding
from edge.signals.lines import Problems
from edge.signals.sources import sources_of
from edge.tracks import TracksFile
from tests.sumo.junctions import Junction, Leg
from tests.sumo.ssm import (
    CROSSING,
    FOLLOWING,
    Conflict,
    Driven,
    Lanes,
    pet_of,
    read_conflicts,
    read_driven,
    ttc_as_sumo,
    ttc_of_footprints,
)
from tests.sumo.world import World

# Single lanes that run straight on, at right angles and at 60 degrees: no way bends.
CROSS, OBLIQUE = (
    Junction(
        f"straight-{angle}",
        (Leg("N", angle), Leg("E", 0), Leg("S", angle + 180), Leg("W", 180)),
        headway_s=11.0,
        heedless=True,
    )
    for angle in (90, 60)
)
# What is recorded of each meeting here; flagged for review is less (docs/rules/near_miss.md).
PET_S, TTC_S = 5.0, 3.0
# Least values this far apart in time are of the same moment.
SAME_S = 1.0


@dataclass(frozen=True)
class PetPair:
    """One pair whose ways cross: PET by the device, by its definition on our tracks, and by ours.

    ``at_crossing_s``: the device's definition with a turn's area at the crossing, not at its waiting
    position. ``bands_s``: of straight bands as wide as the bodies, at the angle of the crossing. ``ours_s``:
    between footprints, as the rule found it; None with the reason in ``why``.
    """

    junction: str
    pair: tuple[str, str]
    kinds: tuple[str, str]
    device_s: float
    defined_s: float
    at_crossing_s: float
    bands_s: float
    angle_deg: float
    straight: bool
    ours_s: float | None
    why: str


@dataclass(frozen=True)
class TtcPair:
    """One pair: the least TTC of the device, its definition on our tracks and ours at that instant, ours.

    ``elsewhere``: our least is of another moment, where the bodies came nearer than the lanes do.
    ``bend``: the two face more than 5 degrees apart, and the way along lanes is no straight line.
    """

    junction: str
    pair: tuple[str, str]
    kinds: tuple[str, str]
    way: str
    device_s: float
    defined_s: float
    footprints_s: float
    ours_s: float | None
    elsewhere: bool
    bend: bool


@dataclass(frozen=True)
class Compared:
    """One junction's pairs, and what one side has and the other has not, counted by reason."""

    pets: list[PetPair]
    ttcs: list[TtcPair]
    only_device: Counter[str]
    only_ours: Counter[str]


def our_near_misses(world: World) -> list[Finding]:
    """Return what the engine finds when everything up to PET 5 s and TTC 3 s is flagged."""
    site = load_site(world.site)
    wide = site.thresholds.model_copy(update={"pet_flag_s": PET_S, "ttc_flag_s": TTC_S})
    told = sources_of(site, world.signals, start_time=0.0, lamps=False).signals
    rows = TracksFile(world.tracks, Problems(world.tracks), start_time=0.0)
    findings = judged(rows, site.model_copy(update={"thresholds": wide}), told)
    return [finding for finding in findings if finding.rule == "near_miss"]


def compared(junction: Junction, world: World) -> Compared:
    """Match conflicts of the device with meetings of ours, by the two road users."""
    names = _names(world)
    ours: dict[tuple[str, str], list[Finding]] = {}
    for finding in our_near_misses(world):
        one, other = sorted(names[track] for track in finding.tracks)
        ours.setdefault((one, other), []).append(finding)
    driven, lanes = read_driven(world), Lanes(world)
    result = Compared([], [], Counter(), Counter())
    conflicts = read_conflicts(world, step_s=junction.step_s)
    for conflict in conflicts:
        if not all(name in driven for name in conflict.pair):
            result.only_device["a vehicle never came within the 60 m of the tracks"] += 1
            continue
        _pet(conflict, driven, lanes, ours.get(conflict.pair, []), junction, result)
        _ttc(conflict, driven, lanes, ours.get(conflict.pair, []), junction, result)
    seen = {conflict.pair for conflict in conflicts if conflict.pet_s is not None}
    for pair, findings in ours.items():
        if pair not in seen and any("pet_s" in finding.measures for finding in findings):
            result.only_ours[_unseen(pair, findings, driven, lanes)] += 1
    return result


def _names(world: World) -> dict[int, str]:
    """Return SUMO's name of each track of the engine.

    Whoever reads tracks.csv numbers them in order of appearance; those left out of the file (``truths``) have
    no number, so that all behind them move up.
    """
    given = {str(number): name for name, number in world.numbers.items()}
    with world.tracks.open() as file:
        order = dict.fromkeys(row["track"] for row in csv.DictReader(file))
    return {number: given[track] for number, track in enumerate(order, start=1)}


def _pet(
    conflict: Conflict,
    driven: dict[str, Driven],
    lanes: Lanes,
    findings: list[Finding],
    junction: Junction,
    result: Compared,
) -> None:
    if conflict.pet_s is None or conflict.pet_s > PET_S:
        return
    one, other = (driven[name] for name in conflict.pair)
    if conflict.pet_s == 0.0:
        result.only_device["PET 0: inside together by the device, where ours is undefined"] += 1
        return
    if any(lanes.changed(name) for name in conflict.pair):
        result.only_device["changed lanes inside the junction"] += 1
        return
    areas, crossing, bands = (
        lanes.areas(one, other),
        lanes.areas(one, other, waiting=False),
        lanes.bands(one, other),
    )
    if areas is None or crossing is None or bands is None:
        result.only_device["the fronts' ways do not cross"] += 1
        return
    found = [finding for finding in findings if "pet_s" in finding.measures]
    ours_s = min((finding.measures["pet_s"].value for finding in found), default=None)
    result.pets.append(
        PetPair(
            junction=junction.name,
            pair=conflict.pair,
            kinds=(one.kind, other.kind),
            device_s=conflict.pet_s,
            defined_s=pet_of(areas)[0],
            at_crossing_s=pet_of(crossing)[0],
            bands_s=pet_of(bands)[0],
            angle_deg=lanes.angle_deg(one, other),
            straight=lanes.straight(one, other),
            ours_s=ours_s,
            why="" if ours_s is not None else _why_none(one, other),
        )
    )


def _why_none(one: Driven, other: Driven) -> str:
    """Return why the rule has no PET of a pair that the device has one of."""
    inside = passages(one.times, one.footprints(), other.times, other.footprints())
    if inside is None:
        return "footprints never shared a place"
    first, second = sorted(inside, key=lambda passage: passage.enter)
    gap_s = second.enter - first.leave
    if gap_s < 0:
        return "inside together by footprints"
    return "more than 5 s by footprints" if gap_s > PET_S else "ways that run together (less than 30 degrees)"


def _unseen(pair: tuple[str, str], findings: list[Finding], driven: dict[str, Driven], lanes: Lanes) -> str:
    """Return why the device has no PET of a pair that the rule has one of."""
    if any("pedestrian" in (each.road_user, each.road_user2) for each in findings):
        return "a pedestrian: the device knows vehicles only"
    one, other = (driven[name] for name in pair)
    areas = lanes.areas(one, other)
    if areas is None:
        return "lanes that do not cross, footprints that do (a long vehicle's rear, lanes side by side)"
    if lanes.merge(*pair):
        return "lanes that merge: the device computes no PET"
    device_s = pet_of(areas)[0]
    if device_s > PET_S:
        return "more than 5 s by the device's definition"
    return "inside together by the device's definition" if device_s < 0 else "not written by the device"


def _ttc(
    conflict: Conflict,
    driven: dict[str, Driven],
    lanes: Lanes,
    findings: list[Finding],
    junction: Junction,
    result: Compared,
) -> None:
    kind = conflict.ttc_type
    if conflict.ttc_s is None or conflict.ttc_s > TTC_S or kind not in FOLLOWING | CROSSING:
        return
    one, other = (driven[name] for name in conflict.pair)
    if any(not each.times[0] < conflict.ttc_time <= each.times[-1] for each in (one, other)):
        return
    if any(lanes.changed(name) for name in conflict.pair):
        return
    defined_s = ttc_as_sumo(conflict, driven, lanes)
    if defined_s is None:
        return
    found = [finding for finding in findings if "ttc_s" in finding.measures]
    then = [finding for finding in found if abs(finding.time - conflict.ttc_time) <= SAME_S]
    values = [finding.measures["ttc_s"].value for finding in then]
    result.ttcs.append(
        TtcPair(
            junction=junction.name,
            pair=conflict.pair,
            kinds=(one.kind, other.kind),
            way="following" if kind in FOLLOWING else "crossing",
            device_s=conflict.ttc_s,
            defined_s=defined_s,
            footprints_s=ttc_of_footprints(conflict, driven),
            ours_s=min(values, default=None),
            elsewhere=bool(found) and not then,
            bend=one.apart_deg(other, conflict.ttc_time) > 5,
        )
    )
