"""Scenes made to break the rules: what real tracks and real drivers do that no definition thinks of first."""

from __future__ import annotations

from tests.edge.test_rules_red_light import RED, SITE, A
from tests.scenes import ListSignals, Movement, cross_site, judged, profile, scenes, turn, walk

ENTRIES = ("red_light_entry", "amber_entry", "right_on_red_without_stop", "wrong_way")
AFTER_STOP = cross_site(right_on_red="after_stop")


def entries(*movements: Movement, signals: ListSignals = RED, **how: float) -> list[tuple[str, str]]:
    found = judged(SITE, scenes(movements, signals, **how))  # type: ignore[arg-type]  # floats by name
    return [(each.rule, each.outcome) for each in found if each.rule in ENTRIES]


def test_front_over_the_line_for_minutes() -> None:
    """It came to stand half a metre over the line on green, and went on more than a minute into red."""
    ways = [(80.0, -60.0), (90.0, 0.0), (91.0, 0.5), (190.0, 0.5), (200.0, 40.0)]
    lamp = ListSignals({"A": [(0.0, "green"), (100.0, "amber"), (103.0, "red"), (240.0, "green")]})
    assert entries(profile(ways=ways, **A), signals=lamp) == []  # type: ignore[arg-type]  # literal strings


def test_past_the_end_of_the_line_and_back_in_behind_it() -> None:
    """A car leaves its lane beside the line, waits in the next lane, and comes back in beyond the line."""
    car = walk(
        (100.0, 3.5, -30.0), (104.0, 3.5, -19.0), (106.0, 9.5, -17.0), (130.0, 9.5, -17.0),
        (134.0, 9.5, -5.0), (137.0, 3.5, 3.0), (141.0, 3.5, 20.0), kind="car",
    )  # fmt: skip
    lamp = ListSignals({"A": [(0.0, "red")]})
    assert entries(car, signals=lamp) == []


def test_a_stop_however_short_is_a_stop() -> None:
    """Braking at 4 m/s² to nothing and off again at once: a least-squares speed never falls below 1 m/s."""
    for rate_hz in (10.0, 12.5, 25.0):
        for where in (-1.0, -3.0):

            def speed(way: float, where: float = where) -> float:
                return max(0.02, (2 * 4.0 * abs(way - where)) ** 0.5)

            car = turn(time=110.0, radius_m=6.0, right=True, speed=speed, after_s=8.0, **A)  # type: ignore[arg-type]
            found = judged(AFTER_STOP, scenes((car,), RED, rate_hz=rate_hz))
            assert [each.rule for each in found if each.rule in ENTRIES] == [], (rate_hz, where)


def test_a_slow_roll_is_no_stop() -> None:
    car = turn(time=110.0, radius_m=6.0, right=True, speed=lambda way: 1.2, after_s=15.0, **A)  # type: ignore[arg-type]
    [found] = [each for each in judged(AFTER_STOP, scenes((car,), RED)) if each.rule in ENTRIES]
    assert (found.rule, found.outcome) == ("right_on_red_without_stop", "occurred")
    assert abs(found.measures["min_speed_mps"].value - 1.2) < 0.1


def test_drive_on_after_a_minute_over_the_kerb_is_dated_right() -> None:
    """A pedestrian waits 40 s with the toes over the kerb and walks on in don't walk: it began then."""
    lamp = ListSignals({"P": [(0.0, "red")]})
    person = walk((90.0, -11, -9.5), (94.0, -6.85, -9.5), (150.0, -6.85, -9.5), (160.0, 9.0, -9.5))
    [found] = [
        each for each in judged(SITE, scenes((person,), lamp)) if each.rule == "pedestrian_against_signal"
    ]
    assert abs(found.time - 150.0) < 0.3
