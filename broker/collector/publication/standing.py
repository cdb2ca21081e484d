"""Which decision stands behind each event that is counted."""

from __future__ import annotations

from collections import defaultdict
from datetime import tzinfo

from sqlalchemy import Connection, func, select

from broker.collector.findings import verdicts
from broker.collector.publication.making import Key
from broker.collector.publication.periods import bounds_s, day_part_of
from broker.collector.tables import decisions, events
from broker.published import Period
from broker.wire import Rule


def standing(
    connection: Connection, *, site: str, rule: Rule, period: Period, zone: tzinfo
) -> dict[tuple[str, Key], list[int]]:
    """Return the numbers of the decisions that stand, by verdict and by place, road user and part of the day.

    An event is counted by its verdict; of the decisions with that verdict that were not taken back, the last.
    """
    verdict = verdicts()
    start_s, end_s = bounds_s(period, zone)
    undone = select(decisions.c.undoes).where(decisions.c.undoes.is_not(None))
    rows = connection.execute(
        select(
            events.c.place,
            events.c.road_user,
            events.c.time_s,
            verdict.c.verdict,
            func.max(decisions.c.n).label("n"),
        )
        .select_from(
            events.join(verdict, verdict.c.event == events.c.id).join(
                decisions, (decisions.c.event == events.c.id) & (decisions.c.verdict == verdict.c.verdict)
            )
        )
        .where(
            events.c.site == site,
            events.c.rule == rule,
            events.c.time_s >= start_s,
            events.c.time_s < end_s,
            decisions.c.n.not_in(undone),
        )
        .group_by(events.c.id, events.c.place, events.c.road_user, events.c.time_s, verdict.c.verdict)
    )
    found: defaultdict[tuple[str, Key], list[int]] = defaultdict(list)
    for place, user, time_s, state, n in rows:
        found[state, (place, user, day_part_of(time_s, zone))].append(int(n))
    return found
