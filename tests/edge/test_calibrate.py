"""What `nearmiss calibrate` lays on the desk: the empty street, tracks to replay, a camera that moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from broker.wire import LocalEvent
from calibration.drift import load_structure, structure_file
from calibration.site import load_site
from edge import analyze, opening
from edge.calibrate import SceneMemory, desk_of, replay_of
from edge.errors import InputError
from edge.sources.file import open_video
from edge.still import StillBuilder, _median
from tests.edge.streets import CarDetector, car_box, car_video, site_file

HEADER = "time,track,kind,x,y,heading_deg,length_m,width_m\n"


def textured() -> np.ndarray:
    """Return a road (200, 400, 3) with marks and walls to know it again by; none of it is red."""
    rng = np.random.default_rng(3)
    image = np.full((200, 400, 3), 90, np.uint8)
    for _ in range(60):
        corners = rng.integers(0, (400, 200), 2) + rng.integers(-18, 18, (4, 2))
        grey = int(rng.integers(40, 140))
        cv2.fillConvexPoly(image, cv2.convexHull(corners.astype(np.int32)), (grey, grey, grey))
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def recording(
    path: Path, *, shift_px: Callable[[int], int] = lambda _index: 0, count: int = 60, standing: bool = False
) -> Path:
    """Write ten frames a second of a red car on the textured road, seen by a camera that may be shifted."""
    road = textured()
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 400, 200, "yuv420p"
        stream.options = {"bf": "0", "preset": "ultrafast", "crf": "8"}
        for index in range(count):
            image = road.copy()
            left, top, right, bottom = car_box(40 if standing else index)
            image[top:bottom, max(left, 0) : max(right, 0)] = (30, 30, 200)
            image = np.roll(image, shift_px(index), axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def red(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture[..., 0].astype(int) - picture[..., 1] > 60)


def test_the_desk_shows_the_street_without_who_drives_on_it(tmp_path: Path) -> None:
    video = recording(tmp_path / "street.mp4")
    desk = desk_of(video, site=tmp_path / "site.toml")
    assert desk.image_size == (400, 200) and not red(desk.background).any()
    away = np.abs(desk.background.astype(int) - textured()[..., ::-1]).max(axis=-1)
    assert np.median(away) < 6 and (away < 25).mean() > 0.9, "elsewhere it is the road, at full resolution"
    assert [each.name for each in tmp_path.iterdir()] == ["street.mp4"], "and it is in memory alone"


def test_who_stands_all_the_time_is_hatched_where_a_detector_sees_it(tmp_path: Path) -> None:
    with open_video(recording(tmp_path / "street.mp4", standing=True)) as source:
        builder = StillBuilder(source, CarDetector())
        for frame in source:
            if not builder.ingest(frame):
                break
        still = builder.still()
    left, top, right, bottom = car_box(40)
    assert not still.known[top:bottom, left:right].any() and not red(still.picture[..., ::-1]).any()
    assert still.known.mean() > 0.8


def test_a_recording_too_short_for_a_background_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures of the street, expected at least"):
        desk_of(car_video(tmp_path / "short.mp4", count=2), site=tmp_path / "site.toml")


def test_the_median_is_that_of_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    stack, seen = rng.integers(0, 256, (9, 12, 7, 3)).astype(np.uint8), rng.random((9, 12, 7)) < 0.7
    seen[:2] = True
    masked = np.where(seen[..., None], stack, np.nan)
    assert np.array_equal(_median(stack.copy(), seen), np.nanmedian(masked, axis=0).astype(np.uint8))


# ------------------------------------------------------------------------------------------- a moved camera


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """Return a site file that was saved on the textured street, its structure beside it."""
    site = site_file(tmp_path)
    desk = desk_of(recording(tmp_path / "first.mp4"), site=site)
    assert desk.moved is None
    desk.saved(load_site(site))
    assert load_structure(structure_file(site)) is not None
    return site


def test_a_camera_that_stands_still_is_not_said_to_have_moved(calibrated: Path, tmp_path: Path) -> None:
    assert desk_of(recording(tmp_path / "later.mp4"), site=calibrated).moved is None


def test_a_camera_that_moved_is_told_in_pixels_and_metres_until_the_points_follow(
    calibrated: Path, tmp_path: Path
) -> None:
    before = structure_file(calibrated).read_bytes()
    video = recording(tmp_path / "knocked.mp4", shift_px=lambda _index: 8)
    desk = desk_of(video, site=calibrated)
    assert desk.moved is not None
    # Ten pixels are a metre on this street.
    assert "moved by 8.0 px, 0.80 m on the road" in desk.moved["text"]
    assert np.allclose(desk.moved["points"], [[1, 0, 8], [0, 1, 0]], atol=0.25)
    # Saved without moving the points: the structure stays that of the old place, so it is told again.
    desk.saved(load_site(calibrated))
    assert structure_file(calibrated).read_bytes() == before
    text = calibrated.read_text()
    for old, new in (("[0, 0]", "[8, 0]"), ("[400, 0]", "[408, 0]"), ("[400, 200]", "[408, 200]")):
        text = text.replace(f"px = {old}", f"px = {new}")
    calibrated.write_text(text)
    desk.saved(load_site(calibrated))
    assert structure_file(calibrated).read_bytes() != before
    assert desk_of(video, site=calibrated).moved is None


def test_another_street_is_told(calibrated: Path, tmp_path: Path) -> None:
    from calibration.editor.site_file import SiteFile
    from edge.still import Still

    other = np.random.default_rng(5).integers(0, 255, (25, 50, 3)).astype(np.uint8)
    picture = cv2.resize(other, (400, 200), interpolation=cv2.INTER_NEAREST)
    still = Still(picture, np.ones((200, 400), bool), 20, 6.0)
    moved = SceneMemory(SiteFile(calibrated), still).moved
    assert moved is not None and "another scene" in moved["text"] and moved["points"] is None


def test_while_the_camera_is_off_analyze_judges_nothing_and_says_so(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "detector_of", lambda *_args, **_more: CarDetector())
    (tmp_path / "signals.csv").write_text("time,signal_group,state\n0,E,green\n3,E,red\n")

    def judged(name: str, shift_px: Callable[[int], int]) -> list[LocalEvent]:
        out = tmp_path / name
        options: dict[str, Any] = {"site": calibrated, "signals": tmp_path / "signals.csv", "model": "motion"}
        options |= {"provider": None, "threads": None, "out": out, "start": None, "times": None}
        video = recording(tmp_path / f"{name}.mp4", shift_px=shift_px)
        assert analyze.run(video, clips="none", **options) == 0
        return [LocalEvent.decode(line) for line in (out / "events.jsonl").read_bytes().splitlines()]

    (steady,) = judged("steady", lambda _index: 0)
    assert (steady.rule, steady.outcome) == ("red_light_entry", "occurred")
    capsys.readouterr()
    moved = judged("moved", lambda index: 8 if index >= 15 else 0)
    assert "occurred" not in {event.outcome for event in moved}
    assert "moved by 8.0 px (0.80 m on the road)" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------- tracks


def tracks(path: Path, *, speed_mps: float, kind: str = "car", count: int = 900) -> Path:
    rows = [
        f"{index / 10:.1f},1,{kind},{speed_mps * index / 10:.3f},0.0,0.0,4.5,1.8" for index in range(count)
    ]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_tracks_are_replayed_with_their_speed_thinned(tmp_path: Path) -> None:
    replay = replay_of(tracks(tmp_path / "tracks.csv", speed_mps=10.0))
    (one,) = replay["tracks"]
    assert (one["kind"], one["odd"], one["fastest_mps"]) == ("car", False, 10.0)
    assert len(one["t"]) == len(one["x"]) == len(one["v"]) <= 400 and set(one["v"]) == {10.0}
    assert replay["kinds"] == [{"kind": "car", "count": 1, "median_mps": 10.0, "fastest_mps": 10.0, "odd": 0}]


@pytest.mark.parametrize(("kind", "speed_mps"), [("pedestrian", 6.0), ("car", 60.0), ("bicycle", 20.0)])
def test_who_is_faster_than_its_kind_goes_is_odd(tmp_path: Path, kind: str, speed_mps: float) -> None:
    replay = replay_of(tracks(tmp_path / "tracks.csv", speed_mps=speed_mps, kind=kind))
    assert replay["tracks"][0]["odd"] and replay["kinds"][0]["odd"] == 1


@pytest.mark.parametrize(
    "text", [HEADER, HEADER + "0.0,1,car,0,0,0,4.5,1.8\n"], ids=["no row", "one instant"]
)
def test_a_file_without_a_track_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "tracks.csv").write_text(text)
    with pytest.raises(InputError, match="holds no track"):
        replay_of(tmp_path / "tracks.csv")
