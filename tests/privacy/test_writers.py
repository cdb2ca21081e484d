"""One writer of pictures: each way of writing one appears in the module named for it, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("calibration", "models", "broker", "edge")

# The plate; the drawn video and picture of the demo, whose people are drawn; plans and plots of numbers.
WRITERS: dict[str, set[str]] = {
    r"\bimencode\b": {"edge/plate.py"},
    r"\bimwrite\b": set(),
    r"\bVideoWriter\b": set(),
    r"\.add_stream\(": {"edge/demo/film.py"},
    # The benchmark of memory plays a recording it was given several times over, packet by packet.
    r"\.add_stream_from_template\(": {"edge/bench/playlist.py"},
    r"\b(Image|picture|image|first|frames\[0\])\.save\(": {"edge/demo/gif.py"},
    r"\bimsave\b|\bsavez?(_compressed)?\(|\.tofile\(|\bmemmap\b": set(),
    r"\b(savefig|print_svg|print_png)\(": {"edge/site_map.py", "edge/evaluation_picture.py"},
}


def sources() -> list[tuple[str, str]]:
    return [
        (path.relative_to(ROOT).as_posix(), path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


@pytest.mark.parametrize("way", WRITERS, ids=lambda way: re.sub(r"[^a-z]+", " ", way).strip())
def test_a_way_to_write_a_picture_has_one_place(way: str) -> None:
    found = {name for name, text in sources() if re.search(way, text)}
    assert found <= WRITERS[way]


def test_the_plate_is_written_where_it_says() -> None:
    """Else the search would find nothing anywhere."""
    assert re.search(r"\bimencode\b", (ROOT / "edge" / "plate.py").read_text())


def test_no_setting_records_a_street() -> None:
    words = re.compile(r"(raw|debug|record|dump|save)_?(video|frames?|stream|images?)\b", re.IGNORECASE)
    assert [name for name, text in sources() if words.search(text)] == []
