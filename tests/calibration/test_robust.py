"""One bad pair among good ones is named and left out; good ones never are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.lint import lint
from calibration.plane import plane_of
from calibration.robust import suspects
from calibration.site import Site, load_site
from tests.conftest import ROOT

# A camera 8 m up, looking 25 degrees down: metres to pixels.
TO_IMAGE = np.array([[900.0, 380.0, 300.0], [0.0, 60.0, 4200.0], [0.0, 0.9, 6.0]])
GRID = np.array([[x, y] for x in (-8.0, -2.0, 3.0, 9.0) for y in (2.0, 8.0, 15.0, 30.0)])


def seen(points: np.ndarray, *, noise_px: float = 0.0, seed: int = 0) -> np.ndarray:
    mapped = np.c_[points, np.ones(len(points))] @ TO_IMAGE.T
    return mapped[:, :2] / mapped[:, 2:] + np.random.default_rng(seed).normal(0, noise_px, (len(points), 2))


def site_of(pixel: np.ndarray, metre: np.ndarray) -> Site:
    points = [{"px": px, "m": m} for px, m in zip(pixel.tolist(), metre.tolist(), strict=True)]
    ground = {"image_size": [1280, 720], "osd": [], "points": points}
    return Site.model_validate_json(json.dumps({"site": {"id": "a"}, "ground_plane": ground}))


@pytest.mark.parametrize("index", range(16))
def test_a_wrong_corner_is_named_wherever_it_is(index: int) -> None:
    pixel, metre = seen(GRID, noise_px=1.0, seed=index), GRID.copy()
    metre[index] += (1.5, -2.0)
    assert [each.index for each in suspects(pixel, metre)] == [index]


def test_good_clicks_are_never_named() -> None:
    named = [len(suspects(seen(GRID, noise_px=1.0, seed=seed), GRID)) for seed in range(200)]
    assert sum(named) == 0


@pytest.mark.parametrize("count", [4, 5])
def test_of_few_pairs_none_can_be_named(count: int) -> None:
    pixel = seen(GRID[:: 16 // count][:count])
    pixel[0] += 50
    assert suspects(pixel, GRID[:: 16 // count][:count]) == ()


def test_two_bad_pairs_are_both_named() -> None:
    pixel = seen(GRID, noise_px=0.5, seed=3)
    pixel[2] += (60, 0)
    pixel[11] -= (0, 40)
    assert {each.index for each in suspects(pixel, GRID)} == {2, 11}


def test_a_ground_plane_leaves_the_bad_pair_out_and_lint_says_which() -> None:
    pixel, metre = seen(GRID, noise_px=0.5), GRID.copy()
    metre[6] += (2.0, 0.0)
    site = site_of(pixel, metre)
    plane = plane_of(site)
    assert plane is not None and [each.index for each in plane.left_out] == [6]
    assert np.abs(plane.ground(seen(GRID)) - GRID).max() < 0.25
    (said,) = [line for line in lint(site).warnings if "points.6" in line]
    assert "left out; correct its px or m, or delete it" in said


def test_no_pair_of_the_example_is_bad() -> None:
    plane = plane_of(load_site(ROOT / "examples" / "strudl" / "site.toml"))
    assert plane is not None and plane.left_out == ()


def pets_pairs(data: Path, *, noise_px: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks on the PETS road as its own calibration has it, and places between them (480 x 360)."""
    from calibration.tsai import load_tsai

    camera = load_tsai(data / "pets2009" / "View_001.xml")
    columns, rows = np.meshgrid(np.linspace(60, 700, 5), np.linspace(200, 540, 4))
    pixel = np.stack([columns.ravel(), rows.ravel()], axis=1)
    columns, rows = np.meshgrid(np.linspace(80, 690, 12), np.linspace(210, 550, 10))
    probe = np.stack([columns.ravel(), rows.ravel()], axis=1)
    clicks = pixel * 0.625 + np.random.default_rng(seed).normal(0, noise_px, pixel.shape)
    return clicks, camera.ground(pixel) / 1000, np.c_[probe * 0.625, camera.ground(probe) / 1000]


@pytest.mark.data
@pytest.mark.parametrize(
    ("noise_px", "median_m", "p95_m"),
    [
        pytest.param(0.0, 0.03, 0.07, id="exact clicks"),
        pytest.param(0.5, 0.04, 0.11, id="clicks to half a pixel"),
        pytest.param(1.0, 0.05, 0.19, id="clicks to a pixel"),
    ],
)
def test_the_pets_camera_is_recovered_from_twenty_clicks(
    data: Path, noise_px: float, median_m: float, p95_m: float
) -> None:
    errors, sigmas = [], []
    for seed in range(10):
        pixel, metre, probe = pets_pairs(data, noise_px=noise_px, seed=seed)
        points = [{"px": px, "m": m} for px, m in zip(pixel.tolist(), metre.tolist(), strict=True)]
        ground = {"image_size": [480, 360], "osd": [], "points": points}
        plane = plane_of(
            Site.model_validate_json(json.dumps({"site": {"id": "pets"}, "ground_plane": ground}))
        )
        assert plane is not None and plane.left_out == ()
        errors.append(np.linalg.norm(plane.ground(probe[:, :2]) - probe[:, 2:], axis=1))
        sigmas.append(plane.sigma_m(probe[:, :2]))
    error, sigma = np.concatenate(errors), np.concatenate(sigmas)
    print(f"{noise_px} px: median {np.median(error):.3f} m, 95 % {np.percentile(error, 95):.3f} m")
    assert np.median(error) < median_m and np.percentile(error, 95) < p95_m
    assert np.mean(error < 3 * sigma) > 0.97


@pytest.mark.data
def test_a_bad_pair_on_pets_is_found_and_metres_stay(data: Path) -> None:
    pixel, metre, probe = pets_pairs(data, noise_px=0.5, seed=1)
    metre[7] += (3.0, 0.0)
    points = [{"px": px, "m": m} for px, m in zip(pixel.tolist(), metre.tolist(), strict=True)]
    ground = {"image_size": [480, 360], "osd": [], "points": points}
    plane = plane_of(Site.model_validate_json(json.dumps({"site": {"id": "pets"}, "ground_plane": ground})))
    assert plane is not None and [each.index for each in plane.left_out] == [7]
    assert np.median(np.linalg.norm(plane.ground(probe[:, :2]) - probe[:, 2:], axis=1)) < 0.15
