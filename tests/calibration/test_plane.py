"""The ground plane recovers known cameras, and says honestly how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.plane import fit

# A camera 8 m up, looking 25 degrees down: metres to pixels.
TO_IMAGE = np.array([[900.0, 380.0, 300.0], [0.0, 60.0, 4200.0], [0.0, 0.9, 6.0]])


def seen(points: np.ndarray) -> np.ndarray:
    mapped = np.c_[points, np.ones(len(points))] @ TO_IMAGE.T
    return mapped[:, :2] / mapped[:, 2:]


GRID = np.array([[x, y] for x in (-8.0, -2.0, 3.0, 9.0) for y in (2.0, 8.0, 15.0, 30.0)])


def test_exact_pairs_give_exact_metres() -> None:
    plane = fit(seen(GRID), GRID, image_size=(1280, 720))
    assert np.allclose(plane.ground(seen(GRID)), GRID, atol=1e-6)
    assert np.allclose(plane.image(GRID), seen(GRID), atol=1e-6)
    assert plane.fit_error_m.max() < 1e-6


def test_beyond_the_horizon_is_nan() -> None:
    plane = fit(seen(GRID), GRID, image_size=(1280, 720))
    horizon_v = 60.0 / 0.9
    assert np.isnan(plane.ground([[640.0, horizon_v - 5]])).all()
    assert np.isnan(plane.sigma_m([[640.0, horizon_v - 5]])).all()


def test_stated_sigma_holds_the_true_error() -> None:
    """Over many noisy calibrations the error along the worst axis is within 2 sigma in about 95 %."""
    rng = np.random.default_rng(4)
    probe = np.array([[1.0, 12.0]])
    ratios = []
    for _ in range(300):
        plane = fit(seen(GRID) + rng.normal(0, 1.0, (len(GRID), 2)), GRID, image_size=(1280, 720))
        error = np.linalg.norm(plane.ground(seen(probe)) - probe)
        ratios.append(error / plane.sigma_m(seen(probe))[0])
    assert 0.4 < np.sqrt(np.mean(np.square(ratios))) < 1.6
    assert np.mean(np.array(ratios) < 2.5) > 0.95


def test_pixel_noise_adds_to_sigma() -> None:
    plane = fit(seen(GRID), GRID, image_size=(1280, 720))
    near, far = seen(np.array([[0.0, 5.0], [0.0, 30.0]]))
    assert plane.sigma_m(near, 2.0) > plane.sigma_m(near)
    assert plane.sigma_m(far, 2.0) > plane.sigma_m(near, 2.0)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        pytest.param(GRID[:3], "expected at least 4", id="three pairs"),
        pytest.param(np.array([[0, y] for y in (1.0, 2, 3, 4, 5)]), "nearly on one line", id="on one line"),
    ],
)
def test_pairs_that_determine_no_plane_are_refused(points: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(seen(points), points, image_size=(1280, 720))


def test_held_out_pairs_measure_and_do_not_fit() -> None:
    pixel = seen(GRID)
    pixel[5] += 40.0
    held = np.zeros(len(GRID), bool)
    held[5] = True
    plane = fit(pixel, GRID, image_size=(1280, 720), held_out=held)
    assert np.allclose(plane.ground(seen(GRID)), GRID, atol=1e-6)
    assert plane.held_out_error_m[0] > 0.5
