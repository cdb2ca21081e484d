"""Clips and plates, by their hash, to who may review their site; each view of a clip is in the audit trail.

As many views a minute and a day as a person can look at: who asks for more gets 429, so that none are drawn
out in bulk.
"""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi import Path as InPath
from fastapi.responses import Response
from sqlalchemy import Connection, select

from broker.collector import audit, plates
from broker.collector.accounts import Who
from broker.collector.review.desk import Desk
from broker.collector.review.limits import Limit
from broker.collector.review.roles import at, needs
from broker.collector.tables import blobs, events
from broker.collector.wording import Told

Hash = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
_GONE = Told("not kept: it has not arrived, or its time is over")
VIEWS_A_MINUTE, VIEWS_A_DAY = 60, 2000
Reviewer = Annotated[Who, needs("reviewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()
    views = [Limit(VIEWS_A_MINUTE, 60.0), Limit(VIEWS_A_DAY, 86_400.0)]

    @router.get("/clips/{hash_}", response_model=None)
    def clip(hash_: Hash, who: Reviewer) -> Response:
        for limit in views:
            wait_s = limit.take(who.name)
            if wait_s:
                raise HTTPException(
                    429,
                    Told("more clips than a person looks at"),
                    headers={"Retry-After": str(math.ceil(wait_s))},
                )
        with desk.store.read() as connection:
            seen = _sites_of_clip(connection, hash_)
        answer = _kept(desk, hash_, who, seen)
        with desk.store.write() as connection:
            audit.append(connection, actor=who.name, action="view_clip", subject=hash_, now_s=desk.now_s())
        return answer

    @router.get("/plates/{hash_}", response_model=None)
    def plate(hash_: Hash, who: Reviewer) -> Response:
        with desk.store.read() as connection:
            seen = _sites_of_plate(connection, hash_)
            may = any(who.may("reviewer", site) for site in seen)
            # What an admin has approved, never the file as it came.
            shown = plates.shown(connection, desk.clips, hash_) if may else None
        if shown is None:
            raise HTTPException(404, _GONE)
        return Response(shown.encode(), media_type="application/json")

    return router


def _sites_of_clip(connection: Connection, hash_: str) -> set[str]:
    return set(connection.execute(select(events.c.site).where(events.c.clip == hash_).distinct()).scalars())


def _sites_of_plate(connection: Connection, hash_: str) -> set[str]:
    clips = select(blobs.c.hash).where(blobs.c.plate == hash_)
    return set(connection.execute(select(events.c.site).where(events.c.clip.in_(clips)).distinct()).scalars())


def _kept(desk: Desk, hash_: str, who: Who, sites: set[str]) -> Response:
    may = any(who.may("reviewer", site) for site in sites)
    if sites and not may:
        at(who, "reviewer", min(sites))
    payload = desk.clips.read(hash_) if may else None
    if payload is None:
        raise HTTPException(404, _GONE)
    return Response(payload, media_type="application/json")
