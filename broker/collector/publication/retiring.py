"""What is left of rows whose time is over: how many there were, by month and part of the day.

A quarter is published when its first days are past the 90 days of event rows, a year when half of its
exposure is past 180: both are counted from rows and from these aggregates together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select

from broker.collector.publication.periods import day_part_of, month_of
from broker.collector.publication.plans import zones
from broker.collector.publication.standing import verdict_of
from broker.collector.store import insert_new
from broker.collector.tables import (
    counts,
    decisions,
    events,
    publication_decisions,
    retired,
    retired_counts,
)


def retire_events(connection: Connection, *, before_s: int) -> None:
    """Add the events of before an instant to the aggregates; the caller deletes them in this transaction."""
    names = ("site", "place", "rule", "road_user", "verdict")
    past = (
        select(
            events.c.site,
            events.c.place,
            events.c.rule,
            events.c.road_user,
            func.coalesce(verdict_of(), "undecided").label("verdict"),
            events.c.time_s,
        )
        .where(events.c.time_s < before_s)
        .subquery("past")
    )
    rows = connection.execute(select(past, func.count().label("count")).group_by(*past.c))
    _add(connection, retired, names, rows.mappings(), "time_s")


def retire_counts(connection: Connection, *, before_s: int) -> None:
    """Add the exposure of before an instant to the aggregates; the caller deletes it in this transaction."""
    names = ("site", "place", "road_user")
    rows = connection.execute(
        select(
            counts.c.site,
            counts.c.place,
            counts.c.road_user,
            counts.c.start_s,
            func.sum(counts.c.count).label("count"),
        )
        .where(counts.c.start_s < before_s)
        .group_by(counts.c.site, counts.c.place, counts.c.road_user, counts.c.start_s)
    )
    _add(connection, retired_counts, names, rows.mappings(), "start_s")


def forget_decisions(connection: Connection) -> int:
    """Drop the links of publications to decisions that are past their time; return how many went."""
    kept = select(decisions.c.n)
    gone = delete(publication_decisions).where(publication_decisions.c.decision.not_in(kept))
    return int(connection.execute(gone).rowcount)


def _add(connection: Connection, table: Table, names: tuple[str, ...], rows: Any, time: str) -> None:
    known = zones(connection)
    sums: Counter[tuple[tuple[str, Any], ...]] = Counter()
    for row in rows:
        sums[_key(names, row, row[time], known)] += int(row["count"])
    for key, count in sums.items():
        here = [table.c[name] == value for name, value in key]
        insert_new(connection, table, [{**dict(key), "count": 0}])
        connection.execute(table.update().where(*here).values(count=table.c.count + count))


def _key(
    names: tuple[str, ...], row: Mapping[str, Any], time_s: int, known: Mapping[str, tzinfo]
) -> tuple[tuple[str, Any], ...]:
    zone = known.get(row["site"])
    month_s = month_of(time_s, zone or UTC)
    part = "" if zone is None else day_part_of(time_s, zone)
    return (*((name, row[name]) for name in names), ("month_s", month_s), ("day_part", part))
