"""Which road users are about to meet: a table of two on a road, x east."""

from __future__ import annotations

import math

import pytest

from edge.attention import USUAL
from edge.courses import Watched, any_meet
from edge.scene import Kind


def car(x: float, y: float, vx: float = 0.0, vy: float = 0.0, *, heading_deg: float = 0.0) -> Watched:
    moves = vx != 0.0 or vy != 0.0
    return Watched("car", x, y, vx, vy, 4.5, moves, width_m=1.8, heading_deg=heading_deg)


def slow(kind: Kind, x: float, y: float, vx: float, vy: float) -> Watched:
    return Watched(kind, x, y, vx, vy, 1.8 if kind == "bicycle" else 0.5, True, width_m=0.5)


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        pytest.param(car(0, 0, 10), car(20, 0), True, id="closing on a standing car, 1.6 s away"),
        pytest.param(car(0, 0, 10), car(30, 0), False, id="closing on a standing car, 2.6 s away"),
        pytest.param(car(0, 0, 10), car(15, 0, 9), False, id="a platoon"),
        pytest.param(car(0, 0, 1.5), car(7, 0), True, id="rolling up to a standing car"),
        pytest.param(car(0, 0, 10), car(30, 3.5, -10), False, id="oncoming in the next lane"),
        pytest.param(car(0, 0, 10), car(30, 1.5, -10), True, id="oncoming, their sides overlapping"),
        pytest.param(car(0, 0, 8), slow("bicycle", 8, 2.5, 4, 0), False, id="passing a cyclist by a metre"),
        pytest.param(car(0, 0, 10), car(15, -15, 0, 10), True, id="ways that cross at the same time"),
        pytest.param(car(0, 0, 10), car(15, -45, 0, 10), False, id="ways that cross three seconds apart"),
        pytest.param(car(0, 0, 10), slow("pedestrian", 15, -2, 0, 1.4), True, id="a pedestrian steps out"),
        pytest.param(
            slow("pedestrian", 0, 0, 1.4, 0), slow("pedestrian", 2, 0, -1.4, 0), False, id="two pedestrians"
        ),
        pytest.param(car(0, 0, 10), car(-20, 0), False, id="driving away from a standing car"),
        pytest.param(
            car(0, 0, 10), car(20, 2.8, heading_deg=math.nan), True, id="past one that may stand across"
        ),
    ],
)
def test_who_is_about_to_meet(one: Watched, other: Watched, close: bool) -> None:
    assert any_meet([one, other], USUAL.close) is close
    assert any_meet([other, one], USUAL.close) is close


def test_nobody_meets_alone() -> None:
    assert not any_meet([], USUAL.close)
    assert not any_meet([car(0, 0, 10)], USUAL.close)
    assert not any_meet([car(0, 0), car(3, 0)], USUAL.close)
