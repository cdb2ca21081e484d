"""docs/guarantees.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    named = 0
    for line in PAGE.splitlines():
        path = None
        for file, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", line):
            path = file or path
            if path is None:
                continue
            text = (ROOT / path).read_text()
            assert not name or re.search(rf"^(def )?{name}\b", text, re.M), f"{path}::{name}"
            named += 1
    assert named > 30
