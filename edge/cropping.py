"""Which part of the picture a network need be shown: the rectangle around all the places that matter."""

from __future__ import annotations

import numpy as np

from calibration.plane import Plane
from calibration.site import Site
from edge.zones import zone_mask
from models.crop import Rectangle

# Beside the zones, of their size: who stands at the edge of one is seen whole.
MARGIN_SHARE = 0.08
LEAST_MARGIN_PX = 16
# A larger part of the picture than this would gain next to nothing.
MOST_SHARE = 0.6


def crop_of(site: Site, plane: Plane | None, image_size: tuple[int, int]) -> Rectangle | None:
    """Return the part of the picture to be shown to a network, pixels; None where it is nearly all of it.

    It has the picture's own shape, so that what is shown is larger and no more distorted than before.
    """
    zone = zone_mask(site, plane, image_size)
    if not zone.any():
        return None
    columns, rows = np.flatnonzero(zone.any(axis=0)), np.flatnonzero(zone.any(axis=1))
    across = _with_margin(4 * int(columns[0]), 4 * int(columns[-1]) + 4)
    down = _with_margin(4 * int(rows[0]), 4 * int(rows[-1]) + 4)
    share = max((across[1] - across[0]) / image_size[0], (down[1] - down[0]) / image_size[1])
    if share**2 > MOST_SHARE:
        return None
    width, height = (int(np.ceil(share * side)) for side in image_size)
    left, top = _placed(across, width, image_size[0]), _placed(down, height, image_size[1])
    return left, top, left + width, top + height


def _with_margin(low: int, high: int) -> tuple[float, float]:
    margin = max(MARGIN_SHARE * (high - low), LEAST_MARGIN_PX)
    return low - margin, high + margin


def _placed(span: tuple[float, float], length: int, limit: int) -> int:
    """Return where a stretch of so many pixels begins: about the span's middle, within the picture."""
    return int(min(max((span[0] + span[1] - length) / 2, 0), limit - length))
