"""Blobs of a mask: connected, trimmed of fringes, and groups of people taken apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.footprint import person_px
from models.view import Here, View

Mask = NDArray[np.uint8]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

# Two heads are no nearer than shoulders allow, and rise over the gap between them.
_HEADS_APART_M = 0.38
_HEAD_RISES = 0.07
_GROUP_WIDEST_M = 3.4
_LARGEST_GAP_PX = 20


@dataclass(frozen=True, eq=False)
class Blob:
    """One connected patch: its box in pixels, and its mask within the box."""

    box: Box
    mask: Mask

    @property
    def area(self) -> int:
        return int(cv2.countNonZero(self.mask))


def blobs(mask: Mask, view: View | None, *, least_area: int) -> list[Blob]:
    """Return the patches of a mask, pieces that lie closely over each other joined (a head, a body)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    pieces = []
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        if area < max(least_area // 3, 4):
            continue
        part = labels[top : top + height, left : left + width] == label
        pieces.append(Blob((left, top, left + width, top + height), part.astype(np.uint8) * 255))
    joined = _joined(pieces, view)
    return [_trimmed(blob) for blob in joined if blob.area >= least_area]


def _joined(pieces: list[Blob], view: View | None) -> list[Blob]:
    """Join small pieces to what they are over: a head to a body, a body to its legs."""
    done: list[Blob] = []
    for piece in sorted(pieces, key=lambda blob: -blob.box[3]):
        for index, lower in enumerate(done):
            if _belongs(piece, lower, view):
                done[index] = union(lower, piece)
                break
        else:
            done.append(piece)
    return done


def _belongs(piece: Blob, lower: Blob, view: View | None) -> bool:
    left, top, right, bottom = piece.box
    gap = lower.box[1] - bottom
    shared = min(right, lower.box[2]) - max(left, lower.box[0])
    if gap > _LARGEST_GAP_PX or shared <= 0.6 * min(right - left, lower.box[2] - lower.box[0]):
        return False
    here = view.at((lower.box[0] + lower.box[2]) / 2, lower.box[3]) if view is not None else None
    if here is None:
        return gap <= 4.0 and right - left < 30.0
    wide, tall = person_px(here)
    return gap <= 0.25 * here.px_per_m and right - left < 1.5 * wide and lower.box[3] - top < 1.15 * tall


def hull(pieces: Sequence[Blob]) -> Box:
    """Return the box around several patches."""
    left, top, right, bottom = zip(*(piece.box for piece in pieces), strict=True)
    return min(left), min(top), max(right), max(bottom)


def union(first: Blob, second: Blob) -> Blob:
    left, top = (int(min(first.box[i], second.box[i])) for i in (0, 1))
    right, bottom = (int(max(first.box[i], second.box[i])) for i in (2, 3))
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for blob in (first, second):
        x, y = int(blob.box[0]) - left, int(blob.box[1]) - top
        part = mask[y : y + blob.mask.shape[0], x : x + blob.mask.shape[1]]
        part[:] = np.maximum(part, blob.mask)
    return Blob((left, top, right, bottom), mask)


def _trimmed(blob: Blob) -> Blob:
    """Cut off fringes: columns and rows that hold next to nothing."""
    height, width = blob.mask.shape
    columns = np.flatnonzero((blob.mask > 0).sum(axis=0) >= max(2.0, 0.03 * height))
    rows = np.flatnonzero((blob.mask > 0).sum(axis=1) >= max(2.0, 0.03 * width))
    if len(columns) == 0 or len(rows) == 0:
        return blob
    left, top = int(blob.box[0]), int(blob.box[1])
    x1, x2, y1, y2 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    return Blob((left + x1, top + y1, left + x2, top + y2), blob.mask[y1:y2, x1:x2])


def people(blob: Blob, here: Here) -> list[Blob]:
    """Return the pedestrians a blob may consist of, by its heads; the blob itself where it is one.

    Source: Haritaoglu, Harwood & Davis, "W4: real-time surveillance of people", IEEE TPAMI 22 (2000): heads
    are the peaks of the outline seen from below.
    """
    person_wide, person_tall = person_px(here)
    height, width = blob.mask.shape
    if height > 1.5 * person_tall and width < 2.0 * person_wide:
        upper = _slice(blob, 0, width, 0, round(person_tall))
        lower = _slice(blob, 0, width, height - round(person_tall), height)
        return [_trimmed(lower), _trimmed(upper)]
    wide_m = width / here.px_per_m
    if wide_m < 0.8 or wide_m > _GROUP_WIDEST_M or not 0.75 * person_tall < height < 1.6 * person_tall:
        return [blob]
    peaks = _heads(blob.mask, here, person_tall)
    if len(peaks) < 2:
        return [blob]
    rise = _outline(blob.mask)
    cuts = [0]
    for first, second in itertools.pairwise(peaks):
        cuts.append(first + int(rise[first : second + 1].argmin()))
    cuts.append(width)
    parts = [_slice(blob, a, b, 0, height) for a, b in itertools.pairwise(cuts)]
    if any(part.mask.shape[1] < 0.4 * person_wide or not part.mask.any() for part in parts):
        return [blob]
    return [_trimmed(part) for part in parts]


def _heads(mask: Mask, here: Here, person_tall: float) -> list[int]:
    """Return the columns of the peaks of the outline that rise like heads."""
    rise = _outline(mask)
    apart = max(3, round(_HEADS_APART_M * here.px_per_m))
    candidates = [
        column
        for column in range(len(rise))
        if rise[column] >= rise[max(column - apart // 2, 0) : column + apart // 2 + 1].max()
        and rise[column] > 0.7 * person_tall
    ]
    peaks: list[int] = []
    for column in candidates:
        if not peaks:
            peaks.append(column)
            continue
        valley = float(rise[peaks[-1] : column + 1].min())
        if (
            column - peaks[-1] < apart
            or min(rise[peaks[-1]], rise[column]) - valley < _HEAD_RISES * person_tall
        ):
            if rise[column] > rise[peaks[-1]]:
                peaks[-1] = column
            continue
        peaks.append(column)
    return peaks


def _outline(mask: Mask) -> Floats:
    """Return the height of the upper outline over the lower edge per column, lightly smoothed."""
    filled = mask > 0
    top = np.where(filled.any(axis=0), filled.argmax(axis=0), mask.shape[0])
    return np.convolve(np.pad(mask.shape[0] - top, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")


def _slice(blob: Blob, x1: int, x2: int, y1: int, y2: int) -> Blob:
    left, top = int(blob.box[0]), int(blob.box[1])
    y1, y2 = max(y1, 0), min(y2, blob.mask.shape[0])
    return Blob((left + x1, top + y1, left + x2, top + y2), blob.mask[y1:y2, x1:x2])
