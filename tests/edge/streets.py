"""A street seen straight from above, for tests of the line: 10 px are a metre."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from calibration.site import Site, load_site
from edge.frame import Frame, Gap
from models.detections import KINDS, Detections

SITE = """
[site]
id = "test-street"
[[stop_lines]]
id = "E"
signal_group = "E"
line = [[20.0, 8.0], [20.0, 12.0]]
heading_deg = 0.0
[[crosswalks]]
id = "zebra"
signal_group = "ped"
polygon = [[22, 4], [26, 4], [26, 16], [22, 16]]
[[roadways]]
id = "road"
polygon = [[0, 6], [40, 6], [40, 14], [0, 14]]
[ground_plane]
image_size = [400, 200]
osd = []
points = [
  { px = [0, 0], m = [0, 20] }, { px = [400, 0], m = [40, 20] }, { px = [400, 200], m = [40, 0] },
  { px = [0, 200], m = [0, 0] }, { px = [200, 100], m = [20, 10] }, { px = [100, 50], m = [10, 15] },
]
"""


def street(folder: Path) -> Site:
    return load_site(site_file(folder))


def site_file(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def car_image(index: int, *, step_px: int = 4) -> NDArray[np.uint8]:
    """Return an image (200, 400, 3) of a grey road with a car 45 × 18 px that drives east."""
    image = np.full((200, 400, 3), 90, np.uint8)
    left, top, right, bottom = car_box(index, step_px=step_px)
    image[top:bottom, max(left, 0) : max(right, 0)] = (30, 30, 200)
    return image


def car_box(index: int, *, step_px: int = 4) -> tuple[int, int, int, int]:
    left = index * step_px - 45
    return left, 91, left + 45, 109


class CarDetector:
    """Sees the red car; fails on frames it is told to fail on."""

    name = "red-car"
    provider = "test"

    def __init__(self, fails: Sequence[int] = ()) -> None:
        self.calls = 0
        self._fails = frozenset(fails)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        self.calls += 1
        if self.calls - 1 in self._fails:
            raise RuntimeError("no inference")
        rows, columns = np.nonzero(image[..., 2] > 150)
        if not len(rows):
            return Detections.none()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(
            np.array([box], np.float32), np.array([0.9], np.float32), np.array([KINDS.index("car")], np.int8)
        )


class ListSource:
    """Frames of the car at given times."""

    def __init__(self, times: Sequence[float], gaps: Sequence[Gap] = ()) -> None:
        self._times = times
        self.gaps = tuple(gaps)
        self.taken = 0

    def __iter__(self) -> Iterator[Frame]:
        for index, time in enumerate(self._times):
            self.taken += 1
            yield Frame(index, time, 0.01, car_image(index))


def car_video(path: Path, *, count: int = 60) -> Path:
    """Write a recording of the car, 10 frames a second; its front is over the stop line at 5.0 s."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 400, 200, "yuv420p", 10
        stream.options = {"bf": "0", "preset": "ultrafast", "crf": "12"}
        for index in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(car_image(index), format="bgr24")))
        container.mux(stream.encode(None))
    return path
