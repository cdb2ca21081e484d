"""Pedestrians: against the signal, late starts, and crossings outside the crosswalk."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.site import Crosswalk, Roadway, Site, SiteInfo
from edge.rules.finding import Finding
from tests.scenes import ListSignals, Movement, cross_site, judged, same, scenes, walk

SITE = cross_site()
# Walk from 0, flashing from 90, don't walk from 100, walk again from 130. The crosswalk is x = -7 .. 7 at
# y = -11 .. -8; the kerbs are at x = ±7.
LAMP = ListSignals({"P": [(0.0, "green"), (90.0, "amber"), (100.0, "red"), (130.0, "green")]})
AGAINST, LATE = "pedestrian_against_signal", "pedestrian_late_start"
OUTSIDE = "crossing_outside_crosswalk"
Y = -9.5


def found(
    *movements: Movement, site: Site = SITE, signals: ListSignals = LAMP, **how: float
) -> list[Finding]:
    return judged(site, scenes(movements, signals, **how))  # type: ignore[arg-type]  # floats by name


def rules(*movements: Movement, **how: object) -> list[tuple[str, str]]:
    return [(each.rule, each.outcome) for each in found(*movements, **how)]  # type: ignore[arg-type]


def crossing(steps_on: float, *, y: float = Y, west: bool = True, speed_mps: float = 1.4) -> Movement:
    """Kerb to kerb straight across, stepping on at an instant, from the west or the east."""
    side = -1.0 if west else 1.0
    run_up, over = 4.0 / speed_mps, 18.0 / speed_mps
    return walk((steps_on - run_up, side * 11.0, y), (steps_on + over, -side * 11.0, y))


@pytest.mark.parametrize(
    ("steps_on", "expected"),
    [
        pytest.param(60.0, [], id="on walk"),
        pytest.param(89.5, [], id="on walk, finishing on flashing"),
        pytest.param(88.0, [], id="on walk, finishing on don't walk"),
        pytest.param(89.995, [(LATE, "undecidable")], id="within timing error of flashing"),
        pytest.param(90.2, [(LATE, "occurred")], id="just after flashing began"),
        pytest.param(96.0, [(LATE, "occurred")], id="on flashing, finishing on don't walk"),
        pytest.param(100.005, [(AGAINST, "undecidable"), (LATE, "undecidable")], id="within error of both"),
        pytest.param(100.3, [(AGAINST, "occurred")], id="just after don't walk"),
        pytest.param(115.0, [(AGAINST, "occurred")], id="on don't walk"),
        pytest.param(129.2, [(AGAINST, "occurred")], id="starts before walk comes"),
        pytest.param(130.3, [], id="on walk again"),
    ],
)
@pytest.mark.parametrize("west", [True, False], ids=["from the west", "from the east"])
def test_a_start_is_judged_when_stepping_on(
    steps_on: float, expected: list[tuple[str, str]], west: bool
) -> None:
    assert rules(crossing(steps_on, west=west)) == expected


def test_a_start_has_its_numbers() -> None:
    (finding,) = found(crossing(103.5))
    assert (finding.rule, finding.place, finding.road_user) == (AGAINST, "ped0", "pedestrian")
    assert finding.time == pytest.approx(103.5, abs=5e-3)
    assert finding.measures["into_dont_walk_s"].value == pytest.approx(3.5, abs=5e-3)
    assert (finding.x, finding.y) == pytest.approx((-7.0, Y), abs=0.02)


REAL_STARTS = [
    pytest.param(walk((100, -11, Y), (103, -6.9, Y), (106, -11, Y)), [], id="brushes the kerb"),
    pytest.param(walk((100, -11, Y), (104, -6.1, Y), (108, -11, Y)), [], id="steps off and back in 1 m"),
    pytest.param(walk((100, -11, Y), (104, -5.0, Y), (108, -11, Y)), [AGAINST], id="turns back after 2 m"),
    pytest.param(walk((100, -7.3, Y), (131, -7.3, Y), (140, 8, Y)), [], id="waits at the kerb for walk"),
    pytest.param(
        walk((100, -11, Y), (103, -6.7, Y), (131.2, -6.7, Y), (141, 7.5, Y)),
        [],
        id="waits with the toes on the road, goes on walk",
    ),
    pytest.param(
        walk((100, -11, Y), (103, -6.7, Y), (115, -6.7, Y), (125, 7.5, Y)),
        [AGAINST],
        id="waits with the toes on the road, goes on don't walk",
    ),
    pytest.param(walk((110, -5, Y), (118, 7.5, Y)), [], id="on the road when first seen"),
    pytest.param(walk((110, -11, -30), (114, -7.5, -30), (125, -7.5, 0)), [], id="along the kerb"),
    pytest.param(walk((88, -11, Y), (94, -6, Y), (125, 7.5, Y)), [LATE], id="slow, finishes late"),
]


@pytest.mark.parametrize(("movement", "expected"), REAL_STARTS)
def test_a_start_must_be_real(movement: Movement, expected: list[str]) -> None:
    assert [rule for rule, outcome in rules(movement) if outcome == "occurred"] == expected


def test_who_turns_back_and_starts_again_has_started_twice() -> None:
    movement = walk((100, -11, Y), (104, -5, Y), (108, -11, Y), (112, -5, Y), (120, 8, Y))
    assert [rule for rule, _ in rules(movement)] == [AGAINST, AGAINST]


@pytest.mark.parametrize("state", ["unknown", "dark", "flashing_red", "flashing_amber", "green"])
def test_no_dont_walk_no_violation(state: str) -> None:
    assert rules(crossing(110.0), signals=ListSignals({"P": [(0.0, state)]})) == []  # type: ignore[dict-item]


def test_a_cyclist_on_the_crosswalk_is_no_pedestrian() -> None:
    rider = replace(crossing(110.0, speed_mps=4.0), kind="bicycle")
    assert rules(rider) == []


# -------------------------------------------------------------------------------------------- two stages

ISLAND = Site(
    site=SiteInfo(id="island"),
    crosswalks=(
        Crosswalk(id="west", signal_group="W", polygon=((-9, -2), (-1, -2), (-1, 2), (-9, 2))),
        Crosswalk(id="east", signal_group="E", polygon=((1, -2), (9, -2), (9, 2), (1, 2))),
    ),
    roadways=(
        Roadway(id="r1", polygon=((-9, -40), (-1, -40), (-1, 40), (-9, 40))),
        Roadway(id="r2", polygon=((1, -40), (9, -40), (9, 40), (1, 40))),
    ),
)
STRAIGHT_OVER = walk((100, -12, 0), (117, 12, 0))  # 1.41 m/s: on at 102.1, island at 107.8 .. 109.2


@pytest.mark.parametrize(
    ("west", "east", "expected"),
    [
        pytest.param("green", "green", [], id="walk on both"),
        pytest.param("green", "red", [(AGAINST, "east")], id="second stage against the signal"),
        pytest.param("red", "green", [(AGAINST, "west")], id="first stage against the signal"),
        pytest.param("red", "red", [(AGAINST, "west"), (AGAINST, "east")], id="both"),
        pytest.param("green", "amber", [(LATE, "east")], id="second stage late"),
    ],
)
def test_stages_over_a_refuge_island_count_each(
    west: str, east: str, expected: list[tuple[str, str]]
) -> None:
    signals = ListSignals({"W": [(0.0, west)], "E": [(0.0, east)]})  # type: ignore[list-item]
    assert [
        (each.rule, each.place) for each in found(STRAIGHT_OVER, site=ISLAND, signals=signals)
    ] == expected


def test_an_island_in_the_middle_of_one_crosswalk() -> None:
    """One crosswalk, one signal, an island between: walk at the kerb, don't walk at the island."""
    ring = ISLAND.model_copy(
        update={
            "crosswalks": (
                Crosswalk(id="all", signal_group="G", polygon=((-9, -2), (9, -2), (9, 2), (-9, 2))),
            )
        }
    )
    signals = ListSignals({"G": [(0.0, "green"), (104.0, "red")]})
    assert [
        (each.rule, round(each.time, 1)) for each in found(STRAIGHT_OVER, site=ring, signals=signals)
    ] == [(AGAINST, 109.2)]


def test_roadways_that_meet_have_no_kerb_between_them() -> None:
    """Two polygons side by side (and a 5 cm seam) are one road: no second start in the middle."""
    halves = (
        Roadway(polygon=((-7, -60), (0, -60), (0, 60), (-7, 60))),
        Roadway(polygon=((0.05, -60), (7, -60), (7, 60), (0.05, 60))),
    )
    site = SITE.model_copy(update={"roadways": halves})
    signals = ListSignals({"P": [(0.0, "green"), (102.0, "red")]})
    assert rules(crossing(100.0), site=site, signals=signals) == []


def test_without_roadways_the_crosswalk_is_the_road() -> None:
    site = SITE.model_copy(update={"roadways": ()})
    assert [(each.rule, round(each.time, 2)) for each in found(crossing(110.0), site=site)] == [
        (AGAINST, 110.0)
    ]


# ------------------------------------------------------------------------- crossing outside the crosswalk


OUTSIDE_CASES = [
    pytest.param(crossing(110.0, y=-30.0), [(OUTSIDE, "occurred")], id="far from any crosswalk"),
    pytest.param(crossing(110.0, y=-12.5), [(OUTSIDE, "occurred")], id="1.5 m beside it"),
    pytest.param(crossing(60.0, y=-11.8), [], id="0.8 m beside it"),
    pytest.param(crossing(60.0, y=-11.0), [], id="on its edge"),
    pytest.param(crossing(60.0, y=-12.005), [(OUTSIDE, "undecidable")], id="within the error of 1 m"),
    pytest.param(
        walk((60, -11, -9.5), (68, 0, -9.5), (76, 11, -15.0)),
        [(OUTSIDE, "occurred")],
        id="leaves it halfway",
    ),
    pytest.param(
        walk((60, -11, -20), (66, -3, -9.5), (76, 11, -9.5)),
        [(OUTSIDE, "occurred")],
        id="joins it halfway",
    ),
    pytest.param(walk((60, -11, -30), (66, -1, -30), (72, -11, -30)), [], id="turns back in the middle"),
    pytest.param(walk((60, -6.6, -55), (90, -6.6, -15)), [], id="walks along the edge"),
    pytest.param(
        walk((60, -11, -50), (64, -6.0, -48), (85, -6.0, -20), (89, -11, -18)),
        [],
        id="round a parked car",
    ),
    pytest.param(walk((60, 20, 11), (64, 20, 5), (74, 9, 5.0), (80, 9, 11)), [], id="off and on, same kerb"),
    pytest.param(
        walk((60, -11, -12), (66, -5, -5.0), (72, -12, -2), (75, -12, -8.0)), [], id="cuts a corner"
    ),
    pytest.param(walk((60, -11, -11), (80, 11, 11)), [(OUTSIDE, "occurred")], id="across the junction"),
    pytest.param(walk((60, 0, -30), (70, 11, -30)), [], id="on the road when first seen"),
    pytest.param(walk((60, -11, -30), (70, 0, -30)), [], id="lost in the middle"),
    pytest.param(walk((60, -11, -30), (75, 6.5, -30)), [(OUTSIDE, "undecidable")], id="lost at the kerb"),
]


@pytest.mark.parametrize(("movement", "expected"), OUTSIDE_CASES)
def test_crossing_outside_the_crosswalk(movement: Movement, expected: list[tuple[str, str]]) -> None:
    assert [each for each in rules(movement) if each[0] == OUTSIDE] == expected


def test_a_crossing_outside_is_dated_at_its_first_step() -> None:
    (finding,) = found(crossing(110.0, y=-30.0))
    assert finding.time == pytest.approx(110.0, abs=5e-3)
    assert (finding.place, finding.road_user, finding.signal) == ("ped0", "pedestrian", None)
    assert finding.measures["outside_m"].value == pytest.approx(19.0, abs=0.01)


def test_a_site_without_crosswalks_names_the_road() -> None:
    site = SITE.model_copy(update={"crosswalks": ()})
    (finding,) = found(crossing(110.0, y=-30.0), site=site)
    assert (finding.rule, finding.place) == (OUTSIDE, "roadway-2")
    assert "outside_m" not in finding.measures


def test_a_site_without_roadways_knows_no_kerb_to_cross_from() -> None:
    site = SITE.model_copy(update={"roadways": ()})
    assert rules(crossing(110.0, y=-30.0), site=site) == []


def test_position_error_widens_the_margin() -> None:
    """1.25 m beside the crosswalk is outside for exact positions, undecided for errors of 0.3 m."""
    assert rules(crossing(60.0, y=-12.25)) == [(OUTSIDE, "occurred")]
    assert rules(crossing(60.0, y=-12.25), sigma_m=0.45) == [(OUTSIDE, "undecidable")]


@pytest.mark.parametrize("seed", range(4))
def test_jitter_at_the_kerb_is_no_start(seed: int) -> None:
    waiting = walk((100, -11, Y), (102, -7.5, Y), (128, -7.5, Y), (131, -7.5, Y))
    assert rules(waiting, sigma_m=0.2, jitter_m=0.2, seed=seed) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_noisy_start_is_timed_within_its_error(seed: int) -> None:
    (finding,) = found(crossing(110.0), sigma_m=0.2, jitter_m=0.2, seed=seed)
    assert (finding.rule, finding.outcome) == (AGAINST, "occurred")
    assert abs(finding.time - 110.0) < 4 * finding.time_sigma_s


@settings(max_examples=20)
@given(beat_s=st.floats(0.05, 30.0), stated=st.booleans(), seed=st.integers(0, 3))
def test_findings_do_not_depend_on_the_beat(beat_s: float, stated: bool, seed: int) -> None:
    """Nor does how far outside a way led, whether errors are stated or have to be seen."""
    street = [crossing(101.0), crossing(95.0, west=False), crossing(99.0, y=-20.0), crossing(110.0, y=-12.4)]
    sigma_m = 0.1 if stated else math.nan
    frames = list(scenes(street, LAMP, sigma_m=sigma_m, jitter_m=0.1, seed=seed))
    assert same(judged(SITE, frames, beat_s=beat_s), judged(SITE, frames))


@settings(max_examples=20)
@given(steps_on=st.floats(100.2, 129.0), speed_mps=st.floats(0.7, 3.0), y=st.floats(-11.9, -7.2))
def test_any_start_on_dont_walk_is_found(steps_on: float, speed_mps: float, y: float) -> None:
    findings = [each for each in found(crossing(steps_on, speed_mps=speed_mps, y=y)) if each.rule == AGAINST]
    assert [(each.outcome, each.time) for each in findings] == [
        ("occurred", pytest.approx(steps_on, abs=0.02))
    ]
    assert not math.isnan(findings[0].time_sigma_s)


def test_who_sets_off_with_the_walk_while_rows_are_lost_was_in_time() -> None:
    """Stands at the kerb, goes at walk (130.0); the rows of the first steps are lost (a tenth of SUMO's)."""
    person = walk((120.0, -7.05, Y), (130.05, -7.05, Y), (140.05, 6.95, Y), (143.0, 11.0, Y))
    frames = [
        scene if not 129.85 < scene.time < 130.25 else replace(scene, users=())
        for scene in scenes([person], LAMP)
    ]
    assert judged(SITE, frames) == []


def test_who_creeps_over_the_kerb_in_a_crowd_has_not_stood_on_the_road() -> None:
    """At 0.22 m/s behind others: half a metre out on don't walk, a metre out on walk."""
    creeping = walk((96, -7.05, Y), (127, -7.05, Y), (133, -5.73, Y), (143, 9, Y))
    (finding,) = found(creeping)
    assert (finding.rule, finding.outcome) == (AGAINST, "occurred")
    assert finding.time == pytest.approx(127.2, abs=0.15)


def test_who_sets_off_slowly_from_before_the_kerb_has_not_stood_beyond_it() -> None:
    """Slow for half a second beyond the kerb, within the second over which speeds are told."""
    slow = walk((96, -7.03, Y), (110, -7.03, Y), (113.0, -6.5, Y), (124, 9, Y))
    (finding,) = found(slow)
    assert finding.time == pytest.approx(110.2, abs=0.15)
