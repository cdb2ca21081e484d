"""The examples work as their pages say: the real intersection of the STRUDL clip, analysed."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import camera_of
from calibration.geometry import inside
from calibration.plane import plane_of
from calibration.site import Site, load_site

STRUDL = Path(__file__).parent.parent / "examples" / "strudl" / "site.toml"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(STRUDL)


def test_points_held_out_lie_where_they_should(site: Site) -> None:
    plane = plane_of(site)
    assert plane is not None
    assert len(plane.held_out_error_m) >= 8
    assert np.median(plane.held_out_error_m) < 0.15
    assert plane.held_out_error_m.max() < 0.3


def test_the_camera_is_a_street_camera(site: Site) -> None:
    plane = plane_of(site)
    assert plane is not None
    camera = camera_of(plane)
    assert camera is not None
    assert camera.position[2] == pytest.approx(8.6, abs=0.3)
    assert plane.lens.bend == pytest.approx(-0.21, abs=0.03)


def test_stripes_are_a_metre_apart_on_all_crossings(site: Site) -> None:
    """Stripe ends as they are in the image, some of them not among the site file's points."""
    plane = plane_of(site)
    assert plane is not None
    runs = {
        "south": [(366.3, 263.9), (401.2, 278.4), (435.1, 294.7)],
        "north": [(497.9, 94.9), (516.9, 99.4), (535.2, 104.7)],
        "west": [(136.9, 86.8), (121.3, 91.7), (107.1, 97.3)],
        "east": [(616.1, 255.0), (609.0, 269.2), (603.4, 287.4)],
    }
    for crossing, ends in runs.items():
        steps = np.linalg.norm(np.diff(plane.ground(ends), axis=0), axis=1)
        assert steps.mean() == pytest.approx(1.0, abs=0.12), crossing


def test_crosswalks_lie_on_the_roadway_and_stop_lines_before_them(site: Site) -> None:
    road = site.roadways[0].polygon
    for crosswalk in site.crosswalks:
        assert inside(np.mean(crosswalk.polygon, axis=0), road)
    for line in site.stop_lines:
        middle = np.mean(line.line, axis=0)
        ahead = np.array([np.cos(np.deg2rad(line.heading_deg)), np.sin(np.deg2rad(line.heading_deg))])
        crosswalk = {"N": "north", "S": "south", "W": "west"}[line.id[0]]
        polygon = next(c.polygon for c in site.crosswalks if c.id == crosswalk)
        assert 0 < (np.mean(polygon, axis=0) - middle) @ ahead < 9


@pytest.mark.data
@pytest.mark.slow
def test_the_pedestrian_is_one_track_and_nothing_is_invented(data: Path, site: Site, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from edge.cli import app

    arguments = [
        "analyze", str(data / "video" / "strudl_vid0.mp4"), "--site", str(STRUDL), "--out", str(tmp_path),
        "--model", str(data / "weights" / "deimv2-femto.onnx"),
        "--times", str(data / "video" / "strudl_vid0.log"),
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event for event in events if event["outcome"] == "occurred"] == []

    tracks: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (tmp_path / "tracks.csv").open() as rows:
        for row in csv.DictReader(rows):
            tracks[row["track"]].append(row)
    times = sorted(float(row["time"]) for rows_of in tracks.values() for row in rows_of)
    walkers = [rows_of for rows_of in tracks.values() if rows_of[0]["kind"] == "pedestrian"]
    assert len(walkers) == 1
    (walker,) = walkers
    assert float(walker[0]["time"]) == times[0]
    assert float(walker[-1]["time"]) == times[-1]
    path = np.array([[float(row["x"]), float(row["y"])] for row in walker])
    crosswalk = next(c.polygon for c in site.crosswalks if c.id == "south")
    assert inside(path, crosswalk).all()
    seconds = times[-1] - times[0]
    assert np.linalg.norm(path[-1] - path[0]) / seconds == pytest.approx(1.5, abs=0.2)
    cars = [rows_of for rows_of in tracks.values() if rows_of[0]["kind"] == "car"]
    assert 9 <= len(cars) <= 14
    waiting = [rows_of for rows_of in cars if float(rows_of[0]["y"]) > 23 and len(rows_of) > 80]
    moved = [
        np.hypot(float(r[-1]["x"]) - float(r[0]["x"]), float(r[-1]["y"]) - float(r[0]["y"])) for r in waiting
    ]
    assert len(waiting) >= 4
    assert np.median(moved) < 0.5
