"""What other trackers give: slips, doubles, slow and fast frames, cars that reverse, turn or stand on it."""

from __future__ import annotations

import math

import pytest

from edge.scene import Kind
from tests.scenes import Movement, Pose, cross_site, drive, judged, profile, red_at, rules_found, scenes

SITE = cross_site()
RED = red_at(100.0)
RUNNER = drive(at=(3.5, -13), time=101.25, heading_deg=90)
ENTRY = ("red_light_entry", "occurred", "A", 101.25)


def slips(begin: float, end: float, *, to: float, stands: float = -16.0) -> Movement:
    """A car that stands, but for a stretch in which its box is somewhere else."""
    return Movement("car", 95.0, 129.0, lambda time: (3.5, to if begin <= time < end else stands, 90.0))


def beside(dx: float, dy: float, kind: Kind = "car") -> Movement:
    """Another track of the car that runs the red light."""

    def pose(time: float) -> Pose:
        x, y, heading = RUNNER.pose(time)
        return x + dx, y + dy, heading

    return Movement(kind, RUNNER.start, RUNNER.end, pose)


def u_turn(time: float) -> Pose:
    """North to 4 m before the line, round to the left, back south."""
    turned = min(max((time - 100.0) / 2.0, 0.0), 1.0)
    way = 4.0 * min(time - 100.0, 0.0) - 4.0 * max(time - 102.0, 0.0)
    x, y = 3.5 - 3.5 * (1 - math.cos(turned * math.pi)), 3.5 * math.sin(turned * math.pi)
    return x, -20.0 + y + way, 90.0 + 180.0 * turned


def along(*ways: tuple[float, float]) -> Movement:
    return profile(at=(3.5, -13), heading_deg=90, ways=ways)


@pytest.mark.parametrize("rate_hz", [4.0, 5.0, 10.0, 25.0, 60.0])
def test_an_entry_at_any_frame_rate(rate_hz: float) -> None:
    assert rules_found(judged(SITE, scenes([RUNNER], RED, rate_hz=rate_hz))) == [ENTRY]


@pytest.mark.parametrize("rate_hz", [2.0, 3.0])
def test_frames_too_far_apart_decide_nothing(rate_hz: float) -> None:
    [found] = judged(SITE, scenes([RUNNER], RED, rate_hz=rate_hz))
    assert (found.rule, found.outcome) == ("red_light_entry", "undecidable")


@pytest.mark.parametrize("begins", [0.0, 1.7e9, 3.9e9])
def test_times_may_begin_anywhere(begins: float) -> None:
    car = drive(at=(3.5, -13), time=begins + 101.25, heading_deg=90)
    [found] = judged(SITE, scenes([car], red_at(begins + 100.0)))
    assert (found.outcome, found.time - begins) == ("occurred", pytest.approx(101.25, abs=0.01))


@pytest.mark.parametrize(
    "movement",
    [
        pytest.param(slips(105.0, 105.15, to=-8.0), id="one frame 8 m ahead, over the line"),
        pytest.param(slips(105.0, 105.25, to=-8.0), id="two frames"),
        pytest.param(slips(101.0, 101.15, to=-5.0, stands=-25.0), id="one frame 20 m ahead"),
        pytest.param(slips(105.0, 200.0, to=5.0), id="for good: another car took its number over"),
        pytest.param(slips(90.0, 101.0, to=-40.0, stands=10.0), id="from before the line to behind it"),
    ],
)
def test_a_slip_of_the_tracker_accuses_nobody(movement: Movement) -> None:
    assert [each for each in judged(SITE, scenes([movement], RED)) if each.outcome == "occurred"] == []


@pytest.mark.parametrize(
    "movement",
    [
        pytest.param(
            Movement("car", 98, 106, lambda t: (3.5, -5 - 2 * (t - 98), 90)), id="backs out over it"
        ),
        pytest.param(Movement("car", 95, 107, u_turn), id="turns round before it"),
        pytest.param(along((60, -20), (64, 0.5), (120, 0.5), (124, 20)), id="stood over it since green"),
        pytest.param(
            along((90, -20), (96, 0.3), (110, 0.3), (112, 0.8), (131, 0.8), (136, 30)),
            id="creeps over it and waits for green",
        ),
    ],
)
def test_no_entry_on_red(movement: Movement) -> None:
    assert [each for each in judged(SITE, scenes([movement], RED)) if each.rule == "red_light_entry"] == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(beside(0.3, 0.3), id="a second box"),
        pytest.param(beside(0.2, -0.5, "truck"), id="of another kind"),
        pytest.param(beside(0.0, 0.0), id="the very same"),
    ],
)
@pytest.mark.parametrize("beat_s", [0.5, 20.0])
def test_one_vehicle_tracked_twice_is_told_once(other: Movement, beat_s: float) -> None:
    for movements in ([RUNNER, other], [other, RUNNER]):
        found = judged(SITE, scenes(movements, RED), beat_s=beat_s)
        assert [(each.rule, each.tracks) for each in found] == [("red_light_entry", (1,))]


def test_two_that_ride_side_by_side_are_two() -> None:
    bikes = [drive(at=(x, -13), time=101.25, heading_deg=90, kind="motorcycle") for x in (2.5, 3.5)]
    entries = [each for each in judged(SITE, scenes(bikes, RED)) if each.rule == "red_light_entry"]
    assert [each.outcome for each in entries] == ["occurred", "occurred"]


def test_two_bumper_to_bumper_are_two() -> None:
    cars = [drive(at=(3.5, -13), time=time, heading_deg=90) for time in (101.25, 101.75)]
    entries = [each for each in judged(SITE, scenes(cars, RED)) if each.rule == "red_light_entry"]
    assert [each.outcome for each in entries] == ["occurred", "occurred"]
