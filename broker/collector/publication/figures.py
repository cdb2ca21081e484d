"""Rounding, hiding and intervals: what a true number becomes before anybody sees it.

Rates and shares are computed from what is shown, never from what is true: they say nothing that the rounded
numbers do not say already.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from broker.published import (
    EXPOSURE_TO,
    FEW,
    FEW_EXPOSED,
    PER,
    ROUND_TO,
    K,
    Proportion,
    Rate,
    ShownCount,
    ShownExposure,
)

LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


def shown_count(count: int) -> ShownCount:
    """Return ``<10`` or the count rounded to 5."""
    return FEW if count < K else (count + ROUND_TO // 2) // ROUND_TO * ROUND_TO


def shown_exposure(count: int) -> ShownExposure:
    """Return ``<100`` or the exposure rounded to 100."""
    return FEW_EXPOSED if count < EXPOSURE_TO else (count + EXPOSURE_TO // 2) // EXPOSURE_TO * EXPOSURE_TO


def possible(shown: ShownCount) -> tuple[int, int]:
    """Return the least and the most a shown count can stand for: what anybody can tell from it."""
    if not isinstance(shown, int):
        return 0, K - 1
    return max(shown - ROUND_TO // 2, K), shown + ROUND_TO // 2


def possible_exposure(shown: ShownExposure) -> tuple[int, int]:
    """Return the least and the most a shown exposure can stand for."""
    if not isinstance(shown, int):
        return 0, EXPOSURE_TO - 1
    half = EXPOSURE_TO // 2
    return max(shown - half, EXPOSURE_TO), shown + half - 1


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of a Poisson count.

    Source: Garwood, F. (1936). Fiducial limits for the Poisson distribution. Biometrika 28, 437–442:
    χ²(α/2; 2n)/2 and χ²(1−α/2; 2n+2)/2. Assumes findings independent of each other; where they come in
    clusters (a faulty signal for a week) the true interval is wider.
    """
    from scipy.special import gammaincinv

    tail = (1 - LEVEL) / 2  # χ²(p; 2n)/2 is the p quantile of a gamma variable of shape n
    low = 0.0 if count == 0 else float(gammaincinv(count, tail))
    return low, float(gammaincinv(count + 1, 1 - tail))


def wilson_interval(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share; (0, 1) of nothing.

    Source: Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209–212.
    """
    if whole == 0:
        return 0.0, 1.0
    share = part / whole
    centre = (share + _Z**2 / (2 * whole)) / (1 + _Z**2 / whole)
    half = _Z * sqrt(share * (1 - share) / whole + _Z**2 / (4 * whole**2)) / (1 + _Z**2 / whole)
    return max(0.0, centre - half), min(1.0, centre + half)


def rate(confirmed: ShownCount, exposure: ShownExposure | None) -> Rate | None:
    """Return findings per 1,000 counted, from shown numbers; None where one of them is hidden."""
    if not isinstance(confirmed, int) or not isinstance(exposure, int):
        return None
    low, high = poisson_interval(confirmed)
    value, low, high = (round(PER * each / exposure, 3) for each in (confirmed, low, high))
    return Rate(value=value, low=low, high=high)


def precision(confirmed: ShownCount, rejected: ShownCount | None) -> Proportion | None:
    """Return the confirmed share of what was decided, from shown numbers; None where one is hidden."""
    if not isinstance(confirmed, int) or not isinstance(rejected, int):
        return None
    return proportion(confirmed, confirmed + rejected)


def proportion(part: int, whole: int) -> Proportion:
    """Return a share with its interval, to three digits."""
    low, high = wilson_interval(part, whole)
    return Proportion(value=round(part / whole, 3), low=round(low, 3), high=round(high, 3))
