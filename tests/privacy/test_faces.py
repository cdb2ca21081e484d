"""A face detector, for its one purpose: that it finds nobody on a plate, and in no capped picture.

The control is the recording itself, in which it finds them. Detectors have blind spots, also this one: the
proof is non-interference (test_non_interference), this shows that the cap of 12.5 px/m is no empty word.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.plane import Plane, fit
from calibration.tsai import load_tsai
from edge.capping import Cap, scale_map
from edge.plate import OWN_RECORDING_WINDOW_S
from edge.redact import Redactor
from edge.sources.file import open_video
from models.detections import Detections
from models.motion import MotionDetector

from ..edge.drawn import site

pytestmark = [pytest.mark.data, pytest.mark.slow]

SIZE = (480, 360)
# PETS boxes and calibration are for 768 x 576, the recording is smaller.
SHRINK = SIZE[0] / 768
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def plane(data: Path) -> Plane:
    camera = load_tsai(data / "pets2009" / "View_001.xml")
    pixels = [(u, v) for u in np.linspace(30, 738, 9) for v in np.linspace(120, 560, 7)]
    ground = [camera.ground(pixel) / 1000 for pixel in pixels]
    pairs = [
        ((u * SHRINK, v * SHRINK), tuple(point))
        for (u, v), point in zip(pixels, ground, strict=True)
        if np.isfinite(point).all() and np.abs(point).max() < 60
    ]
    return fit([pixel for pixel, _ in pairs], [point for _, point in pairs], image_size=SIZE)


@pytest.fixture(scope="module")
def pictures(data: Path) -> list[Picture]:
    """Return every tenth picture of the recording."""
    return [image for n, image in enumerate(filmed(data)) if n % 10 == 0]


def filmed(data: Path) -> Iterator[Picture]:
    source = open_video(data / "pets2009" / "s2l1.mp4", start_time=0.0, times=None)
    for frame in source:
        yield frame.image
    source.close()


@pytest.fixture(scope="module")
def find(data: Path, plane: Plane) -> Detector:
    return Detector(data / "face_detector" / "yunet.onnx", plane)


class Detector:
    """YuNet with a low threshold, asked at several sizes of a picture.

    What is wider than half a metre where it is seen is no face: the back of a van looks like one.
    """

    def __init__(self, weights: Path, plane: Plane) -> None:
        self._weights = str(weights)
        self._widest_px = 0.5 * cv2.resize(scale_map(plane), SIZE, interpolation=cv2.INTER_NEAREST)

    def faces(self, picture: Picture, *, enlarged: int) -> int:
        large = cv2.resize(picture, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        size = (large.shape[1], large.shape[0])
        _, found = cv2.FaceDetectorYN.create(self._weights, "", size, 0.6).detect(large)
        boxes = [] if found is None else (found[:, :4] / enlarged).tolist()
        return sum(
            width <= self._widest(left + width / 2, top + height / 2) for left, top, width, height in boxes
        )

    def _widest(self, x: float, y: float) -> float:
        return float(self._widest_px[min(max(int(y), 0), SIZE[1] - 1), min(max(int(x), 0), SIZE[0] - 1)])


def test_faces_are_found_in_the_recording(pictures: list[Picture], find: Detector) -> None:
    """The control: without it the tests below would pass with a detector that is blind."""
    assert sum(find.faces(picture, enlarged=2) for picture in pictures[::2]) >= 20


def test_next_to_none_is_found_once_a_picture_is_capped(
    pictures: list[Picture], plane: Plane, find: Detector
) -> None:
    """Were every mask to fail at once, and each sample to hold everybody, this is what would be left.

    A head of two pixels on shoulders is sometimes taken for a face: at most for one face in ten.
    """
    cap = Cap(SIZE, scale_map(plane), image_width=SIZE[0])
    some = pictures[::3]
    raw = sum(find.faces(picture, enlarged=2) for picture in some)
    capped = sum(find.faces(cap.apply(picture), enlarged=2) for picture in some)
    assert capped <= 0.1 * raw


@pytest.mark.parametrize("seen", ["motion", "nobody"])
def test_none_is_found_on_a_plate(data: Path, plane: Plane, find: Detector, seen: str) -> None:
    """Made with the weakest detector, and with one that sees nobody at all."""
    redactor = Redactor(SIZE, plane=plane, plate_window_s=OWN_RECORDING_WINDOW_S)
    detector = MotionDetector(SIZE, plane) if seen == "motion" else None
    source = open_video(data / "pets2009" / "s2l1.mp4", start_time=0.0, times=None)
    for frame in source:
        redactor.ingest(frame, detector.detect(frame.image) if detector else Detections.none())
    source.close()
    plate = redactor.plate(site(plane))
    assert plate.background is not None
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(plate.background), np.uint8), cv2.IMREAD_COLOR)
    for enlarged in (1, 4, 8):
        assert find.faces(np.asarray(picture, np.uint8), enlarged=enlarged) == 0
