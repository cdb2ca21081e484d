"""What role a route needs: declared with the route, so that a test can read it and none can be forgotten."""

from __future__ import annotations

import logging
from typing import Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.routing import Mount

from broker.collector.accounts import ROLES, Role, Who
from broker.collector.wording import Told

logger = logging.getLogger(__name__)

# Somebody whose roles have all been taken away still has an account: to sign out of it.
Needed = Literal["account", Role]
RANKS: tuple[Needed, ...] = ("account", *ROLES)


class Needs:
    """Lets in who holds the role at any site; the page itself asks for the site."""

    def __init__(self, role: Needed) -> None:
        self.role = role

    def __call__(self, request: Request) -> Who:
        who: Who = request.state.who
        if self.role != "account" and not who.may(self.role):
            where = f"{request.method} {request.scope['route'].path}"
            logger.warning("refused: %s asked for %s, which needs the role %s", who.name, where, self.role)
            raise HTTPException(403, Told("this needs the role {role}", role=self.role))
        return who


def needs(role: Needed) -> Any:
    """Return the dependency that asks for a role: ``who: Annotated[Who, needs("reviewer")]``.

    ``needs("account")`` asks for no more than having signed in.
    """
    return Depends(_NEEDS[role])


def role_of(route: APIRoute) -> Needed | None:
    """Return the role a route has declared, None where it has declared none."""
    found: list[Needed] = [
        each.call.role for each in route.dependant.dependencies if isinstance(each.call, Needs)
    ]
    return max(found, key=RANKS.index, default=None)


def check(app: FastAPI, *, open_to_all: frozenset[str]) -> None:
    """Refuse to serve an app with a route whose role was forgotten.

    Raises:
        RuntimeError: naming those routes.
    """
    forgotten = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            if route.path not in open_to_all and role_of(route) is None:
                forgotten.append(route.path)
        elif not (isinstance(route, Mount) and route.path in open_to_all):
            forgotten.append(getattr(route, "path", repr(route)))
    if forgotten:
        raise RuntimeError(f"these routes declare no role: {', '.join(sorted(forgotten))}")


def at(who: Who, role: Role, site: str) -> None:
    """Go on where the role is held at a site; elsewhere there is nothing to see.

    Raises:
        HTTPException: 404, as for what is not there: that it is there is not told either.
    """
    if not who.may(role, site):
        logger.warning(
            "refused: %s asked for what is at %s, which needs the role %s there", who.name, site, role
        )
        raise HTTPException(404, Told("there is nothing here for you"))


_NEEDS = {role: Needs(role) for role in RANKS}
