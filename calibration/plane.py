"""The ground plane: image pixels to metres on the road and back, with the error of each point.

A homography x_m ~ H x_px is fitted to point pairs, and its covariance is carried to every point it maps.
Where there are enough pairs to tell, the bend of the lens is fitted with it: a street camera with a wide lens
is easily half a metre off at the image border without.

Source: Hartley & Zisserman, Multiple View Geometry (2nd ed.), 4.1 and 5.2; Criminisi, Reid & Zisserman,
"A plane measuring device", Image and Vision Computing 17 (1999).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from calibration.lens import MOST_BENT, Lens
from calibration.robust import Suspect, suspects

if TYPE_CHECKING:
    from calibration.site import Site

Floats = NDArray[np.float64]

# A click on a road marking is rarely better than this, however well four points fit each other.
CLICK_SIGMA_PX = 1.0
# So many pairs, and so many sigma, before the lens is believed to bend.
_BEND_PAIRS = 10
_BEND_SIGMAS = 4.0


@dataclass(frozen=True)
class Plane:
    """A fitted ground plane.

    Attributes:
        image_size: width, height in pixels.
        to_metres: homography (3, 3), straight pixels (see ``lens``) to metres, scaled so that a point before
            the camera has a positive third coordinate.
        covariance: (8, 8) of the first eight numbers of ``to_metres`` divided by the ninth, in the
            normalised frames ``_image_frame`` and ``_metre_frame``; (9, 9) with the bend of the lens, where
            it was fitted.
        fit_error_m: leave-one-out error per fitted point, metres (NaN with four points).
        held_out_error_m: error at the points marked ``held_out``, metres.
        left_out: the pairs that do not fit the others and were left out, by their place among all.
    """

    image_size: tuple[int, int]
    to_metres: Floats
    covariance: Floats
    fit_error_m: Floats
    held_out_error_m: Floats
    image_frame: Floats
    metre_frame: Floats
    lens: Lens
    left_out: tuple[Suspect, ...] = ()

    def ground(self, points_px: ArrayLike) -> Floats:
        """Return ground points (..., 2) in metres for image points (..., 2); NaN beyond the horizon."""
        return _apply(self.to_metres, self.lens.straight(points_px))

    def image(self, points: ArrayLike) -> Floats:
        """Return image points (..., 2) in pixels for ground points (..., 2); NaN behind the camera."""
        inverse: Floats = np.linalg.inv(self.to_metres).astype(np.float64)
        return self.lens.bent(_apply(inverse, points))

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
        return _slope(self.to_metres, self.lens.straight(pixel)) @ self.lens.straight_slope(pixel)

    def _fit_covariance(self, pixel: Floats) -> Floats:
        normal = self.metre_frame @ self.to_metres @ np.linalg.inv(self.image_frame)
        bends = self.covariance.shape[0] == 9
        design = _whole_design(self.image_frame, normal / normal[2, 2], self.lens, pixel, bends=bends)
        scale = self.metre_frame[0, 0]
        covariance: Floats = design @ self.covariance @ np.swapaxes(design, -1, -2) / scale**2
        beyond = np.asarray(np.isnan(self.ground(pixel)).any(axis=-1))
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
    lens, covariance, homography, image_frame, metre_frame = _fitted(pixel[~held], metre[~held], image_size)
    return Plane(
        image_size=image_size,
        to_metres=homography,
        covariance=covariance,
        fit_error_m=_leave_one_out(lens.straight(pixel[~held]), metre[~held]),
        held_out_error_m=np.linalg.norm(
            _apply(homography, lens.straight(pixel[held])) - metre[held], axis=-1
        ),
        image_frame=image_frame,
        metre_frame=metre_frame,
        lens=lens,
    )


def plane_of(site: Site) -> Plane | None:
    """Return the ground plane of a site, None where the site file has none.

    A pair that plainly does not fit the others is left out; ``lint`` names it.

    Raises:
        ValueError: the point pairs do not determine a plane.
    """
    if site.ground_plane is None:
        return None
    pairs = site.ground_plane.points
    return robust_fit(
        [pair.px for pair in pairs],
        [pair.m for pair in pairs],
        image_size=site.ground_plane.image_size,
        held_out=[pair.held_out for pair in pairs],
    )


def robust_fit(
    points_px: ArrayLike, points: ArrayLike, *, image_size: tuple[int, int], held_out: ArrayLike
) -> Plane:
    """Fit as ``fit`` does, without the pairs that plainly do not fit the others (``left_out``)."""
    pixel, metre = np.asarray(points_px, np.float64), np.asarray(points, np.float64)
    held = np.asarray(held_out, bool)
    fitted = np.flatnonzero(~held)
    bad = tuple(
        Suspect(int(fitted[each.index]), each.error_px, each.others_px)
        for each in suspects(pixel[fitted], metre[fitted])
    )
    kept = ~np.isin(np.arange(len(pixel)), [each.index for each in bad])
    plane = fit(pixel[kept], metre[kept], image_size=image_size, held_out=held[kept])
    return replace(plane, left_out=bad)


def _fitted(
    pixel: Floats, metre: Floats, image_size: tuple[int, int]
) -> tuple[Lens, Floats, Floats, Floats, Floats]:
    """Return lens, covariance, homography and the two normal frames that fit point pairs best in pixels."""
    straight = Lens(image_size)
    homography, image_frame, metre_frame = _homography(pixel, metre)
    best, covariance = _polished(homography, straight, pixel, metre, image_frame, metre_frame, bends=False)
    if len(pixel) < _BEND_PAIRS:
        return straight, covariance, best[0], image_frame, metre_frame
    bent, bent_covariance = _polished(best[0], straight, pixel, metre, image_frame, metre_frame, bends=True)
    lens = bent[1]
    sure = abs(lens.bend) > _BEND_SIGMAS * float(np.sqrt(bent_covariance[8, 8]))
    if not sure or abs(lens.bend) >= 0.99 * MOST_BENT:
        return straight, covariance, best[0], image_frame, metre_frame
    return lens, bent_covariance, bent[0], image_frame, metre_frame


def _polished(
    homography: Floats,
    lens: Lens,
    pixel: Floats,
    metre: Floats,
    image_frame: Floats,
    metre_frame: Floats,
    *,
    bends: bool,
) -> tuple[tuple[Floats, Lens], Floats]:
    """Return homography and lens with the least error in pixels, and their covariance."""
    normal = metre_frame @ homography @ np.linalg.inv(image_frame)
    start = np.r_[(normal / normal[2, 2]).ravel()[:8], [lens.bend] * bends]
    # A click is so many pixels off: what that is in metres grows with the distance.
    click = CLICK_SIGMA_PX * _scale(homography, pixel)[:, None] * metre_frame[0, 0]
    target = _apply(metre_frame, metre)

    def parts(numbers: Floats) -> tuple[Floats, Lens]:
        bend = float(np.clip(numbers[8], -MOST_BENT, MOST_BENT)) if bends else lens.bend
        return np.r_[numbers[:8], 1.0].reshape(3, 3), Lens(lens.image_size, bend)

    def residuals(numbers: Floats) -> Floats:
        matrix, bent = parts(numbers)
        numerator, depth = _homogeneous(matrix, _apply(image_frame, bent.straight(pixel)))
        return np.asarray(((numerator / depth[:, None] - target) / click).ravel())

    found = least_squares(residuals, start, method="lm").x if 2 * len(pixel) > len(start) else start
    matrix, bent = parts(found)
    design = _whole_design(image_frame, matrix, bent, pixel, bends=bends) / click[..., None]
    design = design.reshape(-1, design.shape[-1])
    freedom = 2 * len(pixel) - len(found)
    worse = max(1.0, float((residuals(found) ** 2).sum()) / freedom) if freedom > 0 else 1.0
    covariance = np.linalg.pinv(design.T @ design) * worse
    polished = np.linalg.inv(metre_frame) @ matrix @ image_frame
    _, depth = _homogeneous(polished, bent.straight(pixel))
    return (polished * (np.sign(depth.mean()) / np.abs(depth).mean()), bent), covariance


def _whole_design(image_frame: Floats, normal: Floats, lens: Lens, pixel: Floats, *, bends: bool) -> Floats:
    """Return the derivatives (..., 2, 8 or 9) of normal ground points for h1..h8 and the bend."""
    image = _apply(image_frame, lens.straight(pixel))
    design = _design(image, normal)
    if not bends:
        return design
    step = 1e-4
    more, less = (Lens(lens.image_size, lens.bend + sign * step).straight(pixel) for sign in (1, -1))
    to_normal = normal @ image_frame
    bend = (_apply(to_normal, more) - _apply(to_normal, less)) / (2 * step)
    return np.concatenate([design, bend[..., None]], axis=-1)


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

    def slopes(h: Floats) -> Floats:
        numerator, depth = _homogeneous(h.reshape(3, 3), source)
        place = np.c_[source, np.ones(len(source))] / depth[:, None]
        rows = np.zeros((len(source), 2, 9))
        rows[:, 0, :3] = rows[:, 1, 3:6] = place
        rows[:, :, 6:] = -(numerator / depth[:, None])[:, :, None] * place[:, None, :]
        return rows.reshape(-1, 9)

    if len(pixel) > 4:
        method: Literal["lm", "trf"] = "lm" if 2 * len(pixel) >= 9 else "trf"
        start = least_squares(residuals, start, jac=slopes, method=method).x
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
    return np.asarray(np.linalg.norm(_slope(homography, pixel), ord=2, axis=(1, 2)))


def _slope(homography: Floats, pixel: Floats) -> Floats:
    """Return d(ground)/d(straight pixel) (..., 2, 2)."""
    numerator, depth = _homogeneous(homography, pixel)
    ground = numerator / depth[..., None]
    return np.asarray(
        (homography[:2, :2] - ground[..., :, None] * homography[2, :2]) / depth[..., None, None]
    )


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
