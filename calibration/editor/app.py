"""The page over HTTP: the draft comes and goes as JSON, the file is written by one route alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException as HttpError

from calibration import geojson, osm
from calibration.editor.fitting import complete, fitted, unsaveable
from calibration.editor.guard import Guard
from calibration.editor.site_file import ChangedError, SiteFile, site_of
from calibration.site import Site, SiteError

HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Desk:
    """What lies on the desk of whoever calibrates.

    Attributes:
        file: the site file.
        name: of the recording.
        background: (H, W, 3) uint8 RGB, the masked median of the recording: kept in memory alone.
        background_note: what a person has to know about it, a sentence.
        aerial: bytes and media type of the plan or aerial picture; None where there is none.
        tracks: trajectories to replay, as the page takes them.
        moved: how the camera moved since the file was written: ``text`` and the image ``points`` mapping
            (2, 3) from then to now; None where it did not, or nobody knows.
        saved: called with each site that was written.
    """

    file: SiteFile
    name: str
    background: NDArray[np.uint8]
    background_note: str = ""
    aerial: tuple[bytes, str] | None = None
    tracks: Mapping[str, Any] | None = None
    moved: Mapping[str, Any] | None = None
    saved: Callable[[Site], None] = lambda _site: None

    @property
    def image_size(self) -> tuple[int, int]:
        return int(self.background.shape[1]), int(self.background.shape[0])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Draft(_Body):
    """A draft as the page sends it; what is in it is checked as a site, with a line for each mistake."""

    document: dict[str, Any]


class Saving(Draft):
    digest: str


class Import(Draft):
    text: str


def create_app(desk: Desk, *, token: str) -> FastAPI:
    """Return the page over a desk, open to who holds the token."""
    app = FastAPI(title="nearmiss calibrate", docs_url=None, redoc_url=None, openapi_url=None)
    templates = Jinja2Templates(directory=HERE / "templates")
    app.mount("/static", StaticFiles(directory=HERE / "static"))

    @app.exception_handler(SiteError)
    def refused(_request: Request, error: SiteError) -> JSONResponse:
        return JSONResponse({"problems": list(error.problems)}, 422)

    @app.exception_handler(RequestValidationError)
    def unreadable(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Without what came: it may hold a NaN, which no JSON answer can carry.
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return JSONResponse({"problems": problems}, 422)

    @app.exception_handler(HttpError)
    def odd(_request: Request, error: HttpError) -> JSONResponse:
        return JSONResponse({"problems": [str(error.detail)]}, error.status_code)

    @app.get("/")
    def page(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(
            request, "editor.html", {"recording": desk.name, "site_file": desk.file.path.name}
        )

    @app.get("/state")
    def state() -> JSONResponse:
        opened = desk.file.read()
        return JSONResponse(
            {
                "document": json.loads(json.dumps(opened.document, default=str)),
                "digest": opened.digest,
                "mistakes": opened.mistakes,
                "key": str(desk.file.path),
                "file": desk.file.path.name,
                "recording": desk.name,
                "image_size": desk.image_size,
                "note": desk.background_note,
                "aerial": desk.aerial is not None,
                "tracks": desk.tracks is not None,
                "moved": desk.moved,
                "limit_m": _limit_m(desk.file),
            }
        )

    @app.get("/background")
    def background() -> Response:
        return Response(
            np.ascontiguousarray(desk.background).tobytes(), media_type="application/octet-stream"
        )

    @app.get("/aerial")
    def aerial() -> Response:
        if desk.aerial is None:
            raise HTTPException(404, "no aerial picture was given (--aerial)")
        return Response(desk.aerial[0], media_type=desk.aerial[1])

    @app.get("/tracks")
    def tracks() -> JSONResponse:
        if desk.tracks is None:
            raise HTTPException(404, "no tracks were given (--tracks)")
        return JSONResponse(dict(desk.tracks))

    @app.post("/fit")
    def fit(draft: Draft) -> JSONResponse:
        try:
            whole = desk.file.merged(draft.document)
            return JSONResponse(fitted(whole, path=desk.file.path, image_size=desk.image_size))
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise _not_a_site(error) from error

    @app.post("/save")
    def save(saving: Saving) -> JSONResponse:
        try:
            mistakes = unsaveable(saving.document, file=desk.file, image_size=desk.image_size)
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            raise _not_a_site(error) from error
        if mistakes:
            raise SiteError(mistakes)
        try:
            digest = desk.file.write(saving.document, digest=saving.digest)
        except ChangedError as error:
            return JSONResponse({"problems": [str(error)], "changed": True}, 409)
        try:
            desk.saved(site_of(desk.file.merged(saving.document), desk.file.path))
        except SiteError as error:
            # The site file is written; what goes beside it is not, and that is another thing to say.
            return JSONResponse({"digest": digest, "besides": list(error.problems)})
        return JSONResponse({"digest": digest, "besides": []})

    @app.post("/export")
    def export(draft: Draft) -> Response:
        try:
            whole, _ = complete(desk.file.merged(draft.document))
            text = json.dumps(geojson.features(site_of(whole, desk.file.path)), indent=1)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise _not_a_site(error) from error
        return Response(text, media_type="application/geo+json")

    @app.post("/import")
    def import_(given: Import) -> JSONResponse:
        try:
            whole, _ = complete(given.document)
            info = site_of(whole, desk.file.path).site
            text = osm.as_geojson(given.text) if osm.is_osm(given.text) else given.text
            return JSONResponse(geojson.places(text, info))
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise _not_a_site(error) from error

    welcome = templates.get_template("welcome.html").render().encode()
    closed = templates.get_template("closed.html").render().encode()
    app.add_middleware(Guard, token=token, welcome=welcome, closed=closed)
    return app


def _not_a_site(error: Exception) -> SiteError:
    if isinstance(error, SiteError):
        return error
    return SiteError([f"the draft is no site: {type(error).__name__}: {error}"])


def _limit_m(file: SiteFile) -> float:
    """Return above which error of its position the site judges nothing, metres."""
    limit = file.merged({}).get("thresholds", {})
    given = limit.get("max_position_sigma_m") if isinstance(limit, dict) else None
    return float(given) if isinstance(given, int | float) and given > 0 else 0.5
