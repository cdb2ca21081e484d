"""Every fault gives less picture, never more, and the event all the same: each one through the whole line.

A car drives over its stop line at red, 5 s into a film of 10 s. The same film is judged with one part
broken, and what comes out is compared with what came out of the sound line.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from broker.drawing import Clip, Plate
from calibration.plane import plane_of
from edge import clip as clip_module
from edge import recorder as recorder_module
from edge.dispatch import Dispatch
from edge.events import local_event
from edge.frame import Frame, Gap
from edge.outbox import Outbox
from edge.pipeline import Line
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.rules.finding import Finding
from edge.scene import SignalReading
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from models.detections import Detections
from tests.edge.streets import CarDetector, car_image, street

SIZE = (400, 200)
RATE_HZ = 10.0
COUNT = 110
RED = SignalHistory(
    [SignalReading("E", "green", 0.0, 0.05, "file"), SignalReading("E", "red", 3.0, 0.05, "file")]
)
Spoil = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass
class Found:
    """What came out of the line, and the plate that a node would have offered."""

    finding: Finding
    clip: Clip | None
    plate: Plate


class Film:
    """The car at even times; ``spoil`` may change a frame's image, ``without`` frames never come."""

    def __init__(self, spoil: Spoil | None = None, without: Sequence[int] = ()) -> None:
        self._spoil, self._without = spoil, frozenset(without)
        self.gaps: tuple[Gap, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        for index in range(COUNT):
            if index not in self._without:
                image = car_image(index)
                yield Frame(index, index / RATE_HZ, 0.01, self._spoil(index, image) if self._spoil else image)


def watched(
    folder: Path,
    film: Film | None = None,
    *,
    detector: Any = None,
    broken: Callable[[Redactor], None] | None = None,
    mode: Any = "scene",
) -> Found:
    """Send the film down the line and return the one thing that happened in it."""
    site = street(folder)
    plane = plane_of(site)
    redactor = Redactor(SIZE, plane=plane, mode=mode)
    if broken is not None:
        broken(redactor)
    line = Line(
        film or Film(),
        detector=detector or CarDetector(),
        redactor=redactor,
        tracker=Tracker(),
        stage=Stage(plane, site, RED),
        engine=Engine(site),
        recorder=Recorder(site, image_size=SIZE, rng=random.Random(1)),
        min_frame_rate_hz=4.0,
    )
    due = [each for moment in line for each in moment.due] + line.finish()
    entries = [each for each in due if each[0].rule == "red_light_entry"]
    ((finding, clip),) = entries
    return Found(finding, clip, redactor.plate(site))


def drawn_at(clip: Clip | None, second: float) -> bool:
    """Return whether anything may be shown at an instant of the film."""
    if clip is None:
        return False
    step = round((second - 5.0 - clip.start_s) / clip.step_s)
    return 0 <= step < clip.steps and not any(start <= step < end for start, end in clip.blanks)


@pytest.fixture
def sound(tmp_path: Path) -> Found:
    return watched(tmp_path)


def test_the_sound_line_finds_and_draws_it(sound: Found) -> None:
    """Else what follows would hold where there is never a picture."""
    assert sound.clip is not None
    assert [glyph.kind for glyph in sound.clip.glyphs] == ["car"]
    assert sound.clip.blanks == ()
    assert all(drawn_at(sound.clip, second) for second in (1.0, 3.0, 5.0, 7.0, 9.0))


def fails_between(start: int, end: int) -> Callable[[Redactor], None]:
    """Let the redactor raise on some frames."""

    def broken(redactor: Redactor) -> None:
        honest, calls = redactor._sketch, iter(range(COUNT))

        def sketch(frame: Frame, detections: Detections, glance: Any) -> Any:
            if start <= next(calls) < end:
                raise MemoryError("the redactor failed")
            return honest(frame, detections, glance)

        redactor._sketch = sketch  # type: ignore[method-assign]

    return broken


def noise(start: int, end: int) -> Spoil:
    """Fill most of the picture with what the detector does not take for a car: headlights, a storm."""

    def spoil(index: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if start <= index < end:
            image[:85] = image[115:] = (255, 255, 120) if index % 2 else (0, 255, 0)
        return image

    return spoil


def same_event(found: Found, sound: Found) -> None:
    for field in ("rule", "outcome", "place", "road_user"):
        assert getattr(found.finding, field) == getattr(sound.finding, field)
    assert found.finding.time == pytest.approx(sound.finding.time, abs=0.15)


def less_picture(found: Found, sound: Found) -> None:
    """Nothing is shown that the sound line does not show, and no picture but the plan is offered."""
    assert found.plate.background is None
    if found.clip is not None and sound.clip is not None:
        assert len(found.clip.glyphs) <= len(sound.clip.glyphs)
        assert {each.kind for each in found.clip.glyphs} <= {each.kind for each in sound.clip.glyphs}


@pytest.mark.parametrize(
    ("start", "end", "blank"),
    [
        pytest.param(20, 30, (2.1, 2.9), id="for a second before the event"),
        pytest.param(70, 80, (7.1, 7.9), id="for a second after it"),
        pytest.param(45, 56, None, id="at the event itself: no clip"),
        pytest.param(0, COUNT, None, id="throughout: no clip"),
    ],
)
def test_an_error_in_the_redactor(
    tmp_path: Path, sound: Found, start: int, end: int, blank: tuple[float, float] | None
) -> None:
    found = watched(tmp_path, broken=fails_between(start, end))
    same_event(found, sound)
    less_picture(found, sound)
    if blank is None:
        assert found.clip is None
    else:
        assert found.clip is not None
        assert not any(drawn_at(found.clip, second) for second in np.arange(*blank, 0.1))
        assert drawn_at(found.clip, 5.0)


def test_no_frame_for_longer_than_a_second(tmp_path: Path, sound: Found) -> None:
    found = watched(tmp_path, Film(without=range(11, 24)))
    same_event(found, sound)
    less_picture(found, sound)
    assert found.clip is not None
    assert not any(drawn_at(found.clip, second) for second in np.arange(1.1, 2.4, 0.1))
    assert drawn_at(found.clip, 5.0)


def test_a_detector_that_stalls_for_a_second(tmp_path: Path, sound: Found) -> None:
    """Its frames are left out of the line: nobody knows who stood where, and nothing is drawn there."""
    found = watched(tmp_path, detector=CarDetector(fails=range(20, 29)))
    same_event(found, sound)
    less_picture(found, sound)
    assert found.clip is not None
    assert not any(drawn_at(found.clip, second) for second in np.arange(2.1, 2.8, 0.1))


@pytest.mark.parametrize(("start", "end"), [(20, 28), (70, 78), (46, 55)])
def test_a_flood_of_motion(tmp_path: Path, sound: Found, start: int, end: int) -> None:
    found = watched(tmp_path, Film(noise(start, end)))
    same_event(found, sound)
    less_picture(found, sound)
    assert not any(drawn_at(found.clip, second) for second in np.arange(start, end) / RATE_HZ)


def test_no_plate_yet_is_the_plan_and_never_a_picture(tmp_path: Path, sound: Found) -> None:
    assert sound.plate.background is None
    assert sound.plate.zones
    assert sound.clip is not None


def test_mode_none_makes_no_clip(tmp_path: Path, sound: Found) -> None:
    found = watched(tmp_path, mode="none")
    same_event(found, sound)
    assert found.clip is None


def test_a_clip_that_breaks_its_schema(tmp_path: Path, sound: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    def forged(*arguments: Any, **more: Any) -> Clip:
        clip = clip_module.clip_of(*arguments, **more)
        assert clip is not None
        broken = clip.model_dump(mode="json") | {"picture": "iVBORw0KGgo"}
        return Clip.model_validate(broken)

    with pytest.raises(ValidationError):
        Clip.model_validate(sound.clip.model_dump() | {"picture": "x"} if sound.clip else {})
    monkeypatch.setattr(recorder_module, "clip_of", forged)
    found = watched(tmp_path, broken=None)
    same_event(found, sound)
    assert found.clip is None


def test_a_clip_that_is_too_large_to_travel_stays_and_its_event_goes(tmp_path: Path, sound: Found) -> None:
    assert sound.clip is not None
    huge = sound.clip.model_copy(update={"glyphs": sound.clip.glyphs * 400, "movers": ()})
    glyph = huge.glyphs[0].model_copy(update={"keys": huge.glyphs[0].keys * 60})
    huge = huge.model_copy(update={"glyphs": (glyph,) * 400})
    with Outbox(tmp_path / "outbox.db") as outbox:
        dispatch = Dispatch(outbox, site="test-street", node="cam", time_bin_s=60, at_once=True)
        event = local_event(
            1, sound.finding, site="test-street", node="cam", detector="red-car", clip=None, caused_by=None
        )
        dispatch.event(event, huge)
        assert [row.kind for row in outbox.take(2e9 * 10, 10)] == ["event"]
        ((_, kind, reason),) = outbox.quarantined()
        assert kind == "clip" and "at most" in reason


def test_a_detector_that_crashes_for_good_ends_the_line_and_leaves_what_was_found(tmp_path: Path) -> None:
    from edge.pipeline import DetectorFailedError

    with pytest.raises(DetectorFailedError):
        watched(tmp_path, detector=CarDetector(fails=range(30, COUNT)))
