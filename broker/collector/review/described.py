"""What each address answers, as OpenAPI: pages, redirects, records, and every way to be refused.

Made from the routes and this table; `tests/broker/test_review_schema.py` asks every address thousands of
times and fails where an answer is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from broker.collector.review.guard import COOKIE
from broker.collector.review.roles import role_of
from broker.drawing import Clip, Plate
from broker.wire import Event

Document = dict[str, Any]
_TEXT: Document = {"schema": {"type": "string"}}
_JSON: Document = {"schema": {"type": "object"}}
_PROBLEM: Document = {"schema": {"$ref": "#/components/schemas/Problem"}}
_WORDS = {
    303: "Go on there.",
    400: "Not as it was meant, and why.",
    401: "Sign in first.",
    403: "Not for this account, or sent from another page.",
    404: "There is nothing here, or nothing for you.",
    409: "Somebody was quicker, or it cannot be done now.",
    411: "The length of what is sent has to be said.",
    413: "Too long.",
    421: "Not the name of these pages.",
    422: "This address asks for something else.",
    429: "Too often; Retry-After says when again.",
    503: "The identity provider does not answer.",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What an address answers: what it serves, None where it only sends on; and which codes besides."""

    serves: Mapping[str, Document] | None
    codes: tuple[int, ...] = ()


def _page(*codes: int) -> Answers:
    return Answers({"text/html": _TEXT}, codes)


def _record(name: str, *codes: int) -> Answers:
    return Answers({"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}, codes)


def _moved(*codes: int) -> Answers:
    return Answers(None, (303, *codes))


ANSWERS: dict[tuple[str, str], Answers] = {
    ("GET", "/"): _page(303, 422),
    ("GET", "/account"): _page(),
    ("POST", "/account/password"): _page(400, 422, 429),
    ("GET", "/clips/{hash_}"): _record("Clip", 404, 422, 429),
    ("GET", "/events/{id_}"): _page(404, 422),
    ("GET", "/events/{id_}/record"): _record("Event", 404, 422),
    ("POST", "/events/{id_}/decisions"): _moved(404, 422),
    ("POST", "/events/{id_}/hold"): _moved(404, 409, 422),
    ("GET", "/learning"): _page(),
    ("GET", "/login"): _page(422),
    ("POST", "/login"): _moved(401, 422, 429),
    ("GET", "/login/oidc"): _moved(404, 422, 429, 503),
    ("GET", "/login/oidc/callback"): _page(401, 403, 404, 429, 503),
    ("GET", "/login/oidc/end"): _moved(404),
    ("POST", "/logout"): _moved(),
    ("GET", "/nodes"): _page(),
    ("GET", "/openapi.json"): Answers({"application/json": _JSON}),
    ("GET", "/plates"): _page(),
    ("GET", "/plates/{hash_}"): _record("Plate", 404, 422),
    ("GET", "/plates/{hash_}/candidate"): _page(404, 422),
    ("GET", "/plates/{hash_}/picture"): Answers(
        {"image/png": {"schema": {"type": "string", "format": "binary"}}}, (404, 422)
    ),
    ("POST", "/plates/{hash_}/approve"): _moved(404, 422),
    ("POST", "/plates/{hash_}/paint"): _moved(404, 422),
    ("POST", "/plates/{hash_}/refuse"): _moved(404, 422),
    ("GET", "/player/{name}"): Answers({"text/javascript": _TEXT, "text/css": _TEXT}, (404, 422)),
    ("GET", "/publication"): _page(422),
    ("POST", "/publication"): _moved(404, 409, 422),
    ("GET", "/statistics"): _page(),
    ("POST", "/undo"): _moved(422),
    ("GET", "/words/{code}"): Answers({"application/json": _JSON}, (404, 422)),
}


def description(app: FastAPI) -> Document:
    """Return the OpenAPI document of the pages."""
    document: Document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                _describe(document["paths"][route.path][method.lower()], route, method)
    forms = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if name not in ("HTTPValidationError", "ValidationError")
    }
    document["components"] = {
        "schemas": {**forms, **_schemas()},
        "securitySchemes": {"session": _COOKIE},
    }
    return document


_COOKIE = {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by signing in."}


def _describe(operation: Document, route: APIRoute, method: str) -> None:
    answers, role = ANSWERS[method, route.path], role_of(route)
    codes = {*answers.codes, 421}
    if role is not None:
        # A browser that asks for a page is sent to the door instead of 401.
        codes |= {401, 403} | ({303} if method == "GET" else set())
        operation["security"] = [{"session": []}]
        operation["description"] = f"Needs the role {role}." if role != "account" else "Needs an account."
    if method == "POST":
        codes |= {403, 411, 413}
    responses: Document = {}
    if answers.serves is not None:
        responses["200"] = {"description": "What was asked for.", "content": dict(answers.serves)}
    for code in sorted(codes):
        responses[str(code)] = _refusal(code)
    operation["responses"] = responses


def _refusal(code: int) -> Document:
    said: Document = {"description": _WORDS[code]}
    if code == 303:
        header = {"schema": {"type": "string"}, "required": True}
        return {**said, "headers": {"location": header}}
    said["content"] = {"application/json": _PROBLEM, "text/html": _TEXT, "text/plain": _TEXT}
    if code == 429:
        said["headers"] = {"retry-after": {"schema": {"type": "string"}}}
    return said


def _schemas() -> Document:
    template = "#/components/schemas/{model}"
    models = [(model, "serialization") for model in (Clip, Event, Plate)]
    _, found = models_json_schema(models, ref_template=template)  # type: ignore[arg-type]  # a list of literals
    problem = {
        "type": "object",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
        "additionalProperties": False,
    }
    return {**found["$defs"], "Problem": problem}
