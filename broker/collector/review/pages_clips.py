"""Clips and plates, by their hash, to who may review their site."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi import Path as InPath
from fastapi.responses import Response
from sqlalchemy import Connection, select

from broker.collector import plates
from broker.collector.accounts import Who
from broker.collector.review.desk import Desk
from broker.collector.review.roles import needs
from broker.collector.tables import blobs, events

Hash = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
_GONE = "not kept: it has not arrived, or its time is over"
Reviewer = Annotated[Who, needs("reviewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/clips/{hash_}", response_model=None)
    def clip(hash_: Hash, who: Reviewer) -> Response:
        with desk.store.read() as connection:
            seen = _sites_of_clip(connection, hash_)
        return _kept(desk, hash_, who, seen)

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
    payload = desk.clips.read(hash_) if any(who.may("reviewer", site) for site in sites) else None
    if payload is None:
        raise HTTPException(404, _GONE)
    return Response(payload, media_type="application/json")
