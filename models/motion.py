"""The detector that needs no weights: what moves before a fixed camera, sized in metres.

What it can tell: where something of a road user's size is, and by its size and speed of which kind. What it
cannot: what has never moved, what looks like the road, who is who in a dense crowd, and anything at all where
the camera itself moves.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.background import Background, Still
from models.blobs import Blob, blobs, hull, people, union
from models.detections import KINDS, Detections
from models.followed import Followed, area, carried_size, fragments, iou, members, overlap, unmerged_boxes
from models.footprint import BUILDS, misfits, person_px
from models.view import Ground, Here, View

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

LARGEST_WIDTH_PX: Final = 864  # of the picture that is learnt; larger frames are halved, quartered, ...
_PEDESTRIAN, _CAR = KINDS.index("pedestrian"), KINDS.index("car")
_FORGET_FRAMES = 6
_MERGED_FRAMES = 45
_EVIDENCE_FADES = 0.93
_BORDER_PX = 2.0
_MOST_MISFIT = 25.0
_LOOKS_THE_SAME = 0.7  # correlation of a patch with itself a frame later
_RUNS_MPS = 4.0
_HALF_SEEN_S = 2.0
_KNOWN_WEIGHT = 3.0  # frames of evidence after which a kind is believed


class MotionDetector:
    """Detects by background subtraction.

    Args:
        image_size: width, height of the frames.
        ground: the ground plane; without it there are no metres, and a kind is a guess from a box's shape.
        frame_rate_hz: roughly; speeds and the times a street takes to be learnt hang on it.
        ignored_px: rectangles in which the picture changes by itself: signal lamps, burned-in text.
    """

    name = "motion"
    provider = "opencv"

    def __init__(
        self,
        image_size: tuple[int, int],
        ground: Ground | None,
        *,
        frame_rate_hz: float = 15.0,
        ignored_px: Iterable[tuple[float, float, float, float]] = (),
    ) -> None:
        width, height = image_size
        self._shrink = 1
        while width / self._shrink > LARGEST_WIDTH_PX:
            self._shrink *= 2
        self._size = (width // self._shrink, height // self._shrink)
        self._image_size = image_size
        self._rate = frame_rate_hz
        self._view = None if ground is None else View(_Shrunk(ground, self._shrink), self._size)
        self._least_area = 12 if ground is not None else 60
        self._background = Background(
            frame_rate_hz=frame_rate_hz,
            least_area=self._least_area,
            plausible=self._may_stand,
            ignored=self._mask_of(ignored_px),
        )
        self._followed: list[Followed] = []
        self._frame = -1
        self._before: Image | None = None

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the road users in an image (H, W, 3), uint8, BGR. Called in order of the frames."""
        self._frame += 1
        small = image if self._shrink == 1 else _shrunk(image, self._size)
        foreground = self._background.see(small)
        self._now = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        patches = blobs(foreground.moving, self._view, least_area=self._least_area)
        patches = [self._on_its_legs(patch, foreground.shade) for patch in patches]
        patches = [patch for patch in patches if self._plausible(patch.box)]
        boxes = self._assign(patches, foreground.stills)
        self._before = self._now
        return self._detections(boxes)

    # -- from blobs to road users --------------------------------------------------------------------

    def _assign(self, patches: Sequence[Blob], stills: Sequence[Still]) -> list[tuple[Followed, bool]]:
        """Give every blob to who it is; return those seen in this frame, and whether each was seen alone."""
        free = list(self._followed)
        result: list[tuple[Followed, bool]] = []
        patches = self._mended(patches)
        for still in stills:
            box = np.asarray(still.box, np.float64)
            owner = self._owner(box, free)
            if owner in free:
                free.remove(owner)
                owner.moved_to(box, measured=True)
            else:
                self._followed.append(owner)
            result.append((owner, True))
        for patch in sorted(patches, key=lambda each: -area(each.box)):
            for blob, owner, alone in self._owners(patch, free):
                if owner in free:
                    free.remove(owner)
                    owner.moved_to(blob, measured=alone)
                else:
                    self._followed.append(owner)
                result.append((owner, alone))
        for each in free:
            each.missed += 1
            each.box = each.foreseen
        self._followed = [
            each
            for each in self._followed
            if each.missed <= (_FORGET_FRAMES if each.grown_up else 1) and each.merged <= _MERGED_FRAMES
        ]
        return result

    def _mended(self, patches: Sequence[Blob]) -> list[Blob]:
        """Put together again what has fallen to pieces: a truck as white as the crosswalk behind it."""
        whole = list(patches)
        for each in sorted(self._followed, key=lambda one: -area(one.box)):
            if not each.grown_up or each.weight < _KNOWN_WEIGHT or self._kind(each) == _PEDESTRIAN:
                continue
            pieces = sorted(fragments(each, whole, self._followed), key=lambda patch: -patch.area)
            joined = pieces[:1]
            limit = 1.12 * carried_size(each, self._scale(each.foreseen)) + 3.0
            for piece in pieces[1:]:
                if (np.array(_extent(hull([*joined, piece]))) <= limit).all():
                    joined.append(piece)
            if len(joined) > 1:
                whole = [patch for patch in whole if all(patch is not piece for piece in joined)]
                whole.append(functools.reduce(union, joined))
        return whole

    def _on_its_legs(self, patch: Blob, shade: NDArray[np.uint8]) -> Blob:
        """Give a person back the dark legs that were taken for shade: nobody floats."""
        here = self._here(patch.box)
        if here is None:
            return patch
        wide, tall = _extent(patch.box)
        person_wide, person_tall = person_px(here)
        left, top, right, bottom = (int(side) for side in patch.box)
        missing = round(0.95 * person_tall - tall)
        if missing < 2 or wide > 1.6 * person_wide or tall < 0.3 * person_tall:
            return patch
        under = shade[bottom : bottom + missing, left:right] > 0
        dark = under.mean(axis=1) > 0.3 if under.size else np.zeros(0, bool)
        legs = len(dark) if dark.all() else int(dark.argmin())
        if legs == 0:
            return patch
        mask = np.concatenate([patch.mask, under[:legs].astype(np.uint8) * 255])
        return Blob((left, top, right, bottom + legs), mask)

    def _owners(self, patch: Blob, free: list[Followed]) -> list[tuple[Floats, Followed, bool]]:
        inside = members(patch, free)
        parts = self._people(patch, inside)
        if len(inside) >= 2 and len(parts) < len(inside):
            shifts = [self._shift(each) for each in inside]
            scales = [self._scale(each.foreseen) for each in inside]
            boxes = unmerged_boxes(patch, inside, shifts, scales)
            return [
                (self._within_reach(box, each), each, False) for box, each in zip(boxes, inside, strict=True)
            ]
        owners = []
        left = list(free)
        for part in parts:
            box = np.asarray(part.box, np.float64)
            owner = self._owner(box, left)
            if owner in left:
                left.remove(owner)
            owners.append((box, owner, len(parts) == 1 or len(parts) >= len(inside)))
        return owners

    def _scale(self, box: Sequence[float] | Floats) -> float:
        here = self._here(box)
        return float("nan") if here is None else here.px_per_m

    def _shift(self, each: Followed) -> Floats:
        """Return how far somebody has moved since the last frame, by the look of it then and now."""
        if self._before is None or each.missed:
            return each.velocity * (each.missed + 1)
        reach = int(np.ceil(np.abs(each.velocity).max())) + 4
        inset = 0.15 * np.tile(each.box[2:] - each.box[:2], 2) * np.array([1, 1, -1, -1])
        left, top, right, bottom = (int(side) for side in each.box + inset)
        width, height = self._size
        if left < reach or top < reach or right > width - reach or bottom > height - reach:
            return each.velocity
        if right - left < 6 or bottom - top < 6:
            return each.velocity
        found = cv2.matchTemplate(
            self._now[top - reach : bottom + reach, left - reach : right + reach],
            self._before[top:bottom, left:right],
            cv2.TM_CCOEFF_NORMED,
        )
        _, best, _, (x, y) = cv2.minMaxLoc(found)
        if best < _LOOKS_THE_SAME:
            return each.velocity
        return np.array([x - reach, y - reach], np.float64)

    def _within_reach(self, box: Floats, each: Followed) -> Floats:
        """Return the box, held back where a pedestrian would be carried off by who is before them."""
        here = self._here(each.box)
        if here is None or self._kind(each) != _PEDESTRIAN:
            return box
        farthest_px = _RUNS_MPS * here.px_per_m / self._rate * (each.missed + 1)
        step = box - each.box
        shift = np.array([step[[0, 2]].mean(), step[3]])
        too_far = float(np.hypot(*shift)) / farthest_px
        return box if too_far <= 1.0 else box - np.tile(shift * (1.0 - 1.0 / too_far), 2)

    def _owner(self, box: Floats, candidates: Sequence[Followed]) -> Followed:
        """Return whose box it is: the nearest of the candidates, or somebody new."""
        best = max(candidates, key=lambda each: iou(each.foreseen, box), default=None)
        if best is not None and (iou(best.foreseen, box) > 0.15 or self._shares(best, box)):
            return best
        return Followed(box, np.zeros(2), box[2:] - box[:2], deque(maxlen=max(4, round(self._rate))))

    @staticmethod
    def _shares(each: Followed, box: Floats) -> bool:
        return overlap(each.foreseen, box) > 0.5 * min(area(each.foreseen), area(box))

    def _people(self, patch: Blob, inside: Sequence[Followed]) -> list[Blob]:
        """Take a group of pedestrians apart, unless it is known to be one vehicle."""
        here = self._here(patch.box)
        if here is None:
            return [patch]
        if len(inside) == 1 and inside[0].weight > _KNOWN_WEIGHT and self._kind(inside[0]) != _PEDESTRIAN:
            return [patch]
        if not inside:
            fit = misfits(*_extent(patch.box), here)
            if (
                fit[_CAR] < fit[_PEDESTRIAN]
                and fit[_CAR] < 6.0
                and _extent(patch.box)[0] > 1.5 * here.px_per_m
            ):
                return [patch]
        return people(patch, here)

    # -- from road users to detections ---------------------------------------------------------------

    def _detections(self, seen: Sequence[tuple[Followed, bool]]) -> Detections:
        boxes, scores, kinds = [], [], []
        for each, alone in seen:
            cut = self._is_cut(each.box)
            here = self._here(each.box)
            if here is None and self._view is not None:
                continue
            if alone and not cut:
                each.whole += 1
                each.scale = self._scale(each.box)
            fit = self._learn_kind(each, here, cut=cut, alone=alone)
            boxes.append(each.box * self._shrink)
            kinds.append(self._kind(each))
            half_seen = cut and each.whole == 0 and each.seen < _HALF_SEEN_S * self._rate
            scores.append(_score(each, fit, half_seen=half_seen, cut=cut, alone=alone))
        if not boxes:
            return Detections.none()
        width, height = self._image_size
        clipped = np.clip(np.array(boxes), 0, [width, height, width, height]).astype(np.float32)
        whole = (clipped[:, 2] > clipped[:, 0] + 1) & (clipped[:, 3] > clipped[:, 1] + 1)
        return Detections(
            clipped[whole], np.array(scores, np.float32)[whole], np.array(kinds, np.int8)[whole]
        )

    def _learn_kind(self, each: Followed, here: Here | None, *, cut: bool, alone: bool) -> float:
        """Add this frame's evidence; return how ill the best kind fits in it."""
        wide, tall = _extent(each.box)
        if here is None or self._view is None:
            each.evidence = np.full(len(KINDS), 50.0)
            each.evidence[_PEDESTRIAN if tall > 1.2 * wide else _CAR] = 0.0
            return 4.0
        place = self._view.place((each.box[0] + each.box[2]) / 2, each.box[3])
        each.trail.append((self._frame, *place))
        speed_mps, heading_deg = (float("nan"),) * 2 if cut else each.ground_speed(self._rate)
        fit = misfits(wide, tall, here, speed_mps=speed_mps, heading_deg=heading_deg, cut=cut)
        fit = np.minimum(fit, _MOST_MISFIT)
        share = (0.2 if cut else 1.0) if alone else 0.05 if each.weight == 0.0 else 0.0
        if share > 0.0:
            each.evidence = _EVIDENCE_FADES * each.evidence + share * fit
            each.weight = _EVIDENCE_FADES * each.weight + share
        return float(fit[self._kind(each)])

    @staticmethod
    def _kind(each: Followed) -> int:
        return int(each.evidence.argmin())

    def _mask_of(self, rectangles_px: Iterable[tuple[float, float, float, float]]) -> NDArray[np.uint8]:
        mask = np.zeros((self._size[1], self._size[0]), np.uint8)
        for rectangle in rectangles_px:
            left, top, right, bottom = (side / self._shrink for side in rectangle)
            mask[max(int(top) - 1, 0) : int(bottom) + 2, max(int(left) - 1, 0) : int(right) + 2] = 255
        return mask

    def _here(self, box: Sequence[float] | Floats) -> Here | None:
        return None if self._view is None else self._view.at((box[0] + box[2]) / 2, box[3])

    def _is_cut(self, box: Sequence[float] | Floats) -> bool:
        width, height = self._size
        left, top, right, bottom = box
        return bool(
            left <= _BORDER_PX
            or top <= _BORDER_PX
            or right >= width - _BORDER_PX
            or bottom >= height - _BORDER_PX
        )

    def _may_stand(self, box: tuple[int, int, int, int], shows: bool) -> bool:
        """Return whether something stands in a box: whatever stands has come, or its outline shows it."""
        if not self._plausible(box):
            return False
        return shows or any(
            each.travelled > 0.5 * max(_extent(each.box)) and iou(each.box, box) > 0.3
            for each in self._followed
        )

    def _plausible(self, box: Sequence[float]) -> bool:
        """Return whether a road user could have such a box where it stands."""
        wide, tall = _extent(box)
        if self._view is None:
            return wide >= 5 and tall >= 8
        here = self._here(box)
        if here is None:
            return False
        person_wide, person_tall = person_px(here)
        bus = BUILDS["bus"]
        tallest = 1.6 * here.height_px(bus.height_m, bus.length_m)
        return (
            (tall >= 0.55 * person_tall and wide >= 0.4 * person_wide and tall <= tallest)
            or self._is_cut(box)
        ) and wide <= 1.6 * bus.length_m * here.px_per_m


class _Shrunk:
    """A ground plane for frames of which only every n-th pixel is left."""

    def __init__(self, ground: Ground, shrink: int) -> None:
        self._ground, self._shrink = ground, shrink

    def ground(self, points_px: ArrayLike) -> Floats:
        return self._ground.ground(np.asarray(points_px, np.float64) * self._shrink)

    def image(self, points: ArrayLike) -> Floats:
        return self._ground.image(points) / self._shrink

    def px_per_m(self, points: ArrayLike) -> Floats:
        return self._ground.px_per_m(points) / self._shrink


def _score(each: Followed, fit: float, *, half_seen: bool, cut: bool, alone: bool) -> float:
    """Return how sure a box is, 0..1: fits a road user's size, is followed, stands alone, lies whole."""
    score = 0.35 + 0.55 * float(np.exp(-fit / 8.0))
    if not each.grown_up:
        score *= 0.8
    if not alone:
        score = min(score, 0.6)
    if cut:
        # On its way in nobody knows yet how long it is: it starts no track before it is seen whole.
        score = min(score, 0.4 if half_seen else 0.7)
    return score


def _extent(box: Sequence[float] | Floats) -> tuple[float, float]:
    return float(box[2] - box[0]), float(box[3] - box[1])


def _shrunk(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
