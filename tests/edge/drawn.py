"""A drawn street for tests of redaction: a pinhole camera, a road, and road users as flat textures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane, fit
from calibration.site import Site
from edge.frame import Frame
from edge.scene import Kind, RoadUser, Scene, SignalReading
from edge.sketch import Sketch, SketchBox
from models.detections import KINDS, Detections

SIZE = (640, 480)
ASPHALT = (96, 96, 96)
CANARY = (255, 0, 255)

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@cache
def pinhole(
    image_size: tuple[int, int] = SIZE,
    *,
    focal_px: float = 500.0,
    height_m: float = 7.0,
    tilt_deg: float = 25.0,
) -> Plane:
    """Return the ground plane of a camera that looks north and down; the origin is under it."""
    tilt = np.radians(tilt_deg)
    ahead = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    up = np.array([0.0, np.sin(tilt), np.cos(tilt)])
    points = [(x, y) for x in (-8.0, -4.0, 0.0, 4.0, 8.0) for y in (12.0, 18.0, 26.0, 40.0)]
    pixels = []
    for x, y in points:
        ray = np.array([x, y, -height_m])
        depth = ray @ ahead
        pixels.append(
            (image_size[0] / 2 + focal_px * x / depth, image_size[1] / 2 - focal_px * (ray @ up) / depth)
        )
    return fit(pixels, points, image_size=image_size)


def overhead(image_size: tuple[int, int] = SIZE, *, px_per_m: float = 50.0) -> Plane:
    """Return the plane of a camera straight above, the same scale everywhere."""
    width, height = image_size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return fit(corners, [(u / px_per_m, -v / px_per_m) for u, v in corners], image_size=image_size)


def site(plane: Plane, **more: object) -> Site:
    """Return a site with a crosswalk, a stop line and a signal head before the pinhole camera."""
    corners = [(-8.0, 14.0), (8.0, 14.0), (8.0, 30.0), (-8.0, 30.0)]
    return Site.model_validate_json(
        json.dumps(
            {
                "site": {"id": "drawn", "name": "Drawn St / <First> Ave"},
                "stop_lines": [
                    {"id": "N", "signal_group": "N", "line": [[-4, 22], [4, 22]], "heading_deg": -90}
                ],
                "crosswalks": [
                    {"id": "zebra", "signal_group": "ped", "polygon": [[-8, 16], [8, 16], [8, 20], [-8, 20]]}
                ],
                "roadways": [{"polygon": [[-60, 10], [60, 10], [60, 32], [-60, 32]]}],
                "signal_heads": [{"signal_group": "N", "region_px": [600, 20, 616, 60]}],
                "ground_plane": {
                    "image_size": list(plane.image_size),
                    "points": [
                        {"px": [float(n) for n in plane.image(corner)], "m": corner} for corner in corners
                    ],
                    "osd": [],
                },
                **more,
            }
        )
    )


def road(image_size: tuple[int, int] = SIZE, *, seed: int | None = None) -> Picture:
    """Return an empty road, plain or with grain."""
    width, height = image_size
    picture = np.full((height, width, 3), ASPHALT, np.uint8)
    if seed is not None:
        grain = np.random.default_rng(seed).integers(-6, 7, picture.shape)
        picture = (picture + grain).astype(np.uint8)
    return picture


def painted(picture: Picture, box: Box, texture: Picture | Sequence[int]) -> Picture:
    """Return the picture with a box filled with a colour, or with as much of a texture as fits."""
    left, top, right, bottom = box
    copy = picture.copy()
    part = copy[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    filling = np.asarray(texture, np.uint8)
    part[:] = filling[: part.shape[0], : part.shape[1]] if filling.ndim == 3 else filling
    return copy


def frame(picture: Picture, time: float, index: int = 0) -> Frame:
    return Frame(index, time, 0.0, picture)


def seen(*boxes: Box, kind: Kind = "pedestrian") -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(len(boxes), np.float32),
        np.full(len(boxes), KINDS.index(kind), np.int8),
    )


@dataclass(frozen=True)
class Lamps:
    """A signal history of made changes: group to (time, state)."""

    states: dict[str, list[tuple[float, str]]]

    def at(self, group: str, time: float) -> SignalReading:
        past = [change for change in self.states.get(group, []) if change[0] <= time]
        if not past:
            return SignalReading(group, "unknown", None, float("inf"), "none")
        return SignalReading(group, past[-1][1], past[-1][0], 0.0, "file")  # type: ignore[arg-type]  # made

    def changes(self, group: str, start: float, end: float) -> list[SignalReading]:
        return [self.at(group, time) for time, _ in self.states.get(group, []) if start < time <= end]


def scene(time: float, *users: RoadUser, lamps: Lamps | None = None) -> Scene:
    return Scene(time, 0.0, users, Lamps({}) if lamps is None else lamps)


def sketch(time: float, *boxes: SketchBox, cells: tuple[int, ...] = (), faulty: bool = False) -> Sketch:
    return Sketch(time, boxes, cells, 32, 20, faulty)
