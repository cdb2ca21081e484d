"""What each rule gets of looks, and that it says nothing for certain below its floor."""

from __future__ import annotations

from typing import get_args

import pytest

from broker.wire import Rule
from edge.attention import USUAL
from edge.rates import FLOOR_HZ, Rates
from edge.rules.finding import Finding


def rates(frame_rate_hz: float, *, gated: bool = True) -> Rates:
    made = Rates(USUAL if gated else None)
    for index in range(round(4 * frame_rate_hz)):
        made.frame(index / frame_rate_hz)
    return made


@pytest.mark.parametrize(
    ("frame_rate_hz", "gated", "rule", "expected"),
    [
        pytest.param(25.0, True, "red_light_entry", (12.5, False), id="a fast camera, at the policy's rate"),
        pytest.param(25.0, True, "near_miss", (25.0, False), id="near misses get every frame"),
        pytest.param(25.0, False, "red_light_entry", (25.0, False), id="without the gate every rule does"),
        pytest.param(5.0, True, "red_light_entry", (5.0, False), id="a slow camera, at its own rate"),
        pytest.param(3.0, True, "red_light_entry", (3.0, True), id="under the floor"),
        pytest.param(3.0, True, "wrong_way", (3.0, False), id="another rule needs less"),
    ],
)
def test_the_rate_of_a_rule(
    frame_rate_hz: float, gated: bool, rule: Rule, expected: tuple[float, bool]
) -> None:
    told = rates(frame_rate_hz, gated=gated).of(rule)
    assert (told.rate_hz, told.suspended) == (pytest.approx(expected[0]), expected[1])


def test_a_suspended_rule_says_nothing_for_certain() -> None:
    finding = Finding("red_light_entry", "occurred", 1.0, 0.1, "N", "car", None, {}, 0, 0, (1,))
    assert rates(3.0).judged(finding).outcome == "undecidable"
    assert rates(10.0).judged(finding) is finding


def test_every_rule_has_a_floor() -> None:
    assert set(FLOOR_HZ) == set(get_args(Rule))
    assert not any(each.suspended for each in Rates(USUAL).all())
