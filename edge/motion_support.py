"""Where a frame differs from a background of its own: the redactor's second opinion on every box.

It shares nothing with any detector, so that a box the detector invents shows as one without motion, and
a road user the detector misses still shows as cells. The same look tells what has changed since the
detector looked last, which decides whether it looks again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

# Grey levels, after averaging 4 x 4 pixels and taking out a change of exposure: seven times the noise of an
# ordinary street camera (sigma 8 a pixel), and less than a dark coat on wet asphalt.
DIFFERENCE = 14.0
# Of two frames, both noisy, and of somebody who has moved by a part of their own width: nearer to the noise.
CHANGE = 10.0
# Grey levels a second by which the background follows: who passes in a second leaves no trace in it, and
# a car waiting at a red light of a minute is still told from the road.
FOLLOW_PER_S = 1.5
# Share of the picture that may differ once a change of exposure is taken out of it.
_EXPOSURE_LEAVES = 0.1


@dataclass(frozen=True, eq=False)
class Motion:
    """Of one frame, at a quarter of its size (H/4, W/4).

    Attributes:
        moving: what differs from the background: who moves, and who came and stands.
        changed: what differs from the frame the detector looked at last: who moved since.
    """

    moving: Bools
    changed: Bools


class MotionSupport:
    """An approximated median of the grey image at a quarter of its size.

    Source: McFarlane & Schofield (1995), Segmentation and tracking of piglets in images.
    """

    def __init__(self, image_size: tuple[int, int], *, ignored: Bools) -> None:
        """``ignored`` (H/4, W/4) are pixels that change without anybody moving: burned-in text, lamps."""
        self._size = quarter(image_size)
        self._watched = ~ignored
        self._background: NDArray[np.float32] | None = None
        self._now: NDArray[np.float32] | None = None
        self._looked_at: NDArray[np.float32] | None = None

    def motion(
        self, image: NDArray[np.uint8], elapsed_s: float, *, grey: NDArray[np.uint8] | None = None
    ) -> Motion:
        """Return what moves in an image, and let the background follow.

        Args:
            grey: of it, at a quarter of its size, where somebody made it already.
        """
        if grey is not None and grey.shape == self._size[::-1]:
            now = grey.astype(np.float32)
        else:
            now = self._quartered(image)
        self._now = now
        if self._background is None:
            self._background = now.copy()
            return Motion(np.zeros(now.shape, np.bool_), np.ones(now.shape, np.bool_))
        difference = now - self._background
        step = np.float32(FOLLOW_PER_S * min(max(elapsed_s, 0.0), 1.0))
        self._background += np.clip(difference, -step, step)
        moving = _beyond(difference, DIFFERENCE)
        if self._looked_at is None:
            return Motion(moving & self._watched, np.ones(now.shape, np.bool_))
        return Motion(moving & self._watched, _beyond(now - self._looked_at, CHANGE) & self._watched)

    def moving(self, image: NDArray[np.uint8], elapsed_s: float) -> Bools:
        """Return where an image differs from the background (H/4, W/4), and let the background follow."""
        return self.motion(image, elapsed_s).moving

    def look(self) -> None:
        """From here on a change is one against the frame that was seen last: the detector looks at it."""
        self._looked_at = self._now

    def _quartered(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        width, height = self._size
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        half = cv2.resize(grey, (2 * width, 2 * height), interpolation=cv2.INTER_AREA)
        return cv2.resize(half, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _beyond(difference: NDArray[np.float32], limit: float) -> Bools:
    """Return where two pictures differ, a change of exposure taken out."""
    exposure = np.float32(np.median(difference[::4, ::4]))
    differs = np.abs(difference - exposure) > limit
    if abs(exposure) > limit and differs.mean() > _EXPOSURE_LEAVES:
        # Half of the picture became another, and not all of it alike: that is no change of exposure.
        differs |= np.abs(difference) > limit
    return np.asarray(differs)


def quarter(image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height motion is looked at in."""
    return max(image_size[0] // 4, 1), max(image_size[1] // 4, 1)
