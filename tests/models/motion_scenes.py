"""Small drawn streets for the motion detector: textured ground, solids of known boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
SIZE = (480, 320)
RATE_HZ = 12.5


class Overhead:
    """A camera straight above: one scale everywhere, heights seen as if foreshortened by half."""

    SCALE = 14.0

    def ground(self, points_px: ArrayLike, /) -> Floats:
        pixel = np.asarray(points_px, np.float64)
        # Rows count double: the camera looks down at 30 degrees from far away.
        return np.asarray(np.stack([pixel[..., 0], -2.0 * pixel[..., 1]], axis=-1) / self.SCALE)

    def image(self, points: ArrayLike, /) -> Floats:
        point = np.asarray(points, np.float64) * self.SCALE
        return np.asarray(np.stack([point[..., 0], -point[..., 1] / 2.0], axis=-1))

    def px_per_m(self, points: ArrayLike, /) -> Floats:
        return np.full(np.asarray(points).shape[:-1], self.SCALE)


class Street:
    """Draws frames: ground with texture, rectangles, shade, light and noise."""

    def __init__(self, seed: int = 3) -> None:
        self._rng = np.random.default_rng(seed)
        coarse = self._rng.normal(0.0, 12.0, (SIZE[1] // 4, SIZE[0] // 4)).astype(np.float32)
        grain = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
        self._ground = np.clip(110.0 + grain[..., None] + [4.0, 0.0, -4.0], 0, 255).astype(np.float64)

    def frame(
        self,
        *things: tuple[Box, tuple[int, int, int]],
        shade: tuple[Box, ...] = (),
        light: float = 1.0,
    ) -> Image:
        picture = self._ground.copy()
        for left, top, right, bottom in shade:
            picture[top:bottom, left:right] *= 0.6
        for (left, top, right, bottom), colour in things:
            picture[top:bottom, left:right] = colour
            picture[top : top + (bottom - top) // 2, left:right] *= 0.8  # a roof, a face: some structure
        picture = picture * light + self._rng.normal(0.0, 1.5, (*picture.shape[:2], 1))
        return np.clip(picture, 0, 255).astype(np.uint8)


RED, BLUE, WHITE, DARK = (40, 40, 200), (200, 90, 40), (235, 235, 235), (45, 45, 45)


def car_at(left: int, bottom: int) -> Box:
    """Return a car seen from the side: 4.4 m by its height and depth."""
    return left, bottom - 31, left + 62, bottom


def person_at(left: int, bottom: int) -> Box:
    return left, bottom - 25, left + 8, bottom
