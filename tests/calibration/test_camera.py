"""The camera behind a ground plane is found again, and refused where the plane cannot tell it."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.camera import camera_of
from calibration.lens import Lens
from calibration.plane import Plane, fit
from edge.demo.camera import Camera

SIZE = (1280, 720)
GRID = np.array([[x, y] for x in np.linspace(-12, 12, 6) for y in np.linspace(-10, 20, 6)])
VIEWS = [
    pytest.param(Camera((-22.0, -30.0, 11.0), (2.0, 2.0, 0.0), SIZE, 62.0), id="from a corner"),
    pytest.param(Camera((0.0, -30.0, 6.0), (0.0, 5.0, 0.0), SIZE, 45.0), id="along a street"),
    pytest.param(Camera((8.0, -14.0, 25.0), (2.0, 4.0, 0.0), SIZE, 70.0), id="steeply down"),
]


def plane_seen_by(camera: Camera, *, noise_px: float = 0.0, mirrored: bool = False) -> Plane:
    pixel = camera.image(np.c_[GRID, np.zeros(len(GRID))])
    pixel = pixel + np.random.default_rng(0).normal(0, noise_px, pixel.shape)
    known = np.isfinite(pixel).all(axis=1)
    metre = GRID * [1.0, -1.0] if mirrored else GRID
    return fit(pixel[known], metre[known], image_size=SIZE)


@pytest.mark.parametrize("true", VIEWS)
def test_focal_length_position_and_heights_are_found(true: Camera) -> None:
    found = camera_of(plane_seen_by(true))
    assert found is not None
    assert found.focal_px == pytest.approx(true.focal_px, rel=1e-3)
    assert found.position == pytest.approx(true.position, abs=0.05)
    heads = np.array([[0.0, 0.0, 1.7], [5.0, 8.0, 3.1], [-4.0, 3.0, 0.0]])
    assert np.allclose(found.image(heads), true.image(heads), atol=0.2)


@pytest.mark.parametrize("true", VIEWS)
def test_clicks_a_pixel_off_move_heads_by_little(true: Camera) -> None:
    found = camera_of(plane_seen_by(true, noise_px=1.0))
    assert found is not None
    head, foot = np.array([3.0, 4.0, 1.7]), np.array([3.0, 4.0, 0.0])
    tall = np.linalg.norm(true.image(head) - true.image(foot))
    assert np.linalg.norm(found.image(head) - found.image(foot)) == pytest.approx(tall, rel=0.08)


def test_points_behind_the_camera_are_nan() -> None:
    found = camera_of(plane_seen_by(Camera((0.0, -30.0, 6.0), (0.0, 5.0, 0.0), SIZE, 45.0)))
    assert found is not None
    assert np.isnan(found.image([0.0, -60.0, 0.0])).all()


def test_a_view_straight_down_tells_no_focal_length() -> None:
    pixel = GRID * [20.0, -20.0] + [640.0, 360.0]
    assert camera_of(fit(pixel, GRID, image_size=SIZE)) is None


def test_a_mirrored_plane_has_its_camera_under_the_road() -> None:
    """Left and right swapped in the site file: there is no such camera, and no heights are made up."""
    view = Camera((-22.0, -30.0, 11.0), (2.0, 2.0, 0.0), SIZE, 62.0)
    assert camera_of(plane_seen_by(view, mirrored=True)) is None


def test_the_lens_bends_heads_as_feet() -> None:
    view, lens = Camera((-22.0, -30.0, 11.0), (2.0, 2.0, 0.0), SIZE, 62.0), Lens(SIZE, -0.15)
    plane = fit(lens.bent(view.image(np.c_[GRID, np.zeros(len(GRID))])), GRID, image_size=SIZE)
    found = camera_of(plane)
    assert found is not None
    head = np.array([6.0, 6.0, 1.8])
    assert np.allclose(found.image(head), lens.bent(view.image(head)), atol=0.5)
