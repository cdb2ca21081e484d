"""Where a rule's floor lies: the lowest rate from which on it does well."""

from __future__ import annotations

import pytest

from tests.rule_floors import Point, curves, floor_hz


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param({1.0: (0.5, 0), 2.0: (0.96, 0), 4.0: (1.0, 0)}, 2.0, id="enough of the best"),
        pytest.param({1.0: (1.0, 0), 2.0: (0.5, 0), 4.0: (1.0, 0)}, 4.0, id="by chance at a lower one"),
        pytest.param({1.0: (1.0, 0), 2.0: (1.0, 0.2), 4.0: (1.0, 0)}, 4.0, id="claims wrongly below it"),
    ],
)
def test_the_floor(points: dict[float, tuple[float, float]], expected: float) -> None:
    assert floor_hz({rate: Point(*each) for rate, each in points.items()}) == expected


def test_the_same_scenes_are_judged_at_every_rate() -> None:
    found = curves(2, rates_hz=(1.0, 12.5))
    assert found["all"][12.5].f1 > found["all"][1.0].f1
