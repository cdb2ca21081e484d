"""ONNX Runtime's settings, told apart by pairs."""

from __future__ import annotations

import pytest

from edge.bench.runtime import PAIRS, Ratio


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        pytest.param([0.9] * PAIRS, "takes less", id="less each time"),
        pytest.param([1.1] * PAIRS, "takes more", id="more each time"),
        pytest.param([1.01] * PAIRS, "the same", id="by less than matters"),
        pytest.param([0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 1.2, 1.2], "not told", id="now less, now more"),
        pytest.param([3.0, *[0.9] * (PAIRS - 1)], "takes less", id="one pair that something disturbed"),
    ],
)
def test_a_setting_is_told_apart_only_where_its_interval_is(ratios: list[float], verdict: str) -> None:
    assert len(ratios) == PAIRS
    assert Ratio.of(ratios).verdict == verdict
    assert Ratio.of(ratios[::-1]) == Ratio.of(ratios)
