"""Watches whether the camera still looks where its ground plane was fitted: else no position is trusted.

Once a second, off the line's hot path, one frame is compared with the scene's static structure. Nothing of it
is kept but how far it was off.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.drift import (
    WIDEST_PX,
    Movement,
    Structure,
    ground_points,
    movement,
    shift_m,
    structure_of,
)
from calibration.plane import Plane

logger = logging.getLogger(__name__)

State = Literal["unknown", "steady", "moved"]

EVERY_S = 1.0
# A shift is told to a tenth of a structure pixel, half a pixel at dusk (`nearmiss bench --only drift`).
MOVED_STRUCTURE_PX = 0.75
# The state changes when most of the last looks say so: a gust of wind, or a truck, is not a moved camera.
LOOKS = 5
# So many looks in a row at wholly another scene: longer than a bus stands before the lens. Until then nobody
# says that the camera moved, but from the third on no position is trusted.
LOST_LOOKS = 20
LOST_DOUBT = 3


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the camera's picture is off, in the median over the road; inf and NaN where unknown."""

    px: float
    m: float


@dataclass
class Move:
    """A stretch of time in which the camera was not where it should be; ``end`` None while it lasts."""

    start: float
    shift: Shift
    end: float | None = None


class CameraWatch:
    """One camera's picture against its structure.

    Without a structure of the day the ground plane was fitted the first look is taken for it: a move
    before the start then goes unnoticed.
    """

    def __init__(
        self,
        structure: Structure | None,
        *,
        plane: Plane | None,
        image_size: tuple[int, int],
        every_s: float = EVERY_S,
    ) -> None:
        self._every_s = every_s
        self._structure = structure
        self._plane = plane
        self._image_size = image_size
        self._points = ground_points(plane, image_size)
        self.limit_px = limit_px(image_size)
        self._looks: deque[Shift] = deque(maxlen=LOOKS)
        self._lost = 0
        self._next = -math.inf
        self._doubt = False
        self.state: State = "unknown"
        self.shift: Shift | None = None
        self.moves: list[Move] = []

    @property
    def steady(self) -> bool:
        """Whether positions can be trusted, by the last look."""
        return not self._doubt and self.state != "moved"

    def trusted(self, image: NDArray[np.uint8], boxes_px: NDArray[np.float32], time: float) -> bool:
        """Return whether positions of this frame can be trusted; looks at it where a look is due."""
        if time >= self._next or time < self._next - 10 * self._every_s:
            self._next = time + self._every_s
            self._look(image, boxes_px, time)
        return self.steady

    def _look(self, image: NDArray[np.uint8], boxes_px: NDArray[np.float32], time: float) -> None:
        if (image.shape[1], image.shape[0]) != self._image_size:
            self._doubt = True
            return
        hidden = _covered(boxes_px, self._image_size)
        if self._structure is None:
            self._structure = structure_of(image, ~hidden)
            return
        found = movement(self._structure, image, hidden)
        if found is None:
            # Night or fog: nothing tells that the camera moved, and nothing that it did not.
            return
        shift = self._shift(found)
        self._lost = self._lost + 1 if math.isinf(shift.px) else 0
        if math.isinf(shift.px) and self._lost < LOST_LOOKS:
            self._doubt = self._lost >= LOST_DOUBT
            return
        self._doubt = shift.px > self.limit_px
        self._looks.append(shift)
        self._decide(time)

    def _shift(self, found: Movement) -> Shift:
        metres = math.nan if self._plane is None else shift_m(self._plane, found, self._points)
        return Shift(found.shift_px(self._points), metres)

    def _decide(self, time: float) -> None:
        """Take the median of the last looks for the truth, once there are some."""
        middle = sorted(self._looks, key=lambda each: each.px)[len(self._looks) // 2]
        self.shift = middle
        enough = len(self._looks) > LOOKS // 2 or self._lost >= LOST_LOOKS
        if enough and middle.px > self.limit_px:
            if self.state != "moved":
                self.moves.append(Move(time, middle))
                logger.warning(
                    "the camera moved: %.1f px, %.2f m on the road; nothing is judged", middle.px, middle.m
                )
            self.moves[-1].shift = middle
            self.state = "moved"
        elif enough and middle.px < 0.8 * self.limit_px:
            if self.state == "moved":
                self.moves[-1].end = time
                logger.warning("the camera is back where it was (%.1f px)", middle.px)
            self.state = "steady"


def limit_px(image_size: tuple[int, int]) -> float:
    """Return from which shift on a camera has moved: its structure's pixels are larger where the image is."""
    return max(1.0, MOVED_STRUCTURE_PX * -(-image_size[0] // WIDEST_PX))


def _covered(boxes_px: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return at a quarter of the size where road users are, with a margin."""
    width, height = max(image_size[0] // 4, 1), max(image_size[1] // 4, 1)
    covered = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in boxes_px.tolist():
        covered[
            max(int(top / 4) - 2, 0) : max(int(bottom / 4) + 3, 0),
            max(int(left / 4) - 2, 0) : max(int(right / 4) + 3, 0),
        ] = True
    return covered
