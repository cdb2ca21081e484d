"""The cap on detail: no part of a picture shows more than 12.5 pixels a metre where a road user can be.

At 12.5 px/m a head is 2 px (EN 62676-4 lowest class): detectors find 0 of 9 faces there, 9 of 9 at 5 px.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane

Floats = NDArray[np.float64]

MAX_PX_PER_M = 12.5
# The highest head over the ground, metres: a tall rider, a person on a kerb.
HEAD_M = 2.2
# A camera whose height the picture does not tell (straight down) is taken to hang this low.
_LOW_CAMERA_M = 5.0
_PITCH_PX = 8
# Block sides in pixels; each place takes the first that is coarse enough.
_BLOCKS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0)


def scale_map(plane: Plane) -> Floats:
    """Return the largest scale (rows, columns) at which a road user can be seen, pixels per metre.

    One value for each 8 x 8 px of the image; 0 above the horizon, where no road user reaches under a
    camera that hangs higher than a head. With square pixels and the principal point in the middle, the
    scale f / depth of the ground is linear in the pixel and zero on the horizon. A head is nearer than the
    road behind it on the same line of sight::

            camera (H)           scale of the head = scale of the road * H / (H - h)
              \\
               \\  o head (h)
                \\/|\\
                 \\|
        __________\\__ road seen at the same pixel
    """
    width, height = plane.image_size
    columns, rows = -(-width // _PITCH_PX), -(-height // _PITCH_PX)
    u, v = np.meshgrid((np.arange(columns) + 0.5) * _PITCH_PX, (np.arange(rows) + 1.0) * _PITCH_PX)
    straight = plane.lens.straight(np.stack([u, v], axis=-1))
    nearness = straight @ plane.to_metres[2, :2] + plane.to_metres[2, 2]
    middle = np.array([width / 2, height / 2])
    if _nearness(plane, middle) <= 0.05 * float(nearness.max()):
        middle = np.array([width / 2, float(height)])
    largest, smallest = _stretch(plane, middle)
    per_nearness = largest / _nearness(plane, middle)
    scale = np.maximum(nearness, 0.0) * per_nearness
    gradient = per_nearness * float(np.hypot(*plane.to_metres[2, :2]))
    tilt = float(np.arcsin(min(smallest / largest, 1.0)))
    camera_m = float(np.cos(tilt)) / gradient if tilt < np.radians(60) and gradient > 0 else _LOW_CAMERA_M
    return np.asarray(scale * camera_m / max(camera_m - HEAD_M, 1.0))


def _nearness(plane: Plane, pixel: Floats) -> float:
    return float(plane.to_metres[2] @ (pixel[0], pixel[1], 1.0))


def _stretch(plane: Plane, pixel: Floats) -> tuple[float, float]:
    """Return pixels per metre across the line of sight and along it, at the ground under a pixel."""
    point, step = plane.ground(pixel), 0.02
    columns = [
        (plane.image(point + offset) - plane.image(point - offset)) / (2 * step)
        for offset in np.eye(2) * step
    ]
    largest, smallest = np.linalg.svd(np.stack(columns, axis=-1), compute_uv=False)
    return float(largest), float(smallest)


class Cap:
    """Takes the detail out of pictures of one camera.

    Attributes:
        blocks_px: (H, W) side of the block of each pixel, in pixels of the picture.
    """

    def __init__(self, size: tuple[int, int], scale: Floats, *, image_width: int) -> None:
        """``size`` is the picture's width and height; ``scale`` as of ``scale_map``, in image pixels."""
        self._size = size
        shrink = image_width / size[0]
        wanted = cv2.resize(scale, size, interpolation=cv2.INTER_NEAREST) / MAX_PX_PER_M / shrink
        # Nothing is drawn finer than two image pixels, wherever it is.
        wanted = np.maximum(wanted, 2.0 / shrink)
        wanted = np.maximum(wanted, 1.0)
        index = np.minimum(np.searchsorted(_BLOCKS, wanted - 1e-9), len(_BLOCKS) - 1)
        self.blocks_px: NDArray[np.float64] = np.asarray(_BLOCKS, np.float64)[index]
        self._bands = [self._band(side) for side in sorted(set(self.blocks_px.ravel().tolist())) if side > 1]

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) averaged over its blocks, then smoothed between them."""
        capped = picture.copy()
        for side, top, bottom, where in self._bands:
            part = picture[top:bottom]
            coarse = (max(int(self._size[0] / side), 1), max(int((bottom - top) / side), 1))
            averaged = cv2.resize(part, coarse, interpolation=cv2.INTER_AREA)
            smooth = cv2.resize(averaged, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_LINEAR)
            cv2.copyTo(smooth, where, capped[top:bottom])
        return capped

    def _band(self, side: float) -> tuple[float, int, int, NDArray[np.uint8]]:
        here = self.blocks_px == side
        rows = np.flatnonzero(here.any(axis=1))
        margin = int(np.ceil(side)) + 1
        top, bottom = max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, self._size[1])
        return side, top, bottom, np.ascontiguousarray(here[top:bottom]).view(np.uint8)
