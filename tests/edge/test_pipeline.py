"""The line: every frame passes it once, in order, beside the detector; what fails is left out and named."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.plane import plane_of
from edge.frame import Frame, Gap
from edge.pipeline import DetectorFailedError, Line, Moment
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.scene import SignalReading
from edge.signals.history import SignalHistory
from edge.timings import Timings
from edge.tracker import Tracker
from models.detections import Detections
from tests.edge.streets import CarDetector, ListSource, car_image, street

TENTHS = [index / 10 for index in range(60)]
RED = SignalHistory(
    [SignalReading("E", "green", 0.0, 0.05, "file"), SignalReading("E", "red", 3.0, 0.05, "file")]
)


def line(
    folder: Path, source: ListSource, detector: object | None = None, *, timings: Timings | None = None
) -> Line:
    site = street(folder)
    plane = plane_of(site)
    return Line(
        source,
        detector=detector or CarDetector(),  # type: ignore[arg-type]  # fakes of the test
        redactor=Redactor((400, 200), plane=plane, mode="schematic"),
        tracker=Tracker(),
        stage=Stage(plane, site, RED),
        engine=Engine(site),
        recorder=Recorder(site, image_size=(400, 200), before_s=1, after_s=1, rng=random.Random(1)),
        min_frame_rate_hz=4.0,
        timings=timings,
    )


def test_every_frame_comes_out_once_and_in_order(tmp_path: Path) -> None:
    moments = list(line(tmp_path, ListSource(TENTHS)))
    assert [(moment.index, moment.time) for moment in moments] == list(enumerate(TENTHS))


def test_a_car_over_the_line_at_red_is_found_with_its_clip(tmp_path: Path) -> None:
    passing = line(tmp_path, ListSource(TENTHS))
    due = [each for moment in passing for each in moment.due] + passing.finish()
    ((finding, clip),) = due
    # The front stands at 4 px a frame: the line at x = 20 m is 200 px, reached at frame 50.
    assert (finding.rule, finding.place, finding.road_user) == ("red_light_entry", "E", "car")
    assert finding.time == pytest.approx(5.0, abs=0.1)
    assert clip is not None and [glyph.kind for glyph in clip.glyphs] == ["car"]


def test_the_detector_looks_at_the_next_frame_while_the_last_one_is_judged(tmp_path: Path) -> None:
    looked, judged = threading.Event(), threading.Event()

    class Waits(CarDetector):
        """Does not finish its second frame before the first one came out of the line."""

        def detect(self, image: NDArray[np.uint8]) -> Detections:
            if self.calls == 1:
                looked.set()
                assert judged.wait(10), "the first frame waits for the second"
            return super().detect(image)

    moments = iter(line(tmp_path, ListSource(TENTHS[:4]), Waits()))
    assert next(moments).index == 0
    assert looked.wait(10)
    judged.set()
    assert [moment.index for moment in moments] == [1, 2, 3]


def test_no_more_than_two_images_are_alive(tmp_path: Path) -> None:
    alive: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    class Watched(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            nonlocal most
            for index, time in enumerate(TENTHS):
                gc.collect()
                most = max(most, sum(ref() is not None for ref in alive) + 1)
                image = car_image(index)
                alive.append(weakref.ref(image))
                frame = Frame(index, time, 0.01, image)
                del image
                yield frame
                del frame

    for _ in line(tmp_path, Watched(TENTHS)):
        pass
    assert most == 2


def trusted(moments: Sequence[Moment]) -> list[bool]:
    return [moment.scene.trusted for moment in moments]


def test_nothing_is_trusted_for_a_second_after_frames_came_too_far_apart(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.5, *(0.5 + index / 10 for index in range(1, 15))]
    moments = list(line(tmp_path, ListSource(times)))
    assert [moment.time for moment in moments if not moment.scene.trusted] == [
        time for time in times if 0.5 <= time < 1.5
    ]


def test_frames_at_the_floor_are_trusted(tmp_path: Path) -> None:
    assert all(trusted(list(line(tmp_path, ListSource([index / 4 for index in range(20)])))))


def test_a_frame_the_detector_fails_on_is_left_out_and_named(tmp_path: Path) -> None:
    passing = line(tmp_path, ListSource(TENTHS), CarDetector(fails=(10, 11, 30)))
    assert [moment.index for moment in passing] == [index for index in range(60) if index not in (10, 11, 30)]
    assert passing.gaps == (Gap(1.0, 1.1, "the detector failed"), Gap(3.0, 3.0, "the detector failed"))


def test_a_detector_that_only_fails_stops_the_line(tmp_path: Path) -> None:
    with pytest.raises(DetectorFailedError, match="red-car failed on 10 frames in a row"):
        list(line(tmp_path, ListSource(TENTHS), CarDetector(fails=range(60))))


def test_gaps_of_the_source_are_told(tmp_path: Path) -> None:
    gap = Gap(2.0, 3.0, "12 frames left out: decoding failed")
    assert line(tmp_path, ListSource(TENTHS, gaps=[gap])).gaps == (gap,)


def test_a_stopped_line_finishes_the_frames_it_has(tmp_path: Path) -> None:
    source = ListSource(TENTHS)
    passing = line(tmp_path, source)
    seen = []
    for moment in passing:
        seen.append(moment.index)
        if moment.index == 10:
            passing.stop()
    assert seen == list(range(source.taken)) and 11 <= source.taken <= 13


def test_stages_are_timed(tmp_path: Path) -> None:
    timings = Timings(keep=True)
    list(line(tmp_path, ListSource(TENTHS), timings=timings))
    assert timings.each_s is not None
    for stage in ("detect", "redact", "track", "place", "judge", "record"):
        assert timings.count[stage] == len(timings.each_s[stage]) == 60
        assert timings.total_s[stage] == pytest.approx(sum(timings.each_s[stage]))


class Moves:
    """A camera that is said to have moved for some of the time; ``moves`` as the real one has them."""

    def __init__(self, moved: range) -> None:
        self._moved, self._looks = moved, 0
        self.moves: list[object] = []
        self.state = "steady"
        self.steady = True

    def trusted(self, image: object, boxes_px: object, time: float) -> bool:
        self.steady = self._looks not in self._moved
        self.state = "steady" if self.steady else "moved"
        self._looks += 1
        return self.steady


def test_no_plate_is_made_of_before_and_after_the_camera_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(Redactor, "forget", lambda _: forgotten.append("all"))
    moved = line(tmp_path, ListSource(TENTHS))
    moved.watch = Moves(range(20, 30))  # type: ignore[assignment]  # a fake of the test
    moments = list(moved)
    assert len(forgotten) == 10
    assert not any(trusted(moments)[20:30])
