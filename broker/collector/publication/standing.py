"""Which verdict counts for an event, and which decision stands behind it.

Asked for the events of one site and period, never for all decisions there are: a store holds a million.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import tzinfo

from sqlalchemy import ColumnElement, Connection, func, select

from broker.collector.publication.making import Key
from broker.collector.publication.periods import bounds_s, day_part_of
from broker.collector.tables import decisions, events
from broker.published import Period
from broker.wire import Rule


def verdict_of() -> ColumnElement[str | None]:
    """Return what counts of each event's decisions (``deciding``), NULL while nothing does."""
    return events.c.verdict


def standing(
    connection: Connection, *, site: str, rule: Rule, period: Period, zone: tzinfo
) -> dict[tuple[str, Key], list[int]]:
    """Return the numbers of the decisions that stand, by verdict, then by place, road user, part of the day.

    An event is counted by its verdict; of the decisions with that verdict that were not taken back, the last.
    """
    start_s, end_s = bounds_s(period, zone)
    counted = (
        select(
            events.c.id,
            events.c.place,
            events.c.road_user,
            events.c.time_s,
            verdict_of().label("verdict"),
        )
        .where(
            events.c.site == site,
            events.c.rule == rule,
            events.c.time_s >= start_s,
            events.c.time_s < end_s,
        )
        .subquery("counted")
    )
    undo = decisions.alias("undo")
    rows = connection.execute(
        select(
            counted.c.place,
            counted.c.road_user,
            counted.c.time_s,
            counted.c.verdict,
            func.max(decisions.c.n).label("n"),
        )
        .join(
            decisions,
            (decisions.c.event == counted.c.id) & (decisions.c.verdict == counted.c.verdict),
        )
        .where(~select(undo.c.n).where(undo.c.undoes == decisions.c.n).exists())
        .group_by(counted.c.id, counted.c.place, counted.c.road_user, counted.c.time_s, counted.c.verdict)
    )
    found: defaultdict[tuple[str, Key], list[int]] = defaultdict(list)
    for place, user, time_s, state, n in rows:
        found[state, (place, user, day_part_of(time_s, zone))].append(int(n))
    return found
