"""The site file: what is read, and that every mistake in it is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.site import Site, SiteError, load_site

# The example of the contract, word for word.
CONTRACT = """
[site]
id = "main-5th"
name = "Main St / 5th Ave"
timezone = "America/Chicago"
drive_on = "right"
[[stop_lines]]
id = "N"
signal_group = "N"
line = [[-6.4, 13.4], [0.0, 13.4]]
heading_deg = -90.0
right_on_red = "after_stop"
[[crosswalks]]
id = "ped0"
signal_group = "ped0"
polygon = [[-6.4, 9.1], [6.4, 9.1], [6.4, 5.1], [-6.4, 5.1]]
[[roadways]]
polygon = [[-60, -7], [60, -7], [60, 7], [-60, 7]]
[ground_plane]
image_size = [1280, 720]
points = [ { px = [412, 388], m = [-6.4, 13.4] }, { px = [500, 388], m = [0, 13.4] },
           { px = [412, 588], m = [-6.4, 3.4] }, { px = [512, 588], m = [0.0, 3.4] } ]
osd = []
[thresholds]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(SiteError) as caught:
        load_site(written(folder, text))
    return list(caught.value.problems)


def test_the_contract_s_example_is_read(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, CONTRACT))
    assert site.id == "main-5th"
    assert site.stop_lines[0].line == ((-6.4, 13.4), (0.0, 13.4))
    assert site.stop_lines[0].right_on_red == "after_stop"
    assert site.roadways[0].polygon[0] == (-60, -7)
    assert site.signal_groups == {"N", "ped0"}
    assert site.ground_plane is not None
    assert site.ground_plane.osd == ()


def test_right_on_red_is_prohibited_unless_said_otherwise(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, CONTRACT.replace('right_on_red = "after_stop"', "")))
    assert site.stop_lines[0].right_on_red == "prohibited"


def test_a_site_for_tracks_needs_no_ground_plane() -> None:
    assert Site.model_validate_json('{"site": {"id": "a"}}').ground_plane is None


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    text = (
        CONTRACT.replace('id = "main-5th"', 'id = "Main 5th"')
        .replace("heading_deg = -90.0", 'heading_deg = "south"')
        .replace("osd = []", "")
        .replace("[thresholds]", "[thresholds]\npet_flag_s = nan\nspeed = 3")
    )
    found = mistakes(tmp_path, text)
    places = [line.split(": ")[1] for line in found]
    assert places == [
        "site.id",
        "stop_lines.0.heading_deg",
        "ground_plane.osd",
        "thresholds.pet_flag_s",
        "thresholds.speed",
    ]
    assert all(line.startswith(str(tmp_path / "site.toml")) for line in found)
    assert "'south'" in found[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param('timezone = "America/Chicago"', 'timezone = "Chicago"', "IANA", id="no such time zone"),
        pytest.param('id = "ped0"', 'id = "N"', "more than one place", id="one id for two places"),
        pytest.param(
            "[[-6.4, 13.4], [0.0, 13.4]]", "[[1, 1], [1, 1]]", "are the same", id="a line of no length"
        ),
        pytest.param("[-6.4, 5.1]]", "[-6.4, inf]]", "finite", id="infinity"),
        pytest.param(
            'drive_on = "right"', 'drive_on = "middle"', "'right' or 'left'", id="drive in the middle"
        ),
        pytest.param("[site]", "[sight]", "site", id="no site table"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    found = mistakes(tmp_path, CONTRACT.replace(old, new, 1))
    assert any(words in line for line in found), found


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[site", b'[site]\nid = "a"\nid = "b"'],
    ids=["empty", "binary", "cut", "twice"],
)
def test_what_is_no_site_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(tmp_path / path)
