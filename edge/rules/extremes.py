"""The most extreme of noisy readings, freed of having been picked for being so.

Readings averaged over a window that slides along a stretch are not independent, and the largest of them is
too large by so many of their sigmas as the largest of a sliding average of normal numbers is. There are two
such averages here: means (positions), and slopes by least squares (speeds), which change sooner. The tables
come from simulating both; tests/edge/test_rules_extremes.py simulates them again. That the largest of several
normal numbers is too large, and by how much: Tippett, On the extreme individuals and the range of samples
taken from a normal population, Biometrika 17 (1925).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from edge.rules.finding import Measure

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


def of_stretch(extreme: float, sigma: float, windows: float, kind: Kind, *, sign: float = 1.0) -> Measure:
    """Return the value behind the most extreme reading of a stretch so many windows long.

    Args:
        sigma: error of one reading.
        sign: 1 where it is the largest, -1 where it is the least.
    """
    expected, spread = (float(np.interp(windows, WINDOWS, each[kind])) for each in (EXPECTED, SPREAD))
    return Measure(extreme - sign * expected * sigma, spread * sigma)
