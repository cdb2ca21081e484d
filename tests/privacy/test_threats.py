"""Each threat of docs/privacy.md names tests that are there."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "privacy.md").read_text()


def named() -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[a-z_/]+\.py)(?:::([a-z_0-9]+))?`", PAGE)


def test_every_test_that_is_named_is_there() -> None:
    assert len(named()) > 20
    missing = []
    for file, name in named():
        path = ROOT / file
        if not path.is_file() or (name and f"def {name}(" not in path.read_text()):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_threat_has_its_tests() -> None:
    table = PAGE.split("## Threats", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 10, "one row a line of the threat model"
    for row in rows:
        assert re.search(r"`tests/[a-z_/]+\.py", row), row
