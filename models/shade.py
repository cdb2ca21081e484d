"""Shade on the ground: what is only darker than the empty street.

Shade darkens all colours alike and keeps the ground's texture; and there is one sun, so that it keeps the
same share of the light all over the street.

Source: Cucchiara et al., "Detecting moving objects, ghosts and shadows in video streams", IEEE TPAMI 25
(2003).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

# Shade keeps between this much and this much of the light; its tint and its texture stay the ground's.
_KEEPS = (0.38, 0.96)
_TINT = 0.03
_TEXTURE = 0.07
# The share it keeps is voted for by what is surely shade, in bins, a few pixels of each a frame.
_BINS, _MOST_VOTES, _KNOWN_PX, _UMBRA_WITHIN = 29, 25, 500, 0.07

_ONES = np.ones(3, np.float32)
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_RING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


class Shade:
    """Finds shade, and learns how dark it is at this hour."""

    def __init__(self) -> None:
        self._votes = np.zeros(_BINS)

    def find(self, image: Image, lit: Image, differing: Mask, stills: Sequence[Box]) -> Mask:
        """Return where the ground is only darker: alike in tint, and alike in texture round about.

        Args:
            image, lit: (H, W, 3) the frame, and the empty street in its light.
            differing: (H, W) where the two differ.
            stills: boxes of what stands: windows that do not move would count again with every frame.
        """
        shade = np.zeros_like(differing)
        where = np.flatnonzero(differing)
        now, usual = (
            picture.reshape(-1, 3).take(where, axis=0).astype(np.float32) for picture in (image, lit)
        )
        now_sum, usual_sum = now @ _ONES + 1.0, usual @ _ONES + 1.0
        keeps = now_sum / usual_sum
        between = (keeps > _KEEPS[0]) & (keeps < _KEEPS[1])
        where, now, usual, keeps = where[between], now[between], usual[between], keeps[between]
        tint = np.abs(now / now_sum[between, None] - usual / usual_sum[between, None]).max(
            axis=1, initial=0.0
        )
        # Noise shows more in the tint of dark pixels.
        alike_in_tint = tint < _TINT + 2.0 / now_sum[between]
        where, keeps = where[alike_in_tint], keeps[alike_in_tint]
        if len(where) == 0:
            return shade
        rows, columns = np.divmod(where, differing.shape[1])
        # The texture stays where the share of light is the same round about: its spread in a small window.
        share, count = (np.zeros(differing.shape, np.float32) for _ in range(2))
        share[rows, columns], count[rows, columns] = keeps, 1.0
        half = (differing.shape[1] // 2, differing.shape[0] // 2)
        sums = [
            cv2.blur(cv2.resize(each, half, interpolation=cv2.INTER_AREA), (5, 5))
            for each in (count, share, share * share)
        ]
        at = (np.minimum(rows // 2, half[1] - 1), np.minimum(columns // 2, half[0] - 1))
        many, mean, square = (np.asarray(each)[at] for each in sums)
        many = np.maximum(many, 1e-6)
        spread = np.sqrt(np.maximum(square / many - (mean / many) ** 2, 0.0))
        alike = (spread < _TEXTURE) & (many > 0.4)
        sure = (spread < _TEXTURE / 2) & (many > 0.9)
        for left, top, right, bottom in stills:
            sure &= (columns < left) | (columns >= right) | (rows < top) | (rows >= bottom)
        umbra = self._umbra(keeps[sure])
        if umbra is not None:
            alike = (np.abs(keeps - umbra) < _UMBRA_WITHIN) & (many > 0.3)
        shade[rows[alike], columns[alike]] = 255
        if umbra is None:  # known by its depth, a shadow may be thin; by its texture only a patch is sure
            shade = np.asarray(cv2.morphologyEx(shade, cv2.MORPH_OPEN, _DISC), np.uint8)
        # Its blurred rim is shade, too: darker by less, next to what was found.
        rim = np.zeros_like(differing)
        rim[rows, columns] = 255
        return np.asarray(cv2.bitwise_and(cv2.dilate(shade, _RING), rim), np.uint8)

    def _umbra(self, keeps: Floats) -> float | None:
        """Return the share of light the shade of this hour keeps; None before it is known.

        There is one sun: what shade keeps of the light is the same all over the street, and most of what
        surely looks like shade is. A small shadow on a marked road has no texture to go by.
        """
        votes, edges = np.histogram(keeps, bins=_BINS, range=_KEEPS)
        self._votes *= 0.998
        self._votes += np.minimum(votes, _MOST_VOTES)
        smooth = np.convolve(self._votes, np.ones(3), mode="same")
        best = int(smooth.argmax())
        total = float(self._votes.sum())
        if total < _KNOWN_PX or smooth[best] < 0.25 * total:
            return None
        return float(edges[best] + edges[best + 1]) / 2
