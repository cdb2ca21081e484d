"""A moved camera is told from a changed scene, by how much it moved, and by the edges alone."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.drift import (
    Structure,
    ground_points,
    load_structure,
    movement,
    shift_m,
    structure_of,
    structure_text,
)
from calibration.plane import fit
from calibration.site import SiteError

SIZE = (640, 480)
ALL = ground_points(None, SIZE)


def street(seed: int = 1) -> np.ndarray:
    """A made street: bright stripes, walls and signs of many directions on grey noise."""
    rng = np.random.default_rng(seed)
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for _ in range(90):
        corners = rng.integers(0, SIZE, 2) + rng.integers(-45, 45, (4, 2))
        cv2.fillConvexPoly(image, cv2.convexHull(corners.astype(np.int32)), rng.integers(30, 230, 3).tolist())
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def seen(image: np.ndarray, matrix: np.ndarray, *, noise: float = 4.0, seed: int = 2) -> np.ndarray:
    moved = cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved + np.random.default_rng(seed).normal(0, noise, moved.shape), 0, 255).astype(np.uint8)


def turned(*, deg: float = 0.0, zoom: float = 1.0, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), deg, zoom)
    matrix[:, 2] += (x, y)
    return matrix


STREET = street()
STRUCTURE = structure_of(STREET)
STILL = turned()


@pytest.mark.parametrize(
    "matrix",
    [
        pytest.param(turned(), id="not moved"),
        pytest.param(turned(x=1.0), id="a pixel aside"),
        pytest.param(turned(x=-2.6, y=1.3), id="a little"),
        pytest.param(turned(x=47.0, y=-20.0), id="knocked"),
        pytest.param(turned(deg=0.4), id="turned a little"),
        pytest.param(turned(deg=3.0, x=5.0), id="turned"),
        pytest.param(turned(zoom=1.02), id="zoomed"),
        pytest.param(turned(zoom=0.95, deg=-1.0, y=8.0), id="all at once"),
        pytest.param(turned(zoom=1.1), id="zoomed far"),
        pytest.param(turned(deg=-9.0), id="turned far"),
    ],
)
def test_the_movement_is_told_to_a_third_of_a_pixel(matrix: np.ndarray) -> None:
    found = movement(STRUCTURE, seen(STREET, matrix))
    assert found is not None and found.matrix is not None
    expected = ALL @ matrix[:, :2].T + matrix[:, 2]
    told = ALL @ found.matrix[:, :2].T + found.matrix[:, 2]
    assert np.linalg.norm(told - expected, axis=1).max() < 0.35
    assert found.shift_px(ALL) == pytest.approx(np.median(np.linalg.norm(expected - ALL, axis=1)), abs=0.2)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image * 0.35, id="dusk"),
        pytest.param(lambda image: image * 1.5, id="bright"),
        pytest.param(lambda image: 255 * (image / 255) ** 0.5, id="gamma"),
        pytest.param(lambda image: 255.0 - image, id="light and dark swapped"),
        pytest.param(lambda image: cv2.GaussianBlur(image, (0, 0), 2.0), id="rain on the lens"),
        pytest.param(
            lambda image: np.where(np.indices(image.shape)[1] > 420, 60, image),
            id="a bus before a third of it",
        ),
    ],
)
def test_a_changed_scene_is_no_moved_camera(change: object) -> None:
    changed = np.clip(change(STREET.astype(np.float64)), 0, 255).astype(np.uint8)  # type: ignore[operator]  # a lambda
    found = movement(STRUCTURE, seen(changed, STILL, noise=2.0))
    assert found is not None and found.shift_px(ALL) < 0.6


def test_another_scene_is_told() -> None:
    found = movement(STRUCTURE, street(seed=7))
    assert found is not None and found.matrix is None
    assert math.isinf(found.shift_px(ALL))


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros((480, 640, 3), np.uint8), id="black"),
        pytest.param(np.full((480, 640, 3), 200, np.uint8), id="fog"),
    ],
)
def test_where_nothing_is_seen_nothing_is_told(image: np.ndarray) -> None:
    assert movement(STRUCTURE, image) is None


def test_road_users_are_not_looked_at() -> None:
    hidden = np.zeros((120, 160), bool)
    hidden[40:, :] = True
    crowd = STREET.copy()
    crowd[160:] = street(seed=9)[160:]
    found = movement(STRUCTURE, crowd, hidden)
    assert found is not None and found.shift_px(ALL) < 0.3


def test_what_was_hidden_leaves_no_edges_in_the_structure() -> None:
    known = np.ones((480, 640), bool)
    known[100:300, 200:400] = False
    inside = structure_of(STREET, known).directions[50:150, 100:200]
    assert inside.max() == 0 and STRUCTURE.directions[50:150, 100:200].max() > 0


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="320 x 240"):
        movement(STRUCTURE, np.zeros((240, 320, 3), np.uint8))


def test_the_shift_on_the_road_is_that_of_the_ground_plane() -> None:
    pixels = np.array([[0.0, 0.0], [640.0, 0.0], [640.0, 480.0], [0.0, 480.0], [320.0, 240.0]])
    plane = fit(pixels, pixels * (0.1, -0.1), image_size=SIZE)
    found = movement(STRUCTURE, seen(STREET, turned(x=5.0)))
    assert found is not None
    assert shift_m(plane, found, ALL) == pytest.approx(0.5, abs=0.03)


def test_a_structure_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "site.structure.json"
    path.write_text(structure_text(STRUCTURE))
    read = load_structure(path)
    assert isinstance(read, Structure) and read.image_size == SIZE
    assert np.array_equal(read.directions, STRUCTURE.directions)
    assert load_structure(tmp_path / "none.json") is None


def test_a_structure_holds_directions_alone() -> None:
    """Sixteen directions or none at a quarter of the pixels: no grey value, and the same for its negative."""
    assert STRUCTURE.directions.shape == (240, 320)
    assert set(np.unique(STRUCTURE.directions)) <= set(range(17))
    negative = structure_of(255 - STREET)
    assert np.mean(negative.directions == STRUCTURE.directions) > 0.97


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="no JSON"),
        pytest.param('{"v":1,"image_size":[640,480],"size":[320,240],"directions":"AAAA"}', id="no zlib"),
        pytest.param(structure_text(STRUCTURE).replace("[320, 240]", "[320, 239]"), id="too long"),
        pytest.param(structure_text(STRUCTURE).replace("[320, 240]", "[320, 241]"), id="too short"),
        pytest.param(structure_text(STRUCTURE).replace('"v": 1', '"v": 2'), id="another version"),
    ],
)
def test_a_file_that_is_no_structure_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.structure.json"
    path.write_text(text)
    with pytest.raises(SiteError, match="no structure of a scene"):
        load_structure(path)
