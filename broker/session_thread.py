"""A thread that owns one MQTT connection, and what others may ask of it."""

from __future__ import annotations

import logging
import threading

from broker.mqtt import Session

logger = logging.getLogger(__name__)


class SessionThread:
    """Drives a session until it is closed; the only one to touch it.

    Who is one makes the session with ``on_connection=self.noted``, and defines ``turn``; where it has more to
    do, also ``connection``, ``farewell`` and ``ended``. If the thread ends by itself, ``alive`` says so.

    Args:
        name: of the thread.
        what: has ended, in the log.

    Attributes:
        ready: set while connected and subscribed.
        error: what the thread ended by, None otherwise.
    """

    def __init__(self, session: Session, *, name: str, what: str) -> None:
        self.session = session
        self.ready = threading.Event()
        self.error: BaseException | None = None
        self._what = what
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once the thread has ended, by ``close`` or by a defect (``error``)."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        return self.ready.is_set()

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Say goodbye, and wait for the end of the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def noted(self, connected: bool) -> None:
        """Take the session's word that it is connected, or no longer."""
        if connected:
            self.ready.set()
        else:
            self.ready.clear()
        self.connection(connected)

    def turn(self) -> None:
        """Move the session for a moment; called again and again."""
        raise NotImplementedError

    def connection(self, connected: bool) -> None:
        """Called in the thread when the connection is there, and when it is lost."""

    def farewell(self) -> None:
        """Called in the thread before the goodbye of a wanted end."""

    def ended(self) -> None:
        """Called in the thread at its end, wanted or not."""

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.turn()
            self.farewell()
            self.session.close()
        except BaseException as error:
            self.error = error
            logger.exception("the %s ended", self._what)
            self.session.drop()
        finally:
            self.ready.clear()
            self.ended()
