"""The thread that listens to a site's feed of signal states while its node runs.

A thread and a connection of its own: a signal message must not wait for a clip on its way to the collector,
and the feed may come by another broker.
"""

from __future__ import annotations

from broker.address import BrokerAddress
from broker.mqtt import Session
from broker.session_thread import SessionThread
from edge.signals.feed import Feed

STEP_S = 0.05
# A cable that is cut shows only by this: while nobody knows of it the last state is taken to hold.
KEEPALIVE_S = 5


class Listener(SessionThread):
    """Hands each message of the feed's topics to the feed; the only one to do so."""

    def __init__(self, feed: Feed, address: BrokerAddress, *, client_id: str) -> None:
        self._feed = feed
        session = Session(
            host=address.host,
            port=address.port,
            tls=address.tls_files,
            client_id=client_id,
            subscriptions=feed.subscriptions,
            on_message=feed.receive,
            on_connection=self.noted,
            keepalive_s=KEEPALIVE_S,
        )
        super().__init__(session, name="signals", what="thread of the signal feed")

    @property
    def delay_s(self) -> float | None:
        """How long after its own time the last news came, for the status."""
        delay_s = self._feed.delay_s
        return None if delay_s is None else round(min(max(delay_s, -60.0), 3600.0), 1)

    def turn(self) -> None:
        self.session.step(STEP_S)

    def connection(self, connected: bool) -> None:
        if not connected:
            self._feed.lost()

    def ended(self) -> None:
        self._feed.lost()
