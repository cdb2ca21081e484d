"""`nearmiss privacy` says what the configuration makes true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.cli import app
from edge.privacy import REFUSES, statements_of
from tests.edge.streets import SITE

NODE = """
[node]
id = "cam-n"
site = "site.toml"
[source]
video = "v.mp4"
start = "2026-11-20T08:15:00Z"
[clips]
mode = "{mode}"
[outbox]
quota_mb = 64
"""
COLLECTOR = """
[store]
database = "postgresql+psycopg://nearmiss:secret@localhost/nearmiss"
clips = "clips"
[retention]
clip_unreviewed_h = 24
event_d = 30
clip_mb = 100
"""


def node(folder: Path, mode: str) -> Path:
    (folder / "site.toml").write_text(SITE + "[thresholds]\ntime_bin_s = 900\n")
    (folder / "v.mp4").write_bytes(b"")
    path = folder / "node.toml"
    path.write_text(NODE.format(mode=mode))
    return path


@pytest.mark.parametrize(
    ("mode", "samples", "clip", "plate"),
    [
        pytest.param("scene", True, True, "a still of the empty place", id="scene"),
        pytest.param("schematic", False, True, "no camera pixel", id="schematic"),
        pytest.param("none", False, False, None, id="none"),
    ],
)
def test_a_node_says_what_its_mode_makes_true(
    tmp_path: Path, mode: str, samples: bool, clip: bool, plate: str | None
) -> None:
    (said,) = statements_of(node(tmp_path, mode))
    assert any("samples" in each.what for each in said.keeps) == samples
    assert any(each.what.startswith("a clip") for each in said.sends) == clip
    plates = [each.what for each in said.sends if each.what.startswith("a plate")]
    assert [plate in each for each in plates] == ([True] if plate else []) if plate else plates == []
    assert any("floored to 15 min" in each.what for each in said.sends)
    assert any("at most 64 MB" in each.how_long for each in said.keeps)


def test_a_collector_says_its_own_times_and_no_password(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(COLLECTOR)
    shown = CliRunner().invoke(app, ["privacy", str(path), "--json"])
    assert shown.exit_code == 0, shown.output
    assert "secret" not in shown.output
    (said,) = json.loads(shown.output)
    times = {each["what"]: each["how_long"] for each in said["keeps"]}
    assert times["clips nobody has decided on"] == "24 h"
    assert times["event rows"].startswith("30 d")
    assert said["refuses"] == list(REFUSES)
    text = CliRunner().invoke(app, ["privacy", str(path)])
    assert "refuses" in text.output and "100 MB" in text.output


def test_a_file_that_is_neither(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[other]\n")
    with pytest.raises(ValueError, match="neither a node"):
        statements_of(path)
