"""The linear program over a whole year of published tables, and the control that it breaks."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date

from hypothesis import HealthCheck, given, settings

from broker.collector.publication import attack, figures
from broker.collector.publication.making import Key, Observed, publication
from broker.collector.publication.periods import period_of
from broker.collector.publication.places import places_of
from broker.published import DAY_PARTS, FEW, Cell, DayPart, PeriodKind, Publication, ShownCount
from tests.broker.publication.years import PLAN, RULES, observed, year_of, years

QUARTER = period_of("quarter", date(2026, 7, 1))


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(said=years())
def test_no_year_gives_a_hidden_number_away(said: list[Publication]) -> None:
    assert attack.narrowed(PLAN, said) == []


def test_every_hidden_number_of_a_year_is_attacked() -> None:
    chance = random.Random(7)
    said = [each for rule in RULES for each in year_of(rule, "quarter", "place", chance)]
    few = sum((cell.confirmed == FEW) + (cell.rejected == FEW) for each in said for cell in each.cells)
    found = attack.attacked(PLAN, said)
    assert few > 20
    assert len([each for each in found if each.what != "exposure"]) >= few
    assert all((each.low, each.high) == (0.0, 9.0) for each in found)


def test_control_with_suppression_of_further_views_off_the_attack_wins() -> None:
    """Else the attack might be too weak to find anything."""
    chance = random.Random(7)
    said = []
    for rule in RULES:
        for period in (period_of("quarter", date(2026, month, 1)) for month in (1, 4, 7, 10)):
            seen = observed(rule, chance, mean=6)
            said.append(
                with_every_view(publication(PLAN, rule, period, "place", seen, with_exposure=False), seen)
            )
    assert len(attack.narrowed(PLAN, said)) > 10


def test_a_total_beside_one_hidden_place_gives_it_away() -> None:
    counts: dict[Key, int] = {("N", "car", part): 20 for part in DAY_PARTS}
    seen = Observed(confirmed={**counts, ("S", "car", "night"): 2, ("E", "car", "night"): 30})
    kept = publication(PLAN, "red_light_entry", QUARTER, "place", seen)
    assert kept.total is None and kept.day_parts == ()
    told = with_every_view(kept, seen)
    assert told.total is not None and told.total.confirmed == 110
    (given_away,) = [each for each in attack.narrowed(PLAN, [told]) if ", S," in each.label]
    # At most 112 in all, less at least 78 and 28.
    assert (given_away.what, given_away.low, given_away.high) == ("confirmed", 0.0, 6.0)


def test_two_periods_that_overlap_would_give_a_hidden_number_away() -> None:
    """Why the ledger refuses them: a year less three of its quarters is the fourth."""

    def said(kind: PeriodKind, month: int, count: int) -> Publication:
        seen = Observed(confirmed={("N", "car", "night"): count})
        return publication(PLAN, "red_light_entry", period_of(kind, date(2026, month, 1)), "site", seen)

    quarters = [
        said("quarter", 1, 38),
        said("quarter", 4, 48),
        said("quarter", 7, 58),
        said("quarter", 10, 1),
    ]
    assert [each.cells[0].confirmed for each in quarters] == [40, 50, 60, FEW]
    (fourth,) = attack.narrowed(PLAN, [*quarters, said("year", 1, 145)])
    # At most 147 in the year, less at least 38, 48 and 58.
    assert (fourth.label, fourth.high) == ("red_light_entry, 2026-Q4, site, all, day", 3.0)


def with_every_view(said: Publication, seen: Observed) -> Publication:
    """Return a publication with its total and day parts whatever is hidden: what is never published."""

    def sums(counts: Mapping[Key, int], part: str | None) -> ShownCount:
        places = places_of(said.rule, PLAN)
        return figures.shown_count(
            sum(count for (at, _, when), count in counts.items() if at in places and part in (None, when))
        )

    def view(part: DayPart | None) -> Cell:
        return Cell(
            place=None,
            day_part=part,
            confirmed=sums(seen.confirmed, part),
            rejected=sums(seen.rejected, part),
        )

    return said.model_copy(update={"total": view(None), "day_parts": tuple(view(part) for part in DAY_PARTS)})
