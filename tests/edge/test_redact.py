"""The redactor: boxes and cells come out, less of them where anything is wrong, and no pixel is kept."""

from __future__ import annotations

import logging
import weakref

import numpy as np
import pytest

from calibration.plane import Plane
from edge.capping import scale_map
from edge.redact import CELL_M, Redactor, cell_size_px
from edge.sketch import SketchBox
from models.detections import Detections

from .drawn import SIZE, frame, overhead, painted, pinhole, road, seen

WALKER = (203, 199, 231, 281)
WHITE = (230, 230, 230)


def redactor(plane: Plane | None = None, **more: object) -> Redactor:
    return Redactor(SIZE, plane=plane or pinhole(), **more)  # type: ignore[arg-type]  # keywords of the test


def shown_empty(target: Redactor, until: float = 1.0) -> Redactor:
    """Let the redactor see an empty road first."""
    for n in range(int(until * 10)):
        assert not target.ingest(frame(road(), n / 10), Detections.none()).faulty
    return target


def test_a_box_is_snapped_and_known_to_have_moved() -> None:
    walking = painted(road(), WALKER, WHITE)
    sketch = shown_empty(redactor()).ingest(frame(walking, 1.0), seen(WALKER))
    assert sketch.boxes == (SketchBox(204, 200, 232, 280, "pedestrian", moved=True),)
    assert sketch.cells == ()


def test_a_box_over_an_empty_road_is_hollow() -> None:
    sketch = shown_empty(redactor()).ingest(frame(road(), 1.0), seen(WALKER))
    assert [box.moved for box in sketch.boxes] == [False]


def test_boxes_keep_the_order_of_the_detections() -> None:
    boxes = [(400, 200, 440, 240), (100, 100, 140, 140), (240, 300, 300, 340)]
    sketch = shown_empty(redactor()).ingest(frame(road(), 1.0), seen(*boxes))
    assert [box.left_px for box in sketch.boxes] == [400, 100, 240]


def test_what_moves_without_a_box_is_told_in_cells() -> None:
    target = shown_empty(redactor())
    sketch = target.ingest(frame(painted(road(), (200, 200, 320, 320), WHITE), 1.0), Detections.none())
    assert sketch.cells
    rows, columns = np.divmod(np.array(sketch.cells), sketch.columns)
    assert 200 - target.cell_px < columns.min() * target.cell_px
    assert rows.max() * target.cell_px < 320


def test_a_mover_smaller_than_a_cell_is_nothing() -> None:
    sketch = shown_empty(redactor()).ingest(
        frame(painted(road(), (200, 200, 208, 208), WHITE), 1.0), Detections.none()
    )
    assert sketch.cells == ()


def test_burned_in_text_and_lamps_do_not_move() -> None:
    clock, lamp = (0.0, 0.0, 200.0, 60.0), (500.0, 100.0, 560.0, 200.0)
    target = shown_empty(redactor(osd=[clock], lamps=[lamp]))
    ticking = painted(painted(road(), (0, 0, 200, 60), WHITE), (500, 100, 560, 200), WHITE)
    assert target.ingest(frame(ticking, 1.0), Detections.none()).cells == ()


def test_a_change_of_exposure_is_no_motion() -> None:
    sketch = shown_empty(redactor()).ingest(frame(road() + np.uint8(50), 1.0), Detections.none())
    assert sketch.cells == ()
    assert not sketch.faulty


@pytest.mark.parametrize(
    ("picture", "time", "detections"),
    [
        pytest.param(np.zeros((100, 100, 3), np.uint8), 1.0, Detections.none(), id="another image size"),
        pytest.param(road(), 2.5, Detections.none(), id="no frame for longer than a second"),
        pytest.param(road(), 0.5, Detections.none(), id="a clock set back"),
        pytest.param(painted(road(), (0, 0, 640, 330), WHITE), 1.0, Detections.none(), id="flood of motion"),
        pytest.param(road(), 1.0, seen((0, 0, float("nan"), 9)), id="a box that is no box"),  # type: ignore[arg-type]
        pytest.param(np.zeros((480, 640), np.uint8), 1.0, Detections.none(), id="an image without colours"),
    ],
)
def test_what_goes_wrong_gives_less_picture(picture: np.ndarray, time: float, detections: Detections) -> None:
    sketch = shown_empty(redactor()).ingest(frame(picture, time), detections)
    assert sketch.faulty
    assert sketch.boxes == ()
    assert sketch.cells == ()


def test_after_a_fault_the_street_is_drawn_again_and_both_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = shown_empty(redactor())
    with caplog.at_level(logging.INFO, logger="edge.redact"):
        for n in range(5):
            assert target.ingest(frame(np.zeros((9, 9, 3), np.uint8), 1.0 + n / 10), seen()).faulty
        for n in range(5):
            assert not target.ingest(frame(road(), 1.5 + n / 10), seen()).faulty
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_an_error_within_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    target = shown_empty(redactor())
    monkeypatch.setattr(target, "_sketch", lambda *_: 1 / 0)
    assert target.ingest(frame(road(), 1.0), seen()).faulty


def test_mode_none_draws_nothing() -> None:
    assert redactor(mode="none").ingest(frame(road(), 0.0), seen(WALKER)).faulty


@pytest.mark.parametrize("mode", ["scene", "schematic"])
def test_no_reference_to_a_frame_is_kept(mode: str) -> None:
    target = redactor(mode=mode)
    for n in range(30):
        picture = painted(road(), (40 + n, 200, 80 + n, 280), WHITE)
        kept = weakref.ref(picture)
        target.ingest(frame(picture, n / 5), seen((40 + n, 200, 80 + n, 280)))
        del picture
        assert kept() is None


@pytest.mark.parametrize(
    "plane",
    [
        pytest.param(pinhole(), id="over a street"),
        pytest.param(pinhole(height_m=4.0, tilt_deg=35.0), id="low"),
        pytest.param(pinhole(height_m=12.0, tilt_deg=15.0), id="high and far"),
        pytest.param(pinhole((1280, 720), focal_px=1000.0), id="720p"),
        pytest.param(overhead(px_per_m=20.0), id="straight down"),
    ],
)
def test_a_cell_is_a_quarter_of_a_metre_or_more_wherever_it_lies(plane: Plane) -> None:
    side = cell_size_px(plane.image_size, plane)
    assert side >= 8
    width, height = plane.image_size
    u, v = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9))
    scale = plane.px_per_m(plane.ground(np.stack([u, v], axis=-1)))
    assert side >= CELL_M * np.nanmax(np.where(np.isfinite(scale), scale, np.nan))


@pytest.mark.parametrize("tilt_deg", [10.0, 25.0, 45.0])
@pytest.mark.parametrize("height_m", [4.0, 7.0, 15.0])
def test_the_scale_of_a_head_is_known_from_the_ground_alone(height_m: float, tilt_deg: float) -> None:
    """A head at 2.2 m is as large in the image as ground on a plane 2.2 m higher would be."""
    plane = pinhole(height_m=height_m, tilt_deg=tilt_deg)
    head_plane = pinhole(height_m=height_m - 2.2, tilt_deg=tilt_deg)
    # Straight ahead, where the scale across the line of sight is focal length over depth.
    v = np.arange(400.0, 480.0, 16.0)
    pixels = np.stack([np.full_like(v, 320.0), v], axis=-1)
    across = np.array([2.0, 0.0])
    points = head_plane.ground(pixels)
    scale = np.linalg.norm(
        head_plane.image(points + across / 2) - head_plane.image(points - across / 2), axis=1
    )
    known = scale_map(plane)[(v / 8 - 1).astype(int), 40]
    assert known == pytest.approx(scale / 2.0, rel=0.02)
