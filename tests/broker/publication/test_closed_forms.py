"""Intervals, tests and precisions against their definitions, reckoned another way than the code does."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from math import comb, sqrt
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sqlalchemy import select

from broker.collector import findings
from broker.collector.publication import figures, learning
from broker.collector.publication.comparing import rate_ratio
from broker.collector.publication.plans import keep_plan, zone_of
from broker.collector.store import Store, keep
from broker.collector.tables import decisions, events
from broker.published import DAY_PARTS
from tests.broker.publication.years import PLAN
from tests.broker.records import BIN_TIME, event


@pytest.mark.parametrize("count", [0, 1, 2, 5, 10, 37, 250, 4000])
def test_the_poisson_interval_leaves_a_fortieth_on_either_side(count: int) -> None:
    low, high = figures.poisson_interval(count)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, abs=1e-9)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025, abs=1e-9)
    else:
        assert low == 0
    chi2 = (stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0, stats.chi2.ppf(0.975, 2 * count + 2) / 2)
    assert (low, high) == pytest.approx(chi2, rel=1e-9)


@pytest.mark.parametrize("mean", [0.3, 2.0, 11.0, 60.0])
def test_the_poisson_interval_holds_the_truth_19_times_in_20(mean: float) -> None:
    counts = range(int(mean + 12 * sqrt(mean) + 12))
    held = sum(stats.poisson.pmf(n, mean) for n in counts if _within(mean, figures.poisson_interval(n)))
    assert held >= 0.95


def _within(value: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= value <= interval[1]


@settings(max_examples=60)
@given(whole=st.integers(1, 3000), share=st.floats(0, 1))
def test_the_wilson_interval_is_where_the_score_test_just_holds(whole: int, share: float) -> None:
    part = round(share * whole)
    found = figures.wilson_interval(part, whole)
    theirs = stats.binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    for end in found:
        if abs(part / whole - end) > 1e-9:  # an end that is the share itself, 0 or 1, is where it stops
            assert abs(part / whole - end) / sqrt(end * (1 - end) / whole) == pytest.approx(
                1.959964, abs=1e-4
            )


@pytest.mark.parametrize(
    ("counts", "exposure"),
    [
        pytest.param((8, 2), (1000, 1000), id="few, as much traffic"),
        pytest.param((45, 20), (12_300, 9_800), id="less traffic"),
        pytest.param((10, 10), (1000, 4000), id="four times the traffic"),
        pytest.param((15, 90), (400, 500), id="worse"),
    ],
)
def test_before_and_after_by_whole_numbers(counts: tuple[int, int], exposure: tuple[int, int]) -> None:
    (before, after), together = counts, sum(counts)
    share = Fraction(exposure[1], sum(exposure))
    chances = [comb(together, n) * share**n * (1 - share) ** (together - n) for n in range(together + 1)]
    assert sum(chances) == 1
    ratio, low, high, p = rate_ratio(counts, exposure)
    # Two-sided: all that are no likelier than what was seen.
    assert p == pytest.approx(float(sum(each for each in chances if each <= chances[after])), rel=1e-6)
    assert ratio == pytest.approx((after / exposure[1]) / (before / exposure[0]))
    # At either end of the interval, what was seen or more extreme has a fortieth.
    for end, tail in ((low, range(after, together + 1)), (high, range(after + 1))):
        odds = end * exposure[1] / exposure[0]
        at = odds / (1 + odds)
        chance = sum(comb(together, n) * at**n * (1 - at) ** (together - n) for n in tail)
        assert chance == pytest.approx(0.025, abs=1e-6)
    inverse = rate_ratio((after, before), (exposure[1], exposure[0]))
    assert inverse == pytest.approx((1 / ratio, 1 / high, 1 / low, p))


def test_precision_by_site_rule_part_of_the_day_and_hour_is_what_the_decisions_say(store: Store) -> None:
    chance = random.Random(6)
    sites, rules = ("main-5th", "elm-2nd"), ("red_light_entry", "near_miss", "amber_entry")
    records = [
        event(
            seq=n,
            id=UUID(int=chance.getrandbits(128), version=4),
            site=chance.choice(sites),
            rule=chance.choice(rules),
            road_user2=None,
            time=BIN_TIME + timedelta(minutes=5 * chance.randrange(288 * 40)),
        )
        for n in range(1, 241)
    ]
    records = [
        each.model_copy(update={"road_user2": "bus"}) if each.rule == "near_miss" else each
        for each in records
    ]
    with store.write() as connection:
        for site in sites:
            keep_plan(connection, PLAN.model_copy(update={"site": site}), now_s=1)
        keep(connection, new_events=records)
    for n, each in enumerate(records):
        with store.write() as connection:
            for _ in range(chance.choice((0, 1, 1, 1, 2))):
                verdict = chance.choice(("confirm", "confirm", "reject", "unclear"))
                findings.decide(connection, str(each.id), verdict, reviewer=f"r{n}", now_s=n)  # type: ignore[arg-type]
                if chance.random() < 0.3:
                    findings.undo(connection, reviewer=f"r{n}", now_s=n)
    with store.read() as connection:
        found = learning.decided(connection)
        told, hourly = learning.precisions(found), learning.by_hour(found)
        # Again, from the rows of decisions alone: the last that was not taken back.
        rows = connection.execute(select(decisions).order_by(decisions.c.n)).all()
        places = {row.id: row for row in connection.execute(select(events))}
    undone = {row.undoes for row in rows}
    stands = {row.event: row.verdict for row in rows if row.verdict != "undo" and row.n not in undone}
    counted: Counter[tuple[str, str, str | None, str]] = Counter()
    zone = zone_of(PLAN)
    for id_, verdict in stands.items():
        row = places[id_]
        hour = datetime.fromtimestamp(row.time_s, zone).hour
        for part in (None, DAY_PARTS[hour // 6]):
            counted[row.site, row.rule, part, verdict] += 1
        counted[row.site, row.rule, str(hour), verdict] += 1
    assert {
        (each.site, each.rule, str(each.hour)): (each.confirmed, each.rejected) for each in hourly
    } == _expected(counted, hours=True)
    expected = _expected(counted, hours=False)
    assert {
        (each.site, each.rule, each.day_part): (each.confirmed, each.rejected) for each in told
    } == expected
    for each in told:
        theirs = stats.binomtest(each.confirmed, each.confirmed + each.rejected).proportion_ci(
            method="wilson"
        )
        assert (each.share.low, each.share.high) == pytest.approx((theirs.low, theirs.high), abs=5.1e-4)


def _expected(
    counted: Counter[tuple[str, str, str | None, str]], *, hours: bool
) -> dict[tuple[str, str, str | None], tuple[int, int]]:
    return {
        (site, rule, part): (counted[site, rule, part, "confirm"], counted[site, rule, part, "reject"])
        for site, rule, part, verdict in list(counted)
        if verdict in ("confirm", "reject") and (part or "").isdecimal() == hours
    }
