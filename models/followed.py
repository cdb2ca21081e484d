"""Who a blob was a moment ago: speed for telling kinds apart, and boxes for blobs that have run together.

Nothing of this leaves the detector; the node's tracks are made by its tracker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.blobs import Blob
from models.detections import KINDS

Floats = NDArray[np.float64]
_ALL_OF_IT = 0.7  # of a blob's box: who fills so much of it is it, whoever else may be behind
_HIDDEN = 0.85  # of a box behind, or before, somebody larger's: nothing of it can be told apart
_GROWN_UP = 5  # frames after which a follower's size is believed


@dataclass(eq=False)
class Followed:
    """One road user as the detector remembers it.

    Attributes:
        box: left, top, right, bottom in pixels of the learnt picture.
        velocity: pixels a frame.
        scale: pixels a metre where ``size`` was seen; NaN without a ground plane.
        trail: frame number and ground place of the last second.
        evidence: (len(KINDS),) misfits so far, the recent ones weighing most.
        size: smoothed width and height in pixels.
        whole: frames in which the image's border did not cut it.
        seen: frames with a box of its own; missed: frames since.
    """

    box: Floats
    velocity: Floats
    size: Floats
    trail: deque[tuple[int, float, float]]
    evidence: Floats = field(default_factory=lambda: np.zeros(len(KINDS)))
    weight: float = 0.0
    scale: float = float("nan")
    whole: int = 0
    seen: int = 1
    missed: int = 0
    merged: int = 0

    @property
    def grown_up(self) -> bool:
        return self.seen >= _GROWN_UP

    def __post_init__(self) -> None:
        self._born = self._foot

    @property
    def _foot(self) -> tuple[float, float]:
        return float(self.box[0] + self.box[2]) / 2, float(self.box[3])

    @property
    def travelled(self) -> float:
        """Return how far it is from where it was first seen, pixels."""
        return float(np.hypot(self._foot[0] - self._born[0], self._foot[1] - self._born[1]))

    @property
    def foreseen(self) -> Floats:
        return self.box + np.tile(self.velocity, 2)

    def moved_to(self, box: Sequence[float] | Floats, *, measured: bool) -> None:
        new = np.asarray(box, np.float64)
        shift = (new - self.box).reshape(2, 2)
        # The lower edge and the middle say where it is; a box that only grows has not moved.
        step = np.array([shift[:, 0].mean(), shift[1, 1]]) / (self.missed + 1)
        share = 0.5 if self.seen < 3 else 0.25 if measured else 0.1
        self.velocity += share * (step - self.velocity)
        self.box = new
        self.missed = 0
        if measured:
            self.seen += 1
            self.merged = 0
            self.size += 0.3 * ((new[2:] - new[:2]) - self.size)
        else:
            self.merged += 1

    def ground_speed(self, frame_rate_hz: float) -> tuple[float, float]:
        """Return metres a second and heading in degrees; NaN before half a second is known."""
        if len(self.trail) < 3 or self.trail[-1][0] - self.trail[0][0] < 0.4 * frame_rate_hz:
            return float("nan"), float("nan")
        track = np.asarray(self.trail, np.float64)
        time = (track[:, 0] - track[:, 0].mean()) / frame_rate_hz
        vx, vy = (float((time * track[:, axis]).sum() / (time**2).sum()) for axis in (1, 2))
        return float(np.hypot(vx, vy)), float(np.rad2deg(np.arctan2(vy, vx)))


def overlap(first: Floats, second: Sequence[float] | Floats) -> float:
    """Return the area two boxes share."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return float(max(right - left, 0.0) * max(bottom - top, 0.0))


def area(box: Sequence[float] | Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def iou(first: Floats, second: Sequence[float] | Floats) -> float:
    shared = overlap(first, second)
    return shared / max(area(first) + area(second) - shared, 1e-9)


def members(blob: Blob, followed: Sequence[Followed]) -> list[Followed]:
    """Return who a blob consists of: grown-up followers most of whose boxes lie in it."""
    inside: list[Followed] = []
    for each in sorted(followed, key=lambda one: -one.seen):
        if not each.grown_up or overlap(each.foreseen, blob.box) < 0.55 * area(each.foreseen):
            continue
        # Two in nearly one place are one, seen twice while it came apart from another.
        if all(iou(each.foreseen, other.foreseen) < 0.5 for other in inside):
            inside.append(each)
    if len(inside) > 1:
        largest = max(inside, key=lambda each: area(each.foreseen))
        shown = [
            each
            for each in inside
            if each is largest or overlap(each.foreseen, largest.foreseen) < _HIDDEN * area(each.foreseen)
        ]
        if len(shown) > 1 or iou(largest.foreseen, blob.box) > _ALL_OF_IT:
            return shown
    return inside


def fragments(each: Followed, patches: Sequence[Blob], others: Sequence[Followed]) -> list[Blob]:
    """Return the pieces one road user has fallen into where it looks like the road behind it.

    A piece that lies where somebody else was a moment ago is theirs.
    """
    reach = each.foreseen + 0.05 * np.array([-1, -1, 1, 1]) * np.tile(each.size, 2)
    pieces = []
    for patch in patches:
        if overlap(reach, patch.box) < 0.85 * area(patch.box):
            continue
        whose = [
            other
            for other in others
            if other is not each
            and other.grown_up
            and area(other.box) < 0.5 * area(each.box)
            and overlap(other.foreseen, patch.box) > 0.5 * min(area(other.foreseen), area(patch.box))
        ]
        if not whose:
            pieces.append(patch)
    return pieces


def unmerged_boxes(
    blob: Blob, inside: Sequence[Followed], shifts: Sequence[Floats], scales: Sequence[float]
) -> list[Floats]:
    """Return a box for each of several road users in one blob.

    Each goes on by its shift (pixels); whoever is foremost on a side of the blob ends where the blob ends
    there. A size grows and shrinks with the scale (pixels a metre) of the place.
    """
    foreseen = np.array(
        [_carried(each, shift, scale) for each, shift, scale in zip(inside, shifts, scales, strict=True)]
    )
    limits = np.asarray(blob.box, np.float64)
    drawn = np.zeros((len(inside), 2))
    counts = np.zeros((len(inside), 2))
    for side, pick in ((0, np.argmin), (1, np.argmin), (2, np.argmax), (3, np.argmax)):
        index = int(pick(foreseen[:, side]))
        drawn[index, side % 2] += limits[side] - foreseen[index, side]
        counts[index, side % 2] += 1
    boxes = []
    for box, move, count, each in zip(foreseen, drawn, counts, inside, strict=True):
        step = np.clip(move / np.maximum(count, 1), -0.25 * each.size, 0.25 * each.size)
        boxes.append(box + np.tile(step, 2))
    return boxes


def _carried(each: Followed, shift: Floats, scale: float) -> Floats:
    """Return the box moved on, its remembered size brought to the scale of the place, its foot kept."""
    left, _, right, bottom = each.box + np.tile(shift, 2)
    middle, (width, height) = (left + right) / 2, carried_size(each, scale)
    return np.array([middle - width / 2, bottom - height, middle + width / 2, bottom])


def carried_size(each: Followed, scale: float) -> Floats:
    """Return the remembered width and height at a place of another scale, pixels a metre."""
    growth = scale / each.scale
    return each.size * growth if np.isfinite(growth) else each.size
