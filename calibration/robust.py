"""The bad pair among point pairs: a click on the wrong corner, or a typing error in its metres.

Each pair is left out in turn and predicted from the others; the one whose removal makes the others agree is
bad if it then lies further off than the others' own disagreement allows.

Source: the externally studentised residual, Belsley, Kuh & Welsch, Regression Diagnostics (1980), 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.stats import f as fisher

Floats = NDArray[np.float64]

# Five others determine who of six is wrong; of five pairs any four agree perfectly.
FEWEST = 6
# A click is about so good, worth as much as the evidence of this many residuals: six pairs that happen to
# agree to a tenth of a pixel do not condemn the seventh for two pixels.
_CLICK_PX, _CLICK_WEIGHT = 1.0, 4
_LEAST_PX = 4.0
_CHANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Suspect:
    """A pair that does not fit the others: how far off in the image, and how well those agree."""

    index: int
    error_px: float
    others_px: float


def suspects(points_px: ArrayLike, points: ArrayLike) -> tuple[Suspect, ...]:
    """Return the bad pairs among (N, 2) pixels and (N, 2) metres, the worst first: at most one in six."""
    pixel, metre = np.asarray(points_px, np.float64), np.asarray(points, np.float64)
    left = np.arange(len(pixel))
    found: list[Suspect] = []
    while len(left) >= FEWEST and len(found) < len(pixel) // FEWEST:
        worst = _worst(pixel[left], metre[left])
        if worst is None:
            break
        found.append(Suspect(int(left[worst.index]), worst.error_px, worst.others_px))
        left = np.delete(left, worst.index)
    return tuple(found)


def _worst(pixel: Floats, metre: Floats) -> Suspect | None:
    """Return the pair without which the others agree best, if it is bad."""
    best: tuple[float, int, Floats] | None = None
    for index in range(len(pixel)):
        rest = np.arange(len(pixel)) != index
        matrix = _to_image(metre[rest], pixel[rest])
        if matrix is None:
            continue
        squares = float((_residuals(matrix, metre[rest], pixel[rest]) ** 2).sum())
        if np.isfinite(squares) and (best is None or squares < best[0]):
            best = (squares, index, matrix)
    if best is None:
        return None
    squares, index, matrix = best
    rest = np.arange(len(pixel)) != index
    freedom = 2 * (len(pixel) - 1) - 8
    variance = (squares + _CLICK_WEIGHT * _CLICK_PX**2) / (freedom + _CLICK_WEIGHT)
    slopes = np.concatenate([_slope(matrix, each) for each in metre[rest]])
    design = _slope(matrix, metre[index])
    spread = np.eye(2) + design @ np.linalg.pinv(slopes.T @ slopes) @ design.T
    off = _residuals(matrix, metre[index : index + 1], pixel[index : index + 1])
    error_px = float(np.linalg.norm(off))
    ratio = float(off @ np.linalg.solve(spread, off)) / 2 / variance
    if not np.isfinite(error_px):
        error_px, ratio = float("inf"), float("inf")
    limit = float(fisher.isf(_CHANCE / len(pixel), 2, freedom + _CLICK_WEIGHT))
    if ratio <= limit or error_px < _LEAST_PX:
        return None
    return Suspect(index, error_px, float(np.sqrt(squares / max(freedom, 1))))


def _to_image(metre: Floats, pixel: Floats) -> Floats | None:
    """Return the homography metres to pixels with the least error in pixels; None where there is none."""
    source, target = _normal(metre), _normal(pixel)
    x, y = _mapped(source, metre).T
    u, v = _mapped(target, pixel).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    _, singular, right = np.linalg.svd(rows)
    if singular[7] < 1e-6 * singular[0] or abs(right[-1][8]) < 1e-9:
        return None
    start = right[-1][:8] / right[-1][8]
    inside = np.stack([x, y], axis=1)
    goal = np.stack([u, v], axis=1)

    def off(numbers: Floats) -> Floats:
        return np.asarray((_mapped(np.r_[numbers, 1.0].reshape(3, 3), inside) - goal).ravel())

    def slopes(numbers: Floats) -> Floats:
        mapped = np.c_[inside, np.ones(len(inside))]
        place = mapped / (mapped @ np.r_[numbers[6:], 1.0])[:, None]
        found = (place @ np.r_[numbers, 1.0].reshape(3, 3).T)[:, :2]
        rows = np.zeros((len(inside), 2, 8))
        rows[:, 0, :3] = rows[:, 1, 3:6] = place
        rows[:, :, 6:] = -found[:, :, None] * place[:, None, :2]
        return rows.reshape(-1, 8)

    solved = least_squares(off, start, jac=slopes, max_nfev=30)
    matrix = np.linalg.inv(target) @ np.r_[solved.x, 1.0].reshape(3, 3) @ source
    return np.asarray(matrix / matrix[2, 2]) if abs(matrix[2, 2]) > 1e-12 else None


def _residuals(matrix: Floats, metre: Floats, pixel: Floats) -> Floats:
    return np.asarray((_mapped(matrix, metre) - pixel).ravel())


def _mapped(matrix: Floats, points: Floats) -> Floats:
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mapped[:, :2] / mapped[:, 2:])


def _slope(matrix: Floats, point: Floats) -> Floats:
    """Return the derivative (2, 8) of an image point for the first eight numbers of the homography."""
    x, y = point
    u, v, w = matrix @ (x, y, 1.0)
    u, v = u / w, v / w
    rows = [[x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y], [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y]]
    return np.asarray(np.asarray(rows, np.float64) / w)


def _normal(points: Floats) -> Floats:
    centre = points.mean(axis=0)
    spread = np.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-9)
    return np.array([[spread, 0, -spread * centre[0]], [0, spread, -spread * centre[1]], [0, 0, 1.0]])
