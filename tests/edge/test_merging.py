"""One box a road user: riders join their bicycles, doubled vehicles become one."""

from __future__ import annotations

import numpy as np
import pytest

from edge.merging import Merged, merged
from models.detections import KINDS, Detections

BICYCLE = ("bicycle", 0.7, (100.0, 140.0, 170.0, 190.0))


def of(*boxes: tuple[str, float, tuple[float, float, float, float]]) -> Merged:
    return merged(
        Detections(
            np.array([box for _, _, box in boxes], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in boxes], np.float32),
            np.array([KINDS.index(kind) for kind, _, _ in boxes], np.int8),  # type: ignore[arg-type]
        )
    )


def kinds(result: Merged) -> list[str]:
    return [KINDS[kind] for kind in result.detections.kinds]


@pytest.mark.parametrize(
    ("person", "left"),
    [
        pytest.param((115.0, 90.0, 155.0, 178.0), ["bicycle"], id="on the saddle"),
        pytest.param((110.0, 95.0, 150.0, 192.0), ["bicycle"], id="a foot on the ground"),
        pytest.param((180.0, 90.0, 215.0, 190.0), ["pedestrian", "bicycle"], id="beside it"),
        pytest.param((115.0, 120.0, 155.0, 215.0), ["pedestrian", "bicycle"], id="walking before it"),
        pytest.param((120.0, 110.0, 132.0, 142.0), ["pedestrian", "bicycle"], id="far behind it"),
        pytest.param((85.0, 60.0, 185.0, 188.0), ["bicycle"], id="a sloppy box around both"),
    ],
)
def test_a_rider_is_a_cyclist_and_nobody_else_is(
    person: tuple[float, float, float, float], left: list[str]
) -> None:
    assert kinds(of(("pedestrian", 0.9, person), BICYCLE)) == left


def test_the_cyclist_is_as_large_as_both_and_keeps_the_bicycles_index() -> None:
    result = of(("car", 0.9, (300, 100, 400, 160)), ("pedestrian", 0.9, (115, 90, 155, 178)), BICYCLE)
    assert kinds(result) == ["car", "bicycle"]
    assert result.origin.tolist() == [0, 2]
    assert result.ridden.tolist() == [False, True]
    assert result.detections.boxes_px[1].tolist() == [100, 90, 170, 190]
    assert result.detections.scores[1] == pytest.approx(0.9)


def test_a_passenger_aside_two_riders_take_two_bicycles() -> None:
    result = of(
        ("pedestrian", 0.9, (115, 90, 155, 178)),
        ("pedestrian", 0.9, (185, 92, 225, 180)),
        BICYCLE,
        ("bicycle", 0.6, (172, 142, 240, 192)),
    )
    assert kinds(result) == ["bicycle", "bicycle"]
    assert result.ridden.all()


@pytest.mark.parametrize(
    ("second", "left"),
    [
        pytest.param(("truck", 0.5, (301, 101, 402, 161)), ["car"], id="car and truck at once"),
        pytest.param(("car", 0.5, (300, 120, 400, 160)), ["car"], id="a second box with less of a roof"),
        pytest.param(("motorcycle", 0.5, (301, 101, 402, 161)), ["car"], id="car and motorcycle at once"),
        pytest.param(("car", 0.5, (320, 85, 410, 145)), ["car", "car"], id="the next car in a queue"),
        pytest.param(
            ("pedestrian", 0.5, (330, 95, 360, 162)), ["car", "pedestrian"], id="somebody before the car"
        ),
    ],
)
def test_a_vehicle_is_there_once(
    second: tuple[str, float, tuple[float, float, float, float]], left: list[str]
) -> None:
    assert kinds(of(("car", 0.9, (300, 100, 400, 160)), second)) == left


def test_nothing_stays_nothing() -> None:
    result = merged(Detections.none())
    assert len(result.detections) == 0
    assert result.origin.shape == (0,)
