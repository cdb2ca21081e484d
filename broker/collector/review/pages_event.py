"""One event: its record, the decision on it, and taking it back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, select

from broker.collector import audit, claims, deciding, findings, holds
from broker.collector.accounts import Who
from broker.collector.deciding import MeanwhileError
from broker.collector.findings import Item, Verdict
from broker.collector.holds import REASONS, HoldError, Reason
from broker.collector.review.desk import Desk
from broker.collector.review.roles import at, needs
from broker.collector.review.wanted import Wanted, suffix
from broker.collector.store import event_of
from broker.collector.tables import events
from broker.collector.wording import Told

Reviewer = Annotated[Who, needs("reviewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/events/{id_}", response_model=None)
    def event(request: Request, id_: UUID, wanted: Annotated[Wanted, Query()], who: Reviewer) -> Response:
        filter_, sites, now = wanted.filter(), who.sites("reviewer"), desk.now_s()
        with desk.store.write() as connection:
            item = _found(connection, id_, who)
            mine = item.event["tab"] != "open" or _claimed(connection, str(id_), who, now)
            seen = deciding.written(connection, str(id_))
        with desk.store.read() as connection:
            following = findings.next_undecided(
                connection, filter_, sites=sites, reviewer=who.name, now_s=now, after=item
            )
            left = findings.tallies(connection, filter_, sites=sites, reviewer=who.name)["undecided"]
            said = findings.one(connection, str(wanted.said)) if wanted.said else None
            held = holds.held(connection, item.event["clip"]) if item.event["clip"] else None
        site = item.event["site"]
        return desk.page(
            request,
            "event.html",
            held=held,
            hold_reasons=REASONS,
            item=item,
            mine=mine,
            seen=seen,
            reasons={verdict: desk.settings.reasons_for(verdict, site) for verdict in ("reject", "unclear")},
            following=following,
            left=left,
            most=findings.MOST_COUNTED,
            wanted=filter_,
            said_as=wanted.as_,
            said=said if said and who.may("reviewer", said.event["site"]) else None,
            meanwhile=wanted.meanwhile,
        )

    @router.get("/events/{id_}/record", response_model=None)
    def record(id_: UUID, who: Reviewer) -> Response:
        with desk.store.read() as connection:
            _found(connection, id_, who)
            row = connection.execute(select(events).where(events.c.id == str(id_))).mappings().one()
            return Response(event_of(row).encode(), media_type="application/json")

    @router.post("/events/{id_}/decisions", response_model=None)
    def decide(
        id_: UUID,
        choice: Annotated[str, Form(pattern=r"^(confirm|reject|unclear)(:[a-z][a-z0-9_]{0,39})?$")],
        wanted: Annotated[Wanted, Query()],
        who: Reviewer,
        seen: Annotated[int | None, Form(ge=0, le=10_000)] = None,
    ) -> Response:
        filter_, sites, now = wanted.filter(), who.sites("reviewer"), desk.now_s()
        verdict, reason = _chosen(choice)
        try:
            with desk.store.write() as connection:
                item = _found(connection, id_, who)
                known = desk.settings.reasons_for(verdict, item.event["site"])
                if reason is not None and reason not in {each.code for each in known}:
                    raise HTTPException(422, Told("{reason}: not a reason at this site", reason=reason))
                findings.decide(
                    connection,
                    str(id_),
                    verdict,
                    reviewer=who.name,
                    now_s=now,
                    reason=reason,
                    seen=seen,
                    policy=desk.settings.policy,
                )
        except MeanwhileError:
            return RedirectResponse(f"/events/{id_}" + suffix(filter_, meanwhile="1"), 303)
        with desk.store.read() as connection:
            following = findings.next_undecided(
                connection, filter_, sites=sites, reviewer=who.name, now_s=now, after=item
            )
        path = f"/events/{following.event['id']}" if following else "/"
        return RedirectResponse(path + suffix(filter_, said=str(id_), as_=verdict), 303)

    @router.post("/events/{id_}/hold", response_model=None)
    def hold(id_: UUID, reason: Annotated[Reason, Form()], who: Reviewer) -> Response:
        with desk.store.write() as connection:
            _found(connection, id_, who)
            try:
                holds.hold(connection, str(id_), reason, actor=who.name, now_s=desk.now_s())
            except HoldError as error:
                raise HTTPException(409, error.problems[0]) from error
        return RedirectResponse(f"/events/{id_}", 303)

    @router.post("/undo", response_model=None)
    def undo(wanted: Annotated[Wanted, Query()], who: Reviewer) -> Response:
        with desk.store.write() as connection:
            taken_back = findings.undo(connection, reviewer=who.name, now_s=desk.now_s())
        path = f"/events/{taken_back}" if taken_back else "/"
        return RedirectResponse(path + suffix(wanted.filter()), 303)

    return router


def _claimed(connection: Connection, id_: str, who: Who, now_s: int) -> bool:
    """Take the event, where nobody else has; return whether it is mine to decide."""
    before = claims.of(connection, id_, now_s=now_s)
    now = claims.take(connection, id_, reviewer=who.name, now_s=now_s)
    if now.reviewer == who.name and (before is None or before.reviewer != who.name):
        audit.append(connection, actor=who.name, action="claim", subject=id_, now_s=now_s)
    return now.reviewer == who.name


def _chosen(choice: str) -> tuple[Verdict, str | None]:
    said, _, reason = choice.partition(":")
    verdict: Verdict = "confirm" if said == "confirm" else "reject" if said == "reject" else "unclear"
    return verdict, reason or None


def _found(connection: Connection, id_: UUID, who: Who) -> Item:
    item = findings.one(connection, str(id_))
    if item is None:
        raise HTTPException(404, Told("no such event"))
    at(who, "reviewer", item.event["site"])
    return item
