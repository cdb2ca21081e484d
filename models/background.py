"""The empty street of a fixed camera, learnt from frames with traffic in them, and what differs from it.

Three things tell apart what a plain background subtraction mixes up:

- **Still objects.** A vehicle that stops is kept as a layer over the background (its mask and its picture):
  it stays in sight for minutes, and whoever walks past in front of it differs from the layer and is seen
  alone.
- **Ghosts.** Where something that was there from the start drives off, the place it uncovers differs from the
  background too. Its outline shows as an edge in the background and not in the frame; a thing that is there
  has it the other way round. A ghost is healed at once.
- **Shadows**, see models/shade.py.

Sources: Collins et al., "A system for video surveillance and monitoring" (CMU-RI-TR-00-12), for layers;
Cucchiara et al., "Detecting moving objects, ghosts and shadows in video streams", IEEE TPAMI 25 (2003).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from models.shade import Shade

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

# A pixel differs from the background by more than this many grey levels, or by more than its own noise.
_LEAST_DIFFERENCE = 13.0
_MOST_DIFFERENCE = 60.0
_NOISE_SIGMAS = 4.5
_BODY_SHARE = 0.06  # of the picture's height: windows between body and roof, at most

_LEARN_S = 8.0  # time constant with which the background follows the light
_LEARN_EVERY = 3  # frames
_GHOST_S = 0.4
_STILL_S = 1.0
_GHOST_SHARE, _STILL_SHARE, _ALL_STEADY = 0.8, 0.6, 0.9  # of a patch
# A red phase is rarely longer than two minutes; what has stood for five is parked and part of the street.
_PARKED_S = 300.0
_REGRET_S = 6.0
_FLOOD = 0.6  # of the picture: no traffic, but the camera or its exposure
_FLOOD_S = 1.0


@dataclass(eq=False)
class Still:
    """Something that stands: where it is, what it looks like, and since which frame.

    Attributes:
        box: left, top, right, bottom in pixels of the learnt picture.
        mask, picture: of the box.
        number: counts stills up, so that a caller can follow one.
    """

    box: Box
    mask: Mask
    picture: Image
    since: int
    number: int

    @property
    def area(self) -> int:
        return int(cv2.countNonZero(self.mask))


@dataclass(frozen=True, eq=False)
class _Healed:
    """A place that was taken for a ghost, and the background it had before."""

    part: tuple[slice, slice]
    mask: Mask
    before: Floats
    until: int


@dataclass(frozen=True, eq=False)
class Foreground:
    """What differs from the empty street in one frame.

    Attributes:
        moving: (H, W) 255 where something is that no still explains, shade taken out.
        shade: (H, W) 255 where the ground lies in shade.
        stills: what stands.
    """

    moving: Mask
    shade: Mask
    stills: tuple[Still, ...]


class Background:
    """Learns the empty street; one frame after the other.

    Args:
        frame_rate_hz: roughly.
        least_area: pixels; smaller patches are noise.
        plausible: whether a road user could stand in such a box, given whether its outline shows it is
            there; what could not is healed.
        ignored: (H, W) not 0 where the picture changes by itself: lamps, burned-in text.
    """

    def __init__(
        self, *, frame_rate_hz: float, least_area: int, plausible: Callable[[Box, bool], bool], ignored: Mask
    ) -> None:
        self._rate = frame_rate_hz
        self._ghost_frames = max(2.0, _GHOST_S * frame_rate_hz)
        self._plausible = plausible
        self._ignored = ignored
        self._least_area = least_area
        self._frame = -1
        self._stills: list[Still] = []
        self._made = 0
        self._flooded = 0
        self._shade = Shade()

    def see(self, image: Image) -> Foreground:
        """Return what differs in a frame (H, W, 3) BGR from the street without traffic."""
        self._frame += 1
        smooth = cv2.GaussianBlur(image, (3, 3), 0).astype(np.uint8, copy=False)
        if self._frame == 0:
            self._start(smooth)
        lit = self._as_lit(smooth)
        difference = _largest(cv2.absdiff(smooth, lit))
        differing = _exceeds(difference, self._threshold)
        differing[self._ignored > 0] = 0
        self._forget_flood(smooth, differing)
        self._regret(smooth, differing)
        shade = self._shade.find(smooth, lit, differing, [still.box for still in self._stills])
        solid = _mask(cv2.subtract(differing, shade))
        # Ground is never seen between the upper and the lower parts of a body: that "shade" is its windows.
        within = cv2.bitwise_and(cv2.morphologyEx(solid, cv2.MORPH_CLOSE, self._upright), shade)
        solid, shade = _mask(cv2.max(solid, within)), _mask(cv2.subtract(shade, within))
        explained = self._explained(smooth, solid)
        moving = _mask(cv2.subtract(solid, explained))
        moving = _mask(cv2.morphologyEx(moving, cv2.MORPH_OPEN, _CROSS))
        moving = _sharp(cv2.morphologyEx(moving, cv2.MORPH_CLOSE, _DISC), difference)
        self._settle(smooth, lit, moving)
        if self._frame % _LEARN_EVERY == 0:
            self._learn(smooth, lit, differing)
        return Foreground(_mask(moving), _mask(shade), tuple(self._stills))

    # -- the background ------------------------------------------------------------------------------

    def _start(self, image: Image) -> None:
        self._mean = image.astype(np.float32)
        self._picture = image.copy()
        height, width = image.shape[:2]
        self._upright = np.ones((max(3, round(_BODY_SHARE * height)) | 1, 1), np.uint8)
        self._noise = np.full((height, width), _LEAST_DIFFERENCE / _NOISE_SIGMAS, np.float32)
        self._threshold = np.full((height, width), round(_LEAST_DIFFERENCE), np.uint8)
        self._steady = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )
        self._steady_for = np.zeros((height // 2, width // 2), np.float32)
        self._stills = []
        self._healed: list[_Healed] = []
        self._flooded = 0

    def _as_lit(self, image: Image) -> Image:
        """Return the background in the light of this frame: exposure changes all of a picture at once."""
        now, usual = image[4::8, 4::8].astype(np.float32), self._picture[4::8, 4::8].astype(np.float32)
        known = (usual > 30) & (usual < 225) & (now < 250)
        if known.sum() < 100:
            return self._picture
        gain = float(np.median(now[known] / usual[known]))
        if abs(gain - 1.0) < 0.004 or not 0.5 < gain < 2.0:
            return self._picture
        return cv2.convertScaleAbs(self._picture, alpha=gain).astype(np.uint8, copy=False)

    def _learn(self, image: Image, lit: Image, differing: Mask) -> None:
        """Follow the light where nothing is; the noise of each pixel with it."""
        grown = cv2.dilate(differing, _DISC)
        empty = cv2.bitwise_not(grown)
        share = 1.0 - float(np.exp(-_LEARN_EVERY / (_LEARN_S * self._rate)))
        # Faster at first: the first frame has noise of its own.
        share = max(share, 1.0 / (self._frame / _LEARN_EVERY + 2.0))
        cv2.accumulateWeighted(image, self._mean, share, mask=empty)
        off = _largest(cv2.absdiff(image, lit)).astype(np.float32)
        # The mean of |x| of a normal error is 0.8 sigma, the largest of three a little more: call it sigma.
        cv2.accumulateWeighted(off, self._noise, share / 2, mask=empty)
        self._picture = cv2.convertScaleAbs(self._mean).astype(np.uint8, copy=False)
        wanted = np.clip(self._noise * _NOISE_SIGMAS, _LEAST_DIFFERENCE, _MOST_DIFFERENCE)
        self._threshold = wanted.astype(np.uint8)

    def _forget_flood(self, image: Image, differing: Mask) -> None:
        """Start again where most of the picture differs for a second: the camera or the light has changed."""
        share = cv2.countNonZero(differing) / differing.size
        self._flooded = self._flooded + 1 if share > _FLOOD else 0
        if self._flooded > _FLOOD_S * self._rate:
            self._start(image)

    # -- what stands ---------------------------------------------------------------------------------

    def _explained(self, image: Image, solid: Mask) -> Mask:
        """Return where the picture is that of a still; let those go that have left."""
        explained = np.zeros_like(solid)
        staying = []
        for still in self._stills:
            left, top, right, bottom = still.box
            part = np.s_[top:bottom, left:right]
            off = _largest(cv2.absdiff(image[part], still.picture))
            same = cv2.bitwise_and(cv2.bitwise_not(_exceeds(off, self._threshold[part], 6)), still.mask)
            other = cv2.subtract(still.mask, same)
            uncovered = cv2.subtract(other, solid[part])
            area = still.area
            if self._frame - still.since > _PARKED_S * self._rate:
                self._heal(image, still.mask, left, top)
                continue
            if cv2.countNonZero(uncovered) > 0.08 * area or self._spread(other, area):
                continue
            staying.append(still)
            # Between its pixels and its outline's blur nothing else is to be found.
            explained[part] = cv2.max(explained[part], cv2.subtract(still.mask, cv2.erode(other, _CROSS)))
        self._stills = staying
        return explained

    @staticmethod
    def _spread(other: MatLike, area: int) -> bool:
        """Return whether what changed lies all over a still: it moves, nobody passes before it."""
        changed = cv2.countNonZero(other)
        if changed > 0.7 * area:
            return True
        if changed < 0.12 * area:
            return False
        _, _, width, height = cv2.boundingRect(other)
        return bool(width > 0.75 * other.shape[1] and height > 0.75 * other.shape[0])

    def _settle(self, image: Image, lit: Image, moving: Mask) -> None:
        """Turn what has kept still into a still, or heal it where it is a ghost."""
        height, width = (side // 2 for side in moving.shape)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        here = cv2.resize(moving, (width, height), interpolation=cv2.INTER_NEAREST)
        changed = _exceeds(
            _largest(cv2.absdiff(small, self._steady)), self._threshold[1::2, 1::2][:height, :width]
        )
        cv2.copyTo(small, changed, self._steady)
        self._steady_for += 1
        self._steady_for[changed > 0] = 0
        steady = (self._steady_for >= self._ghost_frames) & (np.asarray(here) > 0)
        if not steady.any():
            return
        count, labels, stats, _ = cv2.connectedComponentsWithStats(here, connectivity=8, ltype=cv2.CV_16U)
        for label in range(1, count):
            left, top, wide, high, area = (int(value) for value in stats[label])
            if 4 * area < self._least_area:
                continue
            x1, y1 = max(left - 3, 0), max(top - 3, 0)
            x2, y2 = min(left + wide + 3, width), min(top + high + 3, height)
            half = np.s_[y1:y2, x1:x2]
            alone = labels[half] == label
            lasting = alone & (self._steady_for[half] >= _STILL_S * self._rate)
            steady_share = np.count_nonzero(steady[half] & alone) / area
            lasting_share = np.count_nonzero(lasting) / area
            # Most of it: the plain side of a truck is steady, too, but not the truck's outline.
            if steady_share < _GHOST_SHARE and lasting_share < _STILL_SHARE:
                continue
            part = np.s_[2 * y1 : 2 * y2, 2 * x1 : 2 * x2]
            stays = lasting_share >= _STILL_SHARE
            # Who goes past in front of it just now is left out of it.
            mask = _doubled(lasting if stays and steady_share < _ALL_STEADY else alone)
            verdict = _outline(image[part], lit[part], mask)
            left, top, wide, high = cv2.boundingRect(mask)
            box = (2 * x1 + left, 2 * y1 + top, 2 * x1 + left + wide, 2 * y1 + top + high)
            if verdict == "ghost" or (stays and not self._plausible(box, verdict == "there")):
                self._heal(image, _mask(cv2.dilate(mask, _RING)), 2 * x1, 2 * y1)
            elif stays:
                self._stand(image, moving, mask, 2 * x1, 2 * y1)

    def _stand(self, image: Image, moving: Mask, mask: Mask, x: int, y: int) -> None:
        part = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
        whole = cv2.bitwise_and(cv2.dilate(mask, _DISC), moving[part])
        left, top, width, height = cv2.boundingRect(whole)
        inner = np.s_[top : top + height, left : left + width]
        self._made += 1
        self._stills.append(
            Still(
                box=(x + left, y + top, x + left + width, y + top + height),
                mask=_filled(_mask(whole[inner])),
                picture=image[part][inner].copy(),
                since=self._frame,
                number=self._made,
            )
        )
        moving[part][whole > 0] = 0

    def _heal(self, image: Image, mask: Mask, x: int, y: int) -> None:
        """Take the frame for the background under a mask, and remember for a while what was there before."""
        part = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
        under = mask > 0
        until = self._frame + round(_REGRET_S * self._rate)
        self._healed.append(_Healed(part, mask, self._mean[part].copy(), until))
        self._mean[part][under] = image[part][under]
        self._picture[part][under] = image[part][under]

    def _regret(self, image: Image, differing: Mask) -> None:
        """Undo a healing where the street looks again as before it: it was the plain side of a truck."""
        kept = []
        for healed in self._healed:
            part, under = healed.part, healed.mask > 0
            off = _largest(cv2.absdiff(image[part], cv2.convertScaleAbs(healed.before)))
            back = (off <= self._threshold[part]) & (differing[part] > 0) & under
            if back.sum() > 0.5 * under.sum():
                self._mean[part][under] = healed.before[under]
                self._picture[part][under] = np.clip(healed.before[under], 0, 255).astype(np.uint8)
                differing[part][back] = 0
            elif self._frame < healed.until:
                kept.append(healed)
        self._healed = kept


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_RING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


def _doubled(half: NDArray[np.bool_]) -> Mask:
    """Return a mask of half the resolution in full, small gaps closed."""
    full = cv2.resize(half.astype(np.uint8) * 255, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    return _mask(cv2.morphologyEx(full, cv2.MORPH_CLOSE, _RING))


def _sharp(mask: MatLike, difference: Mask) -> Mask:
    """Cut a mask's rim where it is only the blur of an edge: less than half as different as what lies beside.

    Lens, sensor and codec spread an edge over some pixels; where it is, it has half its height.
    """
    rim = cv2.subtract(mask, cv2.erode(mask, _DISC))
    half = cv2.dilate(difference, _DISC) // 2
    blurred = cv2.bitwise_and(rim, cv2.compare(difference, half, cv2.CMP_LT))
    return _mask(cv2.subtract(mask, blurred))


def _outline(image: Image, lit: Image, mask: Mask) -> str:
    """Return whether the outline of a mask is an edge of the frame ("there"), or of the background."""
    ring = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, _DISC) > 0
    now, usual = (float(_edges(picture)[ring].mean()) for picture in (image, lit))
    if usual > 1.2 * now:
        return "ghost"
    return "there" if now > usual else "unclear"


def _edges(picture: Image) -> Floats:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axes, ksize=3) for axes in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _largest(difference: MatLike) -> Mask:
    """Return the largest of the three channels (H, W)."""
    blue, green, red = cv2.split(difference)
    return _mask(cv2.max(cv2.max(blue, green), red))


def _exceeds(difference: Mask, threshold: Mask, spare: int = 0) -> Mask:
    """Return where a difference is over the threshold by more than ``spare``."""
    over = cv2.subtract(difference, threshold)
    return _mask(cv2.threshold(over, spare, 255, cv2.THRESH_BINARY)[1])


def _filled(mask: Mask) -> Mask:
    """Return a mask with its holes filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return _mask(cv2.drawContours(np.zeros_like(mask), outlines, -1, 255, -1))


def _mask(array: MatLike) -> Mask:
    return np.asarray(array, np.uint8)
