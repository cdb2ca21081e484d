"""How large a metre looks anywhere in the image, from the ground plane alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_CELL_PX = 8
# Nearer to the horizon than this, a blob is smaller than its own noise.
LEAST_PX_PER_M = 4.0


class Ground(Protocol):
    """Maps between pixels and the road; ``calibration.plane.Plane`` is one."""

    def ground(self, points_px: ArrayLike, /) -> Floats:
        """Return ground points (..., 2) in metres for image points; NaN beyond the horizon."""
        ...

    def image(self, points: ArrayLike, /) -> Floats:
        """Return image points (..., 2) for ground points in metres."""
        ...

    def px_per_m(self, points: ArrayLike, /) -> Floats:
        """Return the image scale (...) at ground points across the line of sight."""
        ...


@dataclass(frozen=True)
class Here:
    """The view at one place of the road.

    Attributes:
        px_per_m: across the line of sight.
        tilt_sin, tilt_cos: of the angle under which the camera looks down.
        sight_deg: direction of the line of sight on the ground, counter-clockwise from east.
    """

    px_per_m: float
    tilt_sin: float
    tilt_cos: float
    sight_deg: float

    def height_px(self, height_m: float, depth_m: float) -> float:
        """Return how tall a solid looks: its height foreshortened, and its depth lying on the road."""
        return self.px_per_m * (height_m * self.tilt_cos + depth_m * self.tilt_sin)


class View:
    """A table of the scale over the image, made once: a lookup a blob, no projection a frame."""

    def __init__(self, ground: Ground, image_size: tuple[int, int]) -> None:
        self._ground = ground
        self._known: dict[int, Here | None] = {}
        width, height = image_size
        columns, rows = width // _CELL_PX + 2, height // _CELL_PX + 2
        u, v = np.meshgrid(np.arange(columns) * _CELL_PX, np.arange(rows) * float(_CELL_PX))
        pixel = np.stack([u, v], axis=-1).astype(np.float64)
        self._points = np.asarray(ground.ground(pixel), np.float64)
        with np.errstate(all="ignore"):
            self._scale = np.asarray(ground.px_per_m(self._points), np.float64)
            # One row up is so many metres further along the line of sight.
            up = np.asarray(ground.ground(pixel - [0.0, 1.0])) - self._points
            metres_a_row = np.linalg.norm(up, axis=-1)
            self._tilt_sin = np.clip(1.0 / (metres_a_row * self._scale), 0.02, 0.999)
            self._sight_deg = np.rad2deg(np.arctan2(up[..., 1], up[..., 0]))

    def at(self, x_px: float, y_px: float) -> Here | None:
        """Return the view where the road is seen at a pixel; None near the horizon and beyond."""
        rows, columns = self._scale.shape
        column = min(max(round(x_px / _CELL_PX), 0), columns - 1)
        row = min(max(round(y_px / _CELL_PX), 0), rows - 1)
        key = row * columns + column
        if key not in self._known:
            self._known[key] = self._here(row, column)
        return self._known[key]

    def _here(self, row: int, column: int) -> Here | None:
        scale, (x, y) = float(self._scale[row, column]), self._points[row, column]
        if not (scale >= LEAST_PX_PER_M and np.isfinite(x) and np.isfinite(y)):  # NaN, too
            return None
        sin = float(self._tilt_sin[row, column])
        return Here(scale, sin, float(np.sqrt(1.0 - sin**2)), float(self._sight_deg[row, column]))

    def place(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Return the ground point in metres; NaN beyond the horizon."""
        x, y = self._ground.ground((x_px, y_px))
        return float(x), float(y)
