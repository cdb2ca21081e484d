"""The publish thread: from the outbox to the broker, and from the collector's receipts back to the outbox.

Messages leave only while connected, at most ``WINDOW`` without a receipt at a time, and come again later
where none arrives. The thread is the only one to touch the connection; if it dies, ``alive`` says so and the
node stops.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from broker.mqtt import WINDOW, NotConnected, Session, Version, Will
from broker.session_thread import SessionThread
from broker.tls import Tls
from broker.topics import Address
from broker.wire import Receipt, Status
from edge.outbox import Outbox, Row

logger = logging.getLogger(__name__)

STATUS_EVERY_S = 30.0
WATCH_EVERY_S = 5.0
# What MQTT puts around a payload: fixed header, topic, properties.
HEADER_BYTES = 256
# A message without a receipt gives its place in the window back after this; the outbox sends it again later.
HOLD_S = 5.0
# Sent this often without a receipt means minutes: a collector that is down, or a broker that drops silently.
ALARM_ATTEMPTS = 4
# A connection that ended so often with one large message alone on its way: the broker hangs up on it.
LONE_DROPS = 5

Health = Callable[[int], Status]  # sequence number → what the node says of itself


class Publisher(SessionThread):
    """Drives one connection from a thread of its own.

    Args:
        health: builds the status from the last sequence number given; asked from this thread.
        clock: seconds UTC, to compare with the outbox's ``due``.
        announcement: topic and payload of a message said once a connection, retained.
        most_hz: messages a second at most: after a day without a broker all nodes come back at once.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        site: str,
        node: str,
        host: str,
        port: int,
        health: Health,
        clock: Callable[[], float] = time.time,
        hold_s: float = HOLD_S,
        longest_pause_s: float = 30.0,
        tls: Tls | None = None,
        version: Version = "5",
        most_hz: float = math.inf,
        announcement: tuple[str, bytes] | None = None,
    ) -> None:
        self._outbox, self._health, self._clock, self._hold_s = outbox, health, clock, hold_s
        self._address = Address(site, node, "event")
        self._in_flight: dict[str, float] = {}  # key → monotonic instant it was sent; until its receipt
        self._suspects: set[str] = set()  # keys among them that a connection has ended on before
        self._unacknowledged: dict[int, str] = {}  # message id → key; until the broker's PUBACK
        self._status_due = 0.0
        self._watch_due = 0.0
        self._round_s = time.monotonic()
        self._most_hz, self._announcement = most_hz, announcement
        self._announced = False
        self._budget, self._budget_s = float(WINDOW), time.monotonic()
        self._alarmed = False
        session = Session(
            host=host,
            port=port,
            client_id=f"nearmiss-{site}-{node}",
            subscriptions=[self._address.to("receipt").topic],
            on_message=self._receive,
            on_acknowledged=self._acknowledged,
            on_connection=self.noted,
            will=self._will,
            longest_pause_s=longest_pause_s,
            tls=tls,
            version=version,
        )
        super().__init__(session, name="publish", what="publish thread")

    @property
    def overdue(self) -> bool:
        """True while messages have gone without a receipt for minutes."""
        return self._alarmed

    @property
    def still_s(self) -> float:
        """How long ago the thread last went round."""
        return time.monotonic() - self._round_s

    def tell_now(self) -> None:
        """Say the status at the next turn, not when it is due."""
        self._status_due = 0.0

    def turn(self) -> None:
        self._round_s = time.monotonic()
        self.session.step(0.05)
        if self.session.connected:
            self._publish_due()
            self._publish_status()
        self._watch()

    def farewell(self) -> None:
        """Say the last status; what has no receipt stays in the outbox."""
        self._status_due = 0.0
        if self.session.connected:
            self._publish_status()
            self.session.step(0.05)

    def _publish_due(self) -> None:
        now = time.monotonic()
        self._in_flight = {key: sent for key, sent in self._in_flight.items() if now - sent < self._hold_s}
        if self._suspects & set(self._unacknowledged.values()):
            return  # alone on its way: if the connection ends now, this one is why
        window = WINDOW - max(len(self._in_flight), len(self._unacknowledged))
        for row in self._outbox.take(self._clock(), min(window, self._allowed(now))):
            self._budget -= 1
            reason = self._unsendable(row)
            if reason:
                self._outbox.quarantine(row.key, reason)
                logger.warning("a %s is quarantined: %s", row.kind, reason)
                continue
            try:
                message = self.session.publish(self._address.to(row.kind).topic, row.payload)
            except NotConnected:
                return
            self._in_flight[row.key] = time.monotonic()
            self._unacknowledged[message] = row.key
            if row.drops:
                self._suspects.add(row.key)

    def _allowed(self, now: float) -> int:
        """Return how many messages the rate leaves for now."""
        if math.isinf(self._most_hz):
            return WINDOW
        self._budget = min(self._budget + (now - self._budget_s) * self._most_hz, float(WINDOW))
        self._budget_s = now
        return int(self._budget)

    def _unsendable(self, row: Row) -> str | None:
        """Return why a message must not leave, None where it may."""
        if row.drops >= LONE_DROPS and row.kind in ("clip", "plate"):
            return f"the broker hung up {row.drops} times on these {len(row.payload)} bytes"
        limit = self._limit()
        if limit is not None and len(row.payload) + HEADER_BYTES > limit:
            return f"{len(row.payload)} bytes, and the broker takes packets of {limit}"
        return None

    def _limit(self) -> int | None:
        """Return the largest packet the broker has said it takes, None where it has said nothing."""
        return self.session.max_payload_bytes

    def _publish_status(self) -> None:
        now = time.monotonic()
        if now < self._status_due:
            return
        self._status_due = now + STATUS_EVERY_S
        status = self._health(self._outbox.last_seq)
        try:
            if self._announcement is not None and not self._announced:
                self.session.publish(*self._announcement, retain=True)
                self._announced = True
            self.session.publish(self._address.to("status").topic, status.encode(), retain=True)
        except NotConnected:
            self._status_due = 0.0

    def _will(self) -> Will:
        lost = self._health(self._outbox.last_seq).model_copy(update={"state": "lost"})
        return Will(self._address.to("status").topic, lost.encode())

    def _receive(self, _topic: str, payload: bytes) -> None:
        for key in self._outbox.settle(Receipt.decode(payload)):
            self._in_flight.pop(key, None)

    def _acknowledged(self, message: int) -> None:
        key = self._unacknowledged.pop(message, None)
        if key in self._suspects:
            self._suspects.discard(key)
            self._outbox.passed(key)

    def connection(self, connected: bool) -> None:
        if connected:
            self._announced = False
            self._status_due = 0.0
            self._outbox.again(self._clock())
        else:
            self._outbox.dropped(self._unacknowledged.values())
            self._unacknowledged.clear()
            self._suspects.clear()
            self._in_flight.clear()

    def _watch(self) -> None:
        if time.monotonic() < self._watch_due:
            return
        self._watch_due = time.monotonic() + WATCH_EVERY_S
        overdue = self._outbox.unreceipted(ALARM_ATTEMPTS)
        if bool(overdue) == self._alarmed:
            return
        self._alarmed = bool(overdue)
        if overdue:
            logger.warning(
                "%d messages sent again and again without a receipt: is the collector up?", overdue
            )
        else:
            logger.info("receipts arrive again")
