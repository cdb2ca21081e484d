"""A solid's picture and its slopes agree, and the box tells where the solid stands."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.lens import Lens
from edge.boxfit import STATE, Boxes, View, fitted, picture
from edge.demo.camera import Camera
from edge.scene import Kind
from edge.shapes import SHAPES, padded

SIZE = (1280, 720)
STREET = Camera((-18.0, -26.0, 9.0), (2.0, 2.0, 0.0), SIZE, 62.0)
WIDE = (np.zeros((1, 3)), np.full((1, 3), 30.0))


def view(bend: float = 0.0) -> View:
    inner = np.array([[STREET.focal_px, 0, 640], [0, STREET.focal_px, 360], [0, 0, 1.0]])
    outer = np.column_stack([STREET.rotation, -STREET.rotation @ np.asarray(STREET.position)])
    return View(inner @ outer, Lens(SIZE, bend))


def state(x: float, y: float, kind: Kind, heading: float = 0.0) -> np.ndarray:
    return np.array([[x, y, 0.0, 0.0, *SHAPES[kind].size_m, heading]])


@pytest.mark.parametrize("bend", [0.0, -0.2])
@pytest.mark.parametrize("kind", ["car", "pedestrian", "bus"])
def test_slopes_are_those_of_small_steps(kind: Kind, bend: float) -> None:
    points = padded(SHAPES[kind].points)[None]
    here = state(3.0, 4.0, kind, 0.7)
    _, slope, _ = picture(here, points, view(bend))
    for number in range(STATE):
        step = np.zeros((1, STATE))
        step[0, number] = 1e-5
        more, _, _ = picture(here + step, points, view(bend))
        less, _, _ = picture(here - step, points, view(bend))
        assert np.allclose((more - less) / 2e-5, slope[..., number], atol=1e-3)


@pytest.mark.parametrize("bend", [0.0, -0.2])
def test_a_box_tells_where_the_solid_stands(bend: float) -> None:
    points = padded(SHAPES["car"].points)[None]
    edges, _, _ = picture(state(3.0, 4.0, "car", 0.7), points, view(bend))
    boxes = Boxes(edges, np.ones((1, 4)), np.zeros((1, 4), bool))
    prior = np.diag([25.0, 25.0, 1.0, 1.0, 0.01, 0.01, 0.01, 1e-8])[None]
    found, after, misfit = fitted(
        state(0.0, 8.0, "car", 0.7), prior, points, view(bend), boxes,
        size_limits=WIDE, rounds=8, doubt=False,
    )  # fmt: skip
    assert found[0, :2] == pytest.approx([3.0, 4.0], abs=0.05)
    assert np.sqrt(np.linalg.eigvalsh(after[0, :2, :2])[-1]) < 0.3
    assert misfit[0] < 2.0


def test_a_buss_box_tells_its_heading_too() -> None:
    points = padded(SHAPES["bus"].points)[None]
    edges, _, _ = picture(state(3.0, 4.0, "bus", 0.7), points, view())
    boxes = Boxes(edges, np.ones((1, 4)), np.zeros((1, 4), bool))
    prior = np.diag([4.0, 4.0, 1.0, 1.0, 0.01, 0.01, 0.01, 0.04])[None]
    found, after, _ = fitted(
        state(3.5, 4.5, "bus", 0.5), prior, points, view(), boxes, size_limits=WIDE, rounds=8, doubt=False
    )
    assert found[0, 7] == pytest.approx(0.7, abs=0.03)
    assert np.sqrt(after[0, 7, 7]) < 0.1


def test_a_cut_edge_pushes_out_but_never_in() -> None:
    """The box ends at x = 600 because something begins there: the car may reach further, not less far."""
    points = padded(SHAPES["car"].points)[None]
    truth = state(3.0, 4.0, "car")
    edges, _, _ = picture(truth, points, view())
    shown = edges.copy()
    shown[0, 2] -= 30.0
    prior = np.diag([4.0, 4.0, 1.0, 1.0, 0.01, 0.01, 0.01, 1e-8])[None]
    places = []
    for cut in (False, True):
        boxes = Boxes(shown, np.ones((1, 4)), np.array([[False, False, cut, False]]))
        found, _, _ = fitted(truth, prior, points, view(), boxes, size_limits=WIDE, rounds=6, doubt=False)
        places.append(float(np.linalg.norm(found[0, :2] - truth[0, :2])))
    assert places[1] < 0.05 < places[0]


def test_a_box_that_no_solid_fits_moves_little() -> None:
    """Half a car behind another: the box is too small for any car, and the place is kept with more doubt."""
    points = padded(SHAPES["car"].points)[None]
    truth = state(3.0, 4.0, "car")
    edges, _, _ = picture(truth, points, view())
    half = edges.copy()
    half[0, 2] = (edges[0, 0] + edges[0, 2]) / 2
    prior = np.diag([0.04, 0.04, 1.0, 1.0, 0.1, 0.01, 0.01, 1e-8])[None]
    boxes = Boxes(half, np.full((1, 4), 2.0), np.zeros((1, 4), bool))
    trusting, sure, _ = fitted(truth, prior, points, view(), boxes, size_limits=WIDE, rounds=3, doubt=False)
    doubting, unsure, _ = fitted(truth, prior, points, view(), boxes, size_limits=WIDE, rounds=3)
    assert np.linalg.norm(doubting[0, :2] - [3, 4]) < 0.6 * np.linalg.norm(trusting[0, :2] - [3, 4])
    assert np.trace(unsure[0, :2, :2]) > np.trace(sure[0, :2, :2])


def test_behind_the_camera_nothing_is_fitted() -> None:
    points = padded(SHAPES["car"].points)[None]
    behind = state(-30.0, -60.0, "car")
    assert np.isnan(picture(behind, points, view())[0]).all()
    boxes = Boxes(np.array([[10.0, 10, 50, 50]]), np.ones((1, 4)), np.zeros((1, 4), bool))
    found, _, misfit = fitted(behind, np.eye(STATE)[None], points, view(), boxes, size_limits=WIDE, rounds=2)
    assert np.array_equal(found, behind)
    assert np.isinf(misfit[0])
