"""Near misses: PET, TTC, DRAC on footprints, and what is none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.site import Site
from edge.measures import (
    Footprints,
    Passage,
    deceleration_to_avoid_mps2,
    passages,
    post_encroachment_time_s,
    separation_m,
    time_to_collision_s,
)
from edge.rules.finding import Finding
from edge.rules.path import Path
from edge.rules.ticks import TCX, TCY, TVX, TVY, TickTrack
from edge.rules.turning import drift_mps
from tests.scenes import (
    ListSignals,
    Movement,
    cross_site,
    drive,
    judged,
    profile,
    red_at,
    same,
    scenes,
    turn,
    walk,
)

SITE = cross_site()
NONE = ListSignals()
EAST = {"heading_deg": 0.0}
NORTH = {"heading_deg": 90.0}


def found(
    *movements: Movement, site: Site = SITE, signals: ListSignals = NONE, **how: float
) -> list[Finding]:
    findings = judged(site, scenes(movements, signals, **how))  # type: ignore[arg-type]  # floats by name
    return [finding for finding in findings if finding.rule == "near_miss"]


def footprint(x: float, y: float, heading_deg: float, length: float = 4.0, width: float = 2.0) -> Footprints:
    angle = math.radians(heading_deg)
    values = (x, y, math.cos(angle), math.sin(angle), length / 2, width / 2)
    return Footprints(*(np.array([value]) for value in values))


# ------------------------------------------------------------------------------------------ the measures


@pytest.mark.parametrize(
    ("second", "apart"),
    [
        pytest.param(footprint(10, 0, 0), 6.0, id="behind each other"),
        pytest.param(footprint(0, 3, 0), 1.0, id="side by side"),
        pytest.param(footprint(4, 0, 90), 1.0, id="crosswise"),
        pytest.param(footprint(2, 0, 0), -2.0, id="overlapping"),
        pytest.param(footprint(0, 0, 45), -3.0 / math.sqrt(2) - 0.5, id="on top of each other"),
    ],
)
def test_separation(second: Footprints, apart: float) -> None:
    found_m = float(separation_m(footprint(0, 0, 0), second)[0])
    assert (found_m == pytest.approx(apart)) if apart > -2.5 else found_m < 0


@pytest.mark.parametrize(
    ("second", "velocity", "ttc_s"),
    [
        pytest.param(footprint(24, 0, 0), (-10.0, 0.0), 2.0, id="closing from behind"),
        pytest.param(footprint(24, 0, 0), (0.0, 0.0), math.inf, id="keeping the distance"),
        pytest.param(footprint(24, 0, 0), (5.0, 0.0), math.inf, id="falling back"),
        pytest.param(footprint(24, 2.5, 0), (-10.0, 0.0), math.inf, id="passing beside"),
        pytest.param(footprint(13, -13, 90), (-10.0, 10.0), 1.0, id="crossing at right angles"),
        pytest.param(footprint(13, -33, 90), (-10.0, 10.0), math.inf, id="crossing behind"),
        pytest.param(footprint(1, 0, 0), (1.0, 0.0), 0.0, id="touching already"),
    ],
)
def test_time_to_collision(second: Footprints, velocity: tuple[float, float], ttc_s: float) -> None:
    vx, vy = (np.array([each]) for each in velocity)
    assert float(time_to_collision_s(footprint(0, 0, 0), second, vx, vy)[0]) == pytest.approx(ttc_s)


@settings(max_examples=200)
@given(
    x=st.floats(-20, 20), y=st.floats(-20, 20), heading=st.floats(-180, 180),
    vx=st.floats(-15, 15), vy=st.floats(-15, 15),
)  # fmt: skip
def test_ttc_is_the_first_instant_of_touch(x: float, y: float, heading: float, vx: float, vy: float) -> None:
    """Against a second computation: step the second footprint along and look when it overlaps."""
    first, second = footprint(0, 0, 30.0), footprint(x, y, heading)
    ttc = float(time_to_collision_s(first, second, np.array([vx]), np.array([vy]))[0])
    times = np.arange(0, 5, 0.01)
    moved = Footprints(
        x + vx * times, y + vy * times, *(np.broadcast_to(each, times.shape) for each in
        (second.cx, second.cy, second.half_length, second.half_width)),
    )  # fmt: skip
    touching = np.flatnonzero(separation_m(first, moved) <= 0)
    if len(touching) and math.hypot(vx, vy) > 1e-9:
        assert ttc == pytest.approx(float(times[touching[0]]), abs=0.011)
    elif ttc < 4.9:
        # A graze shorter than a step is not seen by stepping.
        at = Footprints(np.array([x + vx * ttc]), np.array([y + vy * ttc]), *(
            (second.cx, second.cy, second.half_length, second.half_width)))  # fmt: skip
        assert abs(float(separation_m(first, at)[0])) < 1e-6


def test_drac_is_the_braking_that_just_avoids_it() -> None:
    assert float(deceleration_to_avoid_mps2(np.array(10.0), np.array(2.0))) == pytest.approx(2.5)
    assert float(deceleration_to_avoid_mps2(np.array(10.0), np.array(math.inf))) == 0.0


def test_pet_is_undefined_if_both_were_inside_together() -> None:
    assert post_encroachment_time_s(Passage(1.0, 3.0), Passage(2.0, 4.0)) is None
    assert post_encroachment_time_s(Passage(1.0, 3.0), Passage(4.0, 5.0)) == pytest.approx(1.0)
    assert post_encroachment_time_s(Passage(4.0, 5.0), Passage(1.0, 3.0)) == pytest.approx(1.0)


def test_passages_of_two_that_cross() -> None:
    """A 4 m × 2 m car at 10 m/s crosses the way of another: inside from -0.3 s to 0.3 s around the middle."""
    times = np.arange(-30, 31) / 10
    ones = np.ones_like(times)
    east = Footprints(10 * times, 0 * ones, ones, 0 * ones, 2 * ones, ones)
    north = Footprints(0 * ones, 10 * times, 0 * ones, ones, 2 * ones, ones)
    one, other = passages(times, east, times + 1.5, north) or pytest.fail("they do cross")
    assert (one.enter, one.leave) == pytest.approx((-0.3, 0.3), abs=0.01)
    assert (other.enter, other.leave) == pytest.approx((1.2, 1.8), abs=0.01)


# ------------------------------------------------------------------------------------------ near misses


def crossing_pair(pet_s: float) -> tuple[Movement, Movement]:
    """Two cars at 10 m/s at right angles; PET as given. Car length 4.5, width 1.8: the conflict area is
    1.8 m by 1.8 m, the first's rear leaves it 0.63 s after its front came in."""
    first = drive(at=(-0.9, 0), time=100.0, **EAST)
    return first, drive(at=(0, -0.9), time=100.0 + 0.63 + pet_s, **NORTH)


@pytest.mark.parametrize("pet_s", [0.3, 0.8, 1.2, 1.4])
def test_pet_of_a_crossing(pet_s: float) -> None:
    (finding,) = found(*crossing_pair(pet_s))
    assert finding.outcome == "occurred"
    assert finding.measures["pet_s"].value == pytest.approx(pet_s, abs=0.02)
    assert finding.time == pytest.approx(100.63 + pet_s, abs=0.02)
    assert (finding.road_user, finding.road_user2, finding.place) == ("car", "car", "junction")
    assert finding.measures["conflict_speed_mps"].value == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("pet_s", [1.7, 3.0, 6.0])
def test_a_longer_pet_is_no_near_miss(pet_s: float) -> None:
    assert found(*crossing_pair(pet_s)) == []


def test_a_pet_within_its_error_of_the_threshold_is_undecidable() -> None:
    (finding,) = found(*crossing_pair(1.5), sigma_m=0.3)
    assert finding.outcome == "undecidable"


def test_a_pedestrian_missed_on_the_crosswalk_names_it() -> None:
    """The pedestrian walks over x = 3.5 at 106; the car's front reaches its path 0.8 s after it has left."""
    person = walk((98.5, -7, -9.5), (113.5, 14, -9.5))  # 1.4 m/s, x = 3.5 at 106.0
    clear = 106.0 + (0.9 + 0.25) / 1.4
    car = drive(at=(3.5, -9.75), time=clear + 0.8, **NORTH)
    (finding,) = found(person, car)
    assert (finding.road_user, finding.road_user2, finding.place) == ("pedestrian", "car", "ped0")
    assert finding.measures["pet_s"].value == pytest.approx(0.8, abs=0.03)
    assert finding.time == pytest.approx(clear + 0.8, abs=0.03)


def test_braking_late_behind_a_standing_car_has_a_ttc() -> None:
    """From 12 m/s, 6 m/s² from 15 m before the other's rear: TTC at braking is 1.25 s and falls."""
    stands = profile(at=(0, 0), heading_deg=0, ways=[(90, 4.5), (115, 4.5)])
    ways = [(90.0, -15.0 - 12.0 * 10.0), (100.0, -15.0)]
    ways += [(100 + n / 20, -15.0 + 12.0 * n / 20 - 3.0 * (n / 20) ** 2) for n in range(1, 41)]
    ways += [(115.0, ways[-1][1])]
    comes = profile(at=(0, 0), heading_deg=0, ways=ways)
    (finding,) = found(stands, comes)
    assert finding.outcome == "occurred"
    assert "pet_s" not in finding.measures
    assert 0.9 < finding.measures["ttc_s"].value < 1.3
    assert 100.0 <= finding.time <= 102.0
    assert finding.measures["drac_mps2"].value > 4.0


NO_CONFLICT = [
    pytest.param(
        (drive(at=(0, -3.5), time=100, **EAST), drive(at=(0, -3.5), time=101.2, **EAST)),
        id="followers 1.2 s apart",
    ),
    pytest.param(
        (
            drive(at=(0, 0), time=100, heading_deg=0, speed_mps=13),
            drive(at=(0, 2.3), time=100, heading_deg=180, speed_mps=13),
        ),
        id="opposite lanes, half a metre between",
    ),
    pytest.param(
        (
            profile(at=(0, 0), heading_deg=0, ways=[(90, 0), (120, 0)]),
            profile(at=(0, 0), heading_deg=0, ways=[(90, -6), (120, -6)]),
        ),
        id="two in a queue",
    ),
    pytest.param(
        (
            profile(at=(0, 0), heading_deg=0, ways=[(90, 0), (120, 0)]),
            walk((98, 1.0, -6.0), (110, 1.0, 8.0)),
        ),
        id="a pedestrian walks past a standing car",
    ),
    pytest.param((walk((98, -8, 0), (110, 8, 0)), walk((98, 0, -8), (110, 0, 8))), id="two pedestrians"),
    pytest.param(
        (
            drive(at=(-9.5, -6.0), time=100.0, **EAST),
            walk((93, -9.5, -16.0), (99.0, -9.5, -7.6), (104, -9.5, -7.6)),
        ),
        id="a pedestrian walks up to the kerb as a car passes",
    ),
    pytest.param(
        (drive(at=(0, -3.5), time=100, **EAST), drive(at=(0, 3.5), time=100, heading_deg=180)),
        id="opposite directions, far apart",
    ),
    pytest.param(
        (
            turn(at=(3.5, -13), heading_deg=90, time=100, radius_m=8.0, right=False, straight_m=9.0),
            profile(at=(-3.5, 13), heading_deg=-90, ways=[(90, -1.0), (115, -1.0)]),
        ),
        id="a left turn that points at a waiting car on its way round",
    ),
]


@pytest.mark.parametrize("movements", NO_CONFLICT)
def test_no_conflict(movements: tuple[Movement, ...]) -> None:
    assert found(*movements) == []


@pytest.mark.parametrize(
    ("bend_deg", "walks", "across_mps"),
    [
        pytest.param(15.0, False, 5.0 * math.sin(math.radians(6.0)), id="out of a bend"),
        pytest.param(5.0, False, 0.0, id="straight on"),
        pytest.param(15.0, True, 0.0, id="on foot"),
    ],
)
def test_who_comes_out_of_a_bend_moves_across_its_heading(
    bend_deg: float, walks: bool, across_mps: float
) -> None:
    # Of SUMO's trucks: from 72° to 91° within a second, and then its middle still moves 5° off.
    rows = np.zeros((60, 14))
    facing = np.radians(np.interp(np.arange(60), [20, 30], [bend_deg, 0.0]))
    rows[:, TCX], rows[:, TCY] = np.cos(facing), np.sin(facing)
    rows[:, TVX], rows[:, TVY] = 5.0 * math.cos(math.radians(6.0)), 5.0 * math.sin(math.radians(6.0))
    track = TickTrack(Path(1, 1), 1000, rows, walks)
    assert drift_mps(track, 1030) == pytest.approx(across_mps)
    assert drift_mps(track, 1050) == 0.0


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [pytest.param(102.1, "undecidable", id="cut"), pytest.param(105.0, "occurred", id="seen")],
)
def test_the_end_of_a_recording_is_not_the_least_ttc(ends: float, outcome: str) -> None:
    # As on the second STRUDL clip, whose last frame shows a turning car that points at the queue.
    standing = profile(at=(0, -2), **EAST, ways=[(95, 0.0), (ends, 0.0)])
    late = profile(
        at=(-5, -2), **EAST, ways=[(95, -72.0), (102.0, -12.0), (103.0, -6.0), (104.0, -3.0), (105.0, -3.0)]
    )
    (finding,) = found(standing, replace(late, end=ends))
    assert finding.outcome == outcome


@pytest.mark.parametrize(
    ("sigma_m", "outcome"),
    [pytest.param(0.3, "occurred", id="placed well"), pytest.param(0.6, "undecidable", id="placed badly")],
)
def test_a_place_beyond_the_sites_error_decides_nothing(sigma_m: float, outcome: str) -> None:
    (finding,) = found(*crossing_pair(0.3), sigma_m=sigma_m)
    assert finding.outcome == outcome


def test_one_event_per_encounter_and_another_for_the_next() -> None:
    first, second = crossing_pair(0.5)
    again = [replace(each, start=each.start, end=each.end) for each in (first, second)]
    assert len(found(*again)) == 1


def test_a_near_miss_caused_by_a_red_light_entry_names_it() -> None:
    signals = red_at(100.0, groups=("A",))
    runs = drive(at=(3.5, -13), time=104.0, **NORTH)  # at y = -3.5 at 104.95
    other = drive(at=(3.5, -3.5), time=106.1, **EAST)
    findings = judged(SITE, scenes([runs, other], signals))
    entry, miss = findings
    assert (entry.rule, miss.rule) == ("red_light_entry", "near_miss")
    assert miss.caused_by is entry


@settings(max_examples=10)
@given(beat_s=st.floats(0.05, 30.0), pet_s=st.floats(0.2, 1.3))
def test_findings_do_not_depend_on_the_beat(beat_s: float, pet_s: float) -> None:
    person = walk((95, -12, -9.5), (110, 12, -9.5))
    street = [*crossing_pair(pet_s), person, drive(at=(3.5, -9.5), time=106.2, **NORTH)]
    frames = list(scenes(street, NONE))
    assert same(judged(SITE, frames, beat_s=beat_s), judged(SITE, frames))


@settings(max_examples=15)
@given(angle_deg=st.floats(40, 140), pet_s=st.floats(0.2, 1.3), speed_mps=st.floats(3, 15))
def test_crossings_at_any_angle_are_found(angle_deg: float, pet_s: float, speed_mps: float) -> None:
    """The oblique conflict area is larger, so PET is at most that of the centres less the passing time."""
    first = drive(
        at=(0, 0), time=100.0, heading_deg=0.0, front=False, speed_mps=speed_mps, before_s=6, after_s=6
    )
    clear_s = (4.5 + 1.8) / speed_mps / math.sin(math.radians(angle_deg))
    second = drive(
        at=(0, 0), time=100.0 + clear_s + pet_s, heading_deg=angle_deg, front=False,
        speed_mps=speed_mps, before_s=6, after_s=6,
    )  # fmt: skip
    findings = found(first, second)
    assert len(findings) <= 1
    for finding in findings:
        if "pet_s" in finding.measures:
            assert finding.measures["pet_s"].value <= clear_s + pet_s


@pytest.mark.parametrize("seed", [1, 2, 55, 78])
def test_who_passes_in_the_next_lane_is_no_conflict_for_all_the_noise(seed: int) -> None:
    """80 cm apart: noise may turn one towards the other, never so far that it is sure."""
    one = drive(at=(-0.9, 0), time=100.0, heading_deg=0, speed_mps=9.0)
    other = drive(at=(0, 2.6), time=100.0, heading_deg=180, speed_mps=9.0)
    frames = scenes((one, other), NONE, rate_hz=12.5, sigma_m=0.2, jitter_m=0.2, drop=0.1, seed=seed)
    told = [each for each in judged(SITE, frames) if (each.rule, each.outcome) == ("near_miss", "occurred")]
    assert told == []
