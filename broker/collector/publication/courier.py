"""The thread that carries what has been published: to webhooks, and to the broker as retained messages.

Nothing is published by it: it carries what an administrator has published.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from broker.collector.publication.ledger import entries
from broker.collector.publication.webhooks import Courier
from broker.collector.store import Store
from broker.mqtt import NotConnected, Session
from broker.tls import Tls
from broker.topics import publication_topic

logger = logging.getLogger(__name__)

EVERY_S = 5.0


class Announcer:
    """Keeps the last publication of each rule at each site on the broker, retained."""

    def __init__(self, store: Store, *, host: str, port: int, tls: Tls | None = None) -> None:
        self._store = store
        self._said: dict[str, int] = {}
        self._session = Session(
            host=host,
            port=port,
            client_id=f"nearmiss-courier-{secrets.token_hex(6)}",
            # Whoever lost the connection cannot know what the broker still holds: all is said again.
            on_connection=lambda _connected: self._said.clear(),
            tls=tls,
        )

    def step(self) -> int:
        """Say what is new, all of it after a connection was lost, and return how many that were."""
        self._session.step(0.05)
        if not self._session.connected:
            return 0
        with self._store.read() as connection:
            # In order of period: the last of a rule is the latest.
            latest = {publication_topic(e.record.site, e.record.rule): e for e in entries(connection)}
        new = 0
        for topic, entry in latest.items():
            if self._said.get(topic) == entry.n:
                continue
            try:
                self._session.publish(topic, entry.record.encode(), retain=True)
            except NotConnected:
                return new
            self._said[topic] = entry.n
            new += 1
        return new

    def drop(self) -> None:
        """Lose the connection, as a broker that is restarted does."""
        self._session.drop()

    def close(self) -> None:
        self._session.close()


class _Steps(Protocol):
    def step(self, now_s: int) -> int: ...


class CourierThread:
    """Runs the webhooks, and the announcer where there is one, until it is closed."""

    def __init__(
        self,
        courier: Courier | _Steps,
        announcer: Announcer | None,
        *,
        clock: Callable[[], float] = time.time,
        every_s: float = EVERY_S,
    ) -> None:
        self._courier, self._announcer = courier, announcer
        self._clock, self._every_s = clock, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(15.0)
        if self._announcer is not None:
            self._announcer.close()

    def _run(self) -> None:
        next_s = 0.0
        while not self._stop.is_set():
            try:
                if self._announcer is not None:
                    self._announcer.step()
                if time.monotonic() >= next_s:
                    self._courier.step(int(self._clock()))
                    next_s = time.monotonic() + self._every_s
            except SQLAlchemyError as error:
                logger.error("what is published is not carried on for now: %s", error)
            except Exception:
                logger.exception("the courier ended")
                return
            self._stop.wait(1.0 if self._announcer is not None else self._every_s)
