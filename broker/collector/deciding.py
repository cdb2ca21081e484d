"""Decisions: append-only rows, told in the audit trail; what stands of them is kept beside each event.

A decision is never changed: an undo is a row that takes back another, once. Where two people have to agree,
an event counts as nothing until they do; a third decides between them. A second look and a recheck look like
any other event to who makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from broker.collector import audit, claims
from broker.collector.second_look import ONE_LOOK, Policy
from broker.collector.store import insert_new
from broker.collector.tables import decisions, events, rechecks

Verdict = Literal["confirm", "reject", "unclear"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# Whoever took longer than this was not looking all the while.
LONGEST_S = 600


class MeanwhileError(RuntimeError):
    """Somebody else has decided, or is looking, since the page was opened."""


@dataclass(frozen=True, slots=True)
class _Standing:
    reviewer: str
    verdict: Verdict


def decide(
    connection: Connection,
    event: str,
    verdict: Verdict,
    *,
    reviewer: str,
    now_s: int,
    reason: str | None = None,
    seen: int | None = None,
    policy: Policy = ONE_LOOK,
) -> bool:
    """Add a decision; False where there is no such event.

    Args:
        seen: how many decisions there were when the page was made; None does not ask.

    Raises:
        MeanwhileError: there are more now, or another person looks at it: nothing is written.
    """
    wanted = select(events.c.id, events.c.severity, events.c.wants, events.c.second, events.c.tab)
    row = connection.execute(wanted.where(events.c.id == event).with_for_update()).mappings().first()
    if row is None:
        return False
    claim = claims.of(connection, event, now_s=now_s)
    if seen is not None:
        if claim is not None and claim.reviewer != reviewer:
            raise MeanwhileError("another person looks at this event just now")
        if written(connection, event) != seen:
            raise MeanwhileError("another person has decided this event since this page was opened")
    took_s = None
    if claim is not None and claim.reviewer == reviewer and now_s - claim.since_s <= LONGEST_S:
        took_s = now_s - claim.since_s
    purpose = row["wants"] or "first"
    if purpose == "first" and row["tab"] == "open" and not row["second"]:
        second = policy.wants_second(connection, event, row["severity"])
        connection.execute(update(events).where(events.c.id == event).values(second=int(second)))
    new = {"event": event, "verdict": verdict, "undoes": None, "reason": reason, "purpose": purpose}
    _add(connection, {**new, "took_s": took_s}, reviewer, now_s)
    tab = settle(connection, event)
    claims.give_back(connection, event, now_s=now_s)
    if tab != "open" and purpose != "recheck" and policy.wants_recheck(connection, event):
        insert_new(connection, rechecks, [{"event": event, "due_s": now_s + policy.recheck_after_s}])
    _open_rechecks(connection, now_s)
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
    connection.execute(select(events.c.id).where(events.c.id == last.event).with_for_update())
    new = {"event": last.event, "verdict": "undo", "undoes": last.n, "reason": None, "purpose": None}
    _add(connection, {**new, "took_s": None}, reviewer, now_s)
    settle(connection, str(last.event))
    return str(last.event)


def written(connection: Connection, event: str) -> int:
    """Return how many decisions and undos there are of an event."""
    here = select(func.count()).select_from(decisions).where(decisions.c.event == event)
    return int(connection.execute(here).scalar_one())


def settle(connection: Connection, event: str) -> str:
    """Reckon what stands of an event's decisions, keep it beside the event, return the tab it is under."""
    second = connection.execute(select(events.c.second).where(events.c.id == event)).scalar()
    verdict, wants = _stands(_standing(connection, event), two=bool(second))
    tab = verdict or "open"
    connection.execute(
        update(events).where(events.c.id == event).values(tab=tab, wants=wants, verdict=verdict)
    )
    return tab


def _stands(standing: list[_Standing], *, two: bool) -> tuple[Verdict | None, str]:
    """Return what counts, and which look is wanted next."""
    if not standing:
        return None, "first"
    if not two:
        return standing[-1].verdict, ""
    said: dict[str, Verdict] = {}  # by person, in the order they first decided; the last word of each
    for each in standing:
        said[each.reviewer] = each.verdict
    words = list(said.values())
    if len(words) == 1:
        return None, "second"
    if words[0] == words[1]:
        return words[0], ""
    if len(words) == 2:
        return None, "third"
    return (words[2], "") if words[2] in words[:2] else ("unclear", "")


def _standing(connection: Connection, event: str) -> list[_Standing]:
    rows: list[RowMapping] = list(
        connection.execute(
            select(decisions).where(decisions.c.event == event).order_by(decisions.c.n)
        ).mappings()
    )
    undone = {row["undoes"] for row in rows if row["undoes"] is not None}
    return [
        _Standing(row["reviewer"], row["verdict"])
        for row in rows
        if row["verdict"] != "undo" and row["n"] not in undone and row["purpose"] != "recheck"
    ]


def _open_rechecks(connection: Connection, now_s: int) -> None:
    """Put decided events whose time has come back into the queue; what counts of them stays."""
    due = select(rechecks.c.event).where(rechecks.c.due_s <= now_s)
    if connection.execute(due.limit(1)).first() is not None:
        connection.execute(
            update(events)
            .where(events.c.id.in_(due), events.c.tab != "open")
            .values(tab="open", wants="recheck")
        )
        connection.execute(delete(rechecks).where(rechecks.c.due_s <= now_s))


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
