"""Sessions: kept at the server, known to the browser by a random token, ended by idleness, age or hand."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, or_, select, update

from broker.collector.accounts import Who, who
from broker.collector.tables import sessions

# A page writes the time it was asked for at most this often.
NOTED_EVERY_S = 60


@dataclass(frozen=True, slots=True)
class Times:
    """How long a session lasts: without a request, and at most."""

    idle_s: int = 30 * 60
    absolute_s: int = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A session that holds; ``stale``: its last request should be noted."""

    who: Who
    stale: bool


def begin(connection: Connection, account: str, *, times: Times, now_s: int) -> str:
    """Begin a session and return its token, of which only the hash is kept; forget those that are over."""
    connection.execute(
        delete(sessions).where(
            or_(sessions.c.seen_s < now_s - times.idle_s, sessions.c.created_s < now_s - times.absolute_s)
        )
    )
    token = secrets.token_urlsafe(32)
    row = {"token": _hash(token), "account": account, "created_s": now_s, "seen_s": now_s}
    connection.execute(insert(sessions), row)
    return token


def find(connection: Connection, token: str, *, times: Times, now_s: int) -> Session | None:
    """Return the session a token belongs to, None where it is over, was ended, or its account is closed."""
    row = connection.execute(select(sessions).where(sessions.c.token == _hash(token))).first()
    if row is None or now_s - row.seen_s > times.idle_s or now_s - row.created_s > times.absolute_s:
        return None
    found = who(connection, row.account)
    return None if found is None else Session(found, stale=now_s - row.seen_s >= NOTED_EVERY_S)


def note(connection: Connection, token: str, *, now_s: int) -> None:
    """Note that a session was used."""
    connection.execute(update(sessions).where(sessions.c.token == _hash(token)).values(seen_s=now_s))


def end(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(delete(sessions).where(sessions.c.token == _hash(token)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
