"""What decisions teach: how often each rule is right, and which thresholds to look at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from broker.collector.accounts import Who
from broker.collector.publication import learning
from broker.collector.publication.advice_words import sentence
from broker.collector.publication.page import PARTS
from broker.collector.review.desk import Desk
from broker.collector.review.roles import needs

Reviewer = Annotated[Who, needs("reviewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/learning", response_model=None)
    def learned(request: Request, who: Reviewer) -> Response:
        sites = who.sites("reviewer")
        with desk.store.read() as connection:
            found = learning.decided(connection, sites=None if sites is None else sorted(sites))
        right = learning.precisions(found)
        rules = [
            (
                each,
                [
                    part
                    for part in right
                    if (part.site, part.rule) == (each.site, each.rule) and part.day_part
                ],
            )
            for each in right
            if each.day_part is None
        ]
        told = [(one, sentence(one, desk.say(request))) for one in learning.advice(found)]
        return desk.page(request, "learning.html", rules=rules, told=told, parts=PARTS)

    return router
