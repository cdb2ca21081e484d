"""The pages: queue, event, statistics, nodes; and the decisions made on them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import FastAPI, Form, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field
from sqlalchemy import select

from broker.collector import findings, plates
from broker.collector.clips import ClipFolder
from broker.collector.findings import Filter, Item, Verdict
from broker.collector.review import words
from broker.collector.review.guard import Guard
from broker.collector.store import Store, event_of, gaps
from broker.collector.tables import dead_letters, events, nodes
from broker.topics import Address

HERE = Path(__file__).parent
PLAYER = HERE.parent.parent / "player"
# Accounts come later; until then one person, at the machine itself, reviews.
REVIEWER = "local"

Hash = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]


class _Wanted(BaseModel):
    """The query of every page: what of the queue is wanted, from where on, and what was just decided."""

    state: Literal["", "undecided", "confirm", "reject", "unclear"] = ""
    site: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""
    rule: Annotated[str, Field(pattern=r"^[a-z_]{0,40}$")] = ""
    after: UUID | None = None
    said: UUID | None = None

    def filter(self) -> Filter:
        return Filter(self.state or None, self.site or None, self.rule or None)


def create_app(store: Store, clips: ClipFolder, *, token: str) -> FastAPI:
    """Return the review pages over a store, open to who holds the token."""
    app = FastAPI(title="nearmiss review", docs_url=None, redoc_url=None, openapi_url=None)
    templates = Jinja2Templates(directory=HERE / "templates")
    templates.env.globals.update(words=words, suffix=_suffix)
    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    app.mount("/static", StaticFiles(directory=HERE / "static"))

    def page(request: Request, name: str, **values: Any) -> HTMLResponse:
        return templates.TemplateResponse(request, name, values)

    @app.get("/")
    def queue(request: Request, wanted: Annotated[_Wanted, Query()]) -> HTMLResponse:
        filter_ = wanted.filter()
        with store.read() as connection:
            after = findings.one(connection, str(wanted.after)) if wanted.after else None
            items = findings.queue(connection, filter_, after=after, limit=findings.PAGE + 1)
            tallies = findings.tallies(connection, filter_)
            sites, rules = findings.choices(connection)
            said = findings.one(connection, str(wanted.said)) if wanted.said else None
        more = items[findings.PAGE - 1].event["id"] if len(items) > findings.PAGE else None
        return page(
            request,
            "queue.html",
            items=items[: findings.PAGE],
            more=more,
            tallies=tallies,
            sites=sites,
            rules=rules,
            wanted=filter_,
            said=said,
        )

    @app.get("/events/{id_}")
    def event(request: Request, id_: UUID, wanted: Annotated[_Wanted, Query()]) -> HTMLResponse:
        filter_ = wanted.filter()
        with store.read() as connection:
            item = _found(findings.one(connection, str(id_)))
            following = findings.next_undecided(connection, filter_, after=item)
            left = findings.tallies(connection, filter_)["undecided"]
            said = findings.one(connection, str(wanted.said)) if wanted.said else None
        return page(
            request, "event.html", item=item, following=following, left=left, wanted=filter_, said=said
        )

    @app.get("/events/{id_}/record")
    def record(id_: UUID) -> Response:
        with store.read() as connection:
            row = connection.execute(select(events).where(events.c.id == str(id_))).mappings().first()
            if row is None:
                raise HTTPException(404, "no such event")
            return Response(event_of(row).encode(), media_type="application/json")

    @app.post("/events/{id_}/decisions")
    def decide(
        id_: UUID, verdict: Annotated[Verdict, Form()], wanted: Annotated[_Wanted, Query()]
    ) -> RedirectResponse:
        filter_ = wanted.filter()
        with store.write() as connection:
            item = _found(findings.one(connection, str(id_)))
            findings.decide(connection, str(id_), verdict, reviewer=REVIEWER, now_s=int(time.time()))
            following = findings.next_undecided(connection, filter_, after=item)
        path = f"/events/{following.event['id']}" if following else "/"
        return RedirectResponse(path + _suffix(filter_, said=str(id_)), 303)

    @app.post("/undo")
    def undo(wanted: Annotated[_Wanted, Query()]) -> RedirectResponse:
        with store.write() as connection:
            taken_back = findings.undo(connection, reviewer=REVIEWER, now_s=int(time.time()))
        path = f"/events/{taken_back}" if taken_back else "/"
        return RedirectResponse(path + _suffix(wanted.filter()), 303)

    @app.get("/clips/{hash_}")
    def clip(hash_: Hash) -> Response:
        return _kept(clips, hash_)

    @app.get("/plates/{hash_}")
    def plate(hash_: Hash) -> Response:
        with store.read() as connection:
            shown = plates.shown(connection, clips, hash_)
        if shown is None:
            raise HTTPException(404, "not kept: it has not arrived, or its time is over")
        return Response(shown.encode(), media_type="application/json")

    @app.get("/statistics")
    def statistics(request: Request) -> HTMLResponse:
        with store.read() as connection:
            rows = findings.confirmed(connection)
            exposure = findings.exposure(connection)
        return page(request, "statistics.html", rows=rows, exposure=exposure)

    @app.get("/nodes")
    def health(request: Request) -> HTMLResponse:
        now = int(time.time())
        with store.read() as connection:
            heard = [dict(row) for row in connection.execute(select(nodes)).mappings()]
            for each in heard:
                each["gaps"] = gaps(connection, each["site"], each["node"])
                each["ago_s"] = max(0, now - each["heard_s"])
                each["address"] = Address(each["site"], each["node"], "status").topic
            refused = connection.execute(
                select(dead_letters).order_by(dead_letters.c.last_s.desc()).limit(100)
            ).mappings()
            return page(request, "nodes.html", nodes=heard, refused=[dict(row) for row in refused])

    @app.get("/player/{name}")
    def player(name: Annotated[str, InPath(pattern=r"^[a-z0-9_-]+\.(js|css)$")]) -> Response:
        file = PLAYER / name
        if not file.is_file():
            raise HTTPException(404, "no such file")
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        return Response(file.read_bytes(), media_type=kind)

    welcome = templates.get_template("welcome.html").render().encode()
    closed = templates.get_template("closed.html").render().encode()
    app.add_middleware(Guard, token=token, welcome=welcome, closed=closed)
    return app


def _found(item: Item | None) -> Item:
    if item is None:
        raise HTTPException(404, "no such event")
    return item


def _kept(clips: ClipFolder, hash_: str) -> Response:
    payload = clips.read(hash_)
    if payload is None:
        raise HTTPException(404, "not kept: it has not arrived, or its time is over")
    return Response(payload, media_type="application/json")


def _suffix(wanted: Filter, **more: str | None) -> str:
    """Return the query that keeps the filter from page to page."""
    values = {"state": wanted.state, "site": wanted.site, "rule": wanted.rule, **more}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"?{query}" if query else ""
