"""The junction's ground seen from above: asphalt, pavement, grass and markings, as one picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.demo.junction import (
    CROSSWALK_M,
    CROSSWALKS,
    CYCLE_LANE_M,
    HALF_ROAD_M,
    LANE_M,
    LEG_M,
    STOP_LINE_M,
)

Image = NDArray[np.uint8]
PX_PER_M = 20.0
EXTENT_M = (-32.0, 80.0)  # of the picture, along x and y
_PAVEMENT_M = 3.6
ASPHALT, PAVEMENT, GRASS, KERB, PAINT = (
    (98, 96, 94),
    (158, 164, 168),
    (78, 112, 92),
    (188, 190, 190),
    (226, 230, 230),
)


def to_plan_px() -> NDArray[np.float64]:
    """Return the matrix (3, 3) from metres to pixels of the picture (y down)."""
    low, high = EXTENT_M
    return np.array([[PX_PER_M, 0, -low * PX_PER_M], [0, -PX_PER_M, high * PX_PER_M], [0, 0, 1.0]])


def plan_picture(rng: np.random.Generator) -> Image:
    """Return the ground as seen from above, BGR, ``PX_PER_M`` and ``EXTENT_M``."""
    side = round((EXTENT_M[1] - EXTENT_M[0]) * PX_PER_M)
    picture = np.full((side, side, 3), GRASS, np.uint8)
    _mottle(picture, rng, 14, cell=3)
    edge, far = HALF_ROAD_M, LEG_M + 20
    back = edge + _PAVEMENT_M
    for flip in (False, True):
        _fill(picture, (-far, -back, far, back), PAVEMENT, flip=flip)
    for joint in np.arange(-30.0, 80.0, 1.2):
        for flip in (False, True):
            for y1, y2 in ((edge, back), (-back, -edge)):
                _fill(picture, (joint, y1, joint + 0.05, y2), (146, 152, 156), flip=flip)
    for flip in (False, True):
        _fill(picture, (-far, -edge - 0.15, far, edge + 0.15), KERB, flip=flip)
    _fill(picture, (18.3, -30.0, 20.7, -back), PAVEMENT)  # a path that joins the pavement
    asphalt = np.full((side, side, 3), ASPHALT, np.uint8)
    _mottle(asphalt, rng, 9, cell=1)
    _mottle(asphalt, rng, 7, cell=30)
    mask = np.zeros((side, side, 3), np.uint8)
    for flip in (False, True):
        _fill(mask, (-far, -edge, far, edge), (255, 255, 255), flip=flip)
    cv2.copyTo(asphalt, mask[..., 0], picture)
    _markings(picture)
    return picture


def _markings(picture: Image) -> None:
    inner, edge = STOP_LINE_M, HALF_ROAD_M
    cycle_m = (LANE_M + CYCLE_LANE_M) / 2 + 0.4
    for turn in range(4):  # each leg in turn, drawn as the east leg, whose inbound lane has y > 0
        _fill(picture, (inner, 0.12, inner + 0.45, edge), PAINT, turn=turn)
        for y in (-0.16, 0.06):
            _fill(picture, (inner, y, LEG_M, y + 0.1), (70, 190, 225), turn=turn)
        for x in np.arange(inner + 0.6, LEG_M, 3.0):
            for y in (cycle_m, -cycle_m):
                _fill(picture, (x, y - 0.06, x + 1.5, y + 0.06), PAINT, turn=turn)
        for y in np.arange(-edge + 0.3, edge - 0.2, 0.95):
            _fill(picture, (CROSSWALK_M[0], y, CROSSWALK_M[1], y + 0.5), PAINT, turn=turn)
        _arrow(picture, 16.5, LANE_M, turn=turn)
    assert len(CROSSWALKS) == 4


def _arrow(picture: Image, x: float, y: float, *, turn: int) -> None:
    shape = [(2.2, -0.08), (2.2, 0.08), (0.9, 0.08), (0.9, 0.3), (0.0, 0.0), (0.9, -0.3), (0.9, -0.08)]
    _polygon(picture, [(x + dx, y + dy) for dx, dy in shape], PAINT, turn=turn)


def _fill(
    picture: Image,
    rectangle: tuple[float, float, float, float],
    colour: tuple[int, int, int],
    *,
    flip: bool = False,
    turn: int = 0,
) -> None:
    x1, y1, x2, y2 = rectangle
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    _polygon(picture, [(y, x) for x, y in corners] if flip else corners, colour, turn=turn)


def _polygon(
    picture: Image, points: list[tuple[float, float]], colour: tuple[int, int, int], *, turn: int
) -> None:
    for _ in range(turn):
        points = [(-y, x) for x, y in points]
    plan = np.array([(x, y, 1.0) for x, y in points]) @ to_plan_px().T
    cv2.fillPoly(picture, [np.round(plan[:, :2] * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _mottle(picture: Image, rng: np.random.Generator, strength: float, *, cell: int) -> None:
    height, width = picture.shape[:2]
    coarse = rng.normal(0, strength, (height // cell + 2, width // cell + 2)).astype(np.float32)
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture[:] = np.clip(picture + grain[..., None], 0, 255).astype(np.uint8)
