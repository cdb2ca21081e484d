"""`nearmiss bench`: tables and numbers of what was really measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.plane import plane_of
from calibration.site import load_site
from edge import bench
from edge.bench import detectors, flame, memory, pets, speed
from edge.bench.playlist import played
from edge.bench.section import Section
from edge.errors import InputError
from edge.sources.file import open_video
from edge.timings import Timings
from models.zoo import load
from tests.edge.streets import car_video, site_file


def test_a_recording_played_three_times_over_is_three_times_as_long(tmp_path: Path) -> None:
    once = car_video(tmp_path / "once.mp4", count=20)
    with open_video(played(once, tmp_path / "thrice.mp4", times=3)) as source:
        times = [frame.time for frame in source]
        assert source.gaps == ()
    assert times == pytest.approx([index / 10 for index in range(60)])


def test_memory_of_an_analysis_counts_its_decoder(tmp_path: Path) -> None:
    video = car_video(tmp_path / "car.mp4", count=20)
    peak = memory.peak_mb(video, site_file(tmp_path), "motion", tmp_path / "out")
    assert 60 < peak < 2000


def test_memory_of_an_analysis_that_fails_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        memory.peak_mb(tmp_path / "none.mp4", site_file(tmp_path), "motion", tmp_path / "out")


def test_unknown_sections_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'colour' is not one of speed, "):
        bench.run(data=tmp_path, as_json=True, only="colour")
    with pytest.raises(InputError, match="no such folder"):
        bench.run(data=tmp_path / "none", as_json=True, only="speed")
    with pytest.raises(InputError, match=r"View_001\.xml: no such file"):
        pets.write_site(tmp_path / "site.toml", tmp_path)


def test_numbers_are_json_and_tables_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Section(
        "Speed: a model", ("per frame", "mean ms"), [("bare", "14.60")], {"bare_ms": 14.6}, ("So.",)
    )
    monkeypatch.setattr(speed, "measure", lambda _folder: made)
    assert bench.run(data=tmp_path, as_json=True, only="speed") == 0
    assert json.loads(capsys.readouterr().out) == {"speed": {"bare_ms": 14.6}}
    assert bench.run(data=tmp_path, as_json=False, only="speed") == 0
    shown = capsys.readouterr().out
    assert "14.60" in shown and "So." in shown


@pytest.mark.data
def test_the_pets_site_has_the_clips_own_calibration(data: Path, tmp_path: Path) -> None:
    site = load_site(pets.write_site(tmp_path / "site.toml", data))
    plane = plane_of(site)
    assert plane is not None and plane.image_size == pets.IMAGE_SIZE
    with open_video(pets.video(data)) as source:
        assert source.image_size == plane.image_size
    assert max(plane.fit_error_m) < 1.0


@pytest.mark.data
def test_a_round_measures_bare_inference_and_the_line(data: Path, tmp_path: Path) -> None:
    detector = load(str(data / speed.MODEL), threads=1)
    site = pets.write_site(tmp_path / "site.toml", data)
    timings = Timings(keep=True)
    measured = speed.one_round(detector, site, pets.video(data), 1, timings, frames=20)
    assert measured.bare_s > 0.0005 and measured.line_s > 0.0005
    shown = speed.section(detector, 1, [measured], timings)
    assert shown.numbers["ratio"] == pytest.approx(measured.bare_s / measured.line_s)
    assert {"fetch", "redact", "track", "place", "judge", "record"} <= {
        row[0].split()[0] for row in shown.rows
    }
    assert timings.count["redact"] >= 20


def test_the_stages_are_a_picture() -> None:
    import xml.etree.ElementTree as ET

    lanes = {
        "detector's thread": [("detect", 14.2)],
        "the line's thread": [("fetch", 0.3), ("track <all>", 2.5)],
    }
    svg = flame.picture(lanes, title="A frame", inference_ms=14.0)
    drawn = ET.fromstring(svg)
    widths = [float(each.get("width", 0)) for each in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert max(widths[1:]) == pytest.approx(690, abs=1)  # the longest fills the picture
    assert "track &lt;all&gt; 2.50" in svg and "one inference 14.0 ms" in svg


@pytest.mark.data
def test_without_ultralytics_the_detectors_are_measured_and_it_is_said(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ultralytics", None)
    monkeypatch.setattr(detectors, "ROUNDS", 1)
    monkeypatch.setattr(detectors, "FRAMES", 6)
    section = detectors.measure(data)
    assert {"deimv2-femto", "deimv2-atto", "yolox-nano"} <= set(section.numbers)
    assert section.remarks[0].startswith(
        "Not measured against Ultralytics' tracker: Ultralytics is not installed"
    )
