"""Canaries: people in a colour nothing else has, looked for in every byte that is written."""

from __future__ import annotations

import base64
import random
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from broker.drawing import Plate
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.report import Report, write_report
from edge.rules.finding import Finding
from edge.scene import RoadUser
from models.detections import Detections

from ..edge.drawn import CANARY, SIZE, Box, frame, painted, pinhole, road, scene, seen, site

RATE_HZ = 10.0
SECONDS = 45
STANDING: Box = (300, 260, 332, 352)
MAX_CANARY_PX = 20
# What a picture file begins with, of any kind, plain and in base64.
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"\x1aE\xdf\xa3", b"ftyp")
MAGIC_BASE64 = (
    rb"iVBORw0KGgo",
    rb"/9j/[A-Za-z0-9+/]{20}",
    rb"R0lGOD[A-Za-z0-9+/]{20}",
    rb"UklGR[A-Za-z0-9+/]{20}",
)


def canary_px(picture: NDArray[np.uint8]) -> int:
    """Return how many pixels are nearer to the canary's colour than to asphalt, lamps or hatching."""
    blue, green, red = (picture[..., n].astype(int) for n in range(3))
    return int((np.minimum(blue, red) - green > 40).sum())


def picture_of(plate: Plate) -> NDArray[np.uint8]:
    assert plate.background is not None
    png = np.frombuffer(base64.b64decode(plate.background), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)


def detected(chance: random.Random, box: Box, recall: float) -> Detections:
    return seen(box) if chance.random() < recall else Detections.none()


def plate_with_somebody_standing(recall: float, *, seed: int = 5) -> Plate:
    chance = random.Random(seed)
    plane = pinhole()
    redactor = Redactor(SIZE, plane=plane, plate_window_s=30.0)
    picture = painted(road(seed=2), STANDING, CANARY)
    for n in range(int(SECONDS * RATE_HZ)):
        redactor.ingest(frame(picture, n / RATE_HZ), detected(chance, STANDING, recall))
    return redactor.plate(site(plane))


@pytest.mark.parametrize("recall", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_somebody_who_stands_throughout_is_not_in_the_plate(recall: float, seed: int) -> None:
    assert canary_px(picture_of(plate_with_somebody_standing(recall, seed=seed))) <= MAX_CANARY_PX


def test_somebody_no_detector_ever_sees_is() -> None:
    """The negative control: the mask is what keeps people out, and the count does count."""
    assert canary_px(picture_of(plate_with_somebody_standing(0.0))) > MAX_CANARY_PX


@pytest.mark.parametrize("recall", [1.0, 0.5, 0.0])
def test_who_walks_is_not_in_the_plate_even_undetected(recall: float) -> None:
    chance = random.Random(5)
    redactor = Redactor(SIZE, plane=pinhole(), plate_window_s=30.0)
    for n in range(int(SECONDS * RATE_HZ)):
        left = 10 + (4 * n) % 560
        box = (left, 260, left + 32, 352)
        redactor.ingest(frame(painted(road(seed=2), box, CANARY), n / RATE_HZ), detected(chance, box, recall))
    assert canary_px(picture_of(redactor.plate(site(pinhole())))) <= MAX_CANARY_PX


def test_every_byte_that_is_written_is_free_of_canaries(tmp_path: Path) -> None:
    plane = pinhole()
    place = site(plane)
    redactor = Redactor(SIZE, plane=plane, plate_window_s=30.0)
    recorder = Recorder(place, image_size=SIZE, rng=random.Random(1))
    chance = random.Random(2)
    for n in range(int(SECONDS * RATE_HZ)):
        time = n / RATE_HZ
        left = 10 + (4 * n) % 560
        walking = (left, 300, left + 32, 392)
        picture = painted(painted(road(seed=2), STANDING, CANARY), walking, CANARY)
        found = [box for box in (STANDING, walking) if chance.random() < 0.7]
        users = []
        for index, box in enumerate(found):
            foot = ((box[0] + box[2]) / 2, float(box[3]))
            x, y = (float(each) for each in plane.ground(foot))
            users.append(RoadUser(1 + (box == STANDING), "pedestrian", x, y, 0.0, 0.5, 0.5, 0.1, index, foot))
        recorder.add(redactor.ingest(frame(picture, time), seen(*found)), scene(time, *users))
    recorder.hold(Finding("near_miss", "occurred", 40.0, 0.1, "junction", "car", None, {}, 0, 20, (1, 2)))
    ((_, clip),) = recorder.flush()
    assert clip is not None
    plate = redactor.plate(place)
    (tmp_path / "clip.json").write_bytes(clip.encode())
    (tmp_path / "plate.json").write_bytes(plate.encode())
    write_report(tmp_path / "report.html", Report(site=place, plate=plate, events=(), clips={"a" * 64: clip}))

    assert canary_px(picture_of(plate)) <= MAX_CANARY_PX
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert not any(magic in content for magic in MAGIC), path.name
        pictures = sum(len(re.findall(magic, content)) for magic in MAGIC_BASE64)
        assert pictures == (0 if path.name == "clip.json" else 1), path.name
        # The one picture is the plate, and it ends where it ends: nothing is hung behind it.
        for encoded in re.findall(rb"iVBORw0KGgo[A-Za-z0-9+/=]*", content):
            assert encoded.decode() == plate.background
            png = base64.b64decode(encoded)
            assert png.index(b"IEND") == len(png) - 8
            assert not re.search(rb"(tEXt|iTXt|zTXt|eXIf|tIME)", png)
