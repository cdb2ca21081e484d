"""Every route, asked by each role and by nobody: enumerated, so that a new one cannot be forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from broker.collector import accounts, plates, sessions
from broker.collector.accounts import ROLES
from broker.collector.clips import ClipFolder
from broker.collector.review import roles
from broker.collector.review.app import OPEN, create_app
from broker.collector.review.guard import COOKIE
from broker.collector.review.roles import RANKS, Needed
from broker.collector.review.server import ReviewServer
from broker.collector.sessions import Times
from broker.collector.store import Store, keep
from tests.broker.records import clip, event, plate
from tests.broker.test_intake import png

# What each address takes. A route that is not here fails the first test: decide, then write it down.
ROUTES: dict[tuple[str, str], Needed | None] = {
    ("GET", "/"): "viewer",
    ("GET", "/account"): "account",
    ("POST", "/account/password"): "account",
    ("GET", "/clips/{hash_}"): "reviewer",
    ("GET", "/events/{id_}"): "reviewer",
    ("GET", "/events/{id_}/record"): "reviewer",
    ("POST", "/events/{id_}/decisions"): "reviewer",
    ("GET", "/learning"): "reviewer",
    ("GET", "/login"): None,
    ("POST", "/login"): None,
    ("GET", "/login/oidc"): None,
    ("GET", "/login/oidc/callback"): None,
    ("GET", "/login/oidc/end"): None,
    ("POST", "/logout"): "account",
    ("GET", "/nodes"): "viewer",
    ("GET", "/openapi.json"): "viewer",
    ("POST", "/events/{id_}/hold"): "reviewer",
    ("GET", "/plates"): "admin",
    ("GET", "/plates/{hash_}"): "reviewer",
    ("GET", "/plates/{hash_}/candidate"): "admin",
    ("GET", "/plates/{hash_}/picture"): "admin",
    ("POST", "/plates/{hash_}/approve"): "admin",
    ("POST", "/plates/{hash_}/paint"): "admin",
    ("POST", "/plates/{hash_}/refuse"): "admin",
    ("GET", "/player/{name}"): None,
    ("GET", "/publication"): "viewer",
    ("POST", "/publication"): "admin",
    ("GET", "/statistics"): "viewer",
    ("POST", "/undo"): "reviewer",
    ("GET", "/words/{code}"): None,
}
FORMS = {"decisions": {"choice": "confirm"}, "hold": {"reason": "complaint"}, "paint": {"cells": "0"}}
HERE, ELSEWHERE = "main-5th", "elm-2nd"


class House:
    """A server with an event at each of two sites, and an account for each role at the first."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.store = Store(url or f"sqlite:///{folder / 'collector.db'}")
        self.store.migrate()
        clips = self.clips = ClipFolder(folder / "clips")
        self.candidates = 0
        self.paths: dict[str, dict[str, str]] = {}
        self.sessions: dict[str, str] = {}
        with self.store.write() as connection:
            for n, site in enumerate((HERE, ELSEWHERE)):
                plate_hash = clips.write(plate().model_copy(update={"site": site}).encode())
                clip_hash = clips.write(clip(plate=plate_hash, offset=n).encode())
                blobs = [
                    {"hash": clip_hash, "kind": "clip", "bytes": 1, "plate": plate_hash},
                    {"hash": plate_hash, "kind": "plate", "bytes": 1, "plate": None},
                ]
                record = event(site=site, seq=1, clip=clip_hash)
                keep(connection, new_events=[record], new_blobs=blobs)
                self.paths[site] = {"id_": str(record.id), "hash_": clip_hash, "plate": plate_hash}
            for role in ROLES:
                accounts.add(connection, role, role=role, sites=(HERE,), actor="console", now_s=1)
            # Somebody who had a role and has none any more.
            accounts.add(connection, "account", role="viewer", sites=(HERE,), actor="console", now_s=1)
            accounts.set_role(connection, "account", None, sites=(HERE,), actor="console", now_s=2)
        for each in RANKS:
            self.begin(each)
        self.server = ReviewServer(self.store, clips)
        self.server.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.server.port}")

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.store.close()

    def begin(self, role: str) -> None:
        with self.store.write() as connection:
            self.sessions[role] = sessions.begin(connection, role, times=Times(), now_s=int(time.time()))

    def candidate(self, site: str) -> str:
        """Return the hash of a new plate that waits for an admin of the site."""
        self.candidates += 1
        picture = plate(background=png()).model_copy(
            update={"site": site, "node": "cam-n", "bend": self.candidates / 1000}
        )
        hash_ = self.clips.write(picture.encode())
        row = {"hash": hash_, "kind": "plate", "bytes": 1, "plate": None}
        with self.store.write() as connection:
            keep(connection, new_blobs=[row])
            plates.arrived(connection, self.clips, [(hash_, picture, "cam-n")], now_s=int(time.time()))
        return hash_

    def ask(self, method: str, path: str, role: str | None, *, site: str = HERE) -> int:
        names = {**self.paths[site], "name": "player.js", "code": "de"}
        if path.startswith("/plates/{hash_}/"):
            names["hash_"] = self.candidate(site)
        elif path.startswith("/plates"):
            names["hash_"] = names["plate"]
        headers = {"Sec-Fetch-Site": "same-origin"}
        if role is not None:
            if path == "/logout":
                self.begin(role)
            headers["Cookie"] = f"{COOKIE}={self.sessions[role]}"
        form = FORMS.get(path.rpartition("/")[2], {})
        answer = self.client.request(method, path.format(**names), headers=headers, data=form or None)
        if path == "/logout" and role is not None:
            self.begin(role)
        return answer.status_code


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = House(tmp_path_factory.mktemp("house"))
    yield opened
    opened.close()


def declared(app: FastAPI) -> dict[tuple[str, str], Needed | None]:
    return {
        (method, route.path): roles.role_of(route)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }


def test_every_route_is_on_the_list_with_its_role(house: House) -> None:
    assert declared(house.server.app) == ROUTES
    others = [route for route in house.server.app.routes if not isinstance(route, APIRoute)]
    assert [(type(route), getattr(route, "path", "")) for route in others] == [(Mount, "/static")]


@pytest.mark.parametrize(("method", "path"), list(ROUTES), ids=[" ".join(key) for key in ROUTES])
@pytest.mark.parametrize("role", [None, *RANKS], ids=["nobody", "no role", *ROLES])
def test_each_role_gets_what_is_its_own(house: House, method: str, path: str, role: Needed | None) -> None:
    needed = ROUTES[method, path]
    code = house.ask(method, path, role)
    if needed is not None and role is None:
        assert code == 401
    elif needed is not None and role is not None and RANKS.index(role) < RANKS.index(needed):
        assert code == 403
    else:
        # Without a provider its door is not there, for anybody.
        assert code in ((404,) if path.startswith("/login/oidc") else (200, 303, 409, 422)), code


@pytest.mark.parametrize("path", [path for _, path in ROUTES if "{id_}" in path or "{hash_}" in path])
@pytest.mark.parametrize("role", RANKS)
def test_another_site_shows_nothing(house: House, path: str, role: Needed) -> None:
    method = next(method for method, each in ROUTES if each == path)
    needed = ROUTES[method, path]
    assert needed is not None
    below = RANKS.index(role) < RANKS.index(needed)
    assert house.ask(method, path, role, site=ELSEWHERE) == (403 if below else 404)


def test_who_has_no_role_left_signs_out(house: House) -> None:
    headers = {"Cookie": f"{COOKIE}={house.sessions['account']}", "Accept": "text/html"}
    refused = house.client.get("/", headers=headers)
    assert refused.status_code == 403
    assert "Not for this account" in refused.text
    assert 'action="/logout"' in refused.text
    assert house.ask("POST", "/logout", "account") == 303


def test_who_asks_for_what_is_not_theirs_is_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.ask("GET", "/plates", "viewer")
    house.ask("GET", "/events/{id_}", "reviewer", site=ELSEWHERE)
    house.ask("GET", "/clips/{hash_}", "reviewer", site=ELSEWHERE)
    said = [record.getMessage() for record in caplog.records if record.name.endswith("review.roles")]
    elsewhere = "refused: reviewer asked for what is at elm-2nd, which needs the role reviewer there"
    assert said == [
        "refused: viewer asked for GET /plates, which needs the role admin",
        elsewhere,
        elsewhere,
    ]


def test_lists_show_ones_own_sites_alone(house: House) -> None:
    for path in ("/", "/statistics", "/nodes"):
        headers = {"Cookie": f"{COOKIE}={house.sessions['admin']}"}
        text = house.client.get(path, headers=headers).text
        assert ELSEWHERE not in text, path


def test_a_route_that_forgets_its_role_is_not_served(sqlite_store: Store, clips: ClipFolder) -> None:
    app = create_app(sqlite_store, clips)

    @app.get("/secret")
    def secret() -> str:
        return "secret"

    with pytest.raises(RuntimeError, match="these routes declare no role: /secret"):
        roles.check(app, open_to_all=OPEN)
