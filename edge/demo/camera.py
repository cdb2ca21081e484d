"""The pinhole camera the demo is filmed with: points of the street to pixels, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NEAREST_M = 0.5


@dataclass(frozen=True)
class Camera:
    """A camera on a pole, without lens distortion or roll.

    Attributes:
        position: x, y, z in metres.
        looks_at: x, y, z of the point in the middle of the image.
        image_size: width, height in pixels.
        field_of_view_deg: horizontal.
    """

    position: tuple[float, float, float]
    looks_at: tuple[float, float, float]
    image_size: tuple[int, int]
    field_of_view_deg: float

    @cached_property
    def focal_px(self) -> float:
        return float(self.image_size[0] / 2 / np.tan(np.deg2rad(self.field_of_view_deg) / 2))

    @cached_property
    def rotation(self) -> Floats:
        """Rows: the camera's right, down and ahead, in the site frame."""
        ahead = np.subtract(self.looks_at, self.position).astype(np.float64)
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(ahead, right), ahead])

    def depth(self, points: ArrayLike) -> Floats:
        """Return how far ahead (...) points (..., 3) lie, metres."""
        return np.asarray((np.asarray(points, np.float64) - self.position) @ self.rotation[2])

    def image(self, points: ArrayLike) -> Floats:
        """Return pixels (..., 2) of points (..., 3) in metres; NaN behind the camera."""
        seen = (np.asarray(points, np.float64) - self.position) @ self.rotation.T
        ahead = np.where(seen[..., 2:] > NEAREST_M, seen[..., 2:], np.nan)
        return np.asarray(seen[..., :2] / ahead * self.focal_px + np.array(self.image_size) / 2)

    def sees(self, points: ArrayLike, *, margin_px: float = 0.0) -> NDArray[np.bool_]:
        """Return which points (..., 3) fall into the image."""
        pixel = self.image(points)
        size = np.array(self.image_size)
        within = (pixel >= margin_px) & (pixel <= size - margin_px)  # NaN compares as False
        return np.asarray(within.all(axis=-1))

    def ground_homography(self) -> Floats:
        """Return the matrix (3, 3) from ground points (x, y, 1) in metres to pixels."""
        focal, (width, height) = self.focal_px, self.image_size
        intrinsic = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        shift = -self.rotation @ np.asarray(self.position)
        return np.asarray(intrinsic @ np.column_stack([self.rotation[:, :2], shift]))
