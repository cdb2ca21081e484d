"""The queue and what stands decided: read from what ``deciding`` keeps beside each event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Subquery,
    case,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from broker.collector.deciding import VERDICTS as VERDICTS
from broker.collector.deciding import Verdict as Verdict
from broker.collector.deciding import decide as decide
from broker.collector.deciding import undo as undo
from broker.collector.tables import blobs, claims, counts, decisions, events

PAGE = 50
# The sites somebody may see; None: all of them.
Sites = frozenset[str] | None
# Tallies count as far as this; more are "1000+".
MOST_COUNTED = 1000
State = Literal["undecided", "confirm", "reject", "unclear"]
TABS: Mapping[State, str] = {
    "undecided": "open",
    "confirm": "confirm",
    "reject": "reject",
    "unclear": "unclear",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One event as the queue and the event page show it; ``verdict`` is None while undecided."""

    event: Mapping[str, Any]
    verdict: str | None
    clip_kept: bool
    plate: str | None
    claimed_by: str | None = None
    claimed_until_s: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the queue is wanted; None means any, and what is to decide where no state is named."""

    state: State | None = None
    site: str | None = None
    rule: str | None = None


def verdicts() -> Subquery:
    """Return (event, verdict): what counts of each event that is decided."""
    return (
        select(events.c.id.label("event"), events.c.verdict)
        .where(events.c.verdict.is_not(None))
        .subquery("verdicts")
    )


def queue(
    connection: Connection,
    wanted: Filter,
    *,
    sites: Sites = None,
    reviewer: str | None = None,
    free_at_s: int | None = None,
    after: Item | None = None,
    limit: int = PAGE,
) -> list[Item]:
    """Return a page of events: the most severe and most uncertain first, then in random (id) order.

    One walk along an index per site, so that a page takes as long at a million events as at a hundred.

    Args:
        reviewer: leaves out what this person has decided and somebody else has to look at now.
        free_at_s: leaves out what another person looks at then.
        after: the last item of the page before.
    """
    conditions = [events.c.tab == TABS[wanted.state or "undecided"]]
    if wanted.rule is not None:
        conditions.append(events.c.rule == wanted.rule)
    if after is not None:
        here = (after.event["urgency"], after.event["id"])
        conditions.append(tuple_(events.c.urgency, events.c.id) > here)
    if reviewer is not None:
        conditions.append(or_(events.c.wants.not_in(("second", "third")), ~_decided_by(reviewer)))
    if free_at_s is not None and reviewer is not None:
        taken = exists().where(
            claims.c.event == events.c.id, claims.c.until_s >= free_at_s, claims.c.reviewer != reviewer
        )
        conditions.append(~taken)
    walks = [
        select(events.c.id.label("id"), events.c.urgency.label("urgency"))
        .where(*conditions, *place)
        .order_by(events.c.urgency, events.c.id)
        .limit(limit)
        for place in _places(connection, wanted, sites)
    ]
    if not walks:
        return []
    page = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
    first = select(page).order_by(page.c.urgency, page.c.id).limit(limit).subquery("page")
    rows = connection.execute(
        _items().join(first, first.c.id == events.c.id).order_by(events.c.urgency, events.c.id)
    )
    return [_item(row) for row in rows.mappings()]


def one(connection: Connection, event: str) -> Item | None:
    """Return one event, None where there is none."""
    row = connection.execute(_items().where(events.c.id == event)).mappings().first()
    return None if row is None else _item(row)


def next_undecided(
    connection: Connection,
    wanted: Filter,
    *,
    sites: Sites = None,
    reviewer: str | None = None,
    now_s: int | None = None,
    after: Item | None,
) -> Item | None:
    """Return the next event to decide: the first behind ``after`` in the queue, else the first of all."""
    undecided = Filter(site=wanted.site, rule=wanted.rule)
    for start in (after, None) if after is not None else (None,):
        found = queue(
            connection,
            undecided,
            sites=sites,
            reviewer=reviewer,
            free_at_s=now_s,
            after=start,
            limit=2,
        )
        for item in found:
            if after is None or item.event["id"] != after.event["id"]:
                return item
    return None


def tallies(
    connection: Connection, wanted: Filter, *, sites: Sites = None, reviewer: str | None = None
) -> dict[str, int]:
    """Return how many events there are per verdict and undecided, none counted beyond MOST_COUNTED."""
    found = {}
    for state, tab in TABS.items():
        conditions = [events.c.tab == tab]
        if wanted.rule is not None:
            conditions.append(events.c.rule == wanted.rule)
        if reviewer is not None and tab == "open":
            conditions.append(or_(events.c.wants.not_in(("second", "third")), ~_decided_by(reviewer)))
        walks = [
            select(events.c.id).where(*conditions, *place).limit(MOST_COUNTED)
            for place in _places(connection, wanted, sites)
        ]
        if not walks:
            found[str(state)] = 0
            continue
        some = union_all(*(select(walk.subquery()) for walk in walks)).limit(MOST_COUNTED).subquery()
        found[str(state)] = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    return found


def known_sites(connection: Connection, sites: Sites = None) -> list[str]:
    """Return the sites there are events of, by a leap along the index from one to the next."""
    found: list[str] = []
    last = ""
    while (
        site := connection.execute(select(func.min(events.c.site)).where(events.c.site > last)).scalar()
    ) is not None:
        last = str(site)
        if sites is None or last in sites:
            found.append(last)
    return found


def _places(connection: Connection, wanted: Filter, sites: Sites) -> list[tuple[ColumnElement[bool], ...]]:
    """Return the condition of each walk: all sites at once where nothing is asked, else a walk a site."""
    if wanted.site is not None:
        allowed = sites is None or wanted.site in sites
        return [(events.c.site == wanted.site,)] if allowed else []
    if sites is None and wanted.rule is None:
        return [()]
    return [(events.c.site == site,) for site in known_sites(connection, sites)]


def _decided_by(reviewer: str) -> ColumnElement[bool]:
    undoing = decisions.alias("undoing")
    return exists().where(
        decisions.c.event == events.c.id,
        decisions.c.reviewer == reviewer,
        decisions.c.verdict != "undo",
        ~exists().where(undoing.c.undoes == decisions.c.n),
    )


def confirmed(connection: Connection, *, sites: Sites = None) -> list[Mapping[str, Any]]:
    """Return site, place, rule, road_user, how many are confirmed, rejected, unclear, undecided.

    Only ``confirmed`` is a finding; the others say how much of the review is done.
    """

    def how_many(state: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((state, 1), else_=0))

    rows = connection.execute(
        select(
            events.c.site,
            events.c.place,
            events.c.rule,
            events.c.road_user,
            how_many(events.c.verdict == "confirm").label("confirmed"),
            how_many(events.c.verdict == "reject").label("rejected"),
            how_many(events.c.verdict == "unclear").label("unclear"),
            how_many(events.c.verdict.is_(None)).label("undecided"),
        )
        .where(at(events.c.site, sites))
        # In the order of an index, so that nothing is sorted.
        .group_by(events.c.site, events.c.rule, events.c.place, events.c.road_user)
        .order_by(events.c.site, events.c.rule, events.c.place, events.c.road_user)
    )
    return [dict(row) for row in rows.mappings()]


def exposure(connection: Connection, *, sites: Sites = None) -> dict[tuple[str, str, str], int]:
    """Return how many of a kind entered or crossed, by site, place and road user."""
    rows = connection.execute(
        select(counts.c.site, counts.c.place, counts.c.road_user, func.sum(counts.c.count))
        .where(at(counts.c.site, sites))
        .group_by(counts.c.site, counts.c.place, counts.c.road_user)
    ).all()
    return {(site, place, kind): int(total) for site, place, kind, total in rows}


def choices(connection: Connection, *, sites: Sites = None) -> list[str]:
    """Return the sites to choose from."""
    return known_sites(connection, sites)


def at(site: ColumnElement[str], sites: Sites) -> ColumnElement[bool]:
    """Return the condition that a column is one of these sites; None is every one."""
    return true() if sites is None else site.in_(sorted(sites))


def _items() -> Select[Any]:
    return select(
        events,
        blobs.c.hash.label("kept"),
        blobs.c.plate.label("drawn_on"),
        claims.c.reviewer.label("claimed_by"),
        claims.c.until_s.label("claimed_until_s"),
    ).select_from(
        events.outerjoin(blobs, blobs.c.hash == events.c.clip).outerjoin(
            claims, claims.c.event == events.c.id
        )
    )


def _item(row: RowMapping) -> Item:
    event = {column.name: row[column.name] for column in events.columns}
    # A look that somebody else's must not colour: what was decided before is not shown.
    verdict = None if row["tab"] == "open" else row["verdict"]
    return Item(
        event,
        verdict,
        row["kept"] is not None,
        row["drawn_on"],
        row["claimed_by"],
        row["claimed_until_s"] or 0,
    )
