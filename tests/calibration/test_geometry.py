"""Plane geometry, against figures one can draw and against shapely."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from calibration.geometry import angle_between_deg, direction, distance_to_polygon, footprint, inside

L_SHAPE = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 5], [0, 5.0]])
coordinate = st.floats(-10, 10, allow_nan=False, width=32)


def test_headings_turn_counter_clockwise_from_east() -> None:
    assert np.allclose(direction([0, 90, -90, 180]), [[1, 0], [0, 1], [0, -1], [-1, 0]])


def test_angles_between_headings_are_unsigned() -> None:
    assert angle_between_deg(350, 10) == 20
    assert angle_between_deg(-90, 90) == 180


def test_a_footprint_has_its_front_where_it_heads() -> None:
    corners = footprint(10, 5, 90, 4, 2)
    assert np.allclose(corners, [[9, 7], [9, 3], [11, 3], [11, 7]])


def test_footprints_of_many() -> None:
    corners = footprint([0, 1], [0, 1], [0, 45], [4, 4], [2, 2])
    assert corners.shape == (2, 4, 2)


@given(coordinate, coordinate)
def test_distance_agrees_with_shapely(x: float, y: float) -> None:
    polygon, point = shapely.Polygon(L_SHAPE), shapely.Point(x, y)
    distance = distance_to_polygon([x, y], L_SHAPE)
    assert abs(abs(distance) - polygon.exterior.distance(point)) < 1e-9
    if polygon.exterior.distance(point) > 1e-6:
        assert bool(inside([x, y], L_SHAPE)) == polygon.contains(point) == bool(distance < 0)
