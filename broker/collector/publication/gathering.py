"""What is true of one rule at one site in one period: from rows, and from aggregates where rows have gone.

The database counts; here only sums arrive. Parts of the day are six hours of the site's day, so a period is
asked for in stretches of one offset from UTC, and a part is the quotient of an integer division.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from sqlalchemy import ColumnElement, Connection, func, select

from broker.collector.publication.making import Key, Observed, Part
from broker.collector.publication.periods import bounds_s, months
from broker.collector.publication.standing import verdict_of
from broker.collector.tables import counts, events, retired, retired_counts
from broker.published import DAY_PARTS, Period
from broker.wire import RULES, Rule

HOUR_S = 3600
PART_S = 6 * HOUR_S
DECIDED = ("confirm", "reject", "unclear")


@dataclass
class Gathered:
    """True counts of a period, by verdict, then by place, road user and part of the day.

    ``rows`` are counted from event rows, ``aggregates`` from what is left of rows. ``exposure`` is None where
    nothing was counted in the period.
    """

    rows: dict[str, Counter[Key]] = field(default_factory=dict)
    aggregates: dict[str, Counter[Key]] = field(default_factory=dict)
    exposure: Counter[Key] | None = None

    def of(self, verdict: str) -> Counter[Key]:
        return self.rows.get(verdict, Counter()) + self.aggregates.get(verdict, Counter())

    def observed(self) -> Observed:
        """Return what a publication is made of."""
        decided = sum(self.of(verdict).total() for verdict in DECIDED)
        return Observed(
            confirmed=self.of("confirm"),
            rejected=self.of("reject"),
            exposure=self.exposure,
            decided=decided,
            undecided=self.of("undecided").total(),
        )


def gathered(connection: Connection, *, site: str, period: Period, zone: tzinfo) -> dict[Rule, Gathered]:
    """Return the counts of every rule at a site in a period."""
    exposure = _exposure(connection, site, period, zone)
    found: dict[Rule, Gathered] = {rule: Gathered(exposure=exposure) for rule in RULES}
    for rule, verdict, key, count in _from_rows(connection, site, period, zone):
        found[rule].rows.setdefault(verdict, Counter())[key] += count
    for rule, verdict, key, count in _from_aggregates(connection, site, period):
        found[rule].aggregates.setdefault(verdict, Counter())[key] += count
    return found


def stretches(period: Period, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """Yield first second, first second after and offset from UTC of each stretch with one offset."""
    start_s, end_s = bounds_s(period, zone)
    began, offset = start_s, _offset_s(start_s, zone)
    for day_s in range(start_s, end_s, 24 * HOUR_S):
        until_s = min(day_s + 24 * HOUR_S, end_s)
        if _offset_s(until_s - 1, zone) == offset:
            continue
        # A day on which the clock is changed, on the hour.
        for hour_s in range(day_s, until_s, HOUR_S):
            now = _offset_s(hour_s, zone)
            if now != offset:
                yield began, hour_s, offset
                began, offset = hour_s, now
    yield began, end_s, offset


def _from_rows(
    connection: Connection, site: str, period: Period, zone: tzinfo
) -> Iterator[tuple[Rule, str, Key, int]]:
    for start_s, end_s, offset_s in stretches(period, zone):
        told = (
            select(
                events.c.rule,
                func.coalesce(verdict_of(), "undecided").label("verdict"),
                events.c.place,
                events.c.road_user,
                _part(events.c.time_s, offset_s).label("part"),
            )
            .where(events.c.site == site, events.c.time_s >= start_s, events.c.time_s < end_s)
            .subquery("told")
        )
        by = (told.c.rule, told.c.verdict, told.c.place, told.c.road_user, told.c.part)
        rows = connection.execute(select(*by, func.count()).group_by(*by))
        for rule, verdict, place, user, number, count in rows:
            yield rule, verdict, (place, user, DAY_PARTS[number]), int(count)


def _from_aggregates(
    connection: Connection, site: str, period: Period
) -> Iterator[tuple[Rule, str, Key, int]]:
    rows = connection.execute(
        select(
            retired.c.rule,
            retired.c.verdict,
            retired.c.place,
            retired.c.road_user,
            retired.c.day_part,
            func.sum(retired.c.count),
        )
        .where(retired.c.site == site, retired.c.month_s.in_(months(period)))
        .group_by(retired.c.rule, retired.c.verdict, retired.c.place, retired.c.road_user, retired.c.day_part)
    )
    for rule, verdict, place, user, part, count in rows:
        yield rule, verdict, (place, user, _known(part)), int(count)


def _exposure(connection: Connection, site: str, period: Period, zone: tzinfo) -> Counter[Key] | None:
    found: Counter[Key] = Counter()
    any_at_all = False
    for start_s, end_s, offset_s in stretches(period, zone):
        part = _part(counts.c.start_s, offset_s)
        rows = connection.execute(
            select(counts.c.place, counts.c.road_user, part, func.sum(counts.c.count))
            .where(counts.c.site == site, counts.c.start_s >= start_s, counts.c.start_s < end_s)
            .group_by(counts.c.place, counts.c.road_user, part)
        )
        for place, user, number, count in rows:
            any_at_all = True
            found[place, user, DAY_PARTS[number]] += int(count)
    old = connection.execute(
        select(
            retired_counts.c.place,
            retired_counts.c.road_user,
            retired_counts.c.day_part,
            func.sum(retired_counts.c.count),
        )
        .where(retired_counts.c.site == site, retired_counts.c.month_s.in_(months(period)))
        .group_by(retired_counts.c.place, retired_counts.c.road_user, retired_counts.c.day_part)
    )
    for place, user, name, count in old:
        any_at_all = True
        found[place, user, _known(name)] += int(count)
    return found if any_at_all else None


def _part(time_s: ColumnElement[int], offset_s: int) -> ColumnElement[int]:
    # 0 to 3: which six hours of the site's day. Both divide integers to integers.
    return ((time_s + offset_s) // PART_S) % 4


def _known(name: str) -> Part:
    parts: Sequence[Part] = (*DAY_PARTS, "")
    return next(part for part in parts if part == name)


def _offset_s(time_s: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(time_s, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
