"""Nothing is kept longer than its time, nor in more room than clips may take; what goes is written down.

Source: shared PRIVACY §4. Clips not reviewed 72 h, reviewed 14 d, held ones 30 d; plates 30 d, those nobody
has approved as long as an unreviewed clip; event rows 90 d, then aggregates only; the audit 180 d.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select

from broker.collector import audit
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.findings import verdicts
from broker.collector.holds import HOLD_D
from broker.collector.publication.retiring import forget_decisions, retire_counts, retire_events
from broker.collector.store import Store
from broker.collector.tables import audit as audit_rows
from broker.collector.tables import (
    blobs,
    counts,
    dead_letters,
    decisions,
    events,
    holds,
    nodes,
    plate_states,
    proofs,
)

HOUR_S, DAY_S = 3600, 86_400
CHUNK = 500

# Every table, and how long what is in it is kept: a test holds this to the tables there are, and moves the
# clock to see each of them empty. `nearmiss privacy` prints it.
KEPT: dict[str, str] = {
    "events": "event_d",
    "blobs": "clip_unreviewed_h, clip_reviewed_d, plate_d",
    "holds": "as long as the clip they hold",
    "plate_states": "as long as the plate, or the plate drawn instead",
    "decisions": "audit_d",
    "counts": "audit_d",
    "dead_letters": "audit_d",
    "nodes": "audit_d after a node was last heard",
    "proofs": "audit_d",
    "audit": "audit_d",
    "publication_decisions": "as long as the decision",
    "retired": "aggregates of months: no person, no event",
    "retired_counts": "aggregates of months: no person, no event",
    "publications": "what was published",
    "publication_counts": "what was published",
    "deliveries": "what was published, and to whom",
    "plans": "the plan of a site: configuration",
    "runs": "numbers of messages: nothing of the street",
    "begun": "numbers of messages: nothing of the street",
    "given_up": "numbers of messages: nothing of the street",
    "sweeps": "when was swept: nothing of the street",
    "accounts": "until an administrator closes it: who may sign in",
    "roles": "as long as the account",
    "sessions": "hours: forgotten at the next sign-in after they are over",
    "claims": "minutes: taken over or forgotten once they are over",
    "rechecks": "days: gone once they are due",
    "secrets": "a number drawn once: nothing of the street",
    "audit_ends": "where the audit begins and ends: two hashes",
}


def sweep(store: Store, clips: ClipFolder, retention: Retention, *, now_s: int) -> int:
    """Delete whatever is past its time or over the room for clips; return how many things that were.

    Raises:
        SQLAlchemyError, OSError: the store or the disk fails; rows stay until a sweep succeeds.
    """
    gone = 0
    with store.write() as connection:
        gone += _sweep_pictures(connection, clips, retention, now_s)
        gone += _sweep_events(connection, now_s - int(retention.event_d * DAY_S), now_s)
        old = now_s - int(retention.audit_d * DAY_S)
        retire_counts(connection, before_s=old)
        for table, column in (
            (decisions, decisions.c.decided_s),
            (counts, counts.c.start_s),
            (dead_letters, dead_letters.c.last_s),
            (nodes, nodes.c.heard_s),
            (proofs, proofs.c.swept_s),
        ):
            past = column < old
            if table is decisions:
                # An undo points at what it took back: the pair goes together, once both are past their time.
                later = decisions.alias()
                past &= ~exists().where(later.c.undoes == decisions.c.n, later.c.decided_s >= old)
            gone += _deleted(connection, table, past, why="older than the audit is kept", now_s=now_s)
        forget_decisions(connection)
        gone += _cut_audit(connection, old, now_s)
    store.shorten_log()
    return gone


def used_bytes(connection: Connection) -> int:
    """Return how much room clips and plates take."""
    return int(connection.execute(select(func.coalesce(func.sum(blobs.c.bytes), 0))).scalar_one())


def _sweep_pictures(connection: Connection, clips: ClipFolder, retention: Retention, now_s: int) -> int:
    verdict = verdicts()
    reviewed = exists().where(events.c.clip == blobs.c.hash, events.c.id == verdict.c.event)
    held = exists().where(holds.c.clip == blobs.c.hash)
    pending = exists().where(plate_states.c.hash == blobs.c.hash, plate_states.c.state == "pending")
    clip, plate = blobs.c.kind == "clip", blobs.c.kind == "plate"
    unseen_s = retention.clip_unreviewed_h * HOUR_S
    limits: list[tuple[ColumnElement[bool], float, str]] = [
        (clip & ~reviewed & ~held, unseen_s, "clip not reviewed in time"),
        (clip & ~held, retention.clip_reviewed_d * DAY_S, "reviewed clip past its time"),
        (clip, max(HOLD_D, retention.clip_reviewed_d) * DAY_S, "held clip past its time"),
        (plate & pending, unseen_s, "plate nobody approved in time"),
        (plate, retention.plate_d * DAY_S, "plate past its time"),
    ]
    gone = 0
    for which, limit_s, why in limits:
        past = connection.execute(
            select(blobs.c.hash, blobs.c.bytes).where(which, blobs.c.stored_s < now_s - int(limit_s))
        ).all()
        gone += _delete_pictures(connection, clips, [(row.hash, row.bytes) for row in past], why, now_s)
    gone += _sweep_room(connection, clips, retention.clip_mb * 2**20, reviewed, held, now_s)
    connection.execute(delete(holds).where(~exists().where(blobs.c.hash == holds.c.clip)))
    # What was said of a plate stays while clips may still name it, to be drawn on what stands for it.
    named = exists().where(blobs.c.plate == plate_states.c.hash)
    drawn = exists().where(blobs.c.hash.in_([plate_states.c.hash, plate_states.c.instead]))
    connection.execute(delete(plate_states).where(~named, ~drawn))
    return gone + _sweep_strays(connection, clips, now_s - int(unseen_s), now_s)


def _sweep_room(
    connection: Connection,
    clips: ClipFolder,
    most_bytes: int,
    reviewed: ColumnElement[bool],
    held: ColumnElement[bool],
    now_s: int,
) -> int:
    """Delete clips until what is left takes no more room than it may.

    The oldest reviewed ones first: what they showed has been decided. Then the oldest that nobody has looked
    at; they are nearest to their end. Held clips and plates stay.
    """
    gone = 0
    for which, why in (
        (reviewed, "over the room for clips: reviewed"),
        (~reviewed, "over the room for clips: not reviewed"),
    ):
        over = used_bytes(connection) - most_bytes
        if over <= 0:
            break
        oldest = connection.execute(
            select(blobs.c.hash, blobs.c.bytes)
            .where(blobs.c.kind == "clip", which, ~held)
            .order_by(blobs.c.stored_s, blobs.c.hash)
        )
        chosen = []
        for row in oldest:
            if over <= 0:
                break
            chosen.append((row.hash, row.bytes))
            over -= row.bytes
        gone += _delete_pictures(connection, clips, chosen, why, now_s)
    return gone


def _delete_pictures(
    connection: Connection, clips: ClipFolder, pictures: list[tuple[str, int]], why: str, now_s: int
) -> int:
    # The file first: a row without a file shows as "not kept", a file without a row would be forgotten.
    for hash_, _ in pictures:
        clips.delete(hash_)
    for start in range(0, len(pictures), CHUNK):
        hashes = [hash_ for hash_, _ in pictures[start : start + CHUNK]]
        connection.execute(delete(blobs).where(blobs.c.hash.in_(hashes)))
    prove(connection, "blobs", why, len(pictures), sum(size for _, size in pictures), now_s)
    return len(pictures)


def _sweep_strays(connection: Connection, clips: ClipFolder, before_s: int, now_s: int) -> int:
    """Delete files that no row knows: written, then the collector was killed before it could commit."""
    known = set(connection.execute(select(blobs.c.hash)).scalars())
    strays = clips.older_than(before_s) - known
    size = sum(clips.size(hash_) for hash_ in strays)
    for hash_ in strays:
        clips.delete(hash_)
    prove(connection, "blobs", "file without a row", len(strays), size, now_s)
    return len(strays)


def _sweep_events(connection: Connection, before_s: int, now_s: int) -> int:
    retire_events(connection, before_s=before_s)
    return _deleted(
        connection, events, events.c.time_s < before_s, why="event row past its time", now_s=now_s
    )


def _cut_audit(connection: Connection, before_s: int, now_s: int) -> int:
    """Cut the trail's beginning. A trail of nothing but the row that says so is left as it is."""
    past = select(func.count()).where(audit_rows.c.at_s < before_s, audit_rows.c.action != "cut")
    if not connection.execute(past).scalar_one():
        return 0
    gone = audit.cut(connection, before_s=before_s, now_s=now_s)
    prove(connection, "audit", "older than the audit is kept", gone, 0, now_s)
    return gone


def _deleted(connection: Connection, table: Any, past: ColumnElement[bool], *, why: str, now_s: int) -> int:
    count = connection.execute(delete(table).where(past)).rowcount
    prove(connection, table.name, why, count, 0, now_s)
    return int(count)


def prove(connection: Connection, what: str, why: str, deleted: int, size: int, now_s: int) -> None:
    """Write down that something was deleted; nothing where nothing was."""
    if deleted:
        connection.execute(
            proofs.insert(), {"swept_s": now_s, "what": what, "why": why, "deleted": deleted, "bytes": size}
        )
