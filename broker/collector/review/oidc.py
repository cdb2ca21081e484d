"""Signing in at an OpenID provider: where to send somebody, and whose answer is believed.

Authorization code with PKCE, by Authlib; what comes back is a subject, and nothing else of it is kept: no
name, no address, no token. What somebody may do is in our own store.

Source: OpenID Connect Core 1.0 §3.1; RFC 9700 (best practice), RFC 7636 (PKCE), RFC 9207 (issuer).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker.collector.review.oidc_settings import Oidc, encrypted

# What the provider says of itself and its keys is asked for again after so long; keys also when one is new.
KNOWN_S, KEYS_EVERY_S = 3600.0, 60.0
# While it does not answer, so long nobody waits for it again.
REST_S, TIMEOUT_S = 10.0, 5.0
MOST_BYTES = 1_000_000
# Clocks of two machines differ.
LEEWAY_S = 60
# Signatures by a key pair only: with a shared one (HS256) whoever knows it could sign for anybody, and the
# public key taken for a shared one is the oldest trick there is; "none" is not on the list either.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
KEY_KINDS = {"RSA", "EC", "OKP"}
Why = Literal["unreachable", "state", "denied", "issuer", "code", "token", "subject"]


class OidcError(Exception):
    """Nobody has signed in; ``why`` is for the log, and holds nothing that came from outside."""

    def __init__(self, why: Why, said: str) -> None:
        self.why: Why = why
        super().__init__(f"{why}: {said}")


class Asked(BaseModel):
    """What somebody was sent to the provider with; it comes back in a cookie that only we can read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    wanted: str


class _Metadata(BaseModel):
    """What of a provider's discovery document matters here (OpenID Connect Discovery 1.0 §3)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = Field(default=["client_secret_basic"])
    code_challenge_methods_supported: list[str] = Field(default=["S256"])
    authorization_response_iss_parameter_supported: bool = False


class Provider:
    """One provider, as one client of it.

    Args:
        clock: seconds UTC.
    """

    def __init__(self, settings: Oidc, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self._secret, self._trust = settings.secret(), settings.trust()
        self._lock = threading.Lock()
        self._metadata: _Metadata | None = None
        self._asked_s = self._keys_s = self._failed_s = float("-inf")
        self._keys: dict[str, Any] | None = None

    def begin(self, *, redirect_uri: str, wanted: str) -> tuple[str, Asked]:
        """Return the provider's address to go to, and what has to be known when somebody comes back.

        Raises:
            OidcError: the provider does not answer, or not as one does.
        """
        asked = Asked(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
            wanted=wanted,
        )
        more = {"acr_values": " ".join(self.settings.acr)} if self.settings.acr else {}
        metadata = self._known()
        with self._client(metadata, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=asked.state,
                code_verifier=asked.verifier,
                nonce=asked.nonce,
                **more,
            )
        return str(url), asked

    def finish(self, asked: Asked | None, came: Mapping[str, str]) -> str:
        """Return the subject of who came back from the provider.

        Args:
            asked: what this browser was sent away with; None where it was not.
            came: the query it came back with.

        Raises:
            OidcError: whatever is not as it has to be.
        """
        if asked is None or not secrets.compare_digest(asked.state.encode(), came.get("state", "").encode()):
            raise OidcError("state", "not what this browser was sent away with")
        metadata = self._known()
        issuer = came.get("iss")
        if issuer != metadata.issuer and (
            issuer is not None or metadata.authorization_response_iss_parameter_supported
        ):
            raise OidcError("issuer", "another provider has answered, or one that does not say who it is")
        if "error" in came or not came.get("code"):
            raise OidcError("denied", "the provider has not let anybody in")
        return self._subject(self._token(metadata, asked, came["code"]), asked)

    def end_address(self, back: str) -> str | None:
        """Return where one signs out of the provider itself, None where that is not known."""
        metadata = self._metadata
        if metadata is None or metadata.end_session_endpoint is None:
            return None
        query = urlencode({"client_id": self.settings.client_id, "post_logout_redirect_uri": back})
        joint = "&" if urlsplit(metadata.end_session_endpoint).query else "?"
        return f"{metadata.end_session_endpoint}{joint}{query}"

    def _token(self, metadata: _Metadata, asked: Asked, code: str) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError
        from httpx2 import HTTPError, InvalidURL

        try:
            with self._client(metadata, asked.redirect_uri) as client:
                token: Mapping[str, Any] = client.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=asked.verifier,
                )
        except (AuthlibBaseError, HTTPError, InvalidURL, ValueError) as error:
            raise OidcError("code", f"the provider took no code: {type(error).__name__}") from error
        return token

    def _subject(self, token: Mapping[str, Any], asked: Asked) -> str:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jws import JWSRegistry

        ours = self.settings.client_id
        written = token.get("id_token")
        if not isinstance(written, str):
            raise OidcError("token", "the provider gave no ID token")
        options: dict[str, Any] = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": ours},
        }
        if self.settings.acr:
            options["acr"] = {"essential": True, "values": list(self.settings.acr)}
        try:
            registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
            try:
                read = jwt.decode(written, self._key_set(), registry=registry)
            except JoseError:
                # A key that is new: the provider has changed it since we asked.
                read = jwt.decode(written, self._key_set(again=True), registry=registry)
            params = {"nonce": asked.nonce, "client_id": ours, "access_token": token.get("access_token")}
            claims = CodeIDToken(read.claims, read.header, options, params)
            claims.validate(now=int(self._clock()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise OidcError("token", type(error).__name__) from error
        if claims["aud"] not in (ours, [ours]):
            raise OidcError("token", "meant for others too")
        subject = claims["sub"]
        plain = isinstance(subject, str) and subject.isascii() and subject.isprintable()
        if not plain or not 0 < len(subject) <= 255:
            raise OidcError("token", "no subject")
        return str(subject)

    def _known(self) -> _Metadata:
        with self._lock:
            if self._metadata is None or self._clock() - self._asked_s > KNOWN_S:
                if self._clock() - self._failed_s < REST_S:
                    raise OidcError("unreachable", "it did not answer a moment ago")
                try:
                    self._metadata, self._asked_s = self._discovered(), self._clock()
                except OidcError:
                    self._failed_s = self._clock()
                    raise
            return self._metadata

    def _discovered(self) -> _Metadata:
        where = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            found = _Metadata.model_validate(self._read(where))
        except ValidationError as error:
            raise OidcError("unreachable", "its discovery document is none") from error
        if found.issuer != self.settings.issuer:
            raise OidcError("issuer", "its discovery document names another issuer than collector.toml")
        addresses = [found.authorization_endpoint, found.token_endpoint, found.jwks_uri]
        if not all(map(encrypted, [*addresses, found.end_session_endpoint or found.jwks_uri])):
            raise OidcError("unreachable", "one of its addresses is not https")
        if "S256" not in found.code_challenge_methods_supported:
            raise OidcError("unreachable", "it does not know PKCE by S256")
        return found

    def _key_set(self, *, again: bool = False) -> Any:
        """Return the provider's public keys, asked for again at most once a minute."""
        from joserfc.jwk import KeySet

        metadata = self._known()
        with self._lock:
            age_s = self._clock() - self._keys_s
            if self._keys is None or age_s > KNOWN_S or (again and age_s > KEYS_EVERY_S):
                self._keys, self._keys_s = self._read(metadata.jwks_uri), self._clock()
            given = self._keys.get("keys")
        # Key pairs alone; kinds that are not known are passed over (RFC 7517 §5).
        public = [key for key in given or () if isinstance(key, dict) and key.get("kty") in KEY_KINDS]
        return KeySet.import_key_set({"keys": public})

    def _read(self, url: str) -> dict[str, Any]:
        import httpx2

        try:
            with httpx2.Client(verify=self._trust, timeout=TIMEOUT_S) as client:
                answer = client.get(url, headers={"accept": "application/json"})
            answer.raise_for_status()
            if len(answer.content) > MOST_BYTES:
                raise ValueError("too long")
            document = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise OidcError("unreachable", type(error).__name__) from error
        if not isinstance(document, dict):
            raise OidcError("unreachable", "not a JSON object")
        return document

    @contextmanager
    def _client(self, metadata: _Metadata, redirect_uri: str) -> Iterator[Any]:
        from authlib.integrations.httpx_client import OAuth2Client

        methods = metadata.token_endpoint_auth_methods_supported
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        with OAuth2Client(
            client_id=self.settings.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="none" if self._secret is None else method,
            # Nothing but who somebody is there: neither name nor address is asked for.
            scope="openid",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            verify=self._trust,
            timeout=TIMEOUT_S,
        ) as client:
            yield client
