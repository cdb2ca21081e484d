"""One event: its record, the decision on it, and taking it back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, select

from broker.collector import findings, holds
from broker.collector.accounts import Who
from broker.collector.findings import Item, Verdict
from broker.collector.holds import REASONS, HoldError, Reason
from broker.collector.review.desk import Desk
from broker.collector.review.roles import at, needs
from broker.collector.review.wanted import Wanted, suffix
from broker.collector.store import event_of
from broker.collector.tables import events

Reviewer = Annotated[Who, needs("reviewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/events/{id_}", response_model=None)
    def event(request: Request, id_: UUID, wanted: Annotated[Wanted, Query()], who: Reviewer) -> Response:
        filter_, sites = wanted.filter(), who.sites("reviewer")
        with desk.store.read() as connection:
            item = _found(connection, id_, who)
            following = findings.next_undecided(connection, filter_, sites=sites, after=item)
            left = findings.tallies(connection, filter_, sites=sites)["undecided"]
            said = findings.one(connection, str(wanted.said)) if wanted.said else None
            held = holds.held(connection, item.event["clip"]) if item.event["clip"] else None
        return desk.page(
            request,
            "event.html",
            held=held,
            hold_reasons=REASONS,
            item=item,
            following=following,
            left=left,
            wanted=filter_,
            said=said if said and who.may("reviewer", said.event["site"]) else None,
        )

    @router.get("/events/{id_}/record", response_model=None)
    def record(id_: UUID, who: Reviewer) -> Response:
        with desk.store.read() as connection:
            _found(connection, id_, who)
            row = connection.execute(select(events).where(events.c.id == str(id_))).mappings().one()
            return Response(event_of(row).encode(), media_type="application/json")

    @router.post("/events/{id_}/decisions", response_model=None)
    def decide(
        id_: UUID, verdict: Annotated[Verdict, Form()], wanted: Annotated[Wanted, Query()], who: Reviewer
    ) -> Response:
        filter_, sites = wanted.filter(), who.sites("reviewer")
        with desk.store.write() as connection:
            item = _found(connection, id_, who)
            findings.decide(connection, str(id_), verdict, reviewer=who.name, now_s=desk.now_s())
            following = findings.next_undecided(connection, filter_, sites=sites, after=item)
        path = f"/events/{following.event['id']}" if following else "/"
        return RedirectResponse(path + suffix(filter_, said=str(id_)), 303)

    @router.post("/events/{id_}/hold", response_model=None)
    def hold(id_: UUID, reason: Annotated[Reason, Form()], who: Reviewer) -> Response:
        with desk.store.write() as connection:
            _found(connection, id_, who)
            try:
                holds.hold(connection, str(id_), reason, actor=who.name, now_s=desk.now_s())
            except HoldError as error:
                raise HTTPException(409, str(error)) from error
        return RedirectResponse(f"/events/{id_}", 303)

    @router.post("/undo", response_model=None)
    def undo(wanted: Annotated[Wanted, Query()], who: Reviewer) -> Response:
        with desk.store.write() as connection:
            taken_back = findings.undo(connection, reviewer=who.name, now_s=desk.now_s())
        path = f"/events/{taken_back}" if taken_back else "/"
        return RedirectResponse(path + suffix(wanted.filter()), 303)

    return router


def _found(connection: Connection, id_: UUID, who: Who) -> Item:
    item = findings.one(connection, str(id_))
    if item is None:
        raise HTTPException(404, "no such event")
    at(who, "reviewer", item.event["site"])
    return item
