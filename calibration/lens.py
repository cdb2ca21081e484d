"""The bend of a lens: where an image point would be if the lens drew straight lines straight.

One number, for the barrel of ordinary wide lenses: the straight radius is r / (1 + bend r^2), r in half
diagonals of the image.

Source: Fitzgibbon, "Simultaneous linear estimation of multiple view geometry and lens distortion", CVPR 2001.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Further bent is a fisheye, which no single number describes.
MOST_BENT = 0.6


@dataclass(frozen=True)
class Lens:
    """A lens centred on the image.

    Attributes:
        image_size: width, height in pixels.
        bend: 0 draws straight lines straight; negative is barrel, positive pincushion distortion.
    """

    image_size: tuple[int, int]
    bend: float = 0.0

    def straight(self, points_px: ArrayLike) -> Floats:
        """Return where image points (..., 2) would be without the bend."""
        offset, share = self._polar(points_px)
        return np.asarray(self._centre + offset / (1.0 + self.bend * share)[..., None])

    def bent(self, points_px: ArrayLike) -> Floats:
        """Return where straight points (..., 2) are in the image; NaN where the lens shows none."""
        offset, share = self._polar(points_px)
        under = 1.0 - 4.0 * self.bend * share
        root = np.sqrt(np.where(under >= 0, under, np.nan))
        return np.asarray(self._centre + offset * (2.0 / (1.0 + root))[..., None])

    def straight_slope(self, points_px: ArrayLike) -> Floats:
        """Return the derivative (..., 2, 2) of ``straight`` at image points."""
        offset, share = self._polar(points_px)
        scale = (1.0 + self.bend * share)[..., None, None]
        outer = offset[..., :, None] * offset[..., None, :] / self._radius2
        return np.asarray(np.eye(2) / scale - 2.0 * self.bend * outer / scale**2)

    def bent_slope(self, points_px: ArrayLike) -> Floats:
        """Return the derivative (..., 2, 2) of ``bent`` at straight points."""
        offset, share = self._polar(points_px)
        under = 1.0 - 4.0 * self.bend * share
        root = np.sqrt(np.where(under > 0, under, np.nan))[..., None, None]
        outer = offset[..., :, None] * offset[..., None, :] / self._radius2
        return np.asarray(
            2.0 / (1.0 + root) * np.eye(2) + 8.0 * self.bend / (root * (1.0 + root) ** 2) * outer
        )

    @property
    def _centre(self) -> Floats:
        return np.array(self.image_size, np.float64) / 2

    @property
    def _radius2(self) -> float:
        return float((self._centre**2).sum())

    def _polar(self, points_px: ArrayLike) -> tuple[Floats, Floats]:
        """Return offsets (..., 2) from the centre and squared radii (...) in half diagonals."""
        offset = np.asarray(points_px, np.float64) - self._centre
        return offset, np.asarray((offset**2).sum(axis=-1) / self._radius2)
