"""The ground plane: image pixels to metres on the road and back, with the error of each point.

A homography x_m ~ H x_px is fitted to point pairs, and its covariance is carried to every point it maps.

Source: Hartley & Zisserman, Multiple View Geometry (2nd ed.), 4.1 and 5.2; Criminisi, Reid & Zisserman,
"A plane measuring device", Image and Vision Computing 17 (1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

if TYPE_CHECKING:
    from calibration.site import Site

Floats = NDArray[np.float64]

# A click on a road marking is rarely better than this, however well four points fit each other.
CLICK_SIGMA_PX = 1.0


@dataclass(frozen=True)
class Plane:
    """A fitted ground plane.

    Attributes:
        image_size: width, height in pixels.
        to_metres: homography (3, 3), pixels to metres, scaled so that a point before the camera has a
            positive third coordinate.
        covariance: (8, 8) of the first eight numbers of ``to_metres`` divided by the ninth, in the
            normalised frames ``_image_frame`` and ``_metre_frame``.
        fit_error_m: leave-one-out error per fitted point, metres (NaN with four points).
        held_out_error_m: error at the points marked ``held_out``, metres.
    """

    image_size: tuple[int, int]
    to_metres: Floats
    covariance: Floats
    fit_error_m: Floats
    held_out_error_m: Floats
    image_frame: Floats
    metre_frame: Floats

    def ground(self, points_px: ArrayLike) -> Floats:
        """Return ground points (..., 2) in metres for image points (..., 2); NaN beyond the horizon."""
        return _apply(self.to_metres, points_px)

    def image(self, points: ArrayLike) -> Floats:
        """Return image points (..., 2) in pixels for ground points (..., 2); NaN behind the camera."""
        inverse: Floats = np.linalg.inv(self.to_metres).astype(np.float64)
        return _apply(inverse, points)

    def sigma_m(self, points_px: ArrayLike, sigma_px: ArrayLike = 0.0) -> Floats:
        """Return the 1-sigma position error (...) of ground points, metres; NaN beyond the horizon.

        The error of the image point (``sigma_px``, isotropic) and that of the fit add up; the larger axis
        of the error ellipse is returned, which lies along the line of sight.
        """
        pixel = np.asarray(points_px, dtype=np.float64)
        jacobian = self._jacobian(pixel)
        noise = np.asarray(sigma_px, dtype=np.float64)[..., None, None] ** 2 * np.eye(2)
        total = jacobian @ noise @ np.swapaxes(jacobian, -1, -2) + self._fit_covariance(pixel)
        known = np.asarray(np.isfinite(total).all(axis=(-1, -2)))
        largest = np.linalg.eigvalsh(np.where(known[..., None, None], total, np.eye(2)))[..., -1]
        return np.asarray(np.where(known, np.sqrt(np.maximum(largest, 0.0)), np.nan))

    def px_per_m(self, points: ArrayLike) -> Floats:
        """Return the image scale (...) at ground points, pixels per metre across the line of sight."""
        point = np.asarray(points, dtype=np.float64)
        step = 0.05
        across = [self.image(point + offset) - self.image(point - offset) for offset in _axes(step)]
        scales = np.stack([np.linalg.norm(each, axis=-1) / (2 * step) for each in across], axis=-1)
        return np.asarray(scales.max(axis=-1))

    def _jacobian(self, pixel: Floats) -> Floats:
        numerator, depth = _homogeneous(self.to_metres, pixel)
        ground = numerator / depth[..., None]
        return np.asarray(
            (self.to_metres[:2, :2] - ground[..., :, None] * self.to_metres[2, :2]) / depth[..., None, None]
        )

    def _fit_covariance(self, pixel: Floats) -> Floats:
        image = _apply(self.image_frame, pixel)
        normal = self.metre_frame @ self.to_metres @ np.linalg.inv(self.image_frame)
        design = _design(image, normal / normal[2, 2])
        scale = self.metre_frame[0, 0]
        covariance: Floats = design @ self.covariance @ np.swapaxes(design, -1, -2) / scale**2
        beyond = np.asarray(np.isnan(_apply(self.to_metres, pixel)).any(axis=-1))
        return np.where(beyond[..., None, None], np.nan, covariance)


def fit(
    points_px: ArrayLike, points: ArrayLike, *, image_size: tuple[int, int], held_out: ArrayLike | None = None
) -> Plane:
    """Fit the ground plane to point pairs.

    Args:
        points_px, points: (N, 2) in pixels and metres, N >= 4.
        image_size: width, height.
        held_out: (N,) which pairs only measure the error.

    Raises:
        ValueError: fewer than four pairs to fit, or points too nearly on one line.
    """
    pixel, metre = np.asarray(points_px, np.float64), np.asarray(points, np.float64)
    held = np.zeros(len(pixel), bool) if held_out is None else np.asarray(held_out, bool)
    if (~held).sum() < 4:
        raise ValueError(f"{int((~held).sum())} point pairs to fit, expected at least 4")
    homography, image_frame, metre_frame = _homography(pixel[~held], metre[~held])
    normal = metre_frame @ homography @ np.linalg.inv(image_frame)
    normal /= normal[2, 2]
    design = _design(_apply(image_frame, pixel[~held]), normal).reshape(-1, 8)
    residual = (_apply(homography, pixel[~held]) - metre[~held]) * metre_frame[0, 0]
    freedom = residual.size - 8
    click = CLICK_SIGMA_PX * _scale(homography, pixel[~held]) * metre_frame[0, 0]
    variance = np.repeat(click**2, 2)
    if freedom > 0:
        variance = variance * max(1.0, float((residual.ravel() ** 2 / variance).sum() / freedom))
    covariance = np.linalg.pinv(design.T @ (design / variance[:, None]))
    return Plane(
        image_size=image_size,
        to_metres=homography,
        covariance=covariance,
        fit_error_m=_leave_one_out(pixel[~held], metre[~held]),
        held_out_error_m=np.linalg.norm(_apply(homography, pixel[held]) - metre[held], axis=-1),
        image_frame=image_frame,
        metre_frame=metre_frame,
    )


def plane_of(site: Site) -> Plane | None:
    """Return the ground plane of a site, None where the site file has none.

    Raises:
        ValueError: the point pairs do not determine a plane.
    """
    if site.ground_plane is None:
        return None
    pairs = site.ground_plane.points
    return fit(
        [pair.px for pair in pairs],
        [pair.m for pair in pairs],
        image_size=site.ground_plane.image_size,
        held_out=[pair.held_out for pair in pairs],
    )


def _homography(pixel: Floats, metre: Floats) -> tuple[Floats, Floats, Floats]:
    image_frame, metre_frame = _normalisation(pixel), _normalisation(metre)
    source, target = _apply(image_frame, pixel), _apply(metre_frame, metre)
    rows = []
    for (u, v), (x, y) in zip(source, target, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -x * u, -x * v, -x])
        rows.append([0, 0, 0, u, v, 1, -y * u, -y * v, -y])
    _, singular, right = np.linalg.svd(np.asarray(rows))
    if singular[7] < 1e-6 * singular[0]:
        raise ValueError("the point pairs lie too nearly on one line to determine the ground plane")
    start = right[-1] / right[-1][8] if abs(right[-1][8]) > 1e-12 else right[-1]

    def residuals(h: Floats) -> Floats:
        numerator, depth = _homogeneous(h.reshape(3, 3), source)
        return np.asarray((numerator / depth[:, None] - target).ravel())

    if len(pixel) > 4:
        start = least_squares(residuals, start, method="lm" if 2 * len(pixel) >= 9 else "trf").x
    homography = np.linalg.inv(metre_frame) @ start.reshape(3, 3) @ image_frame
    _, depth = _homogeneous(homography, pixel)
    if (depth < 0).sum() > len(depth) / 2:
        homography, depth = -homography, -depth
    if (depth <= 0).any():
        raise ValueError("some point pairs would lie beyond the horizon: two of them are probably swapped")
    return homography / np.abs(depth).mean(), image_frame, metre_frame


def _leave_one_out(pixel: Floats, metre: Floats) -> Floats:
    if len(pixel) < 5:
        return np.full(len(pixel), np.nan)
    errors = []
    for index in range(len(pixel)):
        rest = np.arange(len(pixel)) != index
        try:
            homography, _, _ = _homography(pixel[rest], metre[rest])
        except ValueError:
            errors.append(np.nan)
            continue
        errors.append(float(np.linalg.norm(_apply(homography, pixel[index]) - metre[index])))
    return np.asarray(errors)


def _scale(homography: Floats, pixel: Floats) -> Floats:
    """Return metres per pixel (N,) along the worst direction at image points."""
    numerator, depth = _homogeneous(homography, pixel)
    ground = numerator / depth[:, None]
    jacobian = (homography[:2, :2] - ground[:, :, None] * homography[2, :2]) / depth[:, None, None]
    return np.asarray(np.linalg.norm(jacobian, ord=2, axis=(1, 2)))


def _design(image: Floats, normal: Floats) -> Floats:
    """Return d(ground)/d(h1..h8) (..., 2, 8) in the normalised frames."""
    numerator, depth = _homogeneous(normal, image)
    x, y = (numerator / depth[..., None])[..., 0], (numerator / depth[..., None])[..., 1]
    u, v = image[..., 0], image[..., 1]
    one, zero = np.ones_like(u), np.zeros_like(u)
    top = np.stack([u, v, one, zero, zero, zero, -x * u, -x * v], axis=-1)
    bottom = np.stack([zero, zero, zero, u, v, one, -y * u, -y * v], axis=-1)
    return np.stack([top, bottom], axis=-2) / depth[..., None, None]


def _normalisation(points: Floats) -> Floats:
    centre = points.mean(axis=0)
    spread = np.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-9)
    return np.array([[spread, 0, -spread * centre[0]], [0, spread, -spread * centre[1]], [0, 0, 1.0]])


def _homogeneous(matrix: Floats, points: ArrayLike) -> tuple[Floats, Floats]:
    point = np.asarray(points, dtype=np.float64)
    mapped = point @ matrix[:, :2].T + matrix[:, 2]
    return mapped[..., :2], mapped[..., 2]


def _apply(matrix: Floats, points: ArrayLike) -> Floats:
    numerator, depth = _homogeneous(matrix, points)
    before = depth > 1e-9
    return np.where(before[..., None], numerator / np.where(before, depth, 1.0)[..., None], np.nan)


def _axes(step: float) -> tuple[Floats, ...]:
    return tuple(step * np.array([np.cos(a), np.sin(a)]) for a in np.arange(8) * np.pi / 8)
