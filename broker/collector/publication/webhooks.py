"""Webhooks: each publication to each address, until it is taken or given up; nothing but what is public.

A delivery is a row: it outlives a restart, and of several collectors one takes it. What failed is tried
again after a pause that doubles, with chance in it; after fifteen tries (a day or two) it is a dead letter,
which ``nearmiss webhooks redeliver`` sends again.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update

from broker.collector.config import ConfigError, PublicationSettings
from broker.collector.publication import signing
from broker.collector.store import Store, insert_new
from broker.collector.tables import deliveries, publications

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 6 * 3600.0
TRIES = 15
# Whoever takes a delivery has it alone for so long.
LEASE_S = 60
# An address that says so is done with: not asked again.
GONE = 410

# Posts a body to a URL and returns the status; raises OSError or ValueError where there is no answer.
Post = Callable[[str, bytes, Mapping[str, str]], int]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address, and the key it knows us by."""

    id: str
    url: str
    key: bytes


def webhooks_of(path: Path, settings: PublicationSettings) -> list[Webhook]:
    """Return the webhooks of a collector's file with their keys.

    Raises:
        ConfigError: a secret that cannot be read or is none, one line each.
    """
    found, problems = [], []
    for each in settings.webhooks:
        file = path.parent / each.secret_file
        try:
            found.append(Webhook(each.id, each.url, signing.secret_of(file.read_text())))
        except OSError as error:
            problems.append(f"{path}: publication.webhooks.{each.id}: {file}: {error.strerror or error}")
        except ValueError as error:
            problems.append(f"{path}: publication.webhooks.{each.id}: {file}: {error}")
    if problems:
        raise ConfigError(problems)
    return found


class Courier:
    """Delivers what is due, one step at a time."""

    def __init__(
        self,
        store: Store,
        webhooks: Sequence[Webhook],
        *,
        post: Post | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._store, self._webhooks = store, {each.id: each for each in webhooks}
        self._post = post or post_https
        self._rng = rng or random.SystemRandom()

    def step(self, now_s: int) -> int:
        """Queue what is new, send what is due, and return how many were sent or failed."""
        if not self._webhooks:
            return 0
        with self._store.write() as connection:
            for webhook in self._webhooks:
                _queue(connection, webhook, now_s)
            taken = _take(connection, list(self._webhooks), now_s)
        for row in taken:
            self._deliver(row, now_s)
        return len(taken)

    def _deliver(self, row: Mapping[str, Any], now_s: int) -> None:
        webhook = self._webhooks[row["webhook"]]
        body = body_of(row["record"])
        signed = signing.headers(webhook.key, id_=id_of(row["publication"]), timestamp_s=now_s, body=body)
        status: int | None = None
        try:
            status = self._post(webhook.url, body, {"content-type": "application/json", **signed})
            reason = "" if 200 <= status < 300 else f"answered {status}"
        except (OSError, ValueError) as error:
            reason = type(error).__name__
        with self._store.write() as connection:
            _note(connection, row, status, reason, now_s, self._rng)
        if reason:
            logger.warning("webhook %s, publication %d: %s", webhook.id, row["publication"], reason)


def id_of(publication: int) -> str:
    """Return a delivery's id, the same at each try: a receiver that has seen it drops the second."""
    return f"nearmiss_publication_{publication}"


def body_of(record: str) -> bytes:
    """Return what is posted: the kind of message, and the publication word for word."""
    return b'{"type":"publication.published","data":' + record.encode() + b"}"


def pause_s(tries: int, rng: random.Random) -> float:
    """Return how long to wait after so many tries: twice as long each time, half of it by chance.

    Source: Brooker, Exponential backoff and jitter, AWS Architecture Blog (2015), "equal jitter".
    """
    longest = min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S)
    return longest / 2 + rng.uniform(0, longest / 2)


def listed(connection: Connection, *, state: str | None = None) -> list[Mapping[str, Any]]:
    """Return deliveries with site, rule and start of what they carry, newest first."""
    wanted = (
        select(deliveries, publications.c.site, publications.c.rule, publications.c.start)
        .join(publications, publications.c.n == deliveries.c.publication)
        .order_by(deliveries.c.n.desc())
    )
    if state is not None:
        wanted = wanted.where(deliveries.c.state == state)
    rows: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(wanted).mappings()]
    return rows


def redeliver(connection: Connection, *, now_s: int, n: int | None = None) -> int:
    """Queue dead letters again, or one delivery whatever became of it; return how many."""
    which = deliveries.c.state == "dead" if n is None else deliveries.c.n == n
    again = (
        update(deliveries).where(which).values(state="queued", tries=0, next_s=now_s, status=None, reason="")
    )
    return int(connection.execute(again).rowcount)


def _queue(connection: Connection, webhook: str, now_s: int) -> None:
    there = exists().where(
        and_(deliveries.c.publication == publications.c.n, deliveries.c.webhook == webhook)
    )
    new = connection.execute(select(publications.c.n).where(~there).order_by(publications.c.n)).scalars()
    rows: list[dict[str, Any]] = [
        {
            "publication": n,
            "webhook": webhook,
            "state": "queued",
            "tries": 0,
            "next_s": now_s,
            "status": None,
            "reason": "",
        }
        for n in new
    ]
    insert_new(connection, deliveries, rows)


def _take(connection: Connection, webhooks: Sequence[str], now_s: int) -> Sequence[Mapping[str, Any]]:
    due = (
        select(deliveries, publications.c.record)
        .join(publications, publications.c.n == deliveries.c.publication)
        .where(
            deliveries.c.state == "queued",
            deliveries.c.next_s <= now_s,
            deliveries.c.webhook.in_(webhooks),
        )
        .order_by(deliveries.c.n)
        .limit(20)
    )
    if connection.dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True, of=deliveries)
    taken = [dict(row) for row in connection.execute(due).mappings()]
    for row in taken:
        row["next_s"] = now_s + LEASE_S
        connection.execute(update(deliveries).where(deliveries.c.n == row["n"]).values(next_s=row["next_s"]))
    return taken


def _note(
    connection: Connection,
    row: Mapping[str, Any],
    status: int | None,
    reason: str,
    now_s: int,
    rng: random.Random,
) -> None:
    tries = row["tries"] + 1
    if not reason:
        state, next_s = "delivered", now_s
    elif status == GONE or tries >= TRIES:
        state, next_s = "dead", now_s
    else:
        state, next_s = "queued", now_s + int(pause_s(tries, rng))
    connection.execute(
        update(deliveries)
        .where(deliveries.c.n == row["n"])
        .values(state=state, tries=tries, next_s=next_s, status=status, reason=reason)
    )


def counts(connection: Connection) -> dict[str, int]:
    """Return how many deliveries are queued, delivered and dead."""
    rows = connection.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    return {"queued": 0, "delivered": 0, "dead": 0, **{state: int(count) for state, count in rows}}


def post_https(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post and return the status; follows no redirect, and no proxy of the environment."""
    import httpx

    try:
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            return client.post(url, content=body, headers=dict(headers)).status_code
    except httpx.HTTPError as error:
        raise ConnectionError(type(error).__name__) from error


def parsed(body: bytes) -> dict[str, Any]:
    """Return a posted body, as a receiver reads it."""
    found: dict[str, Any] = json.loads(body)
    return found
