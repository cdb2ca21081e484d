"""From messages to rows: validate, commit, and only then send the receipt.

A message that is not exactly what the contract says goes to the dead letters with the reason; it gets no
receipt, so its node keeps it. Nothing a node can send ends the intake.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from broker import topics
from broker.collector import plates
from broker.collector.clips import ClipFolder, checked_clip, checked_plate
from broker.collector.store import Refusal, Store, keep, refuse
from broker.drawing import Plate
from broker.field_names import FIELD_NAMES
from broker.topics import MAX_BYTES, Address
from broker.wire import Counts, Event, Receipt, Record, Status

logger = logging.getLogger(__name__)

# SQLite's own words for a store that takes nothing now: busy, read only, an error of the disk, full, gone.
_DOWN = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}


@dataclass
class Batch:
    """What the messages of one turn hold, sorted by kind, each with the node it came from."""

    events: list[Event] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    blobs: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[tuple[str, Plate, str]] = field(default_factory=list)  # plates that wait for a person
    plans: list[str] = field(default_factory=list)  # hashes of plates without a picture
    refusals: list[Refusal] = field(default_factory=list)
    receipts: dict[Address, list[Record | str]] = field(default_factory=dict)


class Intake:
    """Takes messages in and says what has been stored.

    Args:
        pictures: whether clips and plates are taken now; while they are not, theirs get no receipt and stay
            at their node, and events go on (sweeper.py).
    """

    def __init__(
        self, store: Store, clips: ClipFolder, *, pictures: Callable[[], bool] = lambda: True
    ) -> None:
        self._store, self._clips, self._pictures = store, clips, pictures
        self._last: SQLAlchemyError = SQLAlchemyError("nothing has failed yet")
        self.stored: Counter[str] = Counter()  # messages committed, by kind; refused ones as "refused"

    def take(self, messages: Iterable[tuple[str, bytes]]) -> list[tuple[Address, Receipt]]:
        """Store messages in one transaction and return the receipts to send.

        Raises:
            SQLAlchemyError, OSError: the store or the disk fails; nothing was stored, nothing is receipted.
        """
        messages = list(messages)
        receipts: list[tuple[Address, Receipt]] = []
        if not self._take(messages, receipts):
            raise self._last
        return receipts

    def _take(self, messages: list[tuple[str, bytes]], receipts: list[tuple[Address, Receipt]]) -> bool:
        """Store what can be stored and tell whether any of it was.

        One message may be what the database does not take: halving finds it, so that it stops no other.
        """
        try:
            receipts += self._store_batch(messages)
            return True
        except SQLAlchemyError as error:
            if _is_down(error):
                raise
            self._last = error
            if len(messages) == 1:
                return False
            logger.warning("a batch of %d could not be stored (%s); in halves", len(messages), _line(error))
        halves = messages[: len(messages) // 2], messages[len(messages) // 2 :]
        stored = [self._take(half, receipts) for half in halves]
        if not any(stored):
            return False
        for half, well in zip(halves, stored, strict=True):
            if not well:
                with self._store.write() as connection:
                    refuse(
                        connection,
                        [_refusal(topic, payload, "the store cannot hold it") for topic, payload in half],
                    )
        return True

    def _store_batch(self, messages: list[tuple[str, bytes]]) -> list[tuple[Address, Receipt]]:
        batch = Batch()
        for topic, payload in messages:
            try:
                self._sort(batch, topic, payload)
            except ValueError as error:  # pydantic's ValidationError is one
                batch.refusals.append(_refusal(topic, payload, _reason(error)))
        with self._store.write() as connection:
            keep(
                connection,
                new_events=batch.events,
                new_counts=batch.counts,
                new_statuses=batch.statuses,
                new_blobs=batch.blobs,
                plans=batch.plans,
            )
            plates.arrived(connection, self._clips, batch.candidates, now_s=int(time.time()))
            refuse(connection, batch.refusals)
        self._tell(batch)
        return [(node, _receipt(stored)) for node, stored in batch.receipts.items()]

    def _tell(self, batch: Batch) -> None:
        self.stored.update(
            event=len(batch.events),
            counts=len(batch.counts),
            status=len(batch.statuses),
            clip=sum(each["kind"] == "clip" for each in batch.blobs),
            plate=sum(each["kind"] == "plate" for each in batch.blobs),
            refused=len(batch.refusals),
        )
        if batch.refusals:
            # One line a batch: a flood of nonsense must not become a flood of lines.
            first = batch.refusals[0]
            logger.warning("refused %d, first on %s: %s", len(batch.refusals), first.topic, first.reason)

    def _sort(self, batch: Batch, topic: str, payload: bytes) -> None:
        """Check one message and put it where it belongs.

        Raises:
            ValueError: it is not what the contract says.
        """
        sender = topics.address(topic)
        limit = MAX_BYTES[sender.kind]
        if len(payload) > limit:
            raise ValueError(f"{len(payload)} bytes, at most {limit} for {sender.kind}")
        if sender.kind in ("clip", "plate") and not self._pictures():
            return
        stored: Record | str
        if sender.kind == "event":
            stored = Event.decode(payload)
            _is_from(stored, sender)
            batch.events.append(stored)
        elif sender.kind == "counts":
            stored = Counts.decode(payload)
            _is_from(stored, sender)
            batch.counts.append(stored)
        elif sender.kind == "status":
            status = Status.decode(payload)
            _is_from(status, sender)
            batch.statuses.append(status)
            return  # its next one replaces it: no receipt
        elif sender.kind == "clip":
            clip = checked_clip(payload)
            stored = self._clips.write(payload)
            batch.blobs.append({"hash": stored, "kind": "clip", "bytes": len(payload), "plate": clip.plate})
        elif sender.kind == "plate":
            plate = checked_plate(payload)
            if plate.site != sender.site:
                raise ValueError("the plate is of another site than its topic")
            if plate.node not in (None, sender.node):
                raise ValueError("the plate is of another node than its topic")
            stored = self._clips.write(payload)
            batch.blobs.append({"hash": stored, "kind": "plate", "bytes": len(payload), "plate": None})
            if plate.background is None:
                batch.plans.append(stored)
            else:
                batch.candidates.append((stored, plate, sender.node))
        else:
            raise ValueError("a receipt is not for a collector")
        batch.receipts.setdefault(sender.to("receipt"), []).append(stored)


def _is_down(error: SQLAlchemyError) -> bool:
    """Return whether it is the store that fails, and no message of it."""
    if not isinstance(error, DBAPIError):
        return True
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _DOWN
    # PostgreSQL: 08 connection, 53 no room, 57 shutting down, 58 system error, 25006 read only.
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state[:2] in ("08", "53", "57", "58") or state == "25006"
    return type(error.orig).__module__.startswith("psycopg")  # it never came to a reply


def _line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]


def _is_from(record: Event | Counts | Status, sender: Address) -> None:
    if (record.site, record.node) != (sender.site, sender.node):
        raise ValueError("site and node are not those of the topic")


def _receipt(stored: list[Record | str]) -> Receipt:
    return Receipt(
        ids=tuple(each.id for each in stored if isinstance(each, Event)),
        hashes=tuple(each for each in stored if isinstance(each, str)),
        seqs=tuple(each.seq for each in stored if isinstance(each, Counts)),
    )


def _refusal(topic: str, payload: bytes, reason: str) -> Refusal:
    printable = "".join(letter if letter.isprintable() else "?" for letter in topic[:120])
    return Refusal(printable, hashlib.sha256(payload).hexdigest(), len(payload), reason[:400])


def _reason(error: ValueError) -> str:
    """Return what was wrong without what came: that may be what must not be kept."""
    if not isinstance(error, ValidationError):
        return str(error)
    mistakes = error.errors(include_input=False, include_url=False, include_context=False)
    mistakes.sort(key=lambda mistake: mistake["type"] == "missing")
    lines = [f"{_place(mistake['loc'])}: {mistake['type']}" for mistake in mistakes[:5]]
    more = f" and {len(mistakes) - 5} more" if len(mistakes) > 5 else ""
    return "; ".join(lines) + more


def _place(where: tuple[int | str, ...]) -> str:
    # The name of an unknown field or key is the sender's own words.
    named = [str(part) if isinstance(part, int) or part in FIELD_NAMES else "…" for part in where]
    return ".".join(named) or "the record"
