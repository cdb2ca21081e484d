"""node.toml of several cameras: what stands at the top holds for each, its own word before that.

::

    [broker]                          [[cameras]]              becomes    [node]
    host = "broker.example"           id = "cam-n"                        id = "cam-n"
                                      site = "north.toml"                 site = "north.toml"
    [detector]                        [cameras.source]                    [source] ...
    model = "deimv2-femto"            url = "rtsp://..."                  [detector] ... [broker] ...

Each camera is a node of its own on the wire: its own id, outbox, numbers and certificate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

OWN = ("id", "site")
MOST_CAMERAS = 64


class _Named(Protocol):
    @property
    def id(self) -> str: ...


class _Kept(Protocol):
    @property
    def path(self) -> str: ...


class Camera(Protocol):
    """What is compared between the cameras of a file."""

    @property
    def node(self) -> _Named: ...

    @property
    def outbox(self) -> _Kept: ...


@dataclass(frozen=True)
class Part:
    """One camera's document in the form of a file of one camera, and where its parts came from."""

    document: dict[str, Any]
    index: int | None = None  # None: the file is of one camera
    own: Mapping[str, Any] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)

    def placed(self, problem: str) -> str:
        """Return a problem with its place in the file: ``broker.port`` as ``cameras.1.broker.port``."""
        if self.index is None:
            return problem
        place, colon, rest = problem.partition(": ")
        keys = place.split(".")
        here = f"cameras.{self.index}"
        if keys[0] == "node":
            return f"{'.'.join([here, *keys[1:]])}{colon}{rest}"
        if _holds(self.top, keys) and not _holds(self.own, keys):
            return problem
        return f"{here}.{problem}"


def expanded(document: dict[str, Any]) -> tuple[list[Part], list[str]]:
    """Return each camera's part of a file, and what is wrong with how they are put together."""
    if "cameras" not in document:
        return [Part(document)], []
    problems = []
    cameras = document["cameras"]
    top = {name: value for name, value in document.items() if name != "cameras"}
    for name in ("node", "source"):
        if name in top:
            problems.append(f"{name}: belongs to a file of one camera; here each of [[cameras]] has its own")
            del top[name]
    if isinstance(top.get("outbox"), dict) and "path" in top["outbox"]:
        problems.append("outbox.path: each camera has its own; give it in [cameras.outbox], or leave it away")
    if not isinstance(cameras, list) or not cameras:
        return [], [*problems, "cameras: expected [[cameras]], a table a camera"]
    if len(cameras) > MOST_CAMERAS:
        return [], [*problems, f"cameras: {len(cameras)} of them, expected at most {MOST_CAMERAS}"]
    parts = []
    for index, own in enumerate(cameras):
        if not isinstance(own, dict):
            problems.append(f"cameras.{index}: expected a table with id, site and source")
            continue
        tables = {name: value for name, value in own.items() if name not in OWN}
        if "node" in tables:
            problems.append(f"cameras.{index}.node: give id and site themselves")
            del tables["node"]
        whole = _merged(top, tables)
        whole["node"] = {name: own[name] for name in OWN if name in own}
        outbox = whole.setdefault("outbox", {})
        if isinstance(outbox, dict) and "path" not in tables.get("outbox", {}):
            outbox["path"] = f"outbox-{own.get('id', index)}.db"
        parts.append(Part(whole, index, own, top))
    return parts, problems


def shared(cameras: Iterable[Camera]) -> list[str]:
    """Return which ids and outboxes two cameras of a file share."""
    cameras = list(cameras)
    ids = Counter(each.node.id for each in cameras)
    paths = Counter(each.outbox.path for each in cameras)
    return [
        *(f"cameras: {count} of them have the id {id_!r}" for id_, count in ids.items() if count > 1),
        *(f"cameras: {count} of them have the outbox {path!r}" for path, count in paths.items() if count > 1),
    ]


def _merged(top: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: dict(value) if isinstance(value, dict) else value for name, value in top.items()}
    for name, value in own.items():
        here = merged.get(name)
        merged[name] = _merged(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return merged


def _holds(document: Any, keys: list[str]) -> bool:
    """Return whether a document has all the tables, and the key, that a place names."""
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True
