"""Which edges of a box are where something in front of it begins, not where the road user ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Something hides an edge only if it runs along a good part of it, and is not much smaller than what it
# hides: a pedestrian before a bus conceals nothing of where the bus ends.
_SHARE = 0.25
_LEAST_SIZE = 0.3


def hidden_edges(boxes: Floats, heads_px: Floats, *, margin_px: float) -> Bools:
    """Return which edges (N, 4) of boxes (N, 4) may be hidden: left, top, right, bottom.

    Args:
        boxes: of one frame, all road users: who stands lower in the image is nearer to the camera.
        heads_px: (M, 4) signal heads, which are nearer than everything behind them.
        margin_px: how close an edge must be to what hides it.

    ::

        ┌─────────┐
        │    ┌────┼──┐  the right and the bottom edge of the upper box end in the lower one
        └────┤    ┘  │
             └───────┘
    """
    if not len(boxes):
        return np.zeros((0, 4), bool)
    front = np.concatenate([boxes, heads_px])
    nearer = np.ones((len(boxes), len(front)), bool)
    nearer[:, : len(boxes)] = boxes[None, :, 3] > boxes[:, None, 3] + margin_px
    box, other = boxes[:, None], front[None]
    size = np.maximum(box[..., 2:] - box[..., :2], 1e-9)
    shared = np.minimum(box[..., 2:], other[..., 2:]) - np.maximum(box[..., :2], other[..., :2])
    large = other[..., 2:] - other[..., :2] > _LEAST_SIZE * size
    along_x, along_y = (
        (shared[..., axis] > _SHARE * size[..., axis]) & large[..., 1 - axis] for axis in (0, 1)
    )
    within_x = [_within(box[..., side], other[..., 0], other[..., 2], margin_px) for side in (0, 2)]
    within_y = [_within(box[..., side], other[..., 1], other[..., 3], margin_px) for side in (1, 3)]
    hidden = [
        along_y & within_x[0] & (other[..., 0] <= box[..., 0]),
        along_x & within_y[0] & (other[..., 1] <= box[..., 1]),
        along_y & within_x[1] & (other[..., 2] >= box[..., 2]),
        along_x & within_y[1] & (other[..., 3] >= box[..., 3]),
    ]
    return np.stack([(each & nearer).any(axis=1) for each in hidden], axis=-1)


def _within(edge: Floats, low: Floats, high: Floats, margin_px: float) -> Bools:
    return np.asarray((edge > low - margin_px) & (edge < high + margin_px))
