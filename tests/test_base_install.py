"""A base install is a whole edge node: nothing of the collector's libraries is needed to be one.

What the extras bring is hidden from a fresh interpreter, as if it had not been installed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli import EXTRAS
from tests.conftest import ROOT
from tests.privacy.test_statement import node

HIDDEN = (
    *(module for modules in EXTRAS.values() for module in modules),
    *("authlib", "duckdb", "flask", "httpx2", "joserfc", "obstore", "onnx", "osmium", "ray", "ultralytics"),
)
HIDE = f"import sys\nfor name in {HIDDEN!r}: sys.modules[name] = None\n"


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDE + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def typed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return python("from edge.cli import main; main()", *arguments)


@pytest.mark.parametrize(
    "module", ["edge.daemon", "edge.node", "edge.publish", "edge.analyze", "edge.judge", "edge.calibrate"]
)
def test_a_node_starts_without_the_extras(module: str) -> None:
    ended = python(f"import {module}")
    assert ended.returncode == 0, ended.stderr


def test_its_files_are_checked_and_explained_without_them(tmp_path: Path) -> None:
    path = node(tmp_path, "scene")
    ended = typed("check", path)
    assert ended.returncode == 0, ended.stderr
    ended = typed("privacy", path)
    assert ended.returncode == 0 and "refuses" in ended.stdout, ended.stderr


@pytest.mark.parametrize("command", ["collect", "check"])
def test_a_collector_says_what_it_needs(tmp_path: Path, command: str) -> None:
    path = tmp_path / "collector.toml"
    path.write_text('[store]\ndatabase = "sqlite:///x.db"\n')
    ended = typed(command, path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("nearmiss: this needs ") and line.endswith("pip install 'nearmiss[collector]'")
    assert [each.name for each in tmp_path.iterdir()] == ["collector.toml"]
