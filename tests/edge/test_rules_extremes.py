"""The largest of sliding averages is too large by what the tables say."""

from __future__ import annotations

import numpy as np
import pytest

from edge.rules.extremes import EXPECTED, SPREAD, WINDOWS, Kind, of_stretch

SAMPLES, TRIALS = 12, 6_000


def weights(kind: Kind) -> np.ndarray:
    own = np.ones(SAMPLES) if kind == "mean" else np.arange(SAMPLES) - (SAMPLES - 1) / 2
    return np.asarray(own / np.linalg.norm(own))


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("at", range(len(WINDOWS)))
def test_the_tables_are_those_of_a_simulation(kind: Kind, at: int) -> None:
    count = SAMPLES + round(WINDOWS[at] * SAMPLES)
    noise = np.random.default_rng(7).normal(size=(TRIALS, count))
    largest = (np.lib.stride_tricks.sliding_window_view(noise, SAMPLES, axis=1) @ weights(kind)).max(axis=1)
    assert EXPECTED[kind][at] == pytest.approx(largest.mean(), abs=0.05)
    assert SPREAD[kind][at] == pytest.approx(largest.std(), abs=0.04)


def test_one_reading_is_what_it_is() -> None:
    alone = of_stretch(3.0, 0.2, 0.0, "mean")
    assert (alone.value, alone.sigma) == (3.0, 0.2)


def test_the_least_of_many_speeds_was_hardly_as_low() -> None:
    least = of_stretch(2.0, 0.1, 1.0, "slope", sign=-1.0)
    assert least.value == pytest.approx(2.143)
    assert least.sigma == pytest.approx(0.064)
