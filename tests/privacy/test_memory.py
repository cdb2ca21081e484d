"""Two frames are alive at a time, and no copy of one, after a thousand of them."""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.plane import plane_of
from calibration.site import load_site
from edge.frame import Frame, Gap
from edge.pipeline import Line
from edge.placing import Stage
from edge.recorder import RING_S, Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from tests.edge.streets import SITE, CarDetector, site_file

SIZE = (800, 400)
FRAME_BYTES = SIZE[0] * SIZE[1] * 3
RATE_HZ = 10.0
COUNT = 1000


class Film:
    """A car that comes again and again, in images of their own."""

    gaps: tuple[Gap, ...] = ()

    def __init__(self) -> None:
        self.given: list[weakref.ref[NDArray[np.uint8]]] = []

    def __iter__(self) -> Iterator[Frame]:
        for index in range(COUNT):
            frame = Frame(index, index / RATE_HZ, 0.01, image(index))
            self.given.append(weakref.ref(frame.image))
            yield frame
            del frame

    @property
    def alive(self) -> int:
        return sum(ref() is not None for ref in self.given)


def image(index: int) -> NDArray[np.uint8]:
    picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    left = (index * 8) % 700
    picture[182:218, left : left + 90] = (30, 30, 200)
    return picture


def of_a_frames_size() -> int:
    """Return how many pieces of memory of numpy's are as large as a frame or larger."""
    gc.collect()
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size >= 0.9 * FRAME_BYTES for trace in traces)


def test_two_frames_are_alive_after_a_thousand(tmp_path: Path) -> None:
    site = load_site(site_file(tmp_path, SITE.replace("image_size = [400, 200]", "image_size = [800, 400]")))
    plane = plane_of(site)
    redactor = Redactor(SIZE, plane=plane, mode="scene", plate_window_s=30.0)
    recorder = Recorder(site, image_size=SIZE, rng=random.Random(1))
    film = Film()
    line = Line(
        film,
        detector=CarDetector(),
        redactor=redactor,
        tracker=Tracker(),
        stage=Stage(plane, site, SignalHistory([])),
        engine=Engine(site),
        recorder=recorder,
        min_frame_rate_hz=4.0,
    )
    alive, copies = [], []
    try:
        for moment in line:
            if moment.index == COUNT - 60:
                # From here on every piece of memory is counted: a copy kept of each frame would show.
                tracemalloc.start(1)
            if moment.index % 100 == 99:
                gc.collect()
                alive.append(film.alive)
            if moment.index in (COUNT - 20, COUNT - 5):
                copies.append(of_a_frames_size())
        line.finish()
        copies.append(of_a_frames_size())
    finally:
        tracemalloc.stop()
    assert len(film.given) == COUNT
    # The control: while the line runs, both counts do see frames.
    assert 1 <= max(alive) <= 2, alive
    assert 1 <= max(copies) <= 2, copies
    assert copies[-1] == 0 and film.alive == 0
    assert redactor.plate(site).background is not None, "the plate was being made all the while"
    assert len(recorder._ring) <= RING_S * RATE_HZ + 1
