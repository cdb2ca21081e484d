"""The largest of sliding averages is too large by what the tables say."""

from __future__ import annotations

import numpy as np
import pytest

from edge.rules.extremes import EXPECTED, SPREAD, WINDOWS, Kind, of_dip, of_readings, of_stretch

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


def readings(kind: Kind, trials: int, *, seed: int) -> np.ndarray:
    """Return (trials, 71) readings of mere noise, a tenth of a second apart, averaged over a second."""
    own = np.ones(21) if kind == "mean" else np.arange(21) - 10.0
    noise = np.random.default_rng(seed).normal(size=(trials, 161))
    averaged = np.lib.stride_tricks.sliding_window_view(noise, 21, axis=1) @ (own / np.linalg.norm(own))
    return np.asarray(averaged[:, ::2])


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("half_s", [0.1, 0.2, 0.35, 0.5])
def test_the_least_of_a_noisy_dip_and_its_instant_are_within_their_errors(kind: Kind, half_s: float) -> None:
    """A parabola that is a sigma above its least after ``half_s``."""
    off, when = [], []
    for number, noise in enumerate(readings(kind, 500, seed=8)):
        away_s = (np.arange(len(noise)) - len(noise) // 2) * 0.1 - 0.1 * ((0.618 * number) % 1 - 0.5)
        series = (away_s / half_s) ** 2 + noise
        at = int(series.argmin())
        share = 1.0 if kind == "slope" else 0.0
        dip = of_dip(series, at, 1.0, step_s=0.1, window_s=1.0, slope_share=share)
        off.append(dip.least.value / dip.least.sigma)
        when.append(away_s[at] / dip.instant_sigma_s)
    assert abs(np.mean(off)) < 0.35 and abs(np.mean(when)) < 0.2
    for errors in (off, when):
        # The instant of a sharp one lies evenly within its tenth of a second: 58 % within one sigma.
        assert 0.56 < np.mean(np.abs(errors) <= 1) < 0.88
        assert np.mean(np.abs(errors) <= 2) > 0.92


@pytest.mark.parametrize("seconds", [1.0, 3.0, 6.0])
def test_the_farthest_of_a_straight_way_is_where_the_way_was(seconds: float) -> None:
    count = round(seconds / 0.1) + 1
    times = np.arange(count) * 0.1
    found = [
        of_readings(times, 4.0 + each[:count], 1.0, "mean", window_s=1.0)
        for each in readings("mean", 600, seed=9)
    ]
    errors = np.array([(each.value - 4.0) / each.sigma for each in found])
    assert abs(errors.mean()) < 0.25
    assert 0.62 < np.mean(np.abs(errors) <= 1) < 0.74
    assert 0.92 < np.mean(np.abs(errors) <= 2) < 0.98
