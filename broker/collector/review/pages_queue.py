"""The queue: the events somebody may decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from broker.collector import findings
from broker.collector.accounts import Who
from broker.collector.review import words
from broker.collector.review.desk import Desk
from broker.collector.review.roles import needs
from broker.collector.review.wanted import Wanted


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/", response_model=None)
    def queue(
        request: Request, wanted: Annotated[Wanted, Query()], who: Annotated[Who, needs("viewer")]
    ) -> Response:
        if not who.may("reviewer"):
            return RedirectResponse("/statistics", 303)
        filter_, sites = wanted.filter(), who.sites("reviewer")
        with desk.store.read() as connection:
            after = findings.one(connection, str(wanted.after)) if wanted.after else None
            items = findings.queue(
                connection, filter_, sites=sites, reviewer=who.name, after=after, limit=findings.PAGE + 1
            )
            tallies = findings.tallies(connection, filter_, sites=sites, reviewer=who.name)
            known = findings.choices(connection, sites=sites)
            said = findings.one(connection, str(wanted.said)) if wanted.said else None
        more = items[findings.PAGE - 1].event["id"] if len(items) > findings.PAGE else None
        return desk.page(
            request,
            "queue.html",
            items=items[: findings.PAGE],
            more=more,
            tallies=tallies,
            sites=known,
            rules=words.RULES,
            most=findings.MOST_COUNTED,
            now_s=desk.now_s(),
            wanted=filter_,
            said_as=wanted.as_,
            said=said if said and who.may("reviewer", said.event["site"]) else None,
        )

    return router
