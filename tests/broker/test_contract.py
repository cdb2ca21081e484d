"""The contract's files say what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.contract import FOLDER, RECORDS, files
from broker.topics import (
    KINDS,
    MAX_BYTES,
    PUBLICATION_ADDRESS,
    Address,
    address,
    intake_filters,
    publication_topic,
)


def test_the_committed_files_are_the_generated_ones() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == files(), "run `python -m broker.contract` and commit broker/schema"


@pytest.mark.parametrize("name", sorted(files()))
def test_every_record_is_closed_at_every_level(name: str) -> None:
    def objects(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            return ([node] if node.get("type") == "object" else []) + [
                each for value in node.values() for each in objects(value)
            ]
        return [each for value in node for each in objects(value)] if isinstance(node, list) else []

    def texts(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            return ([node] if node.get("type") == "string" else []) + [
                each for value in node.values() for each in texts(value)
            ]
        return [each for value in node for each in texts(value)] if isinstance(node, list) else []

    document = json.loads(files()[name])
    if name == "asyncapi.json":
        document = {}
    for each in objects(document):
        assert each.get("additionalProperties") is False or "propertyNames" in each, each
    for each in texts(document):
        assert {"pattern", "enum", "const", "format"} & set(each), f"free text: {each}"


def test_asyncapi_refers_to_what_is_there() -> None:
    document = json.loads(files()["asyncapi.json"])

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if "$ref" in node else []
            return here + [each for value in node.values() for each in references(value)]
        return [each for value in node for each in references(value)] if isinstance(node, list) else []

    for reference in references(document):
        file, _, pointer = reference.partition("#/")
        target = json.loads((FOLDER / file).read_text()) if file else document
        for part in pointer.split("/") if pointer else []:
            target = target[part]
        assert target
    ends = {channel["address"].rpartition("/")[2] for channel in document["channels"].values()}
    assert ends == {*KINDS, "{rule}"}
    assert document["asyncapi"].startswith("3.")


def test_topics_are_read_as_they_are_written() -> None:
    for kind in KINDS:
        here = Address("main-5th", "cam-n", kind)
        assert address(here.topic) == here
    assert set(RECORDS) == set(KINDS) == set(MAX_BYTES)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "nearmiss/v1/a/b",
        "nearmiss/v1/a/b/event/x",
        "nearmiss/v1/a/B/event",
        "nearmiss/v1//b/event",
        "a" * 999,
    ],
)
def test_other_topics_are_none_of_ours(topic: str) -> None:
    with pytest.raises(ValueError, match="the topic is not"):
        address(topic)


def test_the_collector_hears_everything_but_its_own_receipts() -> None:
    assert intake_filters() == tuple(
        f"nearmiss/v1/+/+/{kind}" for kind in ("event", "counts", "clip", "plate", "status")
    )


def test_every_topic_is_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "chain.md").read_text()
    for kind in KINDS:
        assert f"nearmiss/v1/{{site}}/{{node}}/{kind}" in text
    assert PUBLICATION_ADDRESS in text


def test_what_is_published_stands_apart_from_what_nodes_send() -> None:
    topic = publication_topic("main-5th", "near_miss")
    assert topic == "nearmiss/published/v1/main-5th/near_miss"
    with pytest.raises(ValueError, match="the topic is not"):
        address(topic)
