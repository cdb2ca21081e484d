"""The application: each page's routes, one line a page, behind the guard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as AnyHTTPException

from broker.collector.accounts import Who
from broker.collector.clips import ClipFolder
from broker.collector.config import PublicationSettings
from broker.collector.review import (
    desk,
    pages_clips,
    pages_event,
    pages_health,
    pages_learning,
    pages_login,
    pages_oidc,
    pages_plates,
    pages_publication,
    pages_queue,
    roles,
)
from broker.collector.review.described import description
from broker.collector.review.guard import Guard, Link
from broker.collector.review.language import known, language
from broker.collector.review.oidc import Provider
from broker.collector.review.pages import PAGES
from broker.collector.review.settings import Review
from broker.collector.review.wanted import suffix
from broker.collector.store import Store
from broker.collector.wording import Told

PLAYER = Path(__file__).parents[2] / "player"
# How one signs in, and what says nothing about the street; everything else declares a role.
OPEN = frozenset(
    {
        "/static",
        "/login",
        "/login/oidc",
        "/login/oidc/callback",
        "/login/oidc/end",
        "/player/{name}",
        "/words/{code}",
    }
)


def create_app(
    store: Store,
    clips: ClipFolder,
    *,
    settings: Review | None = None,
    publication: PublicationSettings | None = None,
    event_d: float = 90.0,
    link: Link | None = None,
) -> FastAPI:
    """Return the review pages over a store.

    Args:
        publication: what is published, and how finely.
        event_d: how many days event rows are kept.
    """
    here = desk.opened(store, clips, settings or Review())
    here.templates.env.globals.update(suffix=suffix, pages=PAGES)
    app = FastAPI(title="nearmiss review", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=desk.HERE / "static"))
    provider = None if here.settings.oidc is None else Provider(here.settings.oidc)
    for door in (pages_login, pages_oidc):
        app.router.routes.extend(door.routes(here, provider).routes)
    for pages in (
        pages_queue,
        pages_event,
        pages_clips,
        pages_plates,
        pages_health,
        pages_learning,
    ):
        app.router.routes.extend(pages.routes(here).routes)  # flat, so that their roles can be checked
    told = pages_publication.routes(here, publication or PublicationSettings(), event_d=event_d)
    app.router.routes.extend(told.routes)

    @app.get("/player/{name}")
    def player(name: Annotated[str, InPath(pattern=r"^[a-z0-9_-]+\.(js|css)$")]) -> Response:
        file = PLAYER / name
        if not file.is_file():
            raise HTTPException(404, Told("no such file"))
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        return Response(file.read_bytes(), media_type=kind)

    @app.get("/words/{code}")
    def words(code: Annotated[str, InPath(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]) -> dict[str, str]:
        """A catalogue, for the scripts."""
        if code not in known():
            raise HTTPException(404, Told("no such language"))
        return language(code).table

    @app.get("/openapi.json", response_model=None)
    def openapi(who: Annotated[Who, roles.needs("viewer")]) -> Response:
        """The description of these addresses."""
        return JSONResponse(description(app))

    async def problem(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, AnyHTTPException) else 422
        said = (
            error.detail
            if isinstance(error, AnyHTTPException)
            else Told("this address asks for something else")
        )
        kept = getattr(error, "headers", None)
        if "text/html" in request.headers.get("accept", ""):
            answer: Response = here.page(
                request, "problem.html", code=code, said=here.say(request)(said), status_code=code
            )
        else:
            answer = JSONResponse({"detail": said}, status_code=code)
        answer.headers.update(kept or {})
        return answer

    app.add_exception_handler(AnyHTTPException, problem)
    app.add_exception_handler(RequestValidationError, problem)
    roles.check(app, open_to_all=OPEN)
    welcome = here.templates.get_template("welcome.html").render().encode()
    app.add_middleware(Guard, store=store, settings=here.settings, welcome=welcome, link=link)
    return app
