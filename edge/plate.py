"""The plate: one still background of the empty site, made so that nobody who stood there is on it.

A median over samples in which every box held for 2 s and everything that moved is masked, at no more than
12.5 px/m where a road user can be and 6 bits a channel; what was never seen empty is hatched. This is the
one module of a node that writes a picture.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane
from edge.capping import Cap, scale_map
from edge.motion_support import quarter

Picture = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Rectangle = tuple[float, float, float, float]

# PRIVACY §1: the least stretch of time a plate of a site is made from.
SITE_WINDOW_S = 600.0
# The same for `analyze`, whose recording a person made and whose plate stays beside it: under half a minute
# one red phase may keep everybody waiting in place throughout, and no plate is made.
OWN_RECORDING_WINDOW_S = 30.0
# A box masks its place for as long before and after: detectors miss a person for a second, not for two.
HOLD_S = 2.0
MAX_SAMPLES = 32
# A picture is made from one hour, the quietest of the last day; one by daylight before any dark one.
HOUR_S = 3600.0
MAX_AGE_S = 86_400.0
# A pixel is known once it was seen empty in this many samples and this share of them. With a half, somebody
# whom the mask misses in up to a third of the samples cannot be the median, however long they stand there.
MIN_SEEN = 6
MIN_SEEN_SHARE = 0.5
# Above this share of unknown area a hatched picture helps nobody: the plan is drawn instead.
MAX_UNKNOWN_SHARE = 0.8

_MAX_WIDTH_PX = 640
# Mean grey of what is known, below which an hour is dark.
_DARK_GREY = 48
_FILL = (96, 96, 96)
_LAMP = (40, 40, 40)
_HATCH_DARK, _HATCH_LIGHT = 150, 178


@dataclass
class _Sample:
    time: float
    picture: Picture
    seen: Bools | None = None


@dataclass(frozen=True, eq=False)
class _Median:
    """What the samples of some time come to.

    Attributes:
        start, end: of the samples, seconds.
        busy: share of them, in the mean over the picture, that somebody may have covered.
        known: where enough of them saw the place empty.
    """

    start: float
    end: float
    busy: float
    dark: bool
    picture: Picture
    known: Bools


class PlateBuilder:
    """Collects samples of the empty site, a bounded number however long the recording.

    Thirty-two samples at most are held, spread evenly over the hour: when they are full every second one
    is dropped and the next ones come half as often. Of the hours before, the quietest one's median is held.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        *,
        plane: Plane,
        osd: Sequence[Rectangle],
        lamps: Sequence[Rectangle],
    ) -> None:
        shrink = -(-image_size[0] // _MAX_WIDTH_PX)
        self._size = (max(image_size[0] // shrink, 1), max(image_size[1] // shrink, 1))
        self._cap = Cap(self._size, scale_map(plane), image_width=image_size[0])
        self._osd = [self._scaled(each, image_size) for each in osd]
        self._lamps = [self._scaled(each, image_size) for each in lamps]
        columns, rows = quarter(image_size)
        self._covered_at = np.full((rows, columns), -np.inf)
        self._samples: list[_Sample] = []
        self._quietest: _Median | None = None
        self._pending: deque[_Sample] = deque()
        self._interval_s = 1.0
        self._next = -np.inf

    def cover(self, boxes_px: NDArray[np.float32], moving: Bools, time: float) -> None:
        """Mask what somebody may have covered at this instant: boxes with a margin, and all that moved."""
        for left, top, right, bottom in boxes_px.tolist():
            # What a box misses: feet, bags, a head. And the block a sample is averaged over.
            x, y = 4 + 0.15 * (right - left), 4 + 0.15 * (bottom - top)
            self._covered_at[
                max(int((top - y) // 4), 0) : max(int((bottom + y) // 4) + 1, 0),
                max(int((left - x) // 4), 0) : max(int((right + x) // 4) + 1, 0),
            ] = time
        if moving.any():
            near = cv2.dilate(moving.view(np.uint8), np.ones((3, 3), np.uint8))
            np.copyto(self._covered_at, time, where=near.view(np.bool_))

    def cover_all(self, time: float) -> None:
        """Mask everything: at this instant nobody knows who stood where."""
        self._covered_at[:] = time

    def forget(self) -> None:
        """Drop every sample: the camera looks elsewhere than when they were taken."""
        self._samples, self._quietest = [], None
        self._pending.clear()

    def ingest(self, image: Picture, time: float) -> None:
        """Take a sample if it is time for one. ``cover`` is to be called for this instant first."""
        while self._pending and self._pending[0].time + HOLD_S <= time:
            self._keep(self._pending.popleft())
        if time >= self._next:
            self._next = time + self._interval_s
            small = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
            self._pending.append(_Sample(time, self._cap.apply(np.asarray(small, np.uint8))))

    def background(self, *, window_s: float) -> str | None:
        """Return the plate as a PNG in base64: of the last day's quietest hour, or of the first one so far.

        None where the samples span less than ``window_s``, or more than 80 % of the area was never seen
        empty.
        """
        made = self._quietest
        if made is None or made.end - made.start < window_s - 2 * HOLD_S:
            if not self._samples or self._samples[-1].time - self._samples[0].time < window_s - 2 * HOLD_S:
                return None
            made = self._median()
        if made is None:
            return None
        picture, known = made.picture, made.known
        picture = self._cap.apply(_filled(picture, known))
        # 6 bits a channel, at the middle of the step.
        picture = (picture & np.uint8(0xFC)) | np.uint8(0x02)
        picture = np.where(known[..., None], picture, _hatching(known.shape)[..., None])
        for rectangles, colour in ((self._osd, _FILL), (self._lamps, _LAMP)):
            for left, top, right, bottom in rectangles:
                picture[top:bottom, left:right] = colour
        written, png = cv2.imencode(".png", picture.astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if not written:
            raise RuntimeError("the plate could not be written as PNG")
        return base64.b64encode(png.tobytes()).decode()

    def _keep(self, sample: _Sample) -> None:
        hidden = (self._covered_at >= sample.time - HOLD_S).view(np.uint8)
        sample.seen = cv2.resize(hidden, self._size, interpolation=cv2.INTER_NEAREST) == 0
        sample.picture[~sample.seen] = 0
        if self._samples and not 0 <= sample.time - self._samples[0].time <= HOUR_S:
            self._close_hour()
        # None is kept for longer than a day, however seldom they come.
        if self._quietest is not None and self._quietest.start <= sample.time - MAX_AGE_S:
            self._quietest = None
        self._samples.append(sample)
        if len(self._samples) > MAX_SAMPLES:
            self._samples = self._samples[len(self._samples) % 2 == 0 :: 2]
            self._interval_s = min(2 * self._interval_s, HOUR_S / MAX_SAMPLES)

    def _close_hour(self) -> None:
        """Begin another hour; of the one that is over its median stays where it was the quietest so far."""
        best = self._quietest
        if best is None or best.dark or self._busy() < best.busy:
            hour = self._median()
            if hour is not None and (best is None or (hour.dark, hour.busy) < (best.dark, best.busy)):
                self._quietest = hour
        self._samples = []
        self._interval_s = 1.0

    def _busy(self) -> float:
        return float(np.mean([1.0 - _seen(sample).mean() for sample in self._samples]))

    def _median(self) -> _Median | None:
        """Return the median over the samples that saw each pixel empty; None where too little was seen."""
        if len(self._samples) < MIN_SEEN:
            return None
        needed = max(MIN_SEEN, int(np.ceil(MIN_SEEN_SHARE * len(self._samples))))
        median = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        known = np.zeros(median.shape[:2], np.bool_)
        # A few rows at a time: the stack of all samples is never in memory twice.
        for top in range(0, len(median), 32):
            rows = slice(top, top + 32)
            seen = np.stack([_seen(sample)[rows] for sample in self._samples])
            stack = np.stack([sample.picture[rows] for sample in self._samples])
            stack[~seen] = 255
            stack.sort(axis=0)
            count = seen.sum(axis=0)
            middle = np.maximum(count - 1, 0)
            low = np.take_along_axis(stack, (middle // 2)[None, ..., None], axis=0)[0]
            high = np.take_along_axis(stack, ((middle + 1) // 2)[None, ..., None], axis=0)[0]
            median[rows] = ((low.astype(np.uint16) + high) // 2).astype(np.uint8)
            known[rows] = count >= needed
        if known.mean() < 1 - MAX_UNKNOWN_SHARE:
            return None
        dark = float(median[known].mean()) < _DARK_GREY
        start, end = self._samples[0].time, self._samples[-1].time
        return _Median(start, end, self._busy(), dark, median, known)

    def _scaled(self, rectangle: Rectangle, image_size: tuple[int, int]) -> tuple[int, int, int, int]:
        across, down = self._size[0] / image_size[0], self._size[1] / image_size[1]
        left, top, right, bottom = rectangle
        return (
            max(int(left * across) - 1, 0),
            max(int(top * down) - 1, 0),
            max(int(np.ceil(right * across)) + 1, 0),
            max(int(np.ceil(bottom * down)) + 1, 0),
        )


def _seen(sample: _Sample) -> Bools:
    if sample.seen is None:
        raise ValueError("a sample is kept once its mask is known")
    return sample.seen


def _filled(picture: Picture, known: Bools) -> Picture:
    """Return the picture with unknown area set to the mean of what is known, so that none of it smears."""
    filled = picture.copy()
    filled[~known] = picture[known].mean(axis=0).astype(np.uint8) if known.any() else 0
    return filled


def _hatching(shape: tuple[int, int]) -> Picture:
    row, column = np.indices(shape)
    return np.where((row + column) % 10 < 3, _HATCH_DARK, _HATCH_LIGHT).astype(np.uint8)
