"""Made years of one junction: a plan, and what was observed of a rule in a period."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date

from hypothesis import strategies as st

from broker.collector.publication.making import Observed, publication
from broker.collector.publication.periods import periods
from broker.collector.publication.places import Place, Plan, places_of, users_of
from broker.published import DAY_PARTS, Detail, PeriodKind, Publication
from broker.wire import Rule

PLAN = Plan(
    site="main-5th",
    name="Main St / 5th Ave",
    timezone="America/Chicago",
    places=(
        Place(id="N", kind="stop_line", outline_m=((-6.4, 13.4), (0.0, 13.4))),
        Place(id="S", kind="stop_line", outline_m=((0.0, -13.4), (6.4, -13.4))),
        Place(id="E", kind="stop_line", outline_m=((13.4, 0.0), (13.4, 6.4))),
        Place(id="ped-n", kind="crosswalk", outline_m=((-6.4, 9.1), (6.4, 9.1), (6.4, 5.1), (-6.4, 5.1))),
        Place(id="ped-s", kind="crosswalk", outline_m=((-6.4, -9.1), (6.4, -9.1), (6.4, -5.1), (-6.4, -5.1))),
        Place(id="road", kind="roadway", outline_m=((-60.0, -7.0), (60.0, -7.0), (60.0, 7.0), (-60.0, 7.0))),
    ),
)
RULES: tuple[Rule, ...] = ("red_light_entry", "pedestrian_against_signal", "failure_to_yield", "near_miss")
KINDS: tuple[PeriodKind, ...] = ("four_weeks", "quarter", "year")
FINE: tuple[Detail, ...] = ("site", "place", "road_user")


def observed(rule: Rule, chance: random.Random, *, mean: float, exposed: float = 400.0) -> Observed:
    """Return counts around a mean a place and day part; places differ, many are few."""
    confirmed, rejected, exposure = {}, {}, {}
    for place in places_of(rule, PLAN):
        busy = chance.choice((0.0, 0.2, 1.0, 1.0, 4.0))
        for user in users_of(rule):
            for part in DAY_PARTS:
                confirmed[place, user, part] = int(chance.expovariate(1.0) * mean * busy)
                rejected[place, user, part] = int(chance.expovariate(1.0) * mean * busy / 4)
    for name in PLAN.ids("stop_line"):
        for user in ("car", "truck", "bicycle"):
            for part in DAY_PARTS:
                exposure[name, user, part] = int(chance.expovariate(1.0) * exposed)
    for name in PLAN.ids("crosswalk"):
        for part in DAY_PARTS:
            exposure[name, "pedestrian", part] = int(chance.expovariate(1.0) * exposed / 4)
    return Observed(confirmed=confirmed, rejected=rejected, exposure=exposure)


def year_of(rule: Rule, kind: PeriodKind, detail: Detail, chance: random.Random) -> Iterator[Publication]:
    """Yield what is published of a rule in 2026."""
    mean = chance.choice((0.3, 1.5, 6.0, 30.0))
    for period in periods(kind, date(2026, 1, 1), date(2026, 12, 31)):
        yield publication(PLAN, rule, period, detail, observed(rule, chance, mean=mean), with_exposure=False)


@st.composite
def years(draw: st.DrawFn) -> list[Publication]:
    """Return all that is published of the junction in a year, each rule in periods and detail of its own."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    said: list[Publication] = []
    for rule in RULES:
        kind, detail = draw(st.sampled_from(KINDS)), draw(st.sampled_from(FINE))
        said += year_of(rule, kind, detail, chance)
    return said
