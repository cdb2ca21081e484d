"""Plates that wait for a person: look, paint out, approve or refuse. Seen by an admin of the site alone."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from broker.collector import plates
from broker.collector.accounts import Who
from broker.collector.paint import CELL_PX
from broker.collector.plates import Candidate, PlateError
from broker.collector.review.desk import Desk
from broker.collector.review.roles import at, needs
from broker.collector.wording import Told
from broker.drawing import Plate

Hash = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
Admin = Annotated[Who, needs("admin")]
# Numbers of squares, each at most five digits, for a picture of 640 × 480 in squares of 4 px.
Cells = Annotated[str, Form(pattern=r"^[0-9]{1,5}(,[0-9]{1,5})*$", max_length=200_000)]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/plates", response_model=None)
    def waiting(request: Request, who: Admin) -> Response:
        with desk.store.read() as connection:
            found = plates.pending(connection, who.sites("admin"))
        now = desk.now_s()
        return desk.page(request, "plates.html", waiting=found, now=now)

    @router.get("/plates/{hash_}/candidate", response_model=None)
    def candidate(request: Request, hash_: Hash, who: Admin) -> Response:
        with desk.store.read() as connection:
            found = _waiting(connection, hash_, who)
        return desk.page(request, "plate.html", plate=found, cell_px=CELL_PX)

    @router.get("/plates/{hash_}/picture", response_model=None)
    def picture(hash_: Hash, who: Admin) -> Response:
        """The candidate's own picture: on this page and nowhere else."""
        with desk.store.read() as connection:
            _waiting(connection, hash_, who)
        payload = desk.clips.read(hash_)
        background = None if payload is None else Plate.decode(payload).background
        if background is None:
            raise HTTPException(404, Told("not kept any more"))
        return Response(base64.b64decode(background), media_type="image/png")

    @router.post("/plates/{hash_}/approve", response_model=None)
    def approve(hash_: Hash, who: Admin) -> Response:
        with desk.store.write() as connection:
            _waiting(connection, hash_, who)
            plates.approve(connection, hash_, actor=who.name, now_s=desk.now_s())
        return RedirectResponse("/plates", 303)

    @router.post("/plates/{hash_}/paint", response_model=None)
    def paint(hash_: Hash, cells: Cells, who: Admin) -> Response:
        chosen = [int(each) for each in cells.split(",")]
        try:
            with desk.store.write() as connection:
                _waiting(connection, hash_, who)
                plates.paint(connection, desk.clips, hash_, chosen, actor=who.name, now_s=desk.now_s())
        except PlateError as error:
            raise HTTPException(422, error.args[0]) from error
        return RedirectResponse("/plates", 303)

    @router.post("/plates/{hash_}/refuse", response_model=None)
    def refuse(hash_: Hash, who: Admin) -> Response:
        with desk.store.write() as connection:
            _waiting(connection, hash_, who)
            plates.refuse(connection, desk.clips, hash_, actor=who.name, now_s=desk.now_s())
        return RedirectResponse("/plates", 303)

    return router


def _waiting(connection: Connection, hash_: str, who: Who) -> Candidate:
    found = plates.candidate(connection, hash_)
    if found is None:
        raise HTTPException(404, Told("no plate that waits"))
    at(who, "admin", found.site)
    return found
