"""The motion detector on drawn streets: what moves, stops, leaves, and only looks as if it did."""

from __future__ import annotations

import numpy as np
import pytest

from models.detections import KINDS, Detections, Detector
from models.motion import MotionDetector
from tests.models.motion_scenes import (
    BLUE,
    DARK,
    RATE_HZ,
    RED,
    SIZE,
    WHITE,
    Box,
    Overhead,
    Street,
    car_at,
    person_at,
)


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def detector() -> MotionDetector:
    return MotionDetector(SIZE, Overhead(), frame_rate_hz=RATE_HZ)


def learn(detector: Detector, street: Street, frames: int = 15) -> None:
    for _ in range(frames):
        detector.detect(street.frame())


def kinds(found: Detections) -> list[str]:
    return [KINDS[index] for index in found.kinds]


def best_iou(found: Detections, box: Box) -> float:
    if len(found) == 0:
        return 0.0
    shared = np.minimum(found.boxes_px[:, 2:], box[2:]) - np.maximum(found.boxes_px[:, :2], box[:2])
    area = np.prod(np.maximum(shared, 0), axis=1)
    own = np.prod(found.boxes_px[:, 2:] - found.boxes_px[:, :2], axis=1)
    return float((area / (own + (box[2] - box[0]) * (box[3] - box[1]) - area)).max())


def test_an_empty_street_holds_nothing(street: Street, detector: MotionDetector) -> None:
    assert [len(detector.detect(street.frame())) for _ in range(40)] == [0] * 40


def test_a_moving_car_is_one_car_in_its_box(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    for step in range(25):
        box = car_at(20 + 10 * step, 200)
        found = detector.detect(street.frame((box, RED)))
    assert kinds(found) == ["car"]
    np.testing.assert_allclose(found.boxes_px[0], box, atol=2.0)
    assert found.scores[0] > 0.5


def test_a_walking_person_is_a_pedestrian(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    for step in range(40):
        box = person_at(100 + round(1.5 * step), 200)
        found = detector.detect(street.frame((box, BLUE)))
    assert kinds(found) == ["pedestrian"]
    np.testing.assert_allclose(found.boxes_px[0], box, atol=2.0)


def test_a_shadow_belongs_to_nobody(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    for step in range(40):
        box = car_at(20 + 8 * step, 200)
        beside = (box[0] - 30, 186, box[0], 200)
        found = detector.detect(street.frame((box, RED), shade=(beside,)))
    np.testing.assert_allclose(found.boxes_px[0], box, atol=3.0)


def test_light_that_fades_moves_nothing(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    found = [len(detector.detect(street.frame(light=1.0 - 0.3 * step / 200))) for step in range(200)]
    assert sum(found) == 0


def test_a_car_waiting_a_minute_stays_in_sight(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    for left in range(0, 200, 10):
        detector.detect(street.frame((car_at(left, 200), WHITE)))
    box = car_at(200, 200)
    overlaps = [
        best_iou(detector.detect(street.frame((box, WHITE))), box) for _ in range(round(60 * RATE_HZ))
    ]
    assert min(overlaps) > 0.8


def test_who_walks_past_a_waiting_car_is_seen_beside_it(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    for left in range(0, 200, 10):
        detector.detect(street.frame((car_at(left, 200), WHITE)))
    car = car_at(200, 200)
    for _ in range(40):
        detector.detect(street.frame((car, WHITE)))
    both = []
    for step in range(70):
        person = person_at(170 + 2 * step, 206)
        found = detector.detect(street.frame((car, WHITE), (person, DARK)))
        both.append(best_iou(found, car) > 0.7 and best_iou(found, person) > 0.5)
    assert np.mean(both) > 0.85


def test_what_stood_there_from_the_start_leaves_no_ghost(street: Street, detector: MotionDetector) -> None:
    for _ in range(30):
        detector.detect(street.frame((car_at(200, 200), RED)))
    for left in range(210, 480, 10):
        detector.detect(street.frame((car_at(left, 200), RED)))
    for _ in range(round(2 * RATE_HZ)):
        found = detector.detect(street.frame())
    assert len(found) == 0


def test_the_first_frame_may_hold_movers(street: Street, detector: MotionDetector) -> None:
    for step in range(30):
        box = car_at(40 + 12 * step, 200)
        found = detector.detect(street.frame((box, RED)))
    assert best_iou(found, box) > 0.7


def test_a_lamp_that_is_told_of_is_no_road_user(street: Street) -> None:
    lamp = (300, 100, 310, 126)
    detector = MotionDetector(SIZE, Overhead(), frame_rate_hz=RATE_HZ, ignored_px=[lamp])
    learn(detector, street)
    found = [len(detector.detect(street.frame((lamp, RED)))) for _ in range(30)]
    assert sum(found) == 0


def test_a_switched_off_picture_is_learnt_anew(street: Street, detector: MotionDetector) -> None:
    learn(detector, street)
    other = Street(seed=9)
    for _ in range(round(3 * RATE_HZ)):
        found = detector.detect(other.frame(light=0.4))
    assert len(found) == 0


def test_the_same_frames_give_the_same_boxes(detector: MotionDetector) -> None:
    again = MotionDetector(SIZE, Overhead(), frame_rate_hz=RATE_HZ)
    one, two = Street(), Street()
    for step in range(40):
        box = car_at(20 + 8 * step, 200)
        first = detector.detect(one.frame((box, RED)))
        second = again.detect(two.frame((box, RED)))
        np.testing.assert_array_equal(first.boxes_px, second.boxes_px)
        np.testing.assert_array_equal(first.scores, second.scores)


def test_larger_frames_are_learnt_smaller_and_told_in_their_own_pixels(street: Street) -> None:
    large = (4 * SIZE[0], 4 * SIZE[1])

    class Larger(Overhead):
        SCALE = 4 * Overhead.SCALE

    detector = MotionDetector(large, Larger(), frame_rate_hz=RATE_HZ)
    for _ in range(10):
        detector.detect(np.kron(street.frame(), np.ones((4, 4, 1), np.uint8)))
    for step in range(20):
        box = car_at(20 + 10 * step, 200)
        found = detector.detect(np.kron(street.frame((box, RED)), np.ones((4, 4, 1), np.uint8)))
    np.testing.assert_allclose(found.boxes_px[0], np.multiply(box, 4), atol=12.0)
    assert kinds(found) == ["car"]


def test_without_a_ground_plane_boxes_are_found_and_kinds_guessed(street: Street) -> None:
    detector = MotionDetector(SIZE, None, frame_rate_hz=RATE_HZ)
    learn(detector, street)
    for step in range(25):
        box = car_at(20 + 10 * step, 200)
        found = detector.detect(street.frame((box, RED)))
    assert best_iou(found, box) > 0.7
    assert kinds(found) == ["car"]
