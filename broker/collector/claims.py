"""Who looks at an event just now: taken when it is opened, given back by deciding or by time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from broker.collector.tables import claims

LASTS_S = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose an event is, since when, until when."""

    reviewer: str
    since_s: int
    until_s: int


def take(connection: Connection, event: str, *, reviewer: str, now_s: int) -> Claim:
    """Take an event, or take it for longer; return whose it is now, which may be somebody else."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"event": event, "reviewer": reviewer, "since_s": now_s, "until_s": now_s + LASTS_S}
    fresh = dialect.insert(claims).values(row)
    connection.execute(
        fresh.on_conflict_do_update(
            index_elements=["event"],
            set_={
                "reviewer": fresh.excluded.reviewer,
                # Who opens it again has looked at it since the first time.
                "since_s": case(
                    (and_(claims.c.reviewer == reviewer, claims.c.until_s >= now_s), claims.c.since_s),
                    else_=fresh.excluded.since_s,
                ),
                "until_s": fresh.excluded.until_s,
            },
            where=or_(claims.c.until_s < now_s, claims.c.reviewer == reviewer),
        )
    )
    kept = connection.execute(select(claims).where(claims.c.event == event)).one()
    return Claim(kept.reviewer, kept.since_s, kept.until_s)


def of(connection: Connection, event: str, *, now_s: int) -> Claim | None:
    """Return whose an event is, None where nobody looks at it."""
    row = connection.execute(select(claims).where(claims.c.event == event, claims.c.until_s >= now_s)).first()
    return None if row is None else Claim(row.reviewer, row.since_s, row.until_s)


def give_back(connection: Connection, event: str, *, now_s: int) -> None:
    """Let go of an event, and of all claims that are over."""
    connection.execute(delete(claims).where(or_(claims.c.event == event, claims.c.until_s < now_s)))
