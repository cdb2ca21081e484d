"""The still background of a recording on the user's own disk, for the calibrate page alone.

The same masked median as the plate's, at full resolution, and kept in memory alone (PRIVACY §1): what moved,
and what a detector took for a road user, is masked; what was never seen empty is hatched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.motion_support import MotionSupport, quarter
from edge.plate import MIN_SEEN, MIN_SEEN_SHARE
from edge.sources.file import VideoSource, open_video

if TYPE_CHECKING:
    from edge.frame import Frame
    from models.detections import Detector

Picture = NDArray[np.uint8]
Bools = NDArray[np.bool_]

# Ten minutes show every phase of the signals several times; more only takes longer.
LOOK_AT_S = 600.0
SAMPLES = 40
# What all samples together may take.
MOST_BYTES = 384 * 2**20
# Motion masks its place for as long before and after a sample.
_HOLD_S = 0.5
_HATCH_DARK, _HATCH_LIGHT = 150, 178


@dataclass(frozen=True, eq=False)
class Still:
    """A picture (H, W, 3) uint8 BGR of the empty street, and where it was seen empty (H, W)."""

    picture: Picture
    known: Bools
    samples: int
    seconds: float


def still_of(video: Path, *, detector: Detector | None, frames: Iterator[Frame] | None = None) -> Still:
    """Return the background of a recording.

    Args:
        detector: masks road users that stand; without one what stands still all the time stays.
        frames: instead of the recording's own, as a progress bar hands them on.

    Raises:
        InputError: the recording cannot be read.
    """
    with open_video(video) as source:
        builder = StillBuilder(source, detector)
        for frame in source if frames is None else frames:
            if not builder.ingest(frame):
                break
        return builder.still()


class StillBuilder:
    """Takes samples of a recording, masked each, evenly over what is looked at."""

    def __init__(self, source: VideoSource, detector: Detector | None) -> None:
        width, height = source.image_size
        self._size = (width, height)
        self._detector = detector
        self._motion = MotionSupport(
            source.image_size, ignored=np.zeros(quarter(source.image_size)[::-1], bool)
        )
        self._wanted = max(MIN_SEEN, min(SAMPLES, MOST_BYTES // (width * height * 4)))
        length_s = source.duration_s or LOOK_AT_S
        self._interval_s = min(length_s, LOOK_AT_S) / self._wanted
        self._begin = self._last = math.nan
        self._next = -math.inf
        self._moved_at = np.full(quarter(source.image_size)[::-1], -np.inf)
        self._pictures: list[Picture] = []
        self._boxes: list[Bools] = []
        self._times: list[float] = []
        self._masks: list[Bools] = []

    def ingest(self, frame: Frame) -> bool:
        """Look at a frame; return whether more are wanted."""
        if math.isnan(self._begin):
            self._begin = self._last = frame.time
        moving = self._motion.moving(frame.image, frame.time - self._last)
        self._last = frame.time
        self._moved_at[moving] = frame.time
        # Who moves within the time after a sample stood in it already.
        for time, mask in zip(self._times, self._masks, strict=True):
            if frame.time - time <= _HOLD_S:
                mask |= moving
        if frame.time >= self._next:
            self._next = frame.time + self._interval_s
            self._sample(frame)
        return frame.time - self._begin < LOOK_AT_S and len(self._pictures) < 2 * self._wanted

    def still(self) -> Still:
        """Return the median of what each pixel looked like when nobody was there.

        Raises:
            InputError: too few frames for one.
        """
        count = len(self._pictures)
        if count < MIN_SEEN:
            raise InputError(
                f"the recording gives {count} pictures of the street, expected at least {MIN_SEEN}"
            )
        seen = np.stack([self._empty(index) for index in range(count)])
        needed = max(MIN_SEEN, math.ceil(MIN_SEEN_SHARE * count))
        known = seen.sum(axis=0) >= needed
        picture = np.empty((self._size[1], self._size[0], 3), np.uint8)
        for top in range(0, len(picture), 32):
            rows = slice(top, top + 32)
            picture[rows] = _median(np.stack([each[rows] for each in self._pictures]), seen[:, rows])
        row, column = np.indices(known.shape)
        hatching = np.where((row + column) % 10 < 3, _HATCH_DARK, _HATCH_LIGHT).astype(np.uint8)
        picture = np.where(known[..., None], picture, hatching[..., None])
        return Still(picture, known, count, self._last - self._begin)

    def _sample(self, frame: Frame) -> None:
        boxes = np.zeros((self._size[1], self._size[0]), np.bool_)
        if self._detector is not None:
            for left, top, right, bottom in self._detector.detect(frame.image).boxes_px.tolist():
                # What a box misses: feet, bags, a head, a shadow.
                x, y = 4 + 0.15 * (right - left), 4 + 0.15 * (bottom - top)
                boxes[
                    max(int(top - y), 0) : max(int(bottom + y), 0),
                    max(int(left - x), 0) : max(int(right + x), 0),
                ] = True
        self._pictures.append(frame.image.copy())
        self._boxes.append(boxes)
        self._times.append(frame.time)
        self._masks.append(self._moved_at >= frame.time - _HOLD_S)

    def _empty(self, index: int) -> Bools:
        import cv2

        near = cv2.dilate(self._masks[index].astype(np.uint8), np.ones((3, 3), np.uint8))
        whole = cv2.resize(near, self._size, interpolation=cv2.INTER_NEAREST)
        return np.asarray((whole == 0) & ~self._boxes[index])


def _median(stack: Picture, seen: Bools) -> Picture:
    """Return the median (H, W, 3) of samples (N, H, W, 3) where they were seen (N, H, W); sorts ``stack``.

    What was not seen is sorted to the end: a fifth of the time of numpy's nanmedian, which is minutes at 4K.
    """
    stack[~seen] = 255
    stack.sort(axis=0)
    count = seen.sum(axis=0)[None, ..., None]
    low = np.take_along_axis(stack, np.maximum(count - 1, 0) // 2, axis=0)[0]
    high = np.take_along_axis(stack, np.minimum(count // 2, len(stack) - 1), axis=0)[0]
    return np.asarray((low.astype(np.uint16) + high) // 2, np.uint8)
