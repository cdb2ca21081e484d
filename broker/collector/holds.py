"""A clip that is kept longer: one hold each, to 30 days, for a reason from a list, in the audit trail.

Source: shared PRIVACY §4.
"""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import Connection, select

from broker.collector import audit
from broker.collector.findings import verdicts
from broker.collector.store import insert_new
from broker.collector.tables import blobs, events, holds
from broker.collector.wording import N_, Told

Reason = Literal["crash_inquiry", "complaint", "court_order", "signal_fault"]
REASONS: dict[Reason, str] = {
    "crash_inquiry": N_("a crash or injury is looked into"),
    "complaint": N_("somebody has complained about the place or about nearmiss"),
    "court_order": N_("a court or an authority asks for it to be kept"),
    "signal_fault": N_("the signal may have been at fault"),
}
HOLD_D = 30.0


class HoldError(ValueError):
    """A clip that cannot be held; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


def hold(connection: Connection, event: str, reason: str, *, actor: str, now_s: int) -> str:
    """Hold the clip of a decided event to 30 days after it came, and return the clip's hash.

    Raises:
        HoldError: no such event or clip, one nobody has decided on, one held already, or another reason.
    """
    if reason not in get_args(Reason):
        raise HoldError(f"reason {reason!r} is not one of {', '.join(get_args(Reason))}")
    clip = connection.execute(
        select(blobs.c.hash, events.c.site)
        .join(events, events.c.clip == blobs.c.hash)
        .where(events.c.id == event, blobs.c.kind == "clip")
    ).first()
    if clip is None:
        raise HoldError(Told("event {event}: there is none, or its clip is not kept", event=event))
    verdict = verdicts()
    if connection.execute(select(verdict.c.event).where(verdict.c.event == event)).first() is None:
        raise HoldError(
            Told("event {event}: nobody has decided on it yet; a clip is held after its review", event=event)
        )
    if connection.execute(select(holds.c.clip).where(holds.c.clip == clip.hash)).first() is not None:
        raise HoldError(Told("event {event}: its clip is held already; a clip is held once", event=event))
    insert_new(connection, holds, [{"clip": clip.hash, "reason": reason, "actor": actor, "held_s": now_s}])
    audit.append(
        connection,
        actor=actor,
        action="hold",
        subject=event,
        detail={"clip": clip.hash, "reason": reason, "days": HOLD_D},
        now_s=now_s,
    )
    return str(clip.hash)


def held(connection: Connection, clip: str) -> str | None:
    """Return why a clip is held, None where it is not."""
    return connection.execute(select(holds.c.reason).where(holds.c.clip == clip)).scalar()
