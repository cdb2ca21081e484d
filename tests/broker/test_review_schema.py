"""Every address asked at random by its own description: no 500, and no answer that is not described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from broker.collector.review.described import ANSWERS, description
from broker.collector.review.roles import RANKS
from tests.broker.conftest import emptied
from tests.broker.review_schema import ask
from tests.broker.test_review_roles import House

pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = House(tmp_path_factory.mktemp("schema"))
    yield opened
    opened.close()


def test_every_route_is_described(house: House) -> None:
    routes = {
        (method, route.path)
        for route in house.server.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert set(ANSWERS) == routes


def test_every_name_in_the_description_is_explained(house: House) -> None:
    document = description(house.server.app)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
    assert {"Event", "Problem", "Body_sign_in_login_post"} <= named
    forms = [path for path, methods in document["paths"].items() if "requestBody" in methods.get("post", {})]
    assert {"/login", "/publication", "/events/{id_}/decisions"} <= set(forms)


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, *RANKS], ids=["nobody", "no role", *RANKS[1:]])
def test_no_address_fails_or_answers_what_it_does_not_describe(house: House, role: str | None) -> None:
    asked = ask(house, role, examples=3 if role == "admin" else 1, odd=2 if role in (None, "admin") else 0)
    assert asked.problems == []
    assert {label for label, _ in asked.codes} == {f"{method} {path}" for method, path in ANSWERS}


@pytest.mark.slow
def test_nor_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    house = House(tmp_path, emptied(postgres_url))
    try:
        assert ask(house, "admin", examples=1, odd=2).problems == []
    finally:
        house.close()


def test_an_answer_that_is_not_described_is_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", "/nodes"), replace(ANSWERS["GET", "/nodes"], serves=None))
    monkeypatch.setitem(
        ANSWERS, ("GET", "/clips/{hash_}"), replace(ANSWERS["GET", "/clips/{hash_}"], codes=())
    )
    found = ask(house, "reviewer", examples=1, odd=0).problems
    assert {"GET /nodes", "GET /clips/{hash_}"} == {each.split(": ")[1] for each in found}
