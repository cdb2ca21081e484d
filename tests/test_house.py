"""The house is as its papers say: no address of a machine, every command documented, one room a file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_constraints_pin_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert lines
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        wanted += requirements if extra != "export" else []  # AGPL, and torch has a build of its own
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().split()
    }
    names = {re.match(r"[A-Za-z0-9._-]+", item).group().lower().replace("_", "-") for item in wanted}  # type: ignore[union-attr]
    assert names <= pinned, names - pinned


def test_no_path_of_a_machine_in_any_file() -> None:
    found = []
    for path in tracked("*.py", "*.toml", "*.md", "*.html", "*.j2", "*.js", "*.sh", "Makefile", "*.json"):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if re.search(r"/(work|root|home/[a-z]+)/(?!\.)", line) and path.name != "test_house.py":
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found


def test_no_file_holds_the_marks_of_a_merge() -> None:
    marks = re.compile(r"^(<{7}|>{7}) ", flags=re.MULTILINE)
    texts = tracked("*.py", "*.toml", "*.md", "*.html", "*.j2", "*.js", "*.css", "*.sh", "*.txt", "Makefile")
    assert not [path.name for path in texts if marks.search(path.read_text(errors="replace"))]


def test_every_command_is_in_the_readme() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edge", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"^│ ([a-z]+) ", shown, flags=re.MULTILINE))
    assert {"analyze", "judge", "evaluate", "demo", "check", "run", "collect", "models"} <= commands
    readme = (ROOT / "README.md").read_text()
    assert not [command for command in commands if f"nearmiss {command}" not in readme]


@pytest.mark.parametrize("module", ["edge.cli", "broker.wire", "broker.drawing"])
def test_the_command_line_and_the_contract_start_light(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('numpy', 'cv2', 'av', 'onnxruntime') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"
