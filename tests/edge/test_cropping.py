"""A network that is shown the part of the picture that matters: the same boxes, and nobody on a plate."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.plane import plane_of
from calibration.site import load_site
from edge.cropping import MOST_SHARE, crop_of
from edge.errors import InputError
from edge.opening import opened
from edge.plate import OWN_RECORDING_WINDOW_S
from edge.redact import Redactor
from edge.zones import zone_mask
from models import zoo
from models.crop import Cropped
from models.detections import Detections
from tests.edge.streets import SITE, car_video, site_file, street

from .drawn import SIZE, frame, overhead, painted, road, seen
from .drawn import site as drawn_site

_PLACES = """[[crosswalks]]
id = "zebra"
polygon = [[22, 9], [24, 9], [24, 11], [22, 11]]
"""
SMALL = SITE[: SITE.index("[[stop_lines]]")] + _PLACES + SITE[SITE.index("[ground_plane]") :]
WHITE = (230, 230, 230)


class Network:
    """Sees one box in the middle of whatever it is shown."""

    name, provider = "mine", "test"

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def prepare(self, image: NDArray[np.uint8]) -> tuple[int, int]:
        self.shown.append(image.shape)
        return image.shape[1], image.shape[0]

    def compute(self, prepared: tuple[int, int]) -> tuple[int, int]:
        return prepared

    def read(self, _prepared: Any, computed: tuple[int, int]) -> Detections:
        x, y = computed[0] // 2, computed[1] // 2
        return seen((x - 5, y - 10, x + 5, y + 10))


def test_the_part_holds_every_place_in_the_shape_of_the_picture(tmp_path: Path) -> None:
    site = load_site(site_file(tmp_path, SMALL))
    plane = plane_of(site)
    part = crop_of(site, plane, (400, 200))
    assert part is not None
    left, top, right, bottom = part
    assert 0 <= left < right <= 400 and 0 <= top < bottom <= 200
    assert (right - left) / (bottom - top) == pytest.approx(2.0, abs=0.03)
    assert (right - left) * (bottom - top) <= MOST_SHARE * 400 * 200 + 400
    outside = zone_mask(site, plane, (400, 200))
    outside[top // 4 : bottom // 4, left // 4 : right // 4] = False
    assert not outside.any()


def test_where_places_take_most_of_the_picture_all_of_it_is_shown(tmp_path: Path) -> None:
    site = street(tmp_path)
    assert crop_of(site, plane_of(site), (400, 200)) is None


def test_boxes_are_told_in_the_pixels_of_the_whole_image() -> None:
    network = Network()
    found = Cropped(network, (100, 40, 300, 140)).detect(np.zeros((200, 400, 3), np.uint8))
    assert network.shown == [(100, 200, 3)]
    np.testing.assert_array_equal(found.boxes_px, [[195, 80, 205, 100]])


def test_who_stands_where_nobody_looks_is_never_on_a_plate() -> None:
    plane = overhead(SIZE)
    shown = (100, 80, 560, 420)
    # Two stand still all the time, so that nothing moves: one elsewhere, of one a hand is in the part.
    stands = painted(painted(road(), (20, 20, 60, 100), WHITE), (70, 200, 104, 260), WHITE)
    plates = {}
    for part in (None, shown):
        redactor = Redactor(SIZE, plane=plane, plate_window_s=OWN_RECORDING_WINDOW_S, seen_px=part)
        for n in range(120):
            sketch = redactor.ingest(frame(stands, n / 3), Detections.none())
            assert not sketch.faulty
        background = redactor.plate(drawn_site(plane)).background
        assert background is not None
        png = np.frombuffer(base64.b64decode(background), np.uint8)
        plates[part] = cv2.imdecode(png, cv2.IMREAD_COLOR).astype(int)
    assert (plates[None][30:90, 30:50] > 200).all()  # of one who is looked at and missed it would show
    assert not (plates[shown] > 200).any()
    # In the part that is shown the road is there.
    assert abs(plates[shown][230:250, 300:340] - road()[0, 0]).max() < 16


def test_what_moves_where_nobody_looks_covers_its_cells() -> None:
    redactor = Redactor(SIZE, plane=overhead(SIZE), seen_px=(320, 240, 640, 480))
    for n in range(10):
        redactor.ingest(frame(road(), n / 10), Detections.none())
    sketch = redactor.ingest(frame(painted(road(), (20, 20, 100, 100), WHITE), 1.0), Detections.none())
    assert sketch.cells


def test_motion_is_shown_the_whole_street(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--crop on: motion learns the whole street"):
        _opened(tmp_path, model="motion")


@pytest.mark.data
def test_a_site_of_few_places_is_analysed_with_its_part(data: Path, tmp_path: Path) -> None:
    inputs = _opened(tmp_path, model=str(data / "weights" / "deimv2-atto.onnx"), text=SMALL)
    with inputs.source:
        assert isinstance(inputs.detector, Cropped)
        assert inputs.seen_px == inputs.detector.rectangle
        assert inputs.detector.name == "deimv2-atto"


@pytest.mark.data
def test_where_all_of_the_picture_is_shown_it_is_told(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = _opened(tmp_path, model=str(data / "weights" / "deimv2-atto.onnx"))
    with inputs.source:
        assert inputs.seen_px is None
        assert "places take more than 60 % of the picture: all of it is shown" in caplog.text


@pytest.mark.data
def test_a_part_shows_road_users_where_the_whole_picture_does(data: Path) -> None:
    image = np.asarray(cv2.VideoCapture(str(data / "pets2009" / "s2l1.mp4")).read()[1], np.uint8)
    network = zoo.load(str(data / "weights" / "deimv2-femto.onnx"), threads=1)
    height, width = image.shape[:2]
    part = (0, 0, round(0.7 * width), round(0.7 * height))
    whole, alone = network.detect(image), Cropped(network, part).detect(image)
    inside = (
        (whole.scores > 0.5) & (whole.boxes_px[:, 2] < part[2] - 10) & (whole.boxes_px[:, 3] < part[3] - 10)
    )
    assert inside.any()
    for box in whole.boxes_px[inside]:
        assert np.abs(alone.boxes_px - box).max(axis=1).min() < 0.2 * (box[3] - box[1])


def _opened(folder: Path, *, model: str, text: str = SITE) -> Any:
    video = car_video(folder / "street.mp4", count=4)
    return opened(
        video, site=site_file(folder, text), signals=None, model=model, provider=None, threads=1,
        out=folder / "out", start=None, times=None, clips="scene", crop="on",
    )  # fmt: skip
