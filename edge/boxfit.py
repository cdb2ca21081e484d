"""Where a solid must stand for its picture to fill a box: many at once, each with its error.

An iterated extended Kalman update. The state of each solid is (x, y, vx, vy, length, width, height,
heading) in metres and radians; the measurement is the four edges of its box in pixels.

Source: Bell & Cathey, "The iterated Kalman filter update as a Gauss-Newton method", IEEE TAC 38 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.lens import Lens

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STATE = 8
_SIZE = slice(4, 7)
_SHOWN_PX = 3.0
# An edge that is further off than this many sigma is taken for hidden or misread, and counts less the further
# it is off (Huber's weight).
_DOUBTED_SIGMAS = 2.5
# A box whose misfit is above this (chi-squared of four edges: 1 in 20) counts less as a whole.
_DOUBTED_MISFIT = 9.5


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
        cut: (N, 4) edges at the image border or behind something: the solid may go on beyond.
    """

    edges_px: Floats
    sigma_px: Floats
    cut: Bools


def picture(state: Floats, points: Floats, view: View) -> tuple[Floats, Floats, Bools]:
    """Return the boxes (N, 4) in pixels that solids fill, their derivatives (N, 4, STATE), and what is shown.

    The box of a solid that reaches behind the camera is NaN. An edge (N, 4) is shown where the corner that
    makes it lies in the image: of a bus half in view the lowest corner may be the other half's.

    Args:
        state: (N, STATE).
        points: (N, K, 3) corners as shares of the sizes.
        view: of the camera.
    """
    cos, sin = np.cos(state[:, 7, None]), np.sin(state[:, 7, None])
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
    size, other = np.asarray(view.lens.image_size)[1 - axis], pixel[rows, corner, 1 - axis]
    shown = np.asarray((other > -_SHOWN_PX) & (other < size + _SHOWN_PX))
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
    ahead, left = a * state[:, 4, None], b * state[:, 5, None]
    slope[..., 7] = space[..., 1] * (ahead * cos - left * sin) - space[..., 0] * (ahead * sin + left * cos)
    return np.where(before[:, None], edges, np.nan), slope, shown


def fitted(
    state: Floats,
    covariance: Floats,
    points: Floats,
    view: View,
    boxes: Boxes,
    *,
    size_limits: tuple[Floats, Floats],
    rounds: int,
    doubt: bool = True,
) -> tuple[Floats, Floats, Floats]:
    """Return states (N, STATE), covariances (N, STATE, STATE) and misfits (N,) after the boxes were seen.

    Args:
        state, covariance: what was foreseen.
        points, view: as in ``picture``.
        size_limits: smallest and largest sizes (N, 3) a solid may have.
        rounds: of the iteration.
        doubt: whether edges and boxes far from what was foreseen count less.

    The misfit is the sum of squared residuals in sigmas, of the edges and of the change to the state: twice
    the negative logarithm of the likelihood but for a constant. A solid that would lie behind the camera is
    left as it was, its misfit inf.
    """
    sigma = boxes.sigma_px
    if doubt:
        edges, slope, shown = picture(state, points, view)
        spread = np.einsum("nij,njk,nik->ni", slope, covariance, slope)
        off = np.abs(_residual(edges, boxes, shown)) / np.sqrt(spread + sigma**2)
        sigma = sigma * np.sqrt(np.maximum(1.0, off / _DOUBTED_SIGMAS))
    best, after, misfit = _updated(state, covariance, points, view, boxes, sigma, size_limits, rounds)
    if doubt and bool((misfit > _DOUBTED_MISFIT).any()):
        # A box that no solid fits so near to where this one was: half hidden, or two road users in one box.
        worse = np.where(np.isfinite(misfit), misfit, 1.0) / _DOUBTED_MISFIT
        sigma = sigma * np.sqrt(np.maximum(1.0, worse))[:, None]
        best, after, misfit = _updated(state, covariance, points, view, boxes, sigma, size_limits, rounds)
    return best, after, misfit


def _updated(
    state: Floats,
    covariance: Floats,
    points: Floats,
    view: View,
    boxes: Boxes,
    sigma: Floats,
    size_limits: tuple[Floats, Floats],
    rounds: int,
) -> tuple[Floats, Floats, Floats]:
    best, after = state.copy(), covariance
    for _ in range(rounds):
        edges, slope, shown = picture(best, points, view)
        residual = _residual(edges, boxes, shown)
        weight = np.where(_unknown(edges, boxes, shown), 0.0, 1.0 / sigma)
        seen = slope * weight[..., None]
        missed = (residual + np.einsum("nij,nj->ni", slope, best - state)) * weight
        inner = np.einsum("nij,njk,nlk->nil", seen, covariance, seen) + np.eye(4)
        gain = np.swapaxes(np.linalg.solve(inner, seen @ covariance), 1, 2)
        best = state + np.einsum("nij,nj->ni", gain, missed)
        best[:, _SIZE] = np.clip(best[:, _SIZE], *size_limits)
        after = covariance - gain @ seen @ covariance
    edges, _, shown = picture(best, points, view)
    lost = np.asarray(np.isnan(edges).any(axis=1))
    change = best - state
    prior = np.einsum("ni,ni->n", change, np.linalg.solve(covariance, change[..., None])[..., 0])
    # An edge that tells nothing counts as one that fits as edges do, lest what is not seen fits best.
    unknown = _unknown(edges, boxes, shown).sum(axis=1)
    misfit = ((_residual(edges, boxes, shown) / sigma) ** 2).sum(axis=1) + unknown + prior
    after = (after + np.swapaxes(after, 1, 2)) / 2
    return (
        np.where(lost[:, None], state, best),
        np.where(lost[:, None, None], covariance, after),
        np.where(lost, np.inf, misfit),
    )


def _residual(edges: Floats, boxes: Boxes, shown: Bools) -> Floats:
    """Return by how much the measured edges (N, 4) lie off the foreseen ones; 0 where that tells nothing."""
    unknown = _unknown(edges, boxes, shown)
    return np.where(unknown, 0.0, boxes.edges_px - np.where(unknown, 0.0, edges))


def _unknown(edges: Floats, boxes: Boxes, shown: Bools) -> Bools:
    """Return which edges (N, 4) tell nothing: cut and foreseen further out, or of a half out of the image."""
    outward = np.array([-1.0, -1.0, 1.0, 1.0])
    beyond = boxes.cut & ((edges - boxes.edges_px) * outward > 0)
    half = ~shown & boxes.cut.any(axis=1, keepdims=True)
    return np.asarray(np.isnan(edges) | half | beyond)
