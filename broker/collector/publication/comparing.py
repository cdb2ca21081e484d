"""Before and after: whether the rate at a place changed, from two publications alone.

The test is the exact conditional one of two Poisson rates: given how many there were in both periods
together, how many of them fall into the second is binomial with the second's share of the exposure, if the
rate is the same. Source: Przyborowski & Wilenski (1940), Biometrika 31, 313–323; the interval of the ratio
from that of the binomial share, Clopper & Pearson (1934), Biometrika 26, 404–413.

It assumes findings independent of each other, exposure known without error, and that nothing but the change
differs between the periods. A place chosen because it had a bad period looks better in the next one by chance
alone (regression to the mean; Hauer 1997, Observational Before–After Studies in Road Safety): compare with
places that were not changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from broker.published import Cell, Publication

Per = Literal["counted", "day"]


@dataclass(frozen=True, slots=True)
class Change:
    """One place's findings before and after.

    ``per`` says what the rates are shares of: road users counted, or days where these are not known.
    ``ratio`` is the rate after over the rate before, with a 95 % interval; ``p`` the two-sided probability of
    a difference this large or larger if there is none.
    """

    place: str | None
    road_user: str | None
    before: int
    after: int
    per: Per
    exposure_before: int
    exposure_after: int
    ratio: float
    low: float
    high: float
    p: float


def changes(before: Publication, after: Publication) -> list[Change]:
    """Return the change of every cell that is shown in both.

    Raises:
        ValueError: two sites, two rules, or the same period.
    """
    if (before.site, before.rule) != (after.site, after.rule):
        raise ValueError("a comparison is of one rule at one site")
    if before.period.end > after.period.start:
        raise ValueError("a comparison is of an earlier period with a later one")
    days = ((before.period.end - before.period.start).days, (after.period.end - after.period.start).days)
    later = {(cell.place, cell.road_user): cell for cell in _cells(after)}
    found = []
    for cell in _cells(before):
        other = later.get((cell.place, cell.road_user))
        if other is None or not isinstance(cell.confirmed, int) or not isinstance(other.confirmed, int):
            continue
        per: Per = "day"
        exposure = days
        if isinstance(cell.exposure, int) and isinstance(other.exposure, int):
            per, exposure = "counted", (cell.exposure, other.exposure)
        ratio, low, high, p = rate_ratio((cell.confirmed, other.confirmed), exposure)
        found.append(
            Change(
                place=cell.place,
                road_user=cell.road_user,
                before=cell.confirmed,
                after=other.confirmed,
                per=per,
                exposure_before=exposure[0],
                exposure_after=exposure[1],
                ratio=ratio,
                low=low,
                high=high,
                p=p,
            )
        )
    return found


def rate_ratio(counts: tuple[int, int], exposure: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the second rate over the first, its exact 95 % interval, and the two-sided p."""
    from scipy.stats import binomtest

    (before, after), (exposed_before, exposed_after) = counts, exposure
    share = exposed_after / (exposed_before + exposed_after)
    test = binomtest(after, before + after, share)
    interval = test.proportion_ci(0.95, method="exact")
    scale = exposed_before / exposed_after

    def odds(of: float) -> float:
        return float("inf") if of >= 1 else scale * of / (1 - of)

    return (odds(after / (before + after)), odds(interval.low), odds(interval.high), float(test.pvalue))


def _cells(publication: Publication) -> Sequence[Cell]:
    return (*publication.cells, *([publication.total] if publication.total else []))
