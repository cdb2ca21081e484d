"""The audit trail: who did what to what, each row sealed into a chain of hashes; nothing is overwritten.

A row's hash covers all of the row and the hash before it, so a byte changed anywhere breaks the chain from
there on. Two more rows, the ``anchor`` and the ``head``, hold where the chain begins (what is past its time
has been cut off before it) and where it ends, so that rows missing at either end show as well.

What a chain cannot show: somebody with the database's password who takes the last rows off, or writes all of
it anew. So the head is noted elsewhere: the collector writes it into its log (sweeper.py), and ``nearmiss
audit verify --heads`` compares with that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from broker.collector.tables import audit, audit_ends

Action = Literal[
    "login",
    "login_failed",
    "logout",
    "user_add",
    "user_disable",
    "user_enable",
    "user_password",
    "user_role",
    "user_subject",
    "claim",
    "view_clip",
    "decide",
    "undo",
    "hold",
    "plate_approve",
    "plate_paint",
    "plate_reject",
    "plan",
    "publish",
    "export",
    "webhook",
    "purge",
    "cut",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
Leaf = str | int | float | bool | None
FIRST = "0" * 64
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: a row's number and its hash."""

    n: int
    hash: str


def append(
    connection: Connection,
    *,
    actor: str,
    action: Action,
    subject: str,
    detail: Mapping[str, Leaf] | None = None,
    now_s: int,
) -> int:
    """Add a row in the caller's transaction and return its number.

    It takes the chain's lock until the transaction ends: call it last, so that two transactions never wait
    for each other.

    Args:
        actor: an account's name, or ``system`` or ``console``.
        subject: what it was done to: an event's id, a clip's hash, an account.
        detail: whatever else belongs to it, flat.

    Raises:
        ValueError: an action that is not on the list, or words that do not fit.
    """
    if action not in ACTIONS:
        raise ValueError(f"audit: {action!r} is not one of {', '.join(ACTIONS)}")
    if not 0 < len(actor) <= 80 or len(subject) > 200:
        raise ValueError("audit: an actor has 1 to 80 characters and a subject at most 200")
    last = _end(connection, "head", lock=True)
    row: dict[str, Any] = {
        "n": last.n + 1,
        "at_s": now_s,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": json.dumps(dict(detail or {}), sort_keys=True, ensure_ascii=True, allow_nan=False),
        "previous": last.hash,
    }
    row["hash"] = _hash(row)
    connection.execute(insert(audit), row)
    _move(connection, "head", Link(last.n + 1, row["hash"]))
    return last.n + 1


def cut(connection: Connection, *, before_s: int, now_s: int) -> int:
    """Drop the rows at the chain's beginning that are older, note the cut as a row, return how many went."""
    anchor = _end(connection, "anchor", lock=True)
    keep = connection.execute(select(func.min(audit.c.n)).where(audit.c.at_s >= before_s)).scalar()
    last = select(audit.c.n, audit.c.hash).where(audit.c.n < keep if keep is not None else audit.c.n > 0)
    past = connection.execute(last.order_by(audit.c.n.desc()).limit(1)).first()
    if past is None:
        return 0
    connection.execute(delete(audit).where(audit.c.n <= past.n))
    _move(connection, "anchor", Link(past.n, past.hash))
    gone = past.n - anchor.n
    append(
        connection,
        actor="system",
        action="cut",
        subject=str(past.n),
        detail={"hash": past.hash, "rows": gone},
        now_s=now_s,
    )
    return int(gone)


def head(connection: Connection) -> Link:
    """Return the chain's last row; number 0 while there is none."""
    return _end(connection, "head")


def anchor(connection: Connection) -> Link:
    """Return the row before the first that is kept; number 0 while nothing has been cut."""
    return _end(connection, "anchor")


def rows(connection: Connection) -> Iterator[RowMapping]:
    """Return every row, oldest first, without holding them all."""
    last = -1
    while True:
        found = connection.execute(
            select(audit).where(audit.c.n > last).order_by(audit.c.n).limit(_BATCH)
        ).mappings()
        batch = list(found)
        yield from batch
        if len(batch) < _BATCH:
            return
        last = batch[-1]["n"]


def broken(connection: Connection) -> tuple[int, int | None, str]:
    """Walk the chain; return how many rows hold, the number of the first that does not, and why."""
    before, end = _end(connection, "anchor"), _end(connection, "head")
    held = 0
    for row in rows(connection):
        problem = _problem(row, before)
        if problem:
            return held, before.n + 1, problem
        before = Link(row["n"], row["hash"])
        held += 1
    if before != end:
        return held, before.n + 1, f"the chain ends here, its head says row {end.n}, hash {end.hash[:12]}"
    return held, None, ""


def _problem(row: RowMapping, before: Link) -> str:
    if row["n"] != before.n + 1:
        return f"row {before.n + 1} is missing; row {row['n']} follows"
    if row["previous"] != before.hash:
        return "it does not follow from the row before it"
    if row["hash"] != _hash(dict(row)):
        return "its content is not what was written"
    return ""


def _hash(row: Mapping[str, Any]) -> str:
    fields = [row[name] for name in ("n", "at_s", "actor", "action", "subject", "detail", "previous")]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()


def _end(connection: Connection, part: str, *, lock: bool = False) -> Link:
    wanted = select(audit_ends.c.n, audit_ends.c.hash).where(audit_ends.c.part == part)
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        return Link(-1, "missing")  # the migration made it: that it is gone is what a walk must find
    return Link(row.n, row.hash)


def _move(connection: Connection, part: str, link: Link) -> None:
    moved = connection.execute(
        update(audit_ends).where(audit_ends.c.part == part).values(n=link.n, hash=link.hash)
    )
    if moved.rowcount != 1:
        raise ValueError(f"audit: the chain's {part} is missing; see `nearmiss audit verify`")
