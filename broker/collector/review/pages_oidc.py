"""The other door: sign in at an OpenID provider, for who has an account here already."""

from __future__ import annotations

import base64
import logging
from typing import Annotated

from cryptography.fernet import Fernet, InvalidToken
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from broker.collector import accounts, audit
from broker.collector.own_secret import own_secret
from broker.collector.review.desk import Desk
from broker.collector.review.guard import cookie, cookie_value
from broker.collector.review.language import Language
from broker.collector.review.limits import Limit
from broker.collector.review.oidc import Asked, OidcError, Provider
from broker.collector.review.pages_login import inner, signed_in
from broker.collector.wording import Told

logger = logging.getLogger(__name__)

# Sent along when somebody comes back from the provider's pages, so Lax; the session's own is Strict.
PENDING = "__Host-nearmiss-oidc"
PENDING_S = 600
CALLBACK = "/login/oidc/callback"
QUARTER_S = 900.0


def routes(desk: Desk, provider: Provider | None) -> APIRouter:
    """Return the routes of this door; without a provider they are not there."""
    router = APIRouter()
    tries, spent = Limit(50, QUARTER_S), Limit(1, PENDING_S)
    box: list[Fernet] = []

    def there() -> Provider:
        if provider is None:
            raise HTTPException(404, Told("no identity provider is set up here"))
        return provider

    def refused(request: Request, said: str, *, code: int, wanted: str = "/", subject: str = "") -> Response:
        answer = desk.page(
            request,
            "login.html",
            wanted=inner(wanted),
            problem=said,
            subject=subject,
            oidc=desk.settings.oidc,
            status_code=code,
        )
        answer.headers["set-cookie"] = _pending("", ended=True)
        return answer

    def seal() -> Fernet:
        if not box:
            with desk.store.write() as connection:
                key = bytes.fromhex(own_secret(connection, "oidc"))
            box.append(Fernet(base64.urlsafe_b64encode(key)))
        return box[0]

    def limited(request: Request) -> Response | None:
        wait_s = tries.take(_address(request))
        if not wait_s:
            return None
        say, minutes = desk.say(request), int(wait_s // 60) + 1
        words = say("Too many tries. The next one is possible in {minutes} min.", minutes=minutes)
        answer = refused(request, words, code=429)
        answer.headers["retry-after"] = str(int(wait_s) + 1)
        return answer

    @router.get("/login/oidc", response_model=None)
    def begin(request: Request, wanted: Annotated[str, Query(max_length=500)] = "/") -> Response:
        there_is = there()
        if answer := limited(request):
            return answer
        root = desk.settings.public_url or str(request.base_url).rstrip("/")
        try:
            address, asked = there_is.begin(redirect_uri=root + CALLBACK, wanted=inner(wanted))
        except OidcError as error:
            logger.warning("the identity provider: %s", error)
            return refused(request, _unreachable(desk.say(request)), code=503, wanted=wanted)
        sealed = seal().encrypt(asked.model_dump_json().encode()).decode()
        return RedirectResponse(address, 303, headers={"set-cookie": _pending(sealed)})

    @router.get(CALLBACK, response_model=None)
    def finish(request: Request) -> Response:
        there_is = there()
        if answer := limited(request):
            return answer
        asked = _opened(seal(), cookie_value(request.headers.get("cookie", ""), PENDING))
        if asked is not None and spent.take(asked.state):
            asked = None  # it has been used: whoever comes with it again has it from somewhere
        name, subject, why = None, "", ""
        try:
            subject = there_is.finish(asked, request.query_params)
        except OidcError as error:
            why = error.why
            logger.warning("nobody has signed in by the identity provider: %s", error)
        now = desk.now_s()
        with desk.store.write() as connection:
            if not why:
                name = accounts.by_subject(connection, there_is.settings.issuer, subject)
            who = None if name is None else accounts.who(connection, name)
            if who is None:
                detail = {"by": "oidc", "why": why or "subject"}
                audit.append(
                    connection,
                    actor="nobody",
                    action="login_failed",
                    subject=name or "no such account",
                    detail=detail,
                    now_s=now,
                )
            else:
                token = signed_in(connection, desk, request, who.name, by="oidc", now_s=now)
        say, wanted = desk.say(request), "/" if asked is None else asked.wanted
        if why == "unreachable":
            return refused(request, _unreachable(desk.say(request)), code=503, wanted=wanted)
        if why:
            return refused(request, say("Signing in did not succeed. Try again."), code=401, wanted=wanted)
        if who is None:
            words = say("There is no account here for who signed in there.")
            return refused(request, words, code=403, wanted=wanted, subject=subject)
        for _ in ("sent away", "came back"):
            tries.give_back(_address(request))
        # A page, not a redirect: the browser came from another site, and would leave a strict cookie at home.
        answer = desk.page(request, "welcome.html", to=inner(wanted))
        answer.headers.append("set-cookie", cookie(token))
        answer.headers.append("set-cookie", _pending("", ended=True))
        return answer

    @router.get("/login/oidc/end", response_model=None)
    def end(request: Request) -> Response:
        root = desk.settings.public_url or str(request.base_url).rstrip("/")
        address = there().end_address(root + "/login")
        if address is None:
            raise HTTPException(404, Told("it is not known where one signs out there"))
        return RedirectResponse(address, 303)

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else "nowhere"


def _unreachable(say: Language) -> str:
    return say("The identity provider does not answer. Try again later.")


def _pending(value: str, *, ended: bool = False) -> str:
    return f"{PENDING}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={0 if ended else PENDING_S}"


def _opened(seal: Fernet, sealed: str | None) -> Asked | None:
    """Return what a browser was sent away with; None where it was not, or too long ago."""
    if not sealed:
        return None
    try:
        return Asked.model_validate_json(seal.decrypt(sealed.encode(), ttl=PENDING_S))
    except (InvalidToken, ValidationError):
        return None
