"""What stands before the page: who may ask, from where, and what the browser may do with the answer.

A pure ASGI layer, so that no route can be added without it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Cookies know no ports: the review page on the same machine has another name for its own.
COOKIE = "nearmiss-calibrate"
HOSTS = {"127.0.0.1", "localhost", "[::1]"}
# The stylesheet and the modules say nothing about the street, and the page that asks for the token needs one.
OPEN_PREFIX = "/static/"
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
SAFE_METHODS = {"GET", "HEAD"}
# A draft of ten thousand points is a megabyte; the rest of memory is not for whoever posts.
LARGEST_BODY = 8 * 2**20
_HTML = [(b"content-type", b"text/html; charset=utf-8")]
_PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]


class Guard:
    """Lets in who holds the token printed at the start, asking from this page, on loopback."""

    def __init__(self, app: App, *, token: str, welcome: bytes, closed: bytes) -> None:
        self._app, self._token, self._welcome, self._closed = app, token, welcome, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        send = _with_headers(send)
        if _host(headers) not in HOSTS:
            # A name that leads here from outside (DNS rebinding) is not ours.
            await _answer(send, 421, b"this page is on loopback only\n", _PLAIN)
        elif scope["method"] not in SAFE_METHODS and not _same_origin(headers):
            await _answer(send, 403, b"refused: sent from another page\n", _PLAIN)
        elif scope["method"] not in SAFE_METHODS and not _fits(headers):
            await _answer(send, 413, b"refused: too large\n", _PLAIN)
        elif scope["path"].startswith(OPEN_PREFIX):
            await self._app(scope, receive, send)
        elif self._is_token(_query_token(scope)):
            await _answer(send, 200, self._welcome, [*_HTML, (b"set-cookie", self._cookie())])
        elif self._is_token(_cookie(headers)):
            await self._app(scope, receive, send)
        else:
            await _answer(send, 403, self._closed, _HTML)

    def _is_token(self, came: str | None) -> bool:
        return came is not None and secrets.compare_digest(came.encode(), self._token.encode())

    def _cookie(self) -> bytes:
        return f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict".encode()


def _host(headers: dict[str, str]) -> str:
    host = headers.get("host", "")
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


def _same_origin(headers: dict[str, str]) -> bool:
    """Return whether a request that changes something comes from a page of ours.

    Source: OWASP CSRF prevention, Fetch Metadata; ``Origin`` where a browser sends none of it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "nowhere")


def _fits(headers: dict[str, str]) -> bool:
    length = headers.get("content-length", "")
    return length.isdigit() and int(length) <= LARGEST_BODY


def _query_token(scope: Scope) -> str | None:
    if scope["method"] != "GET":
        return None
    tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return tokens[0] if tokens else None


def _cookie(headers: dict[str, str]) -> str | None:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


def _with_headers(send: Send) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.encode() not in given
                ),
            ]
        await send(message)

    return answer


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    size = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, size]})
    await send({"type": "http.response.body", "body": body})
