"""The thread that listens to a site's feed of signal states while its node runs.

A thread and a connection of its own: a signal message must not wait for a clip on its way to the collector,
and the feed may come by another broker.
"""

from __future__ import annotations

import logging
import threading

from broker.collector.config import BrokerAddress
from broker.mqtt import Session
from edge.signals.feed import Feed

logger = logging.getLogger(__name__)

STEP_S = 0.05
# A cable that is cut shows only by this: while nobody knows of it the last state is taken to hold.
KEEPALIVE_S = 5


class Listener:
    """Hands each message of the feed's topics to the feed; the only one to do so."""

    def __init__(self, feed: Feed, address: BrokerAddress, *, client_id: str) -> None:
        self._feed = feed
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._session = Session(
            host=address.host,
            port=address.port,
            tls=address.tls_files,
            client_id=client_id,
            subscriptions=feed.subscriptions,
            on_message=feed.receive,
            on_connection=self._connection,
            keepalive_s=KEEPALIVE_S,
        )
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once the thread has ended, by ``close`` or by a defect (``error``)."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def delay_s(self) -> float | None:
        """How long after its own time the last news came, for the status."""
        delay_s = self._feed.delay_s
        return None if delay_s is None else round(min(max(delay_s, -60.0), 3600.0), 1)

    def close(self, *, timeout_s: float = 2.0) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._session.step(STEP_S)
            self._session.close()
        except BaseException as error:
            self.error = error
            logger.exception("the thread of the signal feed ended")
            self._session.drop()
        finally:
            self._connected.clear()
            self._feed.lost()

    def _connection(self, connected: bool) -> None:
        if connected:
            self._connected.set()
        else:
            self._connected.clear()
            self._feed.lost()
