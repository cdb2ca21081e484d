"""Tsai's camera maps there and back, and PETS people are as tall as people are."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from calibration.tsai import TsaiCamera, load_tsai


def looking_down_the_street() -> TsaiCamera:
    """A camera 7 m up that looks along +y, 30 degrees down; its image axes are right and down."""
    sin, cos = np.sin(np.deg2rad(30)), np.cos(np.deg2rad(30))
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, -sin, -cos], [0.0, cos, -sin]])
    return TsaiCamera(
        image_size=(768, 576),
        focal_mm=5.5,
        kappa1=0.0051,
        centre_px=(384.0, 288.0),
        pixel_mm=(0.0051, 0.00465),
        sx=1.09,
        rotation=rotation,
        translation_mm=-rotation @ np.array([0.0, 0.0, 7000.0]),
    )


def test_ground_and_image_undo_each_other() -> None:
    camera = looking_down_the_street()
    points = np.array([[-3000.0, 9000.0], [0.0, 12000.0], [4000.0, 25000.0]])
    pixel = camera.image(np.c_[points, np.zeros(3)])
    assert np.allclose(camera.ground(pixel), points, atol=1e-3)
    heads = camera.image(np.c_[points, np.full(3, 1750.0)])
    assert np.allclose(camera.ground(heads, height_mm=1750.0), points, atol=1e-3)
    assert (heads[:, 1] < pixel[:, 1]).all()


def test_barrel_distortion_draws_points_inwards() -> None:
    camera = looking_down_the_street()
    straight = TsaiCamera(**{**vars(camera), "kappa1": 0.0})
    corner = np.array([9000.0, 14000.0, 0.0])
    offset, without = (each.image(corner) - each.centre_px for each in (camera, straight))
    assert np.linalg.norm(offset) < np.linalg.norm(without)


def test_beyond_the_horizon_and_behind_is_nan() -> None:
    camera = looking_down_the_street()
    assert np.isnan(camera.ground([384.0, -2000.0])).all()
    assert np.isnan(camera.image([0.0, -30000.0, 0.0])).all()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("no xml", id="not XML"),
        pytest.param("<Camera/>", id="nothing in it"),
        pytest.param('<Camera><Geometry width="x"/></Camera>', id="no numbers"),
    ],
)
def test_a_file_that_is_no_calibration_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "View.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"View\.xml: not a Tsai calibration"):
        load_tsai(path)


@pytest.mark.data
def test_people_of_pets_are_as_tall_as_people(data: Path) -> None:
    camera = load_tsai(data / "pets2009" / "View_001.xml")
    assert camera.position_mm / 1000 == pytest.approx([-28.9, -19.5, 7.07], abs=0.1)
    heights = []
    for frame in list(ElementTree.parse(data / "pets2009" / "PETS2009-S2L1.xml").iter("frame"))[::40]:
        for box in frame.iter("box"):
            x, y, h = (float(box.attrib[key]) for key in ("xc", "yc", "h"))
            foot = camera.ground([x, y + h / 2])
            head = camera.image([*foot, 1750.0])
            heights.append(1.75 * h / (y + h / 2 - head[1]))
    assert np.median(heights) == pytest.approx(1.75, abs=0.12)
