"""From true counts to one publication: rounded, hidden where few, and nothing that gives the hidden away.

The cells of a publication are a partition: each event is counted in exactly one of them, so what the others
show tells nothing about one that is hidden. A further view of the same events (their total, the parts of the
day) adds up to the same number, and could; it is published only where neither the cells nor the view hide
anything. This depends on which cells are hidden alone, never on the number left out: that it is left
out tells nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from broker.collector.publication import figures
from broker.collector.publication.places import Plan, counted_at, places_of, users_of
from broker.published import DAY_PARTS, FEW, FEW_EXPOSED, Cell, DayPart, Detail, Period, Publication
from broker.wire import RoadUser, Rule

# Most: at least this share was decided.
MOST = 0.95
Part = DayPart | Literal[""]  # "": the part is not known any more
Key = tuple[str, str, Part]  # place, road user, part of the day


@dataclass(frozen=True)
class Observed:
    """What is true of one rule at one site in one period, as fine as it is known.

    ``exposure`` holds everything counted at the site, None where nothing was counted in the period;
    ``decided`` and ``undecided`` are how many events people have and have not looked at.
    """

    confirmed: Mapping[Key, int] = field(default_factory=dict)
    rejected: Mapping[Key, int] = field(default_factory=dict)
    exposure: Mapping[Key, int] | None = None
    decided: int = 0
    undecided: int = 0

    @property
    def reviewed(self) -> Literal["most", "part"]:
        return "most" if self.decided >= MOST * (self.decided + self.undecided) else "part"


def publication(
    plan: Plan, rule: Rule, period: Period, detail: Detail, observed: Observed, *, with_exposure: bool = True
) -> Publication:
    """Return what may be said; the same for the same numbers, whatever is asked.

    Args:
        with_exposure: False where the exposure shown elsewhere would give a hidden one away.
    """
    maker = _Maker(plan, rule, observed, with_exposure)
    cells = tuple(
        maker.cell(place, user) for place in _places(detail, rule, plan) for user in _users(detail, rule)
    )
    total = maker.total(cells) if may_be_viewed_again(cells) and len(cells) > 1 else None
    parts: tuple[Cell, ...] = ()
    if period.kind != "four_weeks" and may_be_viewed_again(cells) and maker.parts_known:
        parts = maker.parts(cells)
        parts = parts if may_be_viewed_again(parts) else ()
    return Publication(
        site=plan.site,
        rule=rule,
        period=period,
        detail=detail,
        reviewed=observed.reviewed,
        cells=cells,
        total=total,
        day_parts=parts,
    )


def may_be_viewed_again(cells: Sequence[Cell]) -> bool:
    """Return whether another sum of the same events may stand beside these cells: none of them is hidden."""
    return all(cell.confirmed != FEW for cell in cells)


def _places(detail: Detail, rule: Rule, plan: Plan) -> Sequence[str | None]:
    return (None,) if detail == "site" else places_of(rule, plan)


def _users(detail: Detail, rule: Rule) -> Sequence[RoadUser | None]:
    return users_of(rule) if detail == "road_user" else (None,)


class _Maker:
    """Sums what is observed, cell by cell."""

    def __init__(self, plan: Plan, rule: Rule, observed: Observed, with_exposure: bool) -> None:
        self._plan, self._rule = plan, rule
        self._places = frozenset(places_of(rule, plan))
        self._confirmed, self._rejected = observed.confirmed, observed.rejected
        self._exposure = observed.exposure if with_exposure else None
        # What is retired without its part of the day is in no part of the day.
        self.parts_known = not any(
            part == "" and count
            for counts in (observed.confirmed, observed.rejected)
            for (_, _, part), count in counts.items()
        )

    def cell(self, place: str | None, user: RoadUser | None, part: DayPart | None = None) -> Cell:
        confirmed = figures.shown_count(self._sum(self._confirmed, place, user, part))
        rejected = figures.shown_count(self._sum(self._rejected, place, user, part))
        true = self._exposed(place, user, part)
        exposure = None if true is None else figures.shown_exposure(true)
        return Cell(
            place=place,
            road_user=user,
            day_part=part,
            confirmed=confirmed,
            rejected=rejected,
            exposure=exposure,
            rate=figures.rate(confirmed, exposure),
            precision=figures.precision(confirmed, rejected),
        )

    def total(self, cells: Sequence[Cell]) -> Cell:
        """Return the sum of all; without the numbers of which a cell is hidden."""
        return _without_hidden(self.cell(None, None), cells)

    def parts(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        found = [self.cell(None, None, part) for part in DAY_PARTS]
        return tuple(_without_hidden(each, (*cells, *found)) for each in found)

    def _sum(
        self, counts: Mapping[Key, int], place: str | None, user: RoadUser | None, part: DayPart | None
    ) -> int:
        places = self._places if place is None else (place,)
        users = users_of(self._rule) if user is None else (user,)
        return sum(
            count
            for (at, who, when), count in counts.items()
            if at in places and who in users and part in (None, when)
        )

    def _exposed(self, place: str | None, user: RoadUser | None, part: DayPart | None) -> int | None:
        counted = counted_at(self._rule, self._plan, place, user)
        if self._exposure is None or not counted:
            return None
        if part is not None and any(count and when == "" for (_, _, when), count in self._exposure.items()):
            return None
        chosen = frozenset(counted)
        return sum(
            count
            for (at, who, when), count in self._exposure.items()
            if (at, who) in chosen and part in (None, when)
        )


def _without_hidden(view: Cell, cells: Sequence[Cell]) -> Cell:
    rejected = None if any(cell.rejected == FEW for cell in cells) else view.rejected
    exposure = None if any(cell.exposure == FEW_EXPOSED for cell in cells) else view.exposure
    return view.model_copy(
        update={
            "rejected": rejected,
            "exposure": exposure,
            "rate": figures.rate(view.confirmed, exposure),
            "precision": figures.precision(view.confirmed, rejected),
        }
    )
