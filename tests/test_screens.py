"""The docs' pictures of the pages: each there in every look, small, and in a document."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT
from tests.screens import LOOKS, MOST_BYTES, MOST_BYTES_ALL

PICTURES = ROOT / "docs" / "pictures"
OURS = [path for look in LOOKS for path in PICTURES.glob(f"*-{look}.png")]
TAKEN = re.findall(r"camera\.take\(\s*\"(\w+)\"", Path(ROOT / "tests" / "screens.py").read_text())


def test_each_page_is_there_in_each_look_and_shown_in_a_document() -> None:
    documents = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    wanted = {f"{name}-{look}.png" for name in TAKEN for look in LOOKS}
    assert len(TAKEN) >= 12
    assert {path.name for path in OURS} == wanted
    assert sorted(name for name in wanted if f"(pictures/{name})" not in documents) == []


def test_they_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in OURS}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
    assert sum(sizes.values()) < MOST_BYTES_ALL
