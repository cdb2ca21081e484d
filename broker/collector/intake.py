"""From messages to rows: validate, commit, and only then send the receipt.

A message that is not exactly what the contract says goes to the dead letters with the reason; it gets no
receipt, so its node keeps it. Nothing a node can send ends the intake.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from broker import topics
from broker.collector.clips import ClipFolder, checked_clip, checked_plate
from broker.collector.store import Refusal, Store, keep, refuse
from broker.mqtt import NotConnected, Session
from broker.tls import Tls
from broker.topics import MAX_BYTES, Address
from broker.wire import FIELD_NAMES, Counts, Event, Receipt, Record, Status

logger = logging.getLogger(__name__)

BATCH = 100
# A store that fails (disk full, PostgreSQL away) gets this long before the next try; no receipt is sent.
STORE_PAUSE_S = 1.0


@dataclass
class Batch:
    """What the messages of one turn hold, sorted by kind, each with the node it came from."""

    events: list[Event] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    blobs: list[dict[str, Any]] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)  # hashes of plates without a picture
    refusals: list[Refusal] = field(default_factory=list)
    receipts: dict[Address, list[Record | str]] = field(default_factory=dict)


class Intake:
    """Takes messages in and says what has been stored."""

    def __init__(self, store: Store, clips: ClipFolder) -> None:
        self._store, self._clips = store, clips

    def take(self, messages: Iterable[tuple[str, bytes]]) -> list[tuple[Address, Receipt]]:
        """Store messages in one transaction and return the receipts to send.

        Raises:
            SQLAlchemyError, OSError: the store or the disk fails; nothing was stored, nothing is receipted.
        """
        messages = list(messages)
        try:
            return self._store_batch(messages)
        except SQLAlchemyError:
            if len(messages) == 1:
                raise
            # One of them may be what the database does not take: each by itself, so that it stops no other.
            logger.exception("a batch of %d could not be stored; taking each by itself", len(messages))
        receipts: list[tuple[Address, Receipt]] = []
        failed: list[tuple[str, bytes]] = []
        last: SQLAlchemyError | None = None
        for message in messages:
            try:
                receipts += self._store_batch([message])
            except SQLAlchemyError as error:
                failed.append(message)
                last = error
        if last is not None and len(failed) == len(messages):
            raise last
        with self._store.write() as connection:
            refuse(
                connection,
                [_refusal(topic, payload, "the store cannot hold it") for topic, payload in failed],
            )
        return receipts

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
            refuse(connection, batch.refusals)
        for refusal in batch.refusals:
            logger.warning("refused a message on %s: %s", refusal.topic, refusal.reason)
        return [(node, _receipt(stored)) for node, stored in batch.receipts.items()]

    def _sort(self, batch: Batch, topic: str, payload: bytes) -> None:
        """Check one message and put it where it belongs.

        Raises:
            ValueError: it is not what the contract says.
        """
        sender = topics.address(topic)
        limit = MAX_BYTES[sender.kind]
        if len(payload) > limit:
            raise ValueError(f"{len(payload)} bytes, at most {limit} for {sender.kind}")
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
            raise ValueError("a receipt is not for a collector")
        batch.receipts.setdefault(sender.to("receipt"), []).append(stored)


class Collector:
    """The connection and the intake, in one thread."""

    def __init__(
        self, intake: Intake, *, host: str, port: int, client_id: str, tls: Tls | None = None
    ) -> None:
        self._intake = intake
        self._waiting: list[tuple[str, bytes]] = []
        self._stop = threading.Event()
        self.ready = threading.Event()
        self._session = Session(
            host=host,
            port=port,
            client_id=client_id,
            subscriptions=topics.intake_filters(),
            on_message=lambda topic, payload: self._waiting.append((topic, payload)),
            on_connection=lambda connected: self.ready.set() if connected else self.ready.clear(),
            longest_pause_s=5.0,
            tls=tls,
        )
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self, *, timeout_s: float = 5.0) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._session.step(0.0 if self._waiting else 0.1)
                # What has arrived already goes into the same transaction.
                while self._waiting and len(self._waiting) < BATCH and self._arrived():
                    pass
                if self._waiting:
                    batch, self._waiting[:] = self._waiting[:BATCH], self._waiting[BATCH:]
                    self._store(batch)
            self._session.close()
        except BaseException as error:
            self.error = error
            logger.exception("the intake ended")
            self._session.drop()
        finally:
            self.ready.clear()

    def _arrived(self) -> bool:
        before = len(self._waiting)
        self._session.step(0.0)
        return len(self._waiting) > before

    def _store(self, batch: list[tuple[str, bytes]]) -> None:
        try:
            receipts = self._intake.take(batch)
        except (SQLAlchemyError, OSError) as error:
            # Their nodes have no receipt and send them again: to forget them here loses nothing.
            logger.error("the store failed, %d messages wait at their nodes: %s", len(batch), error)
            time.sleep(STORE_PAUSE_S)
            return
        for node, receipt in receipts:
            try:
                self._session.publish(node.topic, receipt.encode())
            except NotConnected:
                return  # it was stored; when the node sends it again it is receipted again


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
