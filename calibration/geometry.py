"""Plane geometry in metres: directions, polygons, distances.

Everything is vectorised over leading axes and needs numpy alone; the site frame is x east, y north.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def direction(heading_deg: ArrayLike) -> Floats:
    """Return unit vectors (..., 2) for headings in degrees counter-clockwise from east."""
    angle = np.deg2rad(np.asarray(heading_deg, dtype=np.float64))
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def angle_between_deg(first_deg: ArrayLike, second_deg: ArrayLike) -> Floats:
    """Return the unsigned angle between two headings, 0..180 degrees."""
    turn = (np.asarray(first_deg, dtype=np.float64) - np.asarray(second_deg, dtype=np.float64)) % 360.0
    return np.asarray(np.minimum(turn, 360.0 - turn))


def footprint(
    x: ArrayLike, y: ArrayLike, heading_deg: ArrayLike, length_m: ArrayLike, width_m: ArrayLike
) -> Floats:
    """Return the four corners (..., 4, 2) of ground footprints, front-left first, counter-clockwise.

    ::

            back-left  1 ───────── 0  front-left
                       │     ·  →  │  heading
            back-right 2 ───────── 3  front-right
    """
    ahead = direction(heading_deg)
    left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    centre = np.stack(np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64)), axis=-1)
    along = ahead * (np.asarray(length_m, np.float64)[..., None] / 2)
    across = left * (np.asarray(width_m, np.float64)[..., None] / 2)
    return np.stack(
        [centre + along + across, centre - along + across, centre - along - across, centre + along - across],
        axis=-2,
    )


def inside(points: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Return which points (..., 2) lie in a simple polygon (K, 2); the even-odd rule.

    Source: the crossing-number test, Franklin (1970).
    """
    point = np.asarray(points, dtype=np.float64)[..., None, :]
    here = np.asarray(polygon, dtype=np.float64)
    there = np.roll(here, -1, axis=0)
    rise = there[:, 1] - here[:, 1]
    spans = (here[:, 1] > point[..., 1]) != (there[:, 1] > point[..., 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        x_on_edge = here[:, 0] + (point[..., 1] - here[:, 1]) / rise * (there[:, 0] - here[:, 0])
    return np.asarray((spans & (point[..., 0] < x_on_edge)).sum(axis=-1) % 2 == 1)


def distance_to_segments(points: ArrayLike, starts: ArrayLike, ends: ArrayLike) -> Floats:
    """Return distances (..., K) from points (..., 2) to K segments, in metres."""
    point = np.asarray(points, dtype=np.float64)[..., None, :]
    start, end = np.asarray(starts, dtype=np.float64), np.asarray(ends, dtype=np.float64)
    along = end - start
    length2 = np.maximum((along**2).sum(axis=-1), 1e-12)
    share = np.clip(((point - start) * along).sum(axis=-1) / length2, 0.0, 1.0)
    return np.asarray(np.linalg.norm(point - (start + share[..., None] * along), axis=-1))


def distance_to_polygon(points: ArrayLike, polygon: ArrayLike) -> Floats:
    """Return signed distances (...) to a polygon's edge in metres: negative inside."""
    corners = np.asarray(polygon, dtype=np.float64)
    edge = distance_to_segments(points, corners, np.roll(corners, -1, axis=0)).min(axis=-1)
    return np.asarray(np.where(inside(points, corners), -edge, edge))
