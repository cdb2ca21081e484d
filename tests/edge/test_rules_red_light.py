"""Red-light entry, amber entry and right turns on red: every edge of their definitions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.site import Site, StopLine, Thresholds
from edge.rules.finding import Finding
from edge.rules.red_light_entry import is_severe
from edge.scene import Kind, RoadUser, Scene, State
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
A = {"at": (3.5, -13.0), "heading_deg": 90.0}  # on stop line A, northbound
RED = red_at(100.0)


def found(*movements: Movement, site: Site = SITE, signals: ListSignals = RED, **how: float) -> list[Finding]:
    return judged(site, scenes(movements, signals, **how))  # type: ignore[arg-type]  # floats by name


def rules(*movements: Movement, **how: object) -> list[tuple[str, str]]:
    return [(each.rule, each.outcome) for each in found(*movements, **how)]  # type: ignore[arg-type]


RED_ENTRY, RED_DOUBT = ("red_light_entry", "occurred"), ("red_light_entry", "undecidable")
AMBER_ENTRY, AMBER_DOUBT = ("amber_entry", "occurred"), ("amber_entry", "undecidable")


LIGHT = [
    pytest.param(90.0, [], id="on green"),
    pytest.param(98.2, [AMBER_ENTRY], id="on amber"),
    pytest.param(99.95, [AMBER_ENTRY], id="on amber, just before red"),
    pytest.param(100.005, [AMBER_DOUBT, RED_DOUBT], id="within timing error of the onset"),
    pytest.param(99.995, [AMBER_DOUBT, RED_DOUBT], id="within timing error before the onset"),
    pytest.param(100.05, [RED_ENTRY], id="just after the onset"),
    pytest.param(101.25, [RED_ENTRY], id="1.25 s into red"),
    pytest.param(128.0, [RED_ENTRY], id="long into red"),
    pytest.param(130.005, [RED_DOUBT], id="within timing error of green"),
    pytest.param(130.5, [], id="on green again"),
]


@pytest.mark.parametrize(("crosses_at", "expected"), LIGHT)
def test_entry_is_judged_by_the_light_at_the_line(crosses_at: float, expected: list[tuple[str, str]]) -> None:
    assert rules(drive(time=crosses_at, **A)) == expected


def test_a_red_entry_has_its_numbers() -> None:
    (finding,) = found(drive(time=101.25, **A))
    assert finding.place == "A"
    assert finding.road_user == "car"
    assert finding.time == pytest.approx(101.25, abs=1e-3)
    assert finding.measures["into_red_s"].value == pytest.approx(1.25, abs=1e-3)
    assert finding.measures["speed_mps"].value == pytest.approx(10.0, abs=1e-3)
    assert finding.signal is not None
    assert (finding.signal.state, finding.signal.since) == ("red", 100.0)
    assert (finding.x, finding.y) == pytest.approx((3.5, -13.0), abs=0.02)


@pytest.mark.parametrize("rate_hz", [5.0, 10.0, 12.5, 29.97])
@pytest.mark.parametrize("phase", [0.0, 0.033])
def test_the_instant_is_between_frames(rate_hz: float, phase: float) -> None:
    (finding,) = found(drive(time=101.2345, **A), rate_hz=rate_hz, phase=phase)
    assert finding.time == pytest.approx(101.2345, abs=2e-3)


@pytest.mark.parametrize("kind", ["bicycle", "motorcycle", "car", "bus", "truck"])
def test_every_vehicle_can_run_a_red_light(kind: Kind) -> None:
    (finding,) = found(drive(time=103.0, kind=kind, **A))
    assert (finding.rule, finding.road_user) == ("red_light_entry", kind)
    assert finding.time == pytest.approx(103.0, abs=2e-3)


def test_a_pedestrian_over_the_stop_line_is_no_vehicle() -> None:
    assert rules(drive(time=103.0, kind="pedestrian", speed_mps=1.4, **A)) == []


WAITING = [
    pytest.param([(90, -50), (97, -0.4), (110, -0.4)], [], id="stops before the line"),
    pytest.param(
        [(90, -50), (96, -0.5), (105, -0.1), (112, 0.2), (131.5, 0.25), (136, 40)],
        [],
        id="waits on the line, creeps over it, goes on green",
    ),
    pytest.param(
        [(90, -50), (96, -0.3), (104, 0.2), (108, -0.1), (112, 0.25), (116, -0.2), (131, 0.2), (136, 40)],
        [],
        id="drifts to and fro over the line",
    ),
    pytest.param(
        [(90, -50), (101, -0.5), (104, 0.6), (131.5, 0.6), (136, 40)],
        [],
        id="stops with the front 0.6 m over the line",
    ),
    pytest.param(
        [(90, -40), (98, 0.0), (99.5, 3.0), (132, 3.0), (136, 40)],
        [AMBER_ENTRY],
        id="already across at onset, waits inside",
    ),
    pytest.param(
        [(90, -40), (98, 0.0), (98.5, 0.5), (105, 0.5), (109, 40)],
        [AMBER_ENTRY],
        id="front across in amber, goes on in red",
    ),
    pytest.param(
        [(90, -50), (101, 0.0), (102, 4.0), (125, 4.0)], [RED_ENTRY], id="enters on red and stops inside"
    ),
    pytest.param([(90, -50), (104, -0.5), (110, -0.5), (114, 40)], [RED_ENTRY], id="stops, then goes on red"),
]


@pytest.mark.parametrize(("ways", "expected"), WAITING)
def test_waiting_is_no_entry(ways: list[tuple[float, float]], expected: list[tuple[str, str]]) -> None:
    assert rules(profile(ways=ways, **A)) == expected


@pytest.mark.parametrize(
    ("over_m", "time"),
    [
        pytest.param(0.08, 112.0, id="its front on the line: when it went on"),
        pytest.param(0.5, 102.0, id="half a metre over it: when it crossed the line"),
    ],
)
def test_who_overruns_the_line_and_then_goes_on_red(over_m: float, time: float) -> None:
    ways = [(90, -50), (102, 0.0), (103, over_m), (112.0, over_m), (116, 40)]
    (finding,) = found(profile(ways=ways, **A))
    assert finding.rule == "red_light_entry"
    assert finding.time == pytest.approx(time, abs=0.25)


def test_waiting_car_crosses_once() -> None:
    """Creeping a few centimetres over the line and back a dozen times, then going on red."""
    ways = [(90.0, -50.0), (98.0, -0.3)]
    ways += [(99.0 + n, 0.25 if n % 2 else -0.25) for n in range(12)]
    ways += [(112.0, -0.2), (116.0, 40.0)]
    assert rules(profile(ways=ways, **A)) == [RED_ENTRY]


def test_who_creeps_over_has_not_stood() -> None:
    """Waits behind the line, then creeps over it at 0.2 m/s without a pause: enters at the line."""
    (finding,) = found(profile(ways=[(90, -50), (97, -0.1), (105, -0.1), (111, 1.1), (115, 40)], **A))
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert finding.time == pytest.approx(105.5, abs=0.1)


def test_once_per_cycle_even_if_it_backs_up_and_enters_again() -> None:
    ways = [(90, -50), (102, 0), (103, 4), (106, 4), (109, -2), (110, -2), (112, 10), (115, 40)]
    assert rules(profile(ways=ways, **A)) == [RED_ENTRY]


DIRECTION = [
    pytest.param(drive(at=(3.5, -13), time=105, heading_deg=-90), [], id="drives off over it backwards"),
    pytest.param(drive(at=(-3.5, -13), time=105, heading_deg=-90), [], id="leaves beside it"),
    pytest.param(drive(at=(3.5, -13.0), time=105, heading_deg=0), [], id="along the line"),
    pytest.param(drive(at=(3.5, -13.0), time=105, heading_deg=60), [RED_ENTRY], id="at a slant"),
    pytest.param(drive(at=(8.2, -13.0), time=105, heading_deg=90), [], id="beside the line's end"),
    pytest.param(drive(at=(7.3, -13.0), time=105, heading_deg=90), [RED_ENTRY], id="at the line's end"),
    pytest.param(drive(at=(3.5, -9.0), time=105, heading_deg=90, before_s=0.2), [], id="born beyond it"),
    pytest.param(drive(at=(3.5, -30), time=105, heading_deg=90, after_s=0.5), [], id="lost before it"),
]


@pytest.mark.parametrize(("movement", "expected"), DIRECTION)
def test_only_an_entry_in_the_direction_of_travel_counts(
    movement: Movement, expected: list[tuple[str, str]]
) -> None:
    assert [each for each in rules(movement) if each[0] != "wrong_way"] == expected


@pytest.mark.parametrize(
    "state", ["unknown", "dark", "flashing_red", "flashing_amber", "green"], ids=lambda state: str(state)
)
def test_no_red_no_violation(state: State) -> None:
    signals = ListSignals({"A": [(0.0, state)]})
    assert rules(drive(time=105.0, **A), signals=signals) == []


def test_without_any_signal_nothing_is_claimed() -> None:
    assert rules(drive(time=105.0, **A), signals=ListSignals()) == []


def test_red_with_amber_is_still_red_and_counts_from_the_red_onset() -> None:
    signals = ListSignals({"A": [(0.0, "green"), (100.0, "red"), (129.0, "red_amber"), (130.0, "green")]})
    (finding,) = found(drive(time=129.5, **A), signals=signals)
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert finding.measures["into_red_s"].value == pytest.approx(29.5, abs=1e-3)


@pytest.mark.parametrize(
    ("crosses_at", "expected"),
    [
        pytest.param(100.5, [AMBER_DOUBT, RED_DOUBT], id="within two sigma"),
        pytest.param(100.7, [RED_ENTRY], id="beyond two sigma"),
        pytest.param(99.2, [AMBER_ENTRY], id="well before"),
    ],
)
def test_the_signal_clocks_error_counts(crosses_at: float, expected: list[tuple[str, str]]) -> None:
    signals = replace(RED, sigma_s=0.3)
    assert rules(drive(time=crosses_at, **A), signals=signals) == expected


@pytest.mark.parametrize(
    ("crosses_at", "expected"),
    [
        pytest.param(100.3, [AMBER_DOUBT, RED_DOUBT], id="within two sigma"),
        pytest.param(100.5, [RED_ENTRY], id="beyond two sigma"),
    ],
)
def test_the_frame_clocks_error_counts(crosses_at: float, expected: list[tuple[str, str]]) -> None:
    assert rules(drive(time=crosses_at, **A), time_sigma_s=0.2) == expected


def test_an_unknown_clock_decides_nothing() -> None:
    assert rules(drive(time=105.0, **A), time_sigma_s=math.inf) == [AMBER_DOUBT, RED_DOUBT]


def test_untrusted_positions_decide_nothing() -> None:
    findings = judged(SITE, scenes([drive(time=105.0, **A)], RED, trusted=False))
    assert [(each.rule, each.outcome) for each in findings] == [RED_DOUBT]


def test_frames_too_rare_decide_nothing() -> None:
    assert rules(drive(time=105.0, **A), rate_hz=2.0) == [RED_DOUBT]
    lenient = cross_site(thresholds=Thresholds(min_frame_rate_hz=1.0))
    assert rules(drive(time=105.0, **A), site=lenient, rate_hz=2.0) == [RED_ENTRY]


def test_a_gap_at_the_line_may_hide_another_vehicle() -> None:
    frames = [
        scene if not 104.2 < scene.time < 106.0 else replace(scene, users=())
        for scene in scenes([drive(time=105.0, **A)], RED)
    ]
    assert [(each.rule, each.outcome) for each in judged(SITE, frames)] == [RED_DOUBT]


@pytest.mark.parametrize("noise_m", [0.0, 0.2])
@pytest.mark.parametrize("swapped_at", [104.6, 105.0, 105.4])
def test_two_that_swap_at_the_line_decide_nothing(swapped_at: float, noise_m: float) -> None:
    """One enters on red, beside it one waits; the tracker takes each for the other about then."""
    enters = drive(time=105.0, speed_mps=6.0, **A)
    waits = profile(at=(0.3, -13.0), heading_deg=90.0, ways=[(90.0, -20.0), (99.0, -1.0), (140.0, -1.0)])
    how = {"sigma_m": noise_m or 0.01, "jitter_m": noise_m, "seed": 8}
    frames = [
        scene
        if scene.time < swapped_at
        else replace(
            scene, users=tuple(replace(user, track={1: 2, 2: 1}[user.track]) for user in scene.users)
        )
        for scene in scenes([enters, waits], RED, **how)  # type: ignore[arg-type]  # floats by name
    ]
    assert {outcome for _, outcome in ((each.rule, each.outcome) for each in judged(SITE, frames))} <= {
        "undecidable"
    }


def test_hard_braking_is_no_swap() -> None:
    """8 m/s² down from 15 m/s, front over the line in between: a track like any other."""
    ways = [(99.0, -30.0), (101.0, 0.0)]
    ways += [(101.0 + step / 10, 15 * step / 10 - 4 * (step / 10) ** 2) for step in range(1, 15)]
    assert rules(profile(ways=[*ways, (140.0, ways[-1][1])], **A)) == [RED_ENTRY]


def test_a_few_lost_frames_do_not_matter() -> None:
    (finding,) = found(drive(time=103.0, **A), drop=0.3, seed=4)
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert finding.time == pytest.approx(103.0, abs=0.05)


def test_positions_worse_than_the_limit_decide_nothing() -> None:
    assert rules(drive(time=105.0, **A), sigma_m=0.8) == [RED_DOUBT]


@pytest.mark.parametrize("noise_m", [0.1, 0.2, 0.4])
def test_jitter_is_no_crossing(noise_m: float) -> None:
    """A car that waits half a metre before the line for 30 s of red, at 25 frames a second."""
    waiting = profile(ways=[(90, -50), (97, -0.5), (131, -0.5), (136, 40)], **A)
    assert rules(waiting, rate_hz=25.0, sigma_m=noise_m, jitter_m=noise_m, seed=3) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_entry_is_timed_within_its_error(seed: int) -> None:
    (finding,) = found(drive(time=103.0, **A), rate_hz=25.0, sigma_m=0.3, jitter_m=0.3, seed=seed)
    assert abs(finding.time - 103.0) < 4 * finding.time_sigma_s
    assert finding.time_sigma_s < 0.03


@pytest.mark.parametrize(
    "heading",
    [
        pytest.param(lambda _: math.nan, id="headings never given"),
        pytest.param(lambda n: 90.0 + 8.0 * math.sin(7.0 * n), id="headings swing by 8 degrees"),
        pytest.param(lambda n: 90.0 if n % 2 else -90.0, id="every other heading is back to front"),
    ],
)
def test_bad_headings_do_not_move_the_instant(heading: object) -> None:
    frames = [
        replace(
            scene,
            users=tuple(
                replace(user, heading_deg=heading(number))  # type: ignore[operator]  # a function of the number
                for user in scene.users
            ),
        )
        for number, scene in enumerate(scenes([drive(time=103.0, **A)], RED))
    ]
    (finding,) = judged(SITE, frames)
    assert finding.time == pytest.approx(103.0, abs=0.01)


def test_random_headings_of_a_waiting_car_are_ignored() -> None:
    waiting = profile(ways=[(90, -50), (97, -0.5), (131, -0.5), (136, 40)], **A)
    frames = []
    for number, scene in enumerate(scenes([waiting], RED)):
        users = tuple(
            replace(user, heading_deg=(number * 77.7) % 360 - 180) if 97.5 < scene.time < 130.5 else user
            for user in scene.users
        )
        frames.append(replace(scene, users=users))
    assert judged(SITE, frames) == []


def test_a_car_that_stood_first_and_has_no_heading_yet() -> None:
    """Its track begins a metre before the line; it sets off on red and is seen to enter."""
    starts = profile(ways=[(95, -1.0), (110, -1.0), (114, 40)], **A)
    frames = [
        replace(scene, users=tuple(replace(user, heading_deg=math.nan) for user in scene.users))
        for scene in scenes([starts], RED)
    ]
    (finding,) = judged(SITE, frames)
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert finding.time == pytest.approx(110.1, abs=0.15)


def test_red_whose_onset_was_not_seen() -> None:
    class Seen(ListSignals):
        def at(self, group: str, time: float):  # type: ignore[no-untyped-def]  # as the base
            return replace(super().at(group, time), since=None)

        def changes(self, group: str, start: float, end: float):  # type: ignore[no-untyped-def]
            return []

    (finding,) = found(drive(time=105.0, **A), signals=Seen({"A": [(0.0, "red")]}))
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert "into_red_s" not in finding.measures


def test_severe_is_beyond_five_seconds() -> None:
    late, severe = found(drive(time=102.0, **A)), found(drive(time=106.0, **A))
    assert [is_severe(finding, 5.0) for finding in (*late, *severe)] == [False, True]


def test_amber_entry_knows_the_dilemma() -> None:
    (finding,) = found(drive(time=98.3, **A))
    values = {name: measure.value for name, measure in finding.measures.items()}
    assert values == pytest.approx(
        {"into_amber_s": 1.3, "speed_mps": 10.0, "distance_at_onset_m": 13.0, "speed_at_onset_mps": 10.0},
        abs=0.01,
    )


# ---------------------------------------------------------------------------------------- right on red


def rolling(slowest_mps: float, *, right: bool = True, stop_at_m: float = -1.0) -> Movement:
    """Brakes to a speed before the line and turns."""

    def speed(way: float) -> float:
        return max(slowest_mps, min(6.0, 0.02 + 1.2 * abs(way - stop_at_m)))

    return turn(time=110.0, radius_m=6.0 if right else 9.0, right=right, speed=speed, after_s=14.0, **A)


STOPPED = 0.02
WITHOUT_STOP = ("right_on_red_without_stop", "occurred")


RIGHT_ON_RED = [
    pytest.param("prohibited", rolling(3.0), [RED_ENTRY], id="prohibited, rolling"),
    pytest.param("prohibited", rolling(STOPPED), [RED_ENTRY], id="prohibited, after a stop"),
    pytest.param("after_stop", rolling(3.0), [WITHOUT_STOP], id="after stop, rolling"),
    pytest.param("after_stop", rolling(1.2), [WITHOUT_STOP], id="after stop, slow but rolling"),
    pytest.param("after_stop", rolling(STOPPED), [], id="after stop, stopped"),
    pytest.param(
        "after_stop", rolling(STOPPED, stop_at_m=-9.0), [WITHOUT_STOP], id="stopped only second in line"
    ),
    pytest.param("after_stop", rolling(STOPPED, right=False), [RED_ENTRY], id="after stop, turns left"),
    pytest.param("after_stop", drive(time=110.0, **A), [RED_ENTRY], id="after stop, straight on"),
    pytest.param("allowed", rolling(3.0), [], id="allowed, rolling"),
    pytest.param("allowed", rolling(3.0, right=False), [RED_ENTRY], id="allowed, turns left"),
    pytest.param("allowed", drive(time=110.0, **A), [RED_ENTRY], id="allowed, straight on"),
    pytest.param(
        "after_stop",
        drive(time=110.0, speed_mps=4.0, after_s=1.5, **A),
        [RED_DOUBT],
        id="lost before its turn is known",
    ),
]


@pytest.mark.parametrize(("profile_", "movement", "expected"), RIGHT_ON_RED)
def test_right_on_red(profile_: str, movement: Movement, expected: list[tuple[str, str]]) -> None:
    assert rules(movement, site=cross_site(right_on_red=profile_)) == expected


def test_where_one_drives_on_the_left_it_is_the_left_turn() -> None:
    site = cross_site(right_on_red="after_stop", drive_on="left")
    assert rules(rolling(3.0, right=False), site=site) == [WITHOUT_STOP]
    assert rules(rolling(3.0), site=site) == [RED_ENTRY]


def odd_angles() -> Site:
    """As ``cross_site``; straight on from A bends right by 43 degrees, the road to the right lies at 120."""
    site = cross_site(right_on_red="after_stop")
    ways = [
        StopLine(
            id=f"from{bend}", signal_group="B", line=((40.0, 40.0), (43.0, 37.0)), heading_deg=270.0 - bend
        )
        for bend in (43, 120)
    ]
    return site.model_copy(update={"stop_lines": (*site.stop_lines, *ways)})


def test_straight_on_that_bends_is_no_turn_where_a_road_lies_beyond_it() -> None:
    stood = [(100, 3.5, -16.25), (110, 3.5, -16.25), (114, 3.5, -7.0), (115.5, 5.0, -3.0)]
    straight_on = walk(*stood, (117, 8.0, 1.0), (121, 20.0, 13.9), (124, 29.0, 23.5), kind="car")
    assert rules(straight_on, site=odd_angles()) == [RED_ENTRY]
    assert rules(straight_on, site=cross_site(right_on_red="after_stop")) == []
    assert rules(rolling(STOPPED), site=odd_angles()) == []
    assert rules(rolling(3.0), site=odd_angles()) == [WITHOUT_STOP]


def test_a_right_turn_on_green_is_nothing() -> None:
    site = cross_site(right_on_red="after_stop")
    turning = turn(time=80.0, radius_m=6.0, right=True, **A)
    assert rules(turning, site=site) == []


def test_a_turn_without_stop_tells_its_slowest_speed() -> None:
    (finding,) = found(rolling(3.0), site=cross_site(right_on_red="after_stop"))
    assert finding.measures["min_speed_mps"].value == pytest.approx(3.0, abs=0.2)
    assert finding.time == pytest.approx(110.0, abs=0.02)


# ------------------------------------------------------------------------------------------ properties


@settings(max_examples=25)
@given(
    crosses_at=st.floats(100.1, 129.5),
    speed_mps=st.floats(2.0, 20.0),
    across_m=st.floats(0.5, 6.5),
    rotation_deg=st.floats(-180, 180),
    rate_hz=st.sampled_from([8.0, 10.0, 15.0, 30.0]),
)
def test_any_red_entry_is_found_at_its_instant(
    crosses_at: float, speed_mps: float, across_m: float, rotation_deg: float, rate_hz: float
) -> None:
    """Whatever way the junction lies, however fast the car and wherever in the lane."""
    angle = math.radians(rotation_deg)

    def turned(x: float, y: float) -> tuple[float, float]:
        return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)

    line = SITE.stop_lines[0].model_copy(
        update={"line": (turned(0, -13), turned(7, -13)), "heading_deg": _within_360(90 + rotation_deg)}
    )
    site = Site(site=SITE.site, stop_lines=(line,))
    car = drive(at=turned(across_m, -13), time=crosses_at, heading_deg=90 + rotation_deg, speed_mps=speed_mps)
    (finding,) = judged(site, scenes([car], RED, rate_hz=rate_hz))
    assert (finding.rule, finding.outcome) == RED_ENTRY
    assert finding.time == pytest.approx(crosses_at, abs=5e-3)


def _within_360(angle_deg: float) -> float:
    return (angle_deg + 180) % 360 - 180


@settings(max_examples=15)
@given(beat_s=st.floats(0.05, 30.0), seed=st.integers(0, 3))
def test_findings_do_not_depend_on_the_beat(beat_s: float, seed: int) -> None:
    street = [
        drive(time=101.25, **A),
        drive(time=98.0, kind="truck", **A),
        profile(ways=[(90, -50), (97, -0.5), (131, -0.5), (136, 40)], **A),
        drive(at=(-13, -3.5), time=104.0, heading_deg=0),
    ]
    signals = red_at(100.0, groups=("A", "B"))
    frames = list(scenes(street, signals, sigma_m=0.1, jitter_m=0.1, seed=seed))
    assert same(judged(SITE, frames, beat_s=beat_s), judged(SITE, frames))


def test_scenes_come_in_order() -> None:
    user = RoadUser(1, "car", 0, 0, 0, 4, 2, 0.1)
    with pytest.raises(ValueError, match="in order of time"):
        judged(SITE, [Scene(2.0, 0.0, (user,), RED), Scene(1.0, 0.0, (user,), RED)])
