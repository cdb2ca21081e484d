"""Where a solid must stand for its picture to fill a box: many at once, each with its error.

An iterated extended Kalman update. The state of each solid is (x, y, vx, vy, length, width, height) in
metres; the measurement is the four edges of its box in pixels.

Source: Bell & Cathey, "The iterated Kalman filter update as a Gauss-Newton method", IEEE TAC 38 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.lens import Lens

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STATE = 7
_SIZE = slice(4, 7)
# An edge that is further off than this many sigma is taken for hidden or misread, and counts less the further
# it is off (Huber's weight).
_DOUBTED_SIGMAS = 2.5


@dataclass(frozen=True, eq=False)
class View:
    """How the camera sees: points (x, y, height, 1) in metres to straight pixels (3, 4), and the lens."""

    projection: Floats
    lens: Lens


@dataclass(frozen=True, eq=False)
class Boxes:
    """Measured boxes.

    Attributes:
        edges_px: (N, 4) left, top, right, bottom.
        sigma_px: (N, 4) of each edge; inf where it is not known at all.
        cut: (N, 4) edges that lie on the image border: the solid may go on beyond.
    """

    edges_px: Floats
    sigma_px: Floats
    cut: Bools


def picture(state: Floats, heading: Floats, points: Floats, view: View) -> tuple[Floats, Floats]:
    """Return the boxes (N, 4) in pixels that solids fill, and their derivatives (N, 4, STATE).

    The box of a solid that reaches behind the camera is NaN.

    Args:
        state: (N, STATE).
        heading: (N,) radians.
        points: (N, K, 3) corners as shares of the sizes.
        view: of the camera.
    """
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    along, across, up = (points[..., axis] for axis in range(3))
    length, width, height = (state[:, 4 + axis, None] for axis in range(3))
    x = state[:, 0, None] + along * length * cos - across * width * sin
    y = state[:, 1, None] + along * length * sin + across * width * cos
    z = up * height
    projection = view.projection
    mapped = np.stack([x, y, z], axis=-1) @ projection[:, :3].T + projection[:, 3]
    depth = mapped[..., 2]
    before = np.asarray((depth > 1e-9).all(axis=1))
    straight = mapped[..., :2] / np.where(depth > 1e-9, depth, 1.0)[..., None]
    pixel = view.lens.bent(straight)
    before &= np.asarray(np.isfinite(pixel).all(axis=(1, 2)))
    pixel = np.nan_to_num(pixel)
    rows = np.arange(len(state))[:, None]
    corner = np.stack([*pixel.argmin(axis=1).T, *pixel.argmax(axis=1).T], axis=1)  # (N, 4)
    axis = np.array([0, 1, 0, 1])
    edges = pixel[rows, corner, axis]
    # Derivatives of the extreme corner: space -> straight pixel -> image pixel.
    spot, far = straight[rows, corner], np.where(before[:, None], depth[rows, corner], 1.0)
    flat = (projection[:2, :3] - spot[..., None] * projection[2, :3]) / far[..., None, None]
    bend = np.nan_to_num(view.lens.bent_slope(spot))[:, np.arange(4), axis]
    space = np.einsum("nek,nekj->nej", bend, flat)
    a, b, c = along[rows, corner], across[rows, corner], up[rows, corner]
    slope = np.zeros((len(state), 4, STATE))
    slope[..., 0], slope[..., 1] = space[..., 0], space[..., 1]
    slope[..., 4] = a * (space[..., 0] * cos + space[..., 1] * sin)
    slope[..., 5] = b * (space[..., 1] * cos - space[..., 0] * sin)
    slope[..., 6] = c * space[..., 2]
    return np.where(before[:, None], edges, np.nan), slope


def fitted(
    state: Floats,
    covariance: Floats,
    heading: Floats,
    points: Floats,
    view: View,
    boxes: Boxes,
    *,
    rounds: int,
    doubt: bool = True,
) -> tuple[Floats, Floats, Floats]:
    """Return states (N, STATE), covariances (N, STATE, STATE) and misfits (N,) after the boxes were seen.

    The misfit is the sum of squared residuals in sigmas, of the edges and of the change to the state: twice
    the negative logarithm of the likelihood but for a constant. A solid that would lie behind the camera is
    left as it was, its misfit inf.
    """
    best = state.copy()
    after = covariance
    sigma = boxes.sigma_px
    for turn in range(rounds):
        edges, slope = picture(best, heading, points, view)
        # A cut edge says only that the solid reaches the border: nothing where it is foreseen beyond.
        beyond = boxes.cut & _is_beyond(edges, boxes.edges_px)
        noise = np.where(beyond | ~np.isfinite(edges), np.inf, sigma)
        if doubt and turn == 0:
            foreseen = np.sqrt(np.einsum("nij,njk,nik->ni", slope, covariance, slope) + sigma**2)
            off = np.abs(boxes.edges_px - edges) / foreseen
            sigma = sigma * np.sqrt(np.maximum(1.0, np.nan_to_num(off, nan=1.0) / _DOUBTED_SIGMAS))
            noise = np.where(np.isinf(noise), np.inf, sigma)
        weight = np.where(np.isinf(noise), 0.0, 1.0 / np.where(np.isinf(noise), 1.0, noise))
        edges = np.where(np.isfinite(edges), edges, boxes.edges_px)
        seen = slope * weight[..., None]
        missed = (boxes.edges_px - edges + np.einsum("nij,nj->ni", slope, best - state)) * weight
        inner = np.einsum("nij,njk,nlk->nil", seen, covariance, seen) + np.eye(4)
        gain = np.swapaxes(np.linalg.solve(inner, seen @ covariance), 1, 2)
        best = state + np.einsum("nij,nj->ni", gain, missed)
        best[:, _SIZE] = np.maximum(best[:, _SIZE], 0.1)
        after = covariance - gain @ seen @ covariance
    edges, _ = picture(best, heading, points, view)
    lost = np.asarray(~np.isfinite(edges).all(axis=1))
    beyond = boxes.cut & _is_beyond(edges, boxes.edges_px)
    off = np.where(beyond | lost[:, None] | np.isinf(sigma), 0.0, (boxes.edges_px - edges) / sigma)
    change = best - state
    prior = np.einsum("ni,ni->n", change, np.linalg.solve(covariance, change[..., None])[..., 0])
    misfit = np.where(lost, np.inf, (off**2).sum(axis=1) + prior)
    after = (after + np.swapaxes(after, 1, 2)) / 2
    return (
        np.where(lost[:, None], state, best),
        np.where(lost[:, None, None], covariance, after),
        misfit,
    )


def _is_beyond(edges: Floats, border: Floats) -> Bools:
    """Return which foreseen edges (N, 4) lie outside the measured ones, left and top being smaller."""
    outward = np.array([-1.0, -1.0, 1.0, 1.0])
    return np.asarray((edges - border) * outward > 0)
