"""Wrong way, blocking the box, failure to yield, and exposure."""

from __future__ import annotations

import pytest

from calibration.site import Box, Site
from edge.rules.blocking_box import Box as Area
from edge.rules.engine import Engine
from edge.rules.finding import Exposure, Finding
from tests.scenes import (
    ListSignals,
    Movement,
    cross_site,
    drive,
    judged,
    profile,
    red_at,
    scenes,
    turn,
    walk,
)

SITE = cross_site()
A = {"at": (3.5, -13.0), "heading_deg": 90.0}  # on stop line A, northbound
NORTH, EAST = {"heading_deg": 90.0}, {"heading_deg": 0.0}


def found(
    rule: str, *movements: Movement, site: Site = SITE, signals: ListSignals | None = None
) -> list[Finding]:
    frames = scenes(movements, signals or ListSignals())
    return [finding for finding in judged(site, frames) if finding.rule == rule]


# --------------------------------------------------------------------------------------------- wrong way


def test_a_car_up_the_wrong_side_of_the_road() -> None:
    (finding,) = found("wrong_way", drive(at=(3.5, -13), time=100, heading_deg=-90))
    assert (finding.outcome, finding.place, finding.road_user) == ("occurred", "A", "car")
    assert finding.time == pytest.approx(100.0, abs=0.01)
    assert finding.measures["wrong_way_m"].value > 5.0


NO_WRONG_WAY = [
    pytest.param(drive(at=(3.5, -13), time=100, **NORTH), id="the right way"),
    pytest.param(drive(at=(-3.5, -13), time=100, heading_deg=-90), id="leaves on its own side"),
    pytest.param(
        profile(ways=[(90, -30), (96, 2.0), (98, 2.0), (104, -6.0), (110, -6)], **A),
        id="backs up behind the line",
    ),
    pytest.param(
        walk((95, 4, 8), (98, 0.6, -9), (99.0, 0.4, -12), (104, -4.0, -26), kind="car"),
        id="cuts the corner of the line",
    ),
    pytest.param(drive(at=(3.5, -13), time=100, heading_deg=-90, after_s=0.35), id="lost after 3 m"),
    pytest.param(walk((90, 3.5, -5), (110, 3.5, -30)), id="a pedestrian"),
]


@pytest.mark.parametrize("movement", NO_WRONG_WAY)
def test_no_wrong_way(movement: Movement) -> None:
    assert found("wrong_way", movement) == []


def test_who_stands_over_the_line_for_minutes_is_dated_when_it_came() -> None:
    """As a mirrored queue of SUMO's: two metres up the approach, and on after more than rows are kept."""
    ways = [(95.0, -20.0), (100.0, 0.0), (100.5, 2.0), (230.0, 2.0), (234.0, 20.0)]
    (finding,) = found("wrong_way", profile(at=(3.5, -13.0), heading_deg=-90.0, ways=ways))
    assert (finding.place, finding.outcome) == ("A", "occurred")
    assert finding.time == pytest.approx(100.0, abs=0.05)


# ------------------------------------------------------------------------------------------ blocking box

LIGHT = red_at(100.0, groups=("A",))
BOXED = SITE.model_copy(update={"boxes": (Box(id="box", polygon=((-7, -7), (7, -7), (7, 7), (-7, 7))),)})
QUEUE = profile(ways=[(70, 22.0), (140, 22.0), (145, 60.0)], **A)
ENTERS = profile(ways=[(85, -60), (95, 0), (97, 16.5), (140, 16.5), (144, 50)], **A)
# Stands between the line and the box for ten seconds.
PAUSES = profile(ways=[(75, -60), (84, 0), (85, 3.0), (95, 3.0), (97, 16.5), (140, 16.5), (144, 50)], **A)


# Comes to stand 9 m into a left turn, its front 2.6 m from one that stands in the exit: neither straight
# ahead of it nor beside it (a T of SUMO's).
IN_THE_EXIT = profile(at=(-3.43, -0.96), heading_deg=160.0, ways=[(70, 0.0), (140, 0.0), (145, 40.0)])
TURNS_IN = turn(
    time=95.0, radius_m=9.0, right=False, speed=lambda way: max(0.0, min(6.0, 1.5 * (8.7 - way))),
    after_s=40.0, **A,
)  # fmt: skip

BLOCKING = [
    pytest.param((IN_THE_EXIT, TURNS_IN), True, id="turns in behind one that stands in the exit"),
    pytest.param((TURNS_IN,), False, id="waits in the turn for a gap"),
    pytest.param(
        (
            profile(ways=[(30, 22.0), (140, 22.0), (145, 60.0)], **A),
            profile(ways=[(35, -60), (45, 0), (47, 16.5), (140, 16.5), (144, 50)], **A),
        ),
        True,
        id="entered behind the queue 55 s before red",
    ),
    pytest.param((QUEUE, ENTERS), True, id="enters behind a standing queue and stands at red"),
    pytest.param((QUEUE, PAUSES), True, id="waits on the crosswalk first, then goes on into the box"),
    pytest.param((PAUSES,), False, id="waits on the crosswalk first, nobody ahead"),
    pytest.param((ENTERS,), False, id="stands inside with nobody ahead"),
    pytest.param(
        (QUEUE, profile(ways=[(70, -60), (80, 0), (82, 12.0), (97, 12.0), (101, 40)], **A)),
        False,
        id="stands inside on green, gone at red",
    ),
    pytest.param(
        (QUEUE, profile(ways=[(85, -60), (96, -1.0), (131, -1.0), (136, 20)], **A)),
        False,
        id="waits before the line",
    ),
    pytest.param(
        (
            profile(ways=[(80, -40), (94, 5), (95, 15), (96.5, 22.0), (140, 22.0)], **A),
            profile(ways=[(85, -60), (95, 0), (97, 16.5), (140, 16.5), (144, 50)], **A),
        ),
        False,
        id="the one ahead still moved",
    ),
    pytest.param(
        (QUEUE, profile(ways=[(91, -90), (101, 0), (103, 16.5), (140, 16.5)], **A)),
        False,
        id="entered on red: another rule",
    ),
]


@pytest.mark.parametrize(("movements", "blocks"), BLOCKING)
def test_blocking_the_box(movements: tuple[Movement, ...], blocks: bool) -> None:
    assert bool(found("blocking_box", *movements, site=BOXED, signals=LIGHT)) == blocks


def test_a_blocked_box_is_dated_at_the_entry() -> None:
    (finding,) = found("blocking_box", QUEUE, ENTERS, site=BOXED, signals=LIGHT)
    assert (finding.place, finding.road_user, finding.outcome) == ("box", "car", "occurred")
    assert finding.time == pytest.approx(95.0, abs=0.05)
    assert finding.measures["inside_at_red_s"].value == pytest.approx(10.0, abs=0.2)


def test_without_a_drawn_box_it_is_the_space_between_the_stop_lines() -> None:
    four = SITE.model_copy(
        update={
            "stop_lines": (
                *SITE.stop_lines,
                SITE.stop_lines[0].model_copy(
                    update={"id": "C", "line": ((-7.0, 13.0), (0.0, 13.0)), "heading_deg": -90.0}
                ),
                SITE.stop_lines[1].model_copy(
                    update={"id": "D", "line": ((13.0, 0.0), (13.0, 7.0)), "heading_deg": 180.0}
                ),
            )
        }
    )
    (area,) = Area.all_of(four)
    assert area.shape.area > 300
    (finding,) = found("blocking_box", QUEUE, ENTERS, site=four, signals=LIGHT)
    assert finding.place == "A"


# -------------------------------------------------------------------------------------- failure to yield

PERSON = walk((95, -12, -9.5), (110, 12, -9.5))  # 1.6 m/s, on the road at 98.1, at x = 3.5 at 104.7
WALK = ListSignals({"P": [(0.0, "green")]})
# Waits at the kerb (x = -7), and on the road within the first metre, until 100.0.
WAITS = walk((90, -12, -9.5), (93, -7.3, -9.5), (100, -7.3, -9.5), (112, 12, -9.5))
ON_ROAD_S = 100.0 + 0.3 / (19.3 / 12)
STEPS_OUT = walk((88, -12, -9.5), (92, -6.5, -9.5), (100, -6.5, -9.5), (111.5, 12, -9.5))


def passing(front_at_person: float, *, speed_mps: float = 8.0) -> Movement:
    """Northbound at x = 3.5, its front on the pedestrian's line y = -9.5 at an instant."""
    return drive(at=(3.5, -9.5), time=front_at_person, speed_mps=speed_mps, **NORTH)


YIELDING = [
    pytest.param((PERSON, passing(102.5)), WALK, ["occurred"], id="passes close in front"),
    pytest.param((PERSON, passing(99.5)), WALK, [], id="passes long before"),
    pytest.param((PERSON, passing(106.0)), WALK, [], id="passes behind"),
    pytest.param((PERSON, passing(103.9)), WALK, ["occurred"], id="drives into the pedestrian"),
    pytest.param(
        (PERSON, passing(102.5)),
        ListSignals({"P": [(0.0, "red")]}),
        [],
        id="the pedestrian started against the signal",
    ),
    pytest.param(
        (WAITS, passing(104.0)),
        ListSignals({"P": [(0.0, "red"), (ON_ROAD_S, "green")]}),
        ["occurred"],
        id="the pedestrian waited at the kerb and starts at the onset of walk, give or take",
    ),
    pytest.param(
        (WAITS, passing(104.0)),
        ListSignals({"P": [(0.0, "red"), (ON_ROAD_S + 1.0, "green")]}),
        [],
        id="the pedestrian waited at the kerb and starts a second before the walk",
    ),
    pytest.param(
        (STEPS_OUT, passing(104.0)),
        ListSignals({"P": [(0.0, "red"), (99.0, "green")]}),
        ["occurred"],
        id="the pedestrian stood half a metre out on red and goes on with the walk",
    ),
    pytest.param(
        (STEPS_OUT, passing(96.0)),
        ListSignals({"P": [(0.0, "red"), (99.0, "green")]}),
        [],
        id="the pedestrian stood half a metre out on red and the vehicle passes before the walk",
    ),
    pytest.param(
        (PERSON, passing(102.5)),
        ListSignals(),
        ["undecidable"],
        id="the pedestrian's signal is not known",
    ),
    pytest.param(
        (walk((95, -12, -9.5), (102.5, 0.6, -9.5), (107, 0.6, -9.5), (115, 12, -9.5)), passing(104.5)),
        WALK,
        ["occurred"],
        id="the pedestrian stops on the road for it",
    ),
    pytest.param(
        (
            walk((95, -12, -9.5), (102, -1.5, -9.5), (103.5, -0.9, -7.4), (105, 1.2, -7.4), (112, 1.2, -7.4)),
            passing(107.0),
        ),
        WALK,
        [],
        id="the pedestrian stands on the road beyond the crosswalk",
    ),
    pytest.param(
        (walk((97, -12, -9.5), (99.5, -8.0, -9.5), (106, -8.0, -9.5)), passing(102.5)),
        WALK,
        [],
        id="the pedestrian waits at the kerb",
    ),
    pytest.param(
        (
            PERSON,
            profile(at=(3.5, -9.5), heading_deg=90, ways=[(90, -40), (100, -5.0), (107, -5.0), (111, 30)]),
        ),
        WALK,
        [],
        id="waits for the pedestrian to pass",
    ),
]


@pytest.mark.parametrize(("movements", "signals", "outcomes"), YIELDING)
def test_failure_to_yield(movements: tuple[Movement, ...], signals: ListSignals, outcomes: list[str]) -> None:
    assert [each.outcome for each in found("failure_to_yield", *movements, signals=signals)] == outcomes


def test_an_unsignalised_crosswalk_gives_the_right_too() -> None:
    walk_ = SITE.crosswalks[0].model_copy(update={"signal_group": None})
    (finding,) = found(
        "failure_to_yield", PERSON, passing(102.5), site=SITE.model_copy(update={"crosswalks": (walk_,)})
    )
    assert (finding.place, finding.road_user) == ("ped0", "car")
    assert finding.time == pytest.approx(102.5 - 1.5 / 8.0, abs=0.06)
    assert 0.5 < finding.measures["gap_s"].value < 2.0


# ---------------------------------------------------------------------------------------------- exposure


def test_exposure_counts_entries_and_starts_per_quarter_of_an_hour() -> None:
    engine = Engine(SITE)
    street = (
        drive(at=(3.5, -13), time=100, **NORTH),
        drive(at=(3.5, -13), time=104, **NORTH),
        drive(at=(3.5, -13), time=950, kind="bus", **NORTH),
        turn(at=(-13, -3.5), heading_deg=0, time=120, radius_m=6, right=True),
        walk((95, -12, -9.5), (110, 12, -9.5)),
        walk((100, -12, -9.5), (103, -6.5, -9.5), (106, -12, -9.5)),
    )
    for scene in scenes(street, ListSignals()):
        engine.judge(scene)
    early = engine.exposures()
    engine.finish()
    assert early == [
        Exposure(0.0, "A", "car", 2),
        Exposure(0.0, "B", "car", 1),
        Exposure(0.0, "ped0", "pedestrian", 1),
    ]
    assert engine.exposures() == [Exposure(900.0, "A", "bus", 1)]
    assert engine.exposures() == []
