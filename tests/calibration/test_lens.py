"""A lens bends and straightens without loss, and the ground plane learns its bend from point pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.lens import Lens
from calibration.plane import fit
from edge.demo.camera import Camera

SIZE = (640, 480)
CAMERA = Camera((20.0, -8.0, 9.0), (8.0, 9.0, 0.0), SIZE, 55.0)
GRID = np.array([[x, y, 0.0] for x in np.linspace(-4, 16, 6) for y in np.linspace(0, 24, 7)])


def seen(lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    pixel = lens.bent(CAMERA.image(GRID))
    shown = np.isfinite(pixel).all(axis=1) & (pixel > 0).all(axis=1) & (pixel < SIZE).all(axis=1)
    return pixel[shown], GRID[shown, :2]


@given(
    bend=st.floats(-0.4, 0.15),
    x=st.floats(0, SIZE[0]),
    y=st.floats(0, SIZE[1]),
)
def test_what_is_straightened_bends_back(bend: float, x: float, y: float) -> None:
    lens = Lens(SIZE, bend)
    assert np.allclose(lens.bent(lens.straight([x, y])), [x, y], atol=1e-6)


@pytest.mark.parametrize("bend", [-0.3, 0.0, 0.12])
def test_slopes_are_those_of_small_steps(bend: float) -> None:
    lens, points, step = Lens(SIZE, bend), np.array([[30.0, 60.0], [320.0, 240.0], [610.0, 200.0]]), 1e-4
    for mapped, slope in ((lens.straight, lens.straight_slope), (lens.bent, lens.bent_slope)):
        small = [(mapped(points + move) - mapped(points - move)) / (2 * step) for move in np.eye(2) * step]
        assert np.allclose(np.stack(small, axis=-1), slope(points), atol=1e-5)


def test_the_plane_learns_the_bend_of_a_street_camera() -> None:
    pixel, metre = seen(Lens(SIZE, -0.22))
    noisy = pixel + np.random.default_rng(1).normal(0, 0.7, pixel.shape)
    plane = fit(noisy, metre, image_size=SIZE)
    assert plane.lens.bend == pytest.approx(-0.22, abs=0.03)
    assert np.linalg.norm(plane.ground(pixel) - metre, axis=1).max() < 0.3
    assert np.allclose(plane.image(plane.ground(pixel)), pixel, atol=1e-6)


def test_a_straight_lens_is_left_straight() -> None:
    pixel, metre = seen(Lens(SIZE))
    noisy = pixel + np.random.default_rng(2).normal(0, 0.7, pixel.shape)
    assert fit(noisy, metre, image_size=SIZE).lens.bend == 0.0


def test_a_few_pairs_cannot_tell_the_bend() -> None:
    pixel, metre = seen(Lens(SIZE, -0.22))
    assert fit(pixel[::5], metre[::5], image_size=SIZE).lens.bend == 0.0


def test_stated_sigma_holds_the_true_error_with_a_lens() -> None:
    pixel, metre = seen(Lens(SIZE, -0.22))
    rng = np.random.default_rng(3)
    probe = len(pixel) // 3
    ratios = []
    for _ in range(60):
        plane = fit(pixel + rng.normal(0, 1.0, pixel.shape), metre, image_size=SIZE)
        ratios.append(np.linalg.norm(plane.ground(pixel[probe]) - metre[probe]) / plane.sigma_m(pixel[probe]))
    assert 0.4 < np.sqrt(np.mean(np.square(ratios))) < 1.6
