"""The collector's thread: messages arrive, are stored in batches, and are receipted once committed.

Several collectors share the work of one broker: in a group each message but a status goes to one of them. All
begin with clean sessions, so that one that is gone keeps nothing back; what it had and did not store has no
receipt, and its node sends it again.
"""

from __future__ import annotations

import logging
import secrets
import time

from sqlalchemy.exc import SQLAlchemyError

from broker import topics
from broker.collector.intake import Intake
from broker.mqtt import NotConnected, Session
from broker.session_thread import SessionThread
from broker.tls import Tls
from broker.topics import MAX_BYTES

logger = logging.getLogger(__name__)

# One commit a batch: as large as what has arrived meanwhile, within what memory and a receipt may hold.
BATCH = 1000
BATCH_BYTES = 16 * 2**20
# A store that fails (disk full, PostgreSQL away) gets this long before the next try; no receipt is sent.
STORE_PAUSE_S = 1.0


class Collector(SessionThread):
    """The connection and the intake, in one thread.

    Args:
        group: share the messages with the other collectors of this name; None: take all.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        host: str,
        port: int,
        client_id: str | None = None,
        tls: Tls | None = None,
        group: str | None = None,
    ) -> None:
        self._intake = intake
        self._waiting: list[tuple[str, bytes]] = []
        self.store_fails = False  # True from a failed commit to the next that succeeds
        self.failures = 0
        self.batches = 0
        session = Session(
            host=host,
            port=port,
            client_id=client_id or f"nearmiss-collector-{secrets.token_hex(6)}",
            subscriptions=topics.intake_filters(group),
            on_message=lambda topic, payload: self._waiting.append((topic, payload)),
            on_connection=self.noted,
            longest_pause_s=5.0,
            tls=tls,
            max_packet_bytes=max(MAX_BYTES.values()) + 1024,
            burst=BATCH,
        )
        super().__init__(session, name="intake", what="intake")

    def turn(self) -> None:
        """Take in what has arrived, as one transaction where it fits into one."""
        self.session.step(0.0 if self._waiting else 0.1)
        # What has arrived already goes into the same transaction.
        while self._waiting and not self._full() and self._arrived():
            pass
        if self._waiting:
            batch, self._waiting[:] = self._waiting[:BATCH], self._waiting[BATCH:]
            self._store(batch)

    def _full(self) -> bool:
        return len(self._waiting) >= BATCH or sum(len(what) for _, what in self._waiting) >= BATCH_BYTES

    def _arrived(self) -> bool:
        before = len(self._waiting)
        self.session.step(0.0)
        return len(self._waiting) > before

    def _store(self, batch: list[tuple[str, bytes]]) -> None:
        try:
            receipts = self._intake.take(batch)
        except (SQLAlchemyError, OSError) as error:
            # Their nodes have no receipt and send them again: to forget them here loses nothing.
            self.failures += 1
            if not self.store_fails:
                self.store_fails = True
                logger.error("the store fails, messages wait at their nodes: %s", _line(error))
            time.sleep(STORE_PAUSE_S)
            return
        self.batches += 1
        if self.store_fails:
            self.store_fails = False
            logger.info("the store takes messages again")
        for node, receipt in receipts:
            try:
                self.session.publish(node.topic, receipt.encode())
            except NotConnected:
                return  # it was stored; when the node sends it again it is receipted again


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]
