"""Counts of what is confirmed, and the health of the nodes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select

from broker.collector import agreement, findings
from broker.collector.accounts import Who
from broker.collector.review.desk import Desk
from broker.collector.review.roles import needs
from broker.collector.store import explained, gaps
from broker.collector.sweeper import sweepings
from broker.collector.tables import dead_letters, nodes
from broker.topics import Address

Viewer = Annotated[Who, needs("viewer")]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/statistics", response_model=None)
    def statistics(request: Request, who: Viewer) -> Response:
        sites = who.sites("viewer")
        with desk.store.read() as connection:
            rows = findings.confirmed(connection, sites=sites)
            exposure = findings.exposure(connection, sites=sites)
            judged = {
                "two": agreement.of_two(connection, sites=sites),
                "again": agreement.of_rechecks(connection, sites=sites),
                "times": agreement.times_s(connection, sites=sites),
                "fewest": agreement.FEWEST,
            }
        return desk.page(request, "statistics.html", judged=judged, rows=rows, exposure=exposure)

    @router.get("/nodes", response_model=None)
    def health(request: Request, who: Viewer) -> Response:
        now = desk.now_s()
        with desk.store.read() as connection:
            found = connection.execute(select(nodes).order_by(nodes.c.site, nodes.c.node)).mappings()
            heard = [dict(row) for row in found if who.may("viewer", row["site"])]
            for each in heard:
                each["gaps"] = gaps(connection, each["site"], each["node"])
                each["explained"] = explained(connection, each["site"], each["node"])
                each["ago_s"] = max(0, now - each["heard_s"])
                each["address"] = Address(each["site"], each["node"], "status").topic
            # A refused message belongs to no site for certain: only who administers all of them sees it.
            admin = who.sites("admin") is None
            refused = (
                connection.execute(select(dead_letters).order_by(dead_letters.c.last_s.desc()).limit(100))
                .mappings()
                .all()
                if admin
                else None
            )
            behind = [each for each in sweepings(connection) if each.behind(now)]
            return desk.page(request, "nodes.html", nodes=heard, refused=refused, behind=behind)

    return router
