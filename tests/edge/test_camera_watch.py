"""The watch over the camera: positions are distrusted at once, the state changes when most looks agree."""

from __future__ import annotations

import numpy as np

from calibration.drift import structure_of
from edge.camera_watch import LOST_LOOKS, CameraWatch
from tests.calibration.test_drift import SIZE, STREET, STRUCTURE, seen, street, turned

NOBODY = np.empty((0, 4), np.float32)


def looked(watch: CameraWatch, images: list[np.ndarray], *, start: float = 0.0) -> list[bool]:
    return [watch.trusted(image, NOBODY, start + second) for second, image in enumerate(images)]


def watch(structure: object = STRUCTURE) -> CameraWatch:
    return CameraWatch(structure, plane=None, image_size=SIZE)  # type: ignore[arg-type]  # None is allowed


def test_a_steady_camera_is_trusted() -> None:
    one = watch()
    assert all(looked(one, [seen(STREET, turned(), seed=k) for k in range(6)]))
    assert one.state == "steady" and one.moves == [] and one.shift is not None and one.shift.px < 0.3


def test_a_knock_is_noticed_at_the_next_look_and_named_after_three() -> None:
    one = watch()
    looked(one, [STREET] * 5)
    moved = [seen(STREET, turned(x=6.0), seed=k) for k in range(5)]
    assert looked(one, moved, start=5.0) == [False] * 5
    assert one.state == "moved"
    (move,) = one.moves
    assert move.start == 7.0 and move.end is None and abs(move.shift.px - 6.0) < 0.2


def test_a_camera_that_was_put_back_is_trusted_again() -> None:
    one = watch()
    looked(one, [STREET] * 3 + [seen(STREET, turned(x=6.0))] * 6)
    assert looked(one, [STREET] * 4, start=9.0) == [False, False, True, True]
    assert one.state == "steady" and one.moves[0].end == 11.0


def test_a_gust_of_wind_is_doubted_for_a_look_and_is_no_move() -> None:
    one = watch()
    assert (
        looked(one, [STREET] * 4 + [seen(STREET, turned(x=4.0))] + [STREET] * 3)
        == [True] * 4 + [False] + [True] * 3
    )
    assert one.moves == []


def test_frames_between_looks_are_not_looked_at() -> None:
    one = watch()
    assert one.trusted(STREET, NOBODY, 0.0)
    assert one.trusted(np.zeros_like(STREET), NOBODY, 0.5)
    assert one.state == "unknown"


def test_night_changes_nothing() -> None:
    one = watch()
    looked(one, [STREET] * 3)
    assert all(looked(one, [np.zeros_like(STREET)] * 30, start=3.0))
    assert one.state == "steady"


def test_another_scene_is_doubted_at_the_third_look_and_believed_after_a_while() -> None:
    one = watch()
    other = street(seed=7)
    looks = looked(one, [STREET] * 3 + [other] * (LOST_LOOKS - 1))
    assert looks == [True] * 5 + [False] * (LOST_LOOKS - 3) and one.state == "steady"
    assert looked(one, [other] * 4, start=40.0) == [False] * 4
    assert one.state == "moved" and one.moves[0].shift.px == float("inf")


def test_a_bus_that_has_left_is_forgotten() -> None:
    one = watch()
    assert looked(one, [STREET] * 3 + [street(seed=7)] * 5 + [STREET])[-2:] == [False, True]
    assert one.moves == []


def test_without_a_structure_the_first_look_is_what_later_ones_are_held_against() -> None:
    one = watch(None)
    looked(one, [STREET] * 4)
    assert looked(one, [seen(STREET, turned(x=5.0))] * 4, start=4.0)[-1] is False
    assert one.state == "moved"


def test_an_image_of_another_size_is_not_trusted() -> None:
    assert not watch().trusted(np.zeros((240, 320, 3), np.uint8), NOBODY, 0.0)


def test_nothing_of_an_image_is_kept() -> None:
    one = watch()
    before = structure_of(STREET).directions
    looked(one, [street(seed=3)] * 3)
    kept = [value for value in vars(one).values() if isinstance(value, np.ndarray)]
    assert all(value.ndim == 2 and value.shape[1] == 2 for value in kept)  # points alone
    assert one._structure is not None and np.array_equal(one._structure.directions, before)
