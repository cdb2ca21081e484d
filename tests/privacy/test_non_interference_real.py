"""Non-interference on real streets: everybody in a recording wears something else, and nothing kept changes.

Each mover of a real recording is painted over with cloth of other pixels, in its box, frame by frame. The
boxes stay those the detector saw. Sketches, clip and plate have to come out byte for byte the same. Box
pixelation of the same frames, the control, tells the cloths apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.frame import Frame
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.finding import Finding
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from models.detections import Detections
from tests.privacy.real import NAMES, Picture, Watched, watched

pytestmark = [pytest.mark.data, pytest.mark.slow]
GRID = 4


@pytest.fixture(params=NAMES)
def street(request: pytest.FixtureRequest, data: Path) -> Watched:
    return watched(data, request.param)


def region(box: NDArray[np.float32], size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a box, out to the grid motion is looked at on."""
    left, top, right, bottom = box.tolist()
    return (
        slice(max(int(top // GRID) * GRID, 0), min(-int(-bottom // GRID) * GRID, size[1])),
        slice(max(int(left // GRID) * GRID, 0), min(-int(-right // GRID) * GRID, size[0])),
    )


def dressed(street: Watched, seed: int) -> Iterator[Picture]:
    """Give the frames with everybody in other cloth: noise, dark before what is bright, else bright.

    No pixel of the people is left, and no two seeds share one. That it differs from the road, and on which
    side, is what the boxes and cells are to tell; nothing else of it is.
    """
    chance = np.random.default_rng(seed)
    bright = cv2.blur(np.median(np.stack(street.pictures[::10]), axis=0).astype(np.uint8), (9, 9)).mean(
        axis=2
    )
    dark = chance.integers(0, 40, street.pictures[0].shape).astype(np.uint8)
    cloth = np.where((bright > 127)[..., None], dark, dark + np.uint8(215))
    for picture, detections in zip(street.pictures, street.detections, strict=True):
        copy = picture.copy()
        for box in detections.boxes_px:
            here = region(box, street.size)
            copy[here] = cloth[here]
        yield copy


def kept(street: Watched, pictures: Iterator[Picture]) -> bytes:
    """Return all that is kept of a film: its sketches, a clip of its middle, and its plate."""
    redactor = Redactor(street.size, plane=street.plane, plate_window_s=8.0)
    recorder = Recorder(street.site, image_size=street.size, rng=random.Random(1))
    stage = Stage(street.plane, street.site, SignalHistory([]))
    tracker, sketches = Tracker(), []
    for time, picture, detections in zip(street.times, pictures, street.detections, strict=True):
        sketch = redactor.ingest(Frame(len(sketches), time, 0.01, picture), detections)
        sketches.append(repr(sketch))
        recorder.add(sketch, stage.place(tracker.update(detections, time), time, 0.01))
    middle = (street.times[0] + street.times[-1]) / 2
    recorder.hold(Finding("near_miss", "occurred", middle, 0.1, "junction", "car", None, {}, 0, 20, (0, 1)))
    ((_, clip),) = recorder.flush()
    assert clip is not None
    assert clip.glyphs
    plate = redactor.plate(street.site)
    assert (plate.background is not None) == (street.times[-1] - street.times[0] > 8.0)
    return clip.encode() + plate.encode() + "".join(sketches).encode()


def pixelated(street: Watched, pictures: Iterator[Picture]) -> bytes:
    """Return what box pixelation, six cells wide and four bits a channel, leaves of everybody."""
    cells = []
    for picture, detections in zip(pictures, street.detections, strict=True):
        for box in detections.boxes_px:
            part = picture[region(box, street.size)]
            if part.size:
                cells.append((cv2.resize(part, (6, 12), interpolation=cv2.INTER_AREA) >> 4).tobytes())
    return b"".join(cells)


def test_other_clothes_leave_no_trace(street: Watched) -> None:
    assert sum(map(len, street.detections)) > 50
    assert len({kept(street, dressed(street, seed)) for seed in (1, 2)}) == 1


def test_box_pixelation_of_the_same_frames_tells_them_apart(street: Watched) -> None:
    assert len({pixelated(street, dressed(street, seed)) for seed in (1, 2)}) == 2


def test_what_is_kept_does_depend_on_where_they_were(street: Watched) -> None:
    """Else the first test would hold for a film of which nothing is kept."""
    nobody = [Detections.none()] * len(street.detections)
    empty = Watched(street.name, street.times, street.pictures, nobody, street.plane, street.site)
    redactor = Redactor(empty.size, plane=empty.plane)
    frames = zip(empty.times, empty.pictures, strict=True)
    sketches = [redactor.ingest(Frame(0, time, 0.0, image), nobody[0]) for time, image in frames]
    assert not any(sketch.boxes for sketch in sketches)
