"""The web server of the review pages: a thread; with TLS wherever it listens beyond this machine."""

from __future__ import annotations

import secrets
import socket
import ssl
import threading
import time

import uvicorn

from broker.collector import accounts
from broker.collector.clips import ClipFolder
from broker.collector.config import PublicationSettings
from broker.collector.review.app import create_app
from broker.collector.review.guard import Link
from broker.collector.review.settings import Review
from broker.collector.store import Store
from broker.loopback import is_loopback

# Whose account the link of `nearmiss demo --serve` opens: no password fits it.
LINKED = "demo"
# For one person: nobody else is there to look a second time.
ALONE = Review(second_severe=False, second_share=0.0, recheck_share=0.0)


class ReviewError(RuntimeError):
    """The page cannot be served; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


class ReviewServer:
    """Serves one store's pages.

    Args:
        port: 0 takes a free one.
        link: makes an address that signs in by itself, on loopback only; its account lives in this store.

    Raises:
        ReviewError: an address off loopback without TLS, a port that is taken, a certificate that is none.
    """

    def __init__(
        self,
        store: Store,
        clips: ClipFolder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Review | None = None,
        publication: PublicationSettings | None = None,
        event_d: float = 90.0,
        link: bool = False,
    ) -> None:
        self._settings = settings or Review()
        if not is_loopback(host) and not self._settings.secure:
            raise ReviewError(f"{host}: beyond this machine the review page is served with TLS only")
        if link and not is_loopback(host):
            raise ReviewError(f"{host}: an address that signs in by itself is for this machine alone")
        self._link = Link(secrets.token_urlsafe(24), _linked(store)) if link else None
        _check_tls(self._settings)
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            reason = (error.strerror or str(error)).partition(" (")[0]
            raise ReviewError(f"port {port} on {host}: {reason}; choose another one") from error
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.app = create_app(
            store,
            clips,
            settings=self._settings,
            publication=publication,
            event_d=event_d,
            link=self._link,
        )
        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=self._settings.proxy is not None,
            forwarded_allow_ips=self._settings.proxy or "",
            ssl_certfile=self._settings.certificate,
            ssl_keyfile=self._settings.key,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="review", daemon=True
        )

    @property
    def url(self) -> str:
        """Where to begin, with the token of the link where there is one."""
        if self._settings.public_url:
            return self._settings.public_url + "/"
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self._settings.certificate else "http"
        token = f"?token={self._link.token}" if self._link else ""
        return f"{scheme}://{host}:{self.port}/{token}"

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


def _linked(store: Store) -> str:
    now = int(time.time())
    with store.write() as connection:
        if accounts.who(connection, LINKED) is None:
            accounts.add(connection, LINKED, role="admin", actor="system", now_s=now)
    return LINKED


def _check_tls(settings: Review) -> None:
    if settings.certificate is None or settings.key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl.SSLError is one
        raise ReviewError(f"review.certificate, review.key: {error.strerror or error}") from error
