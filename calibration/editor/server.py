"""The web server of the calibrate page: a thread, on loopback, behind a token printed once."""

from __future__ import annotations

import secrets
import socket
import threading
import time

import uvicorn

from calibration.editor.app import Desk, create_app
from calibration.site import SiteError

HOST = "127.0.0.1"


class EditorServer:
    """Serves one site's page.

    Raises:
        SiteError: the port is taken.
    """

    def __init__(self, desk: Desk, *, port: int) -> None:
        self._token = secrets.token_urlsafe(24)
        try:
            self._socket = socket.create_server((HOST, port))
        except OSError as error:
            raise SiteError([f"port {port} on {HOST}: {error.strerror or error}"]) from error
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            create_app(desk, token=self._token),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="calibrate", daemon=True
        )

    @property
    def url(self) -> str:
        """Where to begin, token included."""
        return f"http://{HOST}:{self.port}/?token={self._token}"

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
