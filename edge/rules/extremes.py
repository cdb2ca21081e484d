"""The most extreme of noisy readings, freed of having been picked for being so.

Readings averaged over a window that slides along a stretch are not independent, and the largest of them is
too large by so many of their sigmas as the largest of a sliding average of normal numbers is. There are two
such averages here: means (positions), and slopes by least squares (speeds), which change sooner. The tables
come from simulating both; tests/edge/test_rules_extremes.py simulates them again. That the largest of several
normal numbers is too large, and by how much: Tippett, On the extreme individuals and the range of samples
taken from a normal population, Biometrika 17 (1925).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from edge.rules.finding import Measure
from edge.rules.samples import Floats

Kind = Literal["mean", "slope"]
# Length of the stretch in windows, then mean and standard deviation of the largest reading, in sigmas.
WINDOWS: Final = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0)
EXPECTED: Final[dict[Kind, tuple[float, ...]]] = {
    "mean": (0.0, 0.38, 0.60, 0.92, 1.14, 1.29, 1.51, 1.67, 1.88, 2.07, 2.28),
    "slope": (0.0, 0.64, 1.00, 1.43, 1.64, 1.77, 1.95, 2.08, 2.25, 2.41, 2.57),
}
SPREAD: Final[dict[Kind, tuple[float, ...]]] = {
    "mean": (1.0, 0.96, 0.93, 0.85, 0.79, 0.75, 0.70, 0.66, 0.61, 0.57, 0.53),
    "slope": (1.0, 0.89, 0.77, 0.64, 0.59, 0.56, 0.53, 0.51, 0.49, 0.47, 0.44),
}
# Readings this near to the most extreme may have been it.
RIVAL_SIGMAS: Final = 2.0
# How often the stretch is looked for again about what is thought to be behind the most extreme reading.
AGAIN: Final = 2


def of_stretch(extreme: float, sigma: float, windows: float, kind: Kind, *, sign: float = 1.0) -> Measure:
    """Return the value behind the most extreme reading of a stretch so many windows long.

    Args:
        sigma: error of one reading.
        sign: 1 where it is the largest, -1 where it is the least.
    """
    expected, spread = (float(np.interp(windows, WINDOWS, each[kind])) for each in (EXPECTED, SPREAD))
    return Measure(extreme - sign * expected * sigma, spread * sigma)


def of_readings(
    times: Floats, readings: Floats, sigma: float, kind: Kind, *, window_s: float, sign: float = 1.0
) -> Measure:
    """Return the value behind the most extreme of readings (N,) at times (N,).

    The stretch is where readings are within ``RIVAL_SIGMAS`` of the most extreme. That alone is short just
    where one stands out by chance, so it is looked for again within a sigma of what is thought to be behind.
    """
    signed = sign * readings
    least = float(signed.max()) - RIVAL_SIGMAS * sigma
    for _ in range(1 + AGAIN):
        rivals = times[signed >= least]
        windows = float(rivals[-1] - rivals[0]) / window_s
        found = of_stretch(float(signed.max()), sigma, windows, kind)
        least = min(found.value - sigma, float(signed.max()))
    return Measure(sign * found.value, found.sigma)


# Half of how long a series is within ``DIP_SIGMAS`` of its least reading, in windows. Of a parabola that
# looks so flat: mean and standard deviation of the least reading, in sigmas, and of its instant, in windows.
DIP_SIGMAS: Final = 4.0
DIPS: Final = (0.0, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.3, 1.7)
DIP_EXPECTED: Final[dict[Kind, tuple[float, ...]]] = {
    "mean": (0.0, 0.0, -0.05, -0.15, -0.26, -0.43, -0.56, -0.56, -0.35),
    "slope": (0.0, 0.0, -0.27, -0.55, -0.75, -0.76, -0.87, -0.88, -0.71),
}
DIP_SPREAD: Final[dict[Kind, tuple[float, ...]]] = {
    "mean": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.96, 0.85, 0.73),
    "slope": (1.0, 1.0, 1.02, 1.05, 1.02, 0.88, 0.72, 0.54, 0.42),
}
DIP_INSTANT: Final[dict[Kind, tuple[float, ...]]] = {
    "mean": (0.029, 0.029, 0.045, 0.068, 0.104, 0.17, 0.25, 0.375, 0.53),
    "slope": (0.029, 0.03, 0.07, 0.12, 0.186, 0.235, 0.32, 0.43, 0.49),
}


@dataclass(frozen=True, slots=True)
class Dip:
    """The least of a series that falls and rises again, and where it was.

    Attributes:
        shift: by how many sigmas of one reading the least reading is too low.
    """

    least: Measure
    instant_sigma_s: float
    shift: float


def of_dip(
    series: Floats, at: int, sigma: float, *, step_s: float, window_s: float, slope_share: float
) -> Dip:
    """Return the true least behind a noisy series of readings over sliding windows.

    Args:
        series: (N,) readings, ``step_s`` apart; ``inf`` where there is none.
        at: index of the least.
        sigma: error of a reading there.
        slope_share: how much of its variance is that of slopes; the rest is that of means.
    """
    rises = np.flatnonzero(series > series[at] + DIP_SIGMAS * sigma)
    before, after = rises[rises < at], rises[rises > at]
    first = int(before[-1]) if len(before) else 0
    last = int(after[0]) if len(after) else len(series) - 1
    half = (last - first) / 2 * step_s / window_s

    def mixed(table: dict[Kind, tuple[float, ...]]) -> float:
        mean, slope = (float(np.interp(half, DIPS, table[kind])) for kind in ("mean", "slope"))
        return slope_share * slope + (1 - slope_share) * mean

    expected = mixed(DIP_EXPECTED)
    least = Measure(float(series[at]) - expected * sigma, mixed(DIP_SPREAD) * sigma)
    # A series that falls slowly and rises fast reads least on its slow side: by about as much as the middle
    # of the stretch lies off, where that is more than chance makes it.
    instant_s = mixed(DIP_INSTANT) * window_s
    lopsided_s = max(abs((first + last) / 2 - at) * step_s - instant_s, 0.0)
    return Dip(least, math.hypot(instant_s, lopsided_s), -expected)
