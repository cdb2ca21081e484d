"""What operators decided: append-only, undone by another row, counted only where confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Subquery, and_, case, func, or_, select

from broker.collector import audit
from broker.collector.tables import blobs, counts, decisions, events

Verdict = Literal["confirm", "reject", "unclear"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
PAGE = 50
# The sites somebody may see; None: all of them.
Sites = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Item:
    """One event as the queue and the event page show it; ``verdict`` is None while undecided."""

    event: Mapping[str, Any]
    verdict: str | None
    clip_kept: bool
    plate: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the queue is wanted; None means any."""

    state: Literal["undecided", "confirm", "reject", "unclear"] | None = None
    site: str | None = None
    rule: str | None = None


def verdicts() -> Subquery:
    """Return (event, verdict): the last decision of each event that has not been taken back."""
    undone = select(decisions.c.undoes).where(decisions.c.undoes.is_not(None))
    last = (
        select(func.max(decisions.c.n).label("n"))
        .where(decisions.c.verdict != "undo", decisions.c.n.not_in(undone))
        .group_by(decisions.c.event)
        .subquery("last")
    )
    return (
        select(decisions.c.event, decisions.c.verdict)
        .join(last, last.c.n == decisions.c.n)
        .subquery("verdicts")
    )


def decide(connection: Connection, event: str, verdict: Verdict, *, reviewer: str, now_s: int) -> bool:
    """Add a decision; False where there is no such event."""
    if connection.execute(select(events.c.id).where(events.c.id == event)).first() is None:
        return False
    _add(connection, {"event": event, "verdict": verdict, "undoes": None}, reviewer, now_s)
    return True


def undo(connection: Connection, *, reviewer: str, now_s: int) -> str | None:
    """Take back the reviewer's last decision still standing; return its event, None where there is none."""
    undone = select(decisions.c.undoes).where(decisions.c.undoes.is_not(None))
    last = connection.execute(
        select(decisions.c.n, decisions.c.event)
        .where(decisions.c.verdict != "undo", decisions.c.reviewer == reviewer, decisions.c.n.not_in(undone))
        .order_by(decisions.c.n.desc())
        .limit(1)
    ).first()
    if last is None:
        return None
    _add(connection, {"event": last.event, "verdict": "undo", "undoes": last.n}, reviewer, now_s)
    return str(last.event)


def _add(connection: Connection, row: dict[str, Any], reviewer: str, now_s: int) -> None:
    """Write a decision, and all of it into the audit trail."""
    row = {**row, "decided_s": now_s, "reviewer": reviewer}
    key = connection.execute(decisions.insert(), row).inserted_primary_key
    audit.append(
        connection,
        actor=reviewer,
        action="undo" if row["verdict"] == "undo" else "decide",
        subject=row["event"],
        detail={"n": int(key[0]) if key else 0, **row},
        now_s=now_s,
    )


def queue(
    connection: Connection,
    wanted: Filter,
    *,
    sites: Sites = None,
    after: Item | None = None,
    limit: int = PAGE,
) -> list[Item]:
    """Return a page of events: undecided first, then newest bin first; within a bin in random (id) order."""
    verdict = verdicts()
    decided = case((verdict.c.verdict.is_(None), 0), else_=1)
    statement = _items(verdict).where(*_conditions(wanted, verdict, sites))
    if after is not None:
        here, bin_s, id_ = int(after.verdict is not None), after.event["time_s"], after.event["id"]
        statement = statement.where(
            or_(
                decided > here,
                and_(decided == here, events.c.time_s < bin_s),
                and_(decided == here, events.c.time_s == bin_s, events.c.id > id_),
            )
        )
    rows = connection.execute(statement.order_by(decided, events.c.time_s.desc(), events.c.id).limit(limit))
    return [_item(row) for row in rows.mappings()]


def one(connection: Connection, event: str) -> Item | None:
    """Return one event, None where there is none."""
    row = connection.execute(_items(verdicts()).where(events.c.id == event)).mappings().first()
    return None if row is None else _item(row)


def next_undecided(
    connection: Connection, wanted: Filter, *, sites: Sites = None, after: Item | None
) -> Item | None:
    """Return the next event to decide: the first behind ``after`` in the queue, else the first of all."""
    undecided = Filter(state="undecided", site=wanted.site, rule=wanted.rule)
    if after is not None:
        # Where it stood in the queue, whether or not it has been decided meanwhile.
        stood = Item(after.event, None, after.clip_kept, after.plate)
        found = queue(connection, undecided, sites=sites, after=stood, limit=1)
        if found:
            return found[0]
    skip = after.event["id"] if after is not None else None
    first = queue(connection, undecided, sites=sites, limit=2)
    return next((item for item in first if item.event["id"] != skip), None)


def tallies(connection: Connection, wanted: Filter, *, sites: Sites = None) -> dict[str, int]:
    """Return how many events there are per verdict, and ``undecided``."""
    verdict = verdicts()
    state = func.coalesce(verdict.c.verdict, "undecided")
    rows = connection.execute(
        select(state, func.count())
        .select_from(events.outerjoin(verdict, verdict.c.event == events.c.id))
        .where(*_conditions(Filter(None, wanted.site, wanted.rule), verdict, sites))
        .group_by(state)
    ).all()
    return {"undecided": 0, **dict.fromkeys(VERDICTS, 0), **{row[0]: row[1] for row in rows}}


def confirmed(connection: Connection) -> list[Mapping[str, Any]]:
    """Return site, place, rule, road_user, how many are confirmed, rejected, unclear, undecided.

    Only ``confirmed`` is a finding; the others say how much of the review is done.
    """
    verdict = verdicts()

    def how_many(state: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((state, 1), else_=0))

    rows = connection.execute(
        select(
            events.c.site,
            events.c.place,
            events.c.rule,
            events.c.road_user,
            how_many(verdict.c.verdict == "confirm").label("confirmed"),
            how_many(verdict.c.verdict == "reject").label("rejected"),
            how_many(verdict.c.verdict == "unclear").label("unclear"),
            how_many(verdict.c.verdict.is_(None)).label("undecided"),
        )
        .select_from(events.outerjoin(verdict, verdict.c.event == events.c.id))
        .group_by(events.c.site, events.c.place, events.c.rule, events.c.road_user)
        .order_by(events.c.site, events.c.rule, events.c.place, events.c.road_user)
    )
    return [dict(row) for row in rows.mappings()]


def exposure(connection: Connection) -> dict[tuple[str, str, str], int]:
    """Return how many of a kind entered or crossed, by site, place and road user."""
    rows = connection.execute(
        select(counts.c.site, counts.c.place, counts.c.road_user, func.sum(counts.c.count)).group_by(
            counts.c.site, counts.c.place, counts.c.road_user
        )
    ).all()
    return {(site, place, kind): int(total) for site, place, kind, total in rows}


def choices(connection: Connection, *, sites: Sites = None) -> tuple[list[str], list[str]]:
    """Return the sites and the rules there are events of."""
    known = connection.execute(select(events.c.site).distinct().order_by(events.c.site)).scalars()
    rules = connection.execute(select(events.c.rule).distinct().order_by(events.c.rule)).scalars()
    return [site for site in known if sites is None or site in sites], list(rules)


def _items(verdict: Subquery) -> Select[Any]:
    return select(
        events, verdict.c.verdict, blobs.c.hash.label("kept"), blobs.c.plate.label("drawn_on")
    ).select_from(
        events.outerjoin(verdict, verdict.c.event == events.c.id).outerjoin(
            blobs, blobs.c.hash == events.c.clip
        )
    )


def _conditions(wanted: Filter, verdict: Subquery, sites: Sites) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [] if sites is None else [events.c.site.in_(sites)]
    if wanted.state == "undecided":
        conditions.append(verdict.c.verdict.is_(None))
    elif wanted.state is not None:
        conditions.append(verdict.c.verdict == wanted.state)
    if wanted.site is not None:
        conditions.append(events.c.site == wanted.site)
    if wanted.rule is not None:
        conditions.append(events.c.rule == wanted.rule)
    return conditions


def _item(row: RowMapping) -> Item:
    event = {column.name: row[column.name] for column in events.columns}
    return Item(event, row["verdict"], row["kept"] is not None, row["drawn_on"])
