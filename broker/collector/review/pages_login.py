"""The door: sign in by password, sign out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from broker.collector import accounts, audit, passwords, sessions
from broker.collector.accounts import Who
from broker.collector.review.desk import Desk
from broker.collector.review.guard import cookie, session_token
from broker.collector.review.limits import Limit
from broker.collector.review.oidc import Provider
from broker.collector.review.roles import needs

QUARTER_S, HOUR_S = 900.0, 3600.0
Wanted = Annotated[str, Query(max_length=500)]


class Door:
    """How often a password may be tried: for one account from one address, for one address, for one account.

    The last is wide, so that nobody can shut somebody else out by guessing wrong.
    """

    def __init__(self) -> None:
        self._pair, self._address, self._account = (
            Limit(10, QUARTER_S),
            Limit(50, QUARTER_S),
            Limit(100, HOUR_S),
        )

    def wait_s(self, account: str, address: str) -> float:
        """Count a try and return 0, or how long to wait for the next one."""
        return max(
            self._pair.take(f"{account} {address}"), self._address.take(address), self._account.take(account)
        )

    def opened(self, account: str, address: str) -> None:
        """Count one try less: it was the right password."""
        self._pair.give_back(f"{account} {address}")
        self._address.give_back(address)
        self._account.give_back(account)


def routes(desk: Desk, provider: Provider | None) -> APIRouter:
    """Return the routes of the door; where there is a provider, the way to the other one is shown."""
    router = APIRouter()
    door = Door()

    def form(
        request: Request, wanted: str, problem: str = "", status_code: int = 200, left: bool = False
    ) -> Response:
        return desk.page(
            request,
            "login.html",
            wanted=inner(wanted),
            problem=problem,
            oidc=desk.settings.oidc,
            left=left and provider is not None and provider.end_address("") is not None,
            status_code=status_code,
        )

    def account(
        request: Request, who: Who, *, problem: str = "", changed: bool = False, code: int = 200
    ) -> Response:
        with desk.store.read() as connection:
            has_password = accounts.has_password(connection, who.name)
        return desk.page(
            request,
            "account.html",
            problem=problem,
            changed=changed,
            shortest=passwords.SHORTEST,
            has_password=has_password,
            status_code=code,
        )

    @router.get("/login", response_model=None)
    def sign_in_page(request: Request, wanted: Wanted = "/", left: bool = False) -> Response:
        return form(request, wanted, left=left)

    @router.post("/login", response_model=None)
    def sign_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)],
        password: Annotated[str, Form(max_length=1000)],
        wanted: Wanted = "/",
    ) -> Response:
        say = desk.say(request)
        address = request.client.host if request.client else "nowhere"
        if wait_s := door.wait_s(name, address):
            minutes = int(wait_s // 60) + 1
            words = say("Too many tries. The next one is possible in {minutes} min.", minutes=minutes)
            answer = form(request, wanted, words, 429)
            answer.headers["retry-after"] = str(int(wait_s) + 1)
            return answer
        with desk.store.read() as connection:
            who = accounts.by_password(connection, name, password)
        now = desk.now_s()
        with desk.store.write() as connection:
            if who is None:
                # What was typed is not kept: people type passwords into the wrong field.
                known = name if accounts.who(connection, name) else "no such account"
                audit.append(connection, actor="nobody", action="login_failed", subject=known, now_s=now)
            else:
                token = signed_in(connection, desk, request, who.name, by="password", now_s=now)
        if who is None:
            return form(request, wanted, say("This name and password do not belong together."), 401)
        door.opened(name, address)
        return RedirectResponse(inner(wanted), 303, headers={"set-cookie": cookie(token)})

    @router.post("/logout", response_model=None)
    def sign_out(request: Request, who: Annotated[Who, needs("account")]) -> Response:
        token = session_token(request.headers.get("cookie", ""))
        with desk.store.write() as connection:
            if token is not None:
                sessions.end(connection, token)
            audit.append(connection, actor=who.name, action="logout", subject=who.name, now_s=desk.now_s())
        # The browser forgets what it has seen of these pages.
        headers = {"set-cookie": cookie("", ended=True), "clear-site-data": '"cache", "storage"'}
        # At the provider somebody is signed in still: the page says so.
        return RedirectResponse("/login" if provider is None else "/login?left=true", 303, headers=headers)

    @router.get("/account", response_model=None)
    def account_page(request: Request, who: Annotated[Who, needs("account")]) -> Response:
        return account(request, who)

    @router.post("/account/password", response_model=None)
    def change_password(
        request: Request,
        who: Annotated[Who, needs("account")],
        old: Annotated[str, Form(max_length=1000)],
        new: Annotated[str, Form(max_length=1000)],
    ) -> Response:
        say = desk.say(request)
        address = request.client.host if request.client else "nowhere"
        if door.wait_s(who.name, address):
            return account(request, who, problem=say("Too many tries. Try again later."), code=429)
        problem, now = "", desk.now_s()
        token = None
        with desk.store.read() as connection:
            right = accounts.by_password(connection, who.name, old) is not None
        if not right:
            problem = say("The old password is not right.")
        else:
            door.opened(who.name, address)
            try:
                with desk.store.write() as connection:
                    accounts.set_password(connection, who.name, new, actor=who.name, now_s=now)
                    token = sessions.begin(connection, who.name, times=desk.settings.times, now_s=now)
            except accounts.AccountError as error:
                problem = say(error.problems[0])
        answer = account(request, who, problem=problem, changed=not problem, code=400 if problem else 200)
        if token is not None:
            answer.headers["set-cookie"] = cookie(token)
        return answer

    return router


def signed_in(
    connection: Connection, desk: Desk, request: Request, account: str, *, by: str, now_s: int
) -> str:
    """Begin a session in the place of the one there was, and return its token."""
    old = session_token(request.headers.get("cookie", ""))
    if old is not None:
        sessions.end(connection, old)
    token = sessions.begin(connection, account, times=desk.settings.times, now_s=now_s)
    detail = {"by": by}
    audit.append(connection, actor=account, action="login", subject=account, detail=detail, now_s=now_s)
    return token


def inner(wanted: str) -> str:
    """Return an address of these pages to go on to, ``/`` for any that might lead elsewhere."""
    parts = urlsplit(wanted)
    plain = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    if not plain or parts.scheme or parts.netloc or any(ord(each) < 33 or ord(each) > 126 for each in wanted):
        return "/"
    return wanted
