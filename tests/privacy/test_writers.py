"""One writer of pictures: each way of writing one appears in the module named for it, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("calibration", "models", "broker", "edge")

# The plate, and the drawn video and picture of the demo, whose people are drawn.
WRITERS: dict[str, set[str]] = {
    r"\bimencode\b": {"edge/plate.py"},
    r"\bimwrite\b": set(),
    r"\bVideoWriter\b": set(),
    r"\.add_stream\(": {"edge/demo/film.py"},
    r"\bVideoFrame\.from_ndarray\(|\bVideoFrame\(": {"edge/demo/film.py"},
    # The benchmark of memory plays a recording it was given several times over, packet by packet.
    r"\.add_stream_from_template\(": {"edge/bench/playlist.py"},
    r"\bfromarray\(|\bfrombuffer\([^)]*\)\.save": {"edge/demo/gif.py"},
    # The GIF of the drawn street; a plate whose parts a person painted out.
    r"\b(Image|picture|image|first|bare|frames\[0\])\.save\(": {
        "edge/demo/gif.py",
        "broker/collector/paint.py",
    },
    r"\bimsave\b|\bnp\.savez?(_compressed)?\(|\.tofile\(|\bmemmap\b": set(),
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


def test_plots_are_drawn_where_no_picture_of_a_street_can_be_opened() -> None:
    plots = [
        (name, text) for name, text in sources() if re.search(r"\b(savefig|print_svg|print_png)\(", text)
    ]
    assert plots
    pictures = re.compile(r"^\s*(import|from) (cv2|av|PIL|edge\.frame|edge\.sources)\b", re.MULTILINE)
    assert [name for name, text in plots if pictures.search(text)] == []


def test_no_setting_records_a_street() -> None:
    words = re.compile(r"(raw|debug|record|dump|save)_?(video|frames?|stream|images?)\b", re.IGNORECASE)
    assert [name for name, text in sources() if words.search(text)] == []
