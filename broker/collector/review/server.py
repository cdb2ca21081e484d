"""The web server of the review page: a thread, on loopback, behind a token printed once."""

from __future__ import annotations

import secrets
import socket
import threading
import time

import uvicorn

from broker.collector.clips import ClipFolder
from broker.collector.config import is_loopback
from broker.collector.review.app import create_app
from broker.collector.store import Store


class ReviewError(RuntimeError):
    """The page cannot be served; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


class ReviewServer:
    """Serves one store's pages.

    Raises:
        ReviewError: an address off loopback, or a port that is taken.
    """

    def __init__(self, store: Store, clips: ClipFolder, *, host: str, port: int) -> None:
        if not is_loopback(host):
            raise ReviewError(f"{host}: the review page has no accounts yet and listens on loopback only")
        self._token = secrets.token_urlsafe(24)
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            reason = (error.strerror or str(error)).partition(" (")[0]
            raise ReviewError(f"port {port} on {host}: {reason}; choose another one") from error
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            create_app(store, clips, token=self._token),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="review", daemon=True
        )

    @property
    def url(self) -> str:
        """Where to begin, token included."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?token={self._token}"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(5.0)
        self._socket.close()
