"""What becomes of true counts: rounded, hidden where few, rates and intervals from what is shown."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.collector.publication import figures
from broker.collector.publication.comparing import changes, rate_ratio
from broker.collector.publication.making import Observed, publication
from broker.collector.publication.periods import (
    bounds_s,
    day_part_of,
    following,
    is_fixed,
    label,
    may_be_published_s,
    month_of,
    months,
    overlap,
    period_of,
)
from broker.published import FEW, FEW_EXPOSED, PERIOD_KINDS, Cell, Period, PeriodKind, Publication
from tests.broker.publication.years import PLAN, observed

CHICAGO = ZoneInfo("America/Chicago")
QUARTER = period_of("quarter", date(2026, 7, 1))
FOUR_WEEKS = period_of("four_weeks", date(2026, 7, 1))


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, FEW), (9, FEW), (10, 10), (12, 10), (13, 15), (17, 15), (18, 20), (1234, 1235)],
)
def test_counts_below_ten_are_hidden_and_others_rounded_to_five(count: int, shown: object) -> None:
    assert figures.shown_count(count) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, FEW_EXPOSED), (99, FEW_EXPOSED), (100, 100), (149, 100), (150, 200), (951, 1000)]
)
def test_exposure_is_rounded_to_a_hundred(count: int, shown: object) -> None:
    assert figures.shown_exposure(count) == shown


@given(count=st.integers(0, 5000))
def test_what_is_shown_allows_what_is_true(count: int) -> None:
    low, high = figures.possible(figures.shown_count(count))
    assert low <= count <= high
    low, high = figures.possible_exposure(figures.shown_exposure(count))
    assert low <= count <= high


def test_intervals_are_those_of_the_tables() -> None:
    # Garwood's limits of 10 and 0 events, as in Ulm (1990), American Journal of Epidemiology 131, table 1.
    assert figures.poisson_interval(10) == pytest.approx((4.795, 18.390), abs=5e-4)
    assert figures.poisson_interval(0) == pytest.approx((0.0, 3.689), abs=5e-4)
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263, 15 of 148, 0 of 20.
    assert figures.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert figures.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert figures.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_a_rate_comes_from_the_rounded_numbers() -> None:
    seen = Observed(confirmed={("N", "car", "night"): 47}, exposure={("N", "car", "night"): 12_345})
    cell = publication(PLAN, "red_light_entry", QUARTER, "place", seen).cells[0]
    assert (cell.place, cell.confirmed, cell.exposure) == ("N", 45, 12_300)
    assert cell.rate is not None and cell.rate.value == round(45 / 12.3, 3)
    assert cell.rate.low < cell.rate.value < cell.rate.high
    # What is true may be anything that rounds to it: the same is published.
    near = Observed(confirmed={("N", "car", "night"): 43}, exposure={("N", "car", "night"): 12_251})
    assert publication(PLAN, "red_light_entry", QUARTER, "place", near).cells[0] == cell


def test_few_findings_or_few_counted_have_no_rate() -> None:
    seen = Observed(
        confirmed={("N", "car", "night"): 9, ("S", "car", "night"): 40},
        exposure={("N", "car", "night"): 5000, ("S", "car", "night"): 99},
    )
    north, south, east = publication(PLAN, "red_light_entry", QUARTER, "place", seen).cells
    assert (north.confirmed, north.exposure, north.rate) == (FEW, 5000, None)
    assert (south.confirmed, south.exposure, south.rate) == (40, FEW_EXPOSED, None)
    assert (east.place, east.confirmed, east.exposure) == ("E", FEW, FEW_EXPOSED)


def test_a_place_where_nothing_happened_looks_like_one_where_little_did() -> None:
    nothing = publication(PLAN, "red_light_entry", QUARTER, "road_user", Observed())
    little = publication(
        PLAN, "red_light_entry", QUARTER, "road_user", Observed(confirmed={("N", "bus", "night"): 9})
    )
    assert nothing == little
    assert len(nothing.cells) == 15


def test_the_total_and_day_parts_stand_only_beside_cells_that_all_are_shown() -> None:
    parts = ("night", "morning", "afternoon", "evening")
    full = {(place, "car", part): 20 for place in ("N", "S", "E") for part in parts}
    seen = Observed(confirmed=full)
    whole = publication(PLAN, "red_light_entry", QUARTER, "place", seen)
    assert whole.total is not None and whole.total.confirmed == 240
    assert [cell.confirmed for cell in whole.day_parts] == [60, 60, 60, 60]
    assert publication(PLAN, "red_light_entry", FOUR_WEEKS, "place", seen).day_parts == ()

    at_night = {key: 3 if key[2] == "night" else n for key, n in full.items()}
    assert (
        publication(PLAN, "red_light_entry", QUARTER, "place", Observed(confirmed=at_night)).day_parts == ()
    )
    at_one_place = {key: 1 if key[0] == "E" else n for key, n in full.items()}
    hidden = publication(PLAN, "red_light_entry", QUARTER, "place", Observed(confirmed=at_one_place))
    assert (hidden.total, hidden.day_parts) == (None, ())
    unknown = {**full, ("N", "car", ""): 1}
    told = publication(PLAN, "red_light_entry", QUARTER, "place", Observed(confirmed=unknown))  # type: ignore[arg-type]
    assert told.total is not None and told.day_parts == ()


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(PERIOD_KINDS))
def test_the_record_holds_to_the_rules_whatever_was_observed(seed: int, kind: PeriodKind) -> None:
    seen = observed("near_miss", random.Random(seed), mean=5)
    said = publication(PLAN, "near_miss", period_of(kind, date(2026, 5, 5)), "place", seen)
    assert Publication.decode(said.encode()) == said
    for cell in (*said.cells, *said.day_parts):
        assert cell.confirmed == FEW or (isinstance(cell.confirmed, int) and cell.confirmed % 5 == 0)


def test_the_record_refuses_what_would_tell_more() -> None:
    said = publication(PLAN, "red_light_entry", QUARTER, "place", Observed())
    plain = said.model_dump(mode="json")
    for change in (
        {"total": {"place": None, "confirmed": 20}},
        {"cells": [{"place": "N", "confirmed": 7}]},
        {"cells": [{"place": "N", "confirmed": 12}]},
        {"cells": [{"place": "N", "confirmed": 20, "exposure": 150}]},
        {"cells": [{"place": "N", "confirmed": "<10", "rate": {"value": 1.0, "low": 0.0, "high": 2.0}}]},
        {"clip": "0" * 64},
        {"time": "2026-07-01T08:15:00Z"},
    ):
        with pytest.raises(ValidationError):
            Publication.model_validate_json(__import__("json").dumps({**plain, **change}))


def test_periods_of_a_kind_are_disjoint_and_leave_no_day_out() -> None:
    for kind in PERIOD_KINDS:
        period = period_of(kind, date(2023, 12, 31))
        for _ in range(40):
            after = following(period)
            assert after.start == period.end and not overlap(period, after) and is_fixed(after)
            period = after
    assert label(period_of("four_weeks", date(2026, 9, 20))) == "2026-09-07 to 2026-10-04"
    assert (label(QUARTER), label(period_of("year", date(2026, 7, 1)))) == ("2026-Q3", "2026")
    assert not is_fixed(Period(kind="quarter", start=date(2026, 7, 1), end=date(2026, 9, 1)))


def test_days_begin_at_the_sites_midnight() -> None:
    start, end = bounds_s(QUARTER, CHICAGO)
    assert datetime.fromtimestamp(start, UTC) == datetime(2026, 7, 1, 5, tzinfo=UTC)
    assert end - start == 92 * 86_400
    assert may_be_published_s(QUARTER, CHICAGO) == end + 7 * 86_400
    last = int(datetime(2026, 7, 1, 4, 55, tzinfo=UTC).timestamp())
    assert month_of(last, CHICAGO) == int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
    assert month_of(last + 300, CHICAGO) in months(QUARTER)
    assert len(months(QUARTER)) == 3
    assert (day_part_of(last, CHICAGO), day_part_of(last + 300, CHICAGO)) == ("evening", "night")


def cell(place: str, confirmed: int | str, exposure: int | None = None) -> Cell:
    return Cell.model_validate({"place": place, "confirmed": confirmed, "exposure": exposure})


def test_before_and_after_is_tested_from_what_is_published() -> None:
    def said(month: int, *cells: Cell) -> Publication:
        return Publication(
            site="main-5th",
            rule="red_light_entry",
            period=period_of("quarter", date(2026, month, 1)),
            detail="place",
            reviewed="most",
            cells=cells,
        )

    before = said(1, cell("N", 100, 10_000), cell("S", FEW, 900), cell("E", 40))
    after = said(4, cell("N", 60, 12_000), cell("S", 20, 900), cell("E", 45))
    north, east = changes(before, after)
    assert (north.place, north.per, north.before, north.after) == ("N", "counted", 100, 60)
    assert north.ratio == pytest.approx(0.5)
    assert north.low < 0.5 < north.high < 1 and north.p < 0.001
    assert (east.per, east.exposure_before, east.exposure_after) == ("day", 90, 91) and east.p > 0.5
    with pytest.raises(ValueError, match="an earlier period with a later one"):
        changes(after, before)


def test_the_test_of_two_rates_is_exact() -> None:
    # Given 10 in both, 2 after: twice P(X ≤ 2) of Binomial(10, 1/2) = 2 · 56/1024.
    ratio, low, high, p = rate_ratio((8, 2), (1000, 1000))
    assert (ratio, p) == (pytest.approx(0.25), pytest.approx(112 / 1024))
    # Clopper–Pearson of 2 of 10: 0.0252 to 0.5561.
    assert (low, high) == (pytest.approx(0.0259, abs=1e-4), pytest.approx(1.2529, abs=1e-3))
