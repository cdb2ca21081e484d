"""Operators: every view of a clip is in the trail, so many a minute, nothing to search by looks, no bulk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import func, select

from broker.collector import audit as trail
from broker.collector.clips import ClipFolder
from broker.collector.review.pages_clips import VIEWS_A_MINUTE
from broker.collector.store import Store
from broker.collector.tables import audit
from tests.broker.test_review import Desk


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(sqlite_store, ClipFolder(tmp_path / "clips"))
    yield opened
    opened.close()


def views(store: Store) -> int:
    with store.read() as connection:
        return int(
            connection.execute(
                select(func.count()).select_from(audit).where(audit.c.action == "view_clip")
            ).scalar_one()
        )


def test_every_view_of_a_clip_is_a_row_of_the_trail(desk: Desk) -> None:
    assert views(desk.store) == 0
    for _ in range(3):
        assert desk.browser.get(f"/clips/{desk.clip_hash}").status_code == 200
    with desk.store.read() as connection:
        rows = connection.execute(
            select(audit.c.actor, audit.c.subject).where(audit.c.action == "view_clip")
        ).all()
        assert trail.broken(connection)[1] is None, "the chain holds"
    assert [tuple(row) for row in rows] == [(rows[0].actor, desk.clip_hash)] * 3
    assert rows[0].actor


def test_what_was_not_shown_is_no_view(desk: Desk) -> None:
    assert desk.browser.get(f"/clips/{'0' * 64}").status_code == 404
    assert desk.stranger.get(f"/clips/{desk.clip_hash}").status_code == 401
    assert views(desk.store) == 0


def test_nobody_draws_clips_out_in_bulk(desk: Desk) -> None:
    codes = [desk.browser.get(f"/clips/{desk.clip_hash}").status_code for _ in range(VIEWS_A_MINUTE + 5)]
    assert codes == [200] * VIEWS_A_MINUTE + [429] * 5
    answer = desk.browser.get(f"/clips/{desk.clip_hash}")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert views(desk.store) == VIEWS_A_MINUTE
    assert desk.browser.get(f"/events/{desk.events[0].id}").status_code == 200, "pages go on"


def test_no_address_takes_a_colour_a_size_or_a_track(desk: Desk) -> None:
    words = re.compile(
        r"colou?r|size|length|width|height|track|speed|face|plate_?(text|number)|look|person|similar|embed|gait"
    )
    asked = []
    for route in desk.server.app.routes:
        if not isinstance(route, APIRoute):
            continue
        parameters = route.dependant
        names = [
            each.name for each in (*parameters.path_params, *parameters.query_params, *parameters.body_params)
        ]
        for model in parameters.query_params:
            fields = getattr(model.field_info.annotation, "model_fields", {})
            names += list(fields)
        asked += names
        assert not [name for name in (*names, route.path) if words.search(name)], route.path
    assert {"site", "rule"} <= set(asked), "the walk does see what can be asked"


def test_no_address_gives_many_clips_at_once(desk: Desk) -> None:
    """One clip at an address, named by its hash; no archive, no list with drawings in it."""
    paths = [route.path for route in desk.server.app.routes if isinstance(route, APIRoute)]
    assert [path for path in paths if "clip" in path] == ["/clips/{hash_}"]
    for path in ("/", "/statistics", "/nodes"):
        assert "glyphs" not in desk.browser.get(path).text
    described = desk.browser.get("/openapi.json").json()["paths"]
    assert [path for path, methods in described.items() if "schemas/Clip" in str(methods)] == [
        "/clips/{hash_}"
    ]
