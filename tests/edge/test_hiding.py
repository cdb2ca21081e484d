"""Edges that end in something nearer are hidden; those that end in the open are not."""

from __future__ import annotations

import numpy as np
import pytest

from edge.hiding import hidden_edges

CAR = (100.0, 100.0, 200.0, 160.0)
NONE = (False, False, False, False)


@pytest.mark.parametrize(
    ("other", "hidden"),
    [
        pytest.param((130.0, 140.0, 260.0, 220.0), (False, False, True, True), id="a car before its corner"),
        pytest.param((60.0, 145.0, 240.0, 220.0), (False, False, False, True), id="a bus before its wheels"),
        pytest.param((60.0, 60.0, 240.0, 140.0), NONE, id="a bus behind it"),
        pytest.param((140.0, 90.0, 160.0, 175.0), NONE, id="a pedestrian before its middle"),
        pytest.param((190.0, 90.0, 210.0, 175.0), NONE, id="a pedestrian before its tail hides little"),
        pytest.param((260.0, 90.0, 300.0, 175.0), NONE, id="somebody elsewhere"),
    ],
)
def test_who_stands_nearer_hides_edges(
    other: tuple[float, ...], hidden: tuple[bool, bool, bool, bool]
) -> None:
    boxes = np.array([CAR, other])
    assert tuple(hidden_edges(boxes, np.zeros((0, 4)), margin_px=5.0)[0]) == hidden


def test_a_signal_head_hides_what_is_behind_it() -> None:
    heads = np.array([[60.0, 90.0, 103.0, 150.0]])
    assert hidden_edges(np.array([CAR]), heads, margin_px=5.0).tolist() == [[True, False, False, False]]


def test_no_boxes_no_edges() -> None:
    assert hidden_edges(np.zeros((0, 4)), np.zeros((0, 4)), margin_px=5.0).shape == (0, 4)
