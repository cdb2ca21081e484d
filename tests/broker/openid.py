"""An OpenID provider on loopback with real keys and PKCE, whose answers a test may twist."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from broker.embedded import free_port

CLIENT, SECRET = "nearmiss", "shared-with-the-provider"
Claims = dict[str, Any]


class OpenId:
    """A provider with one client, at which whoever comes is signed in as ``subject``.

    A test may change ``claims``, ``sign``, ``metadata``, and what an answer is sent ``back`` with.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.subject = "248289761001"
        self.key = _first_key()
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            "end_session_endpoint": self.issuer + "/end",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.claims: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = self.signed
        self.back: dict[str, str | None] = {}  # what of the answer to the browser is another, None: left out
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []  # each authorization request
        self.refused: list[str] = []  # why no token was given
        self.fetched: list[str] = []
        self.moved: dict[str, str] = {}  # addresses that send elsewhere

    def signed(self, claims: Claims) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def keys(self) -> Any:
        return KeySet([self.key]).as_dict(private=False)

    def authorize(self, query: dict[str, str]) -> str:
        """Return the address the browser is sent back to."""
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer, **self.back}
        sent = {name: value for name, value in answer.items() if value is not None}
        return f"{query['redirect_uri']}?{urlencode(sent)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        query = self.codes.pop(form.get("code", ""), None)
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {known}":
            return self._no("the client did not prove itself")
        if query is None:
            return self._no("no such code, or one that was used")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != query.get("code_challenge"):
            return self._no("the verifier does not fit")
        if (form["grant_type"], form["redirect_uri"]) != ("authorization_code", query["redirect_uri"]):
            return self._no("another redirect_uri")
        now = int(time.time())
        claims = self.claims(
            {
                "iss": self.issuer,
                "sub": self.subject,
                "aud": query["client_id"],
                "iat": now,
                "exp": now + 300,
                "nonce": query["nonce"],
                "roles": ["admin"],
                "name": "A Person",
            }
        )
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(claims)}

    def _no(self, why: str) -> tuple[int, dict[str, Any]]:
        self.refused.append(why)
        return 400, {"error": "invalid_grant"}


@cache
def _first_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


@contextmanager
def openid() -> Iterator[OpenId]:
    """Yield a provider that runs."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.fetched.append(parts.path)
            if parts.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("location", provider.authorize(query))
                self.end_headers()
            elif parts.path in provider.moved:
                self.send_response(302)
                self.send_header("location", provider.moved[parts.path])
                self.end_headers()
            elif parts.path == "/keys":
                self._say(200, provider.keys())
            else:
                self._say(200, provider.metadata)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*provider.token(form, self.headers.get("authorization", "")))

        def _say(self, code: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    provider = OpenId(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def somebody_elses() -> Iterator[str]:
    """Yield the issuer of a provider that nobody here wrote: oidc-provider-mock, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", "127.0.0.1", "--port", str(port)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)
