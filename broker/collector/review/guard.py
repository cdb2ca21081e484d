"""What stands before every page: who asks, from where, and what the browser may do with the answer.

A pure ASGI layer, so that no route can be added without it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool

from broker.collector import audit, sessions
from broker.collector.accounts import Who
from broker.collector.review.settings import Review
from broker.collector.store import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A browser takes a __Host- cookie from this host alone, over https or on this machine, for all paths.
COOKIE = "__Host-nearmiss"
HOSTS = {"127.0.0.1", "localhost", "[::1]"}
# The stylesheet and the modules say nothing about the street; the others are how one signs in.
OPEN_PREFIXES = ("/static/", "/player/", "/words/", "/login/")
OPEN_PATHS = ("/login",)
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
# One year; browsers that came once never ask without encryption again.
STRICT_TRANSPORT = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
SAFE_METHODS = {"GET", "HEAD"}
# The longest form there is, the squares of a plate, as a browser writes it.
MOST_BYTES = 700_000
_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
_HTML = [(b"content-type", b"text/html; charset=utf-8")]


@dataclass(frozen=True, slots=True)
class Link:
    """An address that signs in to one account: for `nearmiss demo --serve`, on this machine alone."""

    token: str
    account: str


class Guard:
    """Lets in who has signed in, asking from these pages, by a name that is ours."""

    def __init__(
        self, app: App, *, store: Store, settings: Review, welcome: bytes, link: Link | None = None
    ) -> None:
        self._app, self._store, self._settings = app, store, settings
        self._welcome, self._link = welcome, link
        self._headers = {**HEADERS, **(STRICT_TRANSPORT if settings.secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websocket, no lifespan: nothing else is served
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        send = _with_headers(send, self._headers)
        scope.setdefault("state", {})
        if not self._is_ours(headers.get("host", "")):
            # A name that leads here from outside (DNS rebinding) is not ours.
            await _answer(send, 421, b"this is not the name of these pages\n", _TEXT)
        elif scope["method"] not in SAFE_METHODS and not _same_origin(headers):
            await _answer(send, 403, b"refused: sent from another page\n", _TEXT)
        elif scope["method"] not in SAFE_METHODS and (refusal := _too_long(headers)):
            await _answer(send, *refusal, _TEXT)
        elif scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_PREFIXES):
            await self._app(scope, receive, send)
        elif self._is_link(scope):
            token = await run_in_threadpool(self._begin)
            await _answer(send, 200, self._welcome, [*_HTML, (b"set-cookie", cookie(token).encode())])
        elif (who := await run_in_threadpool(self._who, session_token(headers.get("cookie", "")))) is None:
            await self._ask_to_sign_in(scope, headers, send)
        else:
            scope["state"]["who"] = who
            await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if self._settings.hosts:
            return host.lower() in self._settings.hosts
        return (name if port.isdigit() else host) in HOSTS

    def _is_link(self, scope: Scope) -> bool:
        if self._link is None or scope["method"] != "GET":
            return False
        came = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return secrets.compare_digest(came.encode(), self._link.token.encode())

    def _begin(self) -> str:
        assert self._link is not None
        now = int(time.time())
        with self._store.write() as connection:
            token = sessions.begin(connection, self._link.account, times=self._settings.times, now_s=now)
            audit.append(
                connection,
                actor=self._link.account,
                action="login",
                subject=self._link.account,
                detail={"by": "link"},
                now_s=now,
            )
        return token

    def _who(self, token: str | None) -> Who | None:
        if token is None:
            return None
        now = int(time.time())
        with self._store.read() as connection:
            found = sessions.find(connection, token, times=self._settings.times, now_s=now)
        if found is not None and found.stale:
            with self._store.write() as connection:
                sessions.note(connection, token, now_s=now)
        return None if found is None else found.who

    async def _ask_to_sign_in(self, scope: Scope, headers: dict[str, str], send: Send) -> None:
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            wanted = quote(scope["path"] + (f"?{query}" if query else ""), safe="")
            where = "/login" if scope["path"] == "/" and not query else f"/login?wanted={wanted}"
            await _answer(send, 303, b"", [(b"location", where.encode("latin-1"))])
        else:
            await _answer(send, 401, b"sign in first\n", _TEXT)


def cookie(token: str, *, ended: bool = False) -> str:
    """Return the Set-Cookie header of a session, or of its end."""
    end = "; Max-Age=0" if ended else ""
    return f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{end}"


def session_token(cookies: str) -> str | None:
    """Return the token a Cookie header carries, None where it carries none."""
    return cookie_value(cookies, COOKIE)


def cookie_value(cookies: str, name: str) -> str | None:
    """Return what a Cookie header carries under a name, None where it carries none."""
    try:
        found = SimpleCookie(cookies)
    except CookieError:
        return None
    return found[name].value if name in found else None


def _same_origin(headers: dict[str, str]) -> bool:
    """Return whether a request that changes something comes from a page of ours.

    Source: OWASP CSRF prevention, Fetch Metadata; ``Origin`` where a browser sends none of it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "nowhere")


def _too_long(headers: dict[str, str]) -> tuple[int, bytes] | None:
    """Return the answer to a form whose length is not said or too much, None to any other.

    The web server reads no more than was said; without a length it would read for ever.
    """
    length = headers.get("content-length", "" if "transfer-encoding" in headers else "0")
    if not (length.isascii() and length.isdecimal()):
        return 411, b"say how long it is\n"
    return (413, b"too long\n") if int(length[:20]) > MOST_BYTES else None


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            ours = [(name.encode(), value.encode()) for name, value in headers.items()]
            message["headers"] = [*message["headers"], *(pair for pair in ours if pair[0] not in given)]
        await send(message)

    return answer


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    size = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, size]})
    await send({"type": "http.response.body", "body": body})
