"""docs/node.md is true: its files load, its tests and settings are there."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from broker.wire import Status
from edge.config import NodeConfig
from edge.config_cameras import expanded
from edge.config_source import CAMERA_ONLY
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "node.md").read_text()
FILES = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("text", [text for text in FILES if "[source]" in text or "[[cameras]]" in text])
def test_each_sample_is_a_node_file(text: str) -> None:
    parts, problems = expanded(tomllib.loads(text))
    assert problems == []
    configs = [NodeConfig.model_validate_json(json.dumps(part.document)) for part in parts]
    assert len({config.outbox.path for config in configs}) == len(configs) == text.count("url =")


def test_each_test_it_names_is_there() -> None:
    for path, name in re.findall(r"`(tests/[a-z_/]+\.py)(?:::([a-z0-9_]+))?`", TEXT):
        source = (ROOT / path).read_text()
        assert not name or f"def {name}(" in source, f"{path}::{name}"


def test_each_figure_it_names_is_in_the_status() -> None:
    listed = TEXT.partition("Health alone: ")[2].partition(", and what")[0]
    named = re.findall(r"`([a-z_]+)`", listed)
    assert len(named) > 15
    assert set(named) <= set(Status.model_fields)


def test_each_setting_of_a_camera_is_told() -> None:
    assert not [name for name in CAMERA_ONLY if name not in TEXT]
