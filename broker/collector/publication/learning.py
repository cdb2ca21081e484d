"""What decisions teach: how often a rule is right at a site, and which threshold would have been better.

Working figures for the people who review and set up: true numbers, of the event rows that are kept. They are
not published. Advice changes nothing by itself: a person edits the site file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Connection, select

from broker.collector.publication import figures
from broker.collector.publication.periods import day_part_of
from broker.collector.publication.plans import zones
from broker.collector.publication.standing import verdict_of
from broker.collector.tables import events
from broker.published import DAY_PARTS, DayPart, Proportion
from broker.wire import RULES, MeasureName, Rule

Side = Literal["above", "below"]
# On which side of a threshold of a measure the doubtful ones lie, and the setting of site.toml that draws it.
_TELLING: dict[Rule, tuple[tuple[MeasureName, Side, str | None], ...]] = {
    "red_light_entry": (("into_red_s", "below", None),),
    "right_on_red_without_stop": (("min_speed_mps", "below", None),),
    "amber_entry": (("into_amber_s", "below", None),),
    "pedestrian_against_signal": (("into_dont_walk_s", "below", None),),
    "pedestrian_late_start": (("into_clearance_s", "below", None),),
    "crossing_outside_crosswalk": (("outside_m", "below", "crosswalk_margin_m"),),
    "wrong_way": (("wrong_way_m", "below", None),),
    "blocking_box": (("inside_at_red_s", "below", None),),
    "failure_to_yield": (("gap_s", "above", None),),
    "near_miss": (("pet_s", "above", "pet_flag_s"), ("ttc_s", "above", "ttc_flag_s")),
}
# A threshold is worth saying where it removes so much of what was rejected and keeps what was confirmed.
LEAST_REJECTED = 20
REMOVES = 0.2
LOSES = 0.05


@dataclass(frozen=True, slots=True)
class Precision:
    """How often people confirmed a rule at a site; ``day_part`` None is all day; hours are the site's."""

    site: str
    rule: Rule
    day_part: DayPart | None
    confirmed: int
    rejected: int
    share: Proportion
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """A threshold, and what it would have done with the decisions it was not chosen by.

    ``setting`` is the name in site.toml's [thresholds]; None where the rule has none: filter in reports.
    """

    site: str
    rule: Rule
    measure: MeasureName
    side: Side
    threshold: float
    setting: str | None
    rejected: int
    rejected_removed: int
    confirmed: int
    confirmed_removed: int

    @property
    def precision_before(self) -> Proportion:
        return figures.proportion(self.confirmed, self.confirmed + self.rejected)

    @property
    def precision_after(self) -> Proportion:
        kept = self.confirmed - self.confirmed_removed
        return figures.proportion(kept, kept + self.rejected - self.rejected_removed)


@dataclass(frozen=True, slots=True)
class Decided:
    """One decided event, as far as it teaches."""

    site: str
    rule: Rule
    day_part: DayPart | None
    confirmed: bool
    measures: dict[str, tuple[float, float | None]]
    half: bool
    hour: int | None = None


def decided(connection: Connection, *, sites: Sequence[str] | None = None) -> list[Decided]:
    """Return every confirmed and rejected event that is kept; of some sites, or (None) of all."""
    known = zones(connection)
    every = select(
        events.c.id,
        events.c.site,
        events.c.rule,
        events.c.time_s,
        events.c.measures,
        verdict_of().label("verdict"),
    )
    if sites is not None:
        every = every.where(events.c.site.in_(sites))
    told = every.subquery("told")
    wanted = select(told).where(told.c.verdict.in_(("confirm", "reject")))
    return [
        Decided(
            site=row.site,
            rule=row.rule,
            day_part=day_part_of(row.time_s, known[row.site]) if row.site in known else None,
            confirmed=row.verdict == "confirm",
            measures=row.measures,
            # An id is random: one of its digits is a fair coin, the same at each look.
            half=row.id[0] in "01234567",
            hour=datetime.fromtimestamp(row.time_s, known[row.site]).hour if row.site in known else None,
        )
        for row in connection.execute(wanted)
    ]


def precisions(found: Iterable[Decided]) -> list[Precision]:
    """Return the confirmed share by site and rule, all day and by part of the day, with Wilson intervals."""
    counts: Counter[tuple[str, Rule, DayPart | None, bool]] = Counter()
    for each in found:
        counts[each.site, each.rule, None, each.confirmed] += 1
        if each.day_part is not None:
            counts[each.site, each.rule, each.day_part, each.confirmed] += 1
    keys = {(site, rule, part) for site, rule, part, _ in counts}
    order = [None, *DAY_PARTS]
    told = []
    for site, rule, part in sorted(keys, key=lambda key: (key[0], RULES.index(key[1]), order.index(key[2]))):
        confirmed, rejected = counts[site, rule, part, True], counts[site, rule, part, False]
        share = figures.proportion(confirmed, confirmed + rejected)
        told.append(Precision(site, rule, part, confirmed, rejected, share))
    return told


def by_hour(found: Iterable[Decided]) -> list[Precision]:
    """Return the confirmed share by site, rule and hour of the site's day, with Wilson intervals.

    For who sets a camera up: low sun, or a lamp that blinds it, shows as an hour. Published it is never.
    """
    counts: Counter[tuple[str, Rule, int, bool]] = Counter(
        (each.site, each.rule, each.hour, each.confirmed) for each in found if each.hour is not None
    )
    told = []
    keys = {(site, rule, hour) for site, rule, hour, _ in counts}
    for site, rule, hour in sorted(keys, key=lambda key: (key[0], RULES.index(key[1]), key[2])):
        confirmed, rejected = counts[site, rule, hour, True], counts[site, rule, hour, False]
        share = figures.proportion(confirmed, confirmed + rejected)
        told.append(Precision(site, rule, DAY_PARTS[hour // 6], confirmed, rejected, share, hour))
    return told


def advice(found: Iterable[Decided]) -> list[Advice]:
    """Return the thresholds worth a look, best first.

    Each is chosen by one half of the decisions and judged by the other half, so that a threshold that only
    fits the noise of the ones does not look good on the others.
    """
    by_place: defaultdict[tuple[str, Rule], list[Decided]] = defaultdict(list)
    for each in found:
        by_place[each.site, each.rule].append(each)
    told = []
    for (site, rule), here in by_place.items():
        for measure, side, setting in _TELLING[rule]:
            # What lies beyond is dropped, and so an event without this number never is.
            chosen = _threshold([each for each in here if each.half], measure, side)
            if chosen is None:
                continue
            judged = [each for each in here if not each.half]
            dropped = [each for each in judged if _beyond(each, measure, side, chosen)]
            one = Advice(
                site=site,
                rule=rule,
                measure=measure,
                side=side,
                threshold=chosen,
                setting=setting,
                rejected=sum(not each.confirmed for each in judged),
                rejected_removed=sum(not each.confirmed for each in dropped),
                confirmed=sum(each.confirmed for each in judged),
                confirmed_removed=sum(each.confirmed for each in dropped),
            )
            if _is_worth_saying(one):
                told.append(one)
    return sorted(told, key=lambda one: (-one.rejected_removed / one.rejected, one.site, one.rule))


def _threshold(here: Sequence[Decided], measure: MeasureName, side: Side) -> float | None:
    """Return the value that removes most of the rejected and keeps the confirmed; None where none does."""
    values = sorted({each.measures[measure][0] for each in here if measure in each.measures})
    confirmed = sum(each.confirmed for each in here)
    best, most = None, 0
    for value in values:
        dropped = [each.confirmed for each in here if _beyond(each, measure, side, value)]
        lost, removed = sum(dropped), len(dropped) - sum(dropped)
        if lost <= LOSES * confirmed and removed > most:
            best, most = value, removed
    return best


def _beyond(each: Decided, measure: MeasureName, side: Side, threshold: float) -> bool:
    if measure not in each.measures:
        return False
    value = each.measures[measure][0]
    return value > threshold if side == "above" else value < threshold


def _is_worth_saying(one: Advice) -> bool:
    return (
        one.rejected >= LEAST_REJECTED
        and one.rejected_removed >= REMOVES * one.rejected
        and one.confirmed_removed <= LOSES * max(one.confirmed, 1)
    )


assert set(_TELLING) == set(get_args(Rule))
