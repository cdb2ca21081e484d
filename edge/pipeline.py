"""The straight line every frame takes, the same for a recording, a camera and the demo.

::

    detector's thread   compute(k+1) ──────────────────────────────────────────── compute(k+2) ────────
    this thread         redact → track → place → judge → record(k) → fetch, glance, prepare(k+2) → wait(k+1)
    decoder's process   decode(k+3), (k+4)

The detector takes nearly all of the time and lets go of the interpreter while it computes, so everything
else is done beside it, and its next image waits ready when it is done: the line is as fast as the detector
alone. Two images are alive at any time, and behind ``redact`` none.

With a lookout the detector looks only at frames where it may see something new (edge/attention.py). The
others are glanced at for motion and their image is let go at once; they wait, a second at most, for the next
look, and their road users are where they were between the two (edge/between.py).
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from broker.drawing import Clip
from edge.between import between
from edge.frame import Frame, Gap, Source
from edge.rates import Rates
from edge.rules.finding import Finding
from edge.scene import Scene
from edge.timings import Timings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge.camera_watch import CameraWatch, Move
    from edge.lookout import Lookout
    from edge.placing import Stage
    from edge.recorder import Recorder
    from edge.redact import Glance, Redactor
    from edge.rules.engine import Engine
    from edge.sketch import Sketch
    from edge.tracker import RoadUserTracker
    from models.detections import Detections, Detector

logger = logging.getLogger(__name__)

# After frames came too far apart, tracks are young or guessed; this long nothing is judged.
DISTRUST_S = 1.0
# A detector that fails on one picture may do well on the next; one that fails on all is broken.
MOST_FAILURES = 10
# A thread that comes back from its computation waits for the interpreter as long as this; the usual 5 ms,
# once a frame, would be a third of what a small detector takes.
SWITCH_S = 0.0001

# Of frames this far apart each look is known before the next frame is decided on: a camera this slow leaves
# the time for it, and its findings come a frame sooner.
SLOW_S = 0.15

Due = tuple[Finding, Clip | None]


@runtime_checkable
class StagedDetector(Protocol):
    """A detector in three steps, of which the second takes long and lets go of the interpreter.

    What ``prepare`` returned holds until it was called twice more.
    """

    def prepare(self, image: NDArray[np.uint8], /) -> Any: ...

    def compute(self, prepared: Any, /) -> Any: ...

    def read(self, prepared: Any, computed: Any, /) -> Detections: ...


class _Whole:
    """Any other detector, all of it in the second step."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def prepare(self, image: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        return image

    def compute(self, prepared: NDArray[np.uint8], /) -> Detections:
        return self._detector.detect(prepared)

    def read(self, prepared: NDArray[np.uint8], computed: Detections, /) -> Detections:
        return computed


class DetectorFailedError(RuntimeError):
    """The detector failed on every one of several frames in a row."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame at the end of the line.

    Attributes:
        index: of the frame in its recording.
        time: seconds UTC at capture.
        scene: what was on the road.
        due: findings whose seconds after have passed, each with its clip or None.
        looked: whether the detector looked at this frame.
    """

    index: int
    time: float
    scene: Scene
    due: tuple[Due, ...]
    looked: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A frame on its way through the detector."""

    frame: Frame
    prepared: Any
    computed: Future[Any]
    glance: Glance | None

    @property
    def time(self) -> float:
        return self.frame.time


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """A frame the detector does not look at: no image.

    ``shown``: a clip may show this instant; ``close``: it came soon enough after the one before.
    """

    index: int
    time: float
    time_sigma_s: float
    glance: Glance
    shown: bool = False
    close: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What is left of a frame behind the redactor: no image."""

    index: int
    time: float
    time_sigma_s: float
    detections: Detections
    sketch: Sketch
    steady: bool


class Line:
    """One source and everything its frames go through.

    Iterate it once, then call ``finish()`` for what is left, also where the iteration was stopped.
    """

    def __init__(
        self,
        source: Source,
        *,
        detector: Detector,
        redactor: Redactor,
        tracker: RoadUserTracker,
        stage: Stage,
        engine: Engine,
        recorder: Recorder,
        min_frame_rate_hz: float,
        watch: CameraWatch | None = None,
        lookout: Lookout | None = None,
        timings: Timings | None = None,
    ) -> None:
        """
        Args:
            lookout: decides which frames the detector looks at; None: it looks at every one.
        """
        self.source = source
        self._detector = detector
        self._steps: StagedDetector = detector if isinstance(detector, StagedDetector) else _Whole(detector)
        self._redactor = redactor
        self._tracker = tracker
        self._stage = stage
        self._engine = engine
        self._recorder = recorder
        self.watch = watch
        self.lookout = lookout
        self.rates = Rates(None if lookout is None else lookout.policy)
        self._max_interval_s = 1.0 / min_frame_rate_hz
        self._last = math.nan
        self._distrusted_until = -math.inf
        self._failures = 0
        self._failed: list[Gap] = []
        self._stopped = False
        self._behind_s = math.inf if lookout is None else lookout.behind_s
        self._fetched, self._interval_s = math.nan, math.nan
        self._waiting: list[_Passed] = []
        self._scene: Scene | None = None
        self.timings = Timings() if timings is None else timings

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read or not be looked at so far, in order of time."""
        return tuple(sorted((*self.source.gaps, *self._failed), key=lambda gap: gap.start))

    @property
    def moves(self) -> tuple[Move, ...]:
        """When the camera was not where its ground plane was fitted."""
        return () if self.watch is None else tuple(self.watch.moves)

    def stop(self) -> None:
        """Take no more frames; those on the line are finished. May be called from a signal handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Moment]:
        frames = iter(self.source)
        # What was fetched and has not come to its end, in order; two looks at most are among it.
        ahead: deque[_Sent | _Passed] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="detector") as thread, _prompt_threads():
            while True:
                while self._is_due(ahead):
                    yield from self._ended(ahead.popleft())
                with self.timings.stage("fetch"):
                    frame = None if self._stopped else next(frames, None)
                if frame is None:
                    break
                # What a frame is decided by is known before: the looks so long before it.
                before: list[Moment] = []
                while ahead and ahead[0].time <= frame.time - self._behind_s:
                    before += self._ended(ahead.popleft())
                ahead.append(self._sent(frame, thread))
                # No reference to the image is left here, and it is with the detector before anything is
                # done with what came of the one before.
                del frame
                yield from before
            while ahead:
                yield from self._ended(ahead.popleft())
        yield from self._left_over()

    def _is_due(self, ahead: Sequence[_Sent | _Passed]) -> bool:
        """Return whether the first of what was fetched has to come to its end before more is fetched."""
        return bool(ahead) and (
            isinstance(ahead[0], _Passed)
            or sum(isinstance(each, _Sent) for each in ahead) >= 2
            or (self.lookout is not None and self._interval_s >= SLOW_S)
        )

    def _ended(self, item: _Sent | _Passed) -> list[Moment]:
        """Take a frame to the end of the line, or let it wait for the next look."""
        return self._passed(item) if isinstance(item, _Passed) else self._looked(item)

    def held(self) -> list[Due]:
        """Return the findings that wait for the seconds after them, where none come for long."""
        return self._recorder.flush()

    def finish(self) -> list[Due]:
        """Return the findings that are left, once no frame will come any more."""
        for finding in self._engine.finish():
            self._recorder.hold(self.rates.judged(finding))
        return self._recorder.flush()

    def _sent(self, frame: Frame, thread: ThreadPoolExecutor) -> _Sent | _Passed:
        """Send a frame to the detector, if that is to look."""
        self._interval_s, self._fetched = frame.time - self._fetched, frame.time
        glance = None
        if self.lookout is not None:
            with self.timings.stage("glance"):
                glance = self._redactor.glance(frame)
                foreseen = self._tracker.foresee(frame.time)
                if not self.lookout.decide(frame.time, glance, foreseen).look:
                    return _Passed(frame.index, frame.time, frame.time_sigma_s, glance)
                self._redactor.look()
        with self.timings.stage("prepare"):
            prepared = self._steps.prepare(frame.image)
        return _Sent(frame, prepared, thread.submit(self._compute, prepared), glance)

    def _compute(self, prepared: Any) -> Any:
        with self.timings.stage("detect"):
            return self._steps.compute(prepared)

    def _detections(self, sent: _Sent) -> Detections | None:
        """Return what the detector saw; None where it failed on this frame, which is then left out."""
        frame = sent.frame
        try:
            with self.timings.stage("wait for detector"):
                computed = sent.computed.result()
            with self.timings.stage("read"):
                detections = self._steps.read(sent.prepared, computed)
        except Exception as error:
            self._failures += 1
            if self._failures == 1:
                logger.warning("the detector failed at %.3f s: its frames are left out", frame.time)
                self._failed.append(Gap(frame.time, frame.time, "the detector failed"))
            self._failed[-1] = dataclasses.replace(self._failed[-1], end=frame.time)
            if self._failures >= MOST_FAILURES:
                raise DetectorFailedError(
                    f"the detector {self._detector.name} failed on {self._failures} frames in a row"
                ) from error
            return None
        self._failures = 0
        return detections

    def _looked(self, sent: _Sent) -> list[Moment]:
        """Take a frame the detector looked at to the end of the line, and those that waited for it."""
        detections = self._detections(sent)
        if detections is None:
            return []
        return self._moments(self._seen(sent.frame, detections, sent.glance))

    def _passed(self, passed: _Passed) -> list[Moment]:
        """Let a frame nobody looks at wait for the next look."""
        with self.timings.stage("redact"):
            shown = self._redactor.pass_over(passed.time, passed.glance)
        steady = self.watch is None or self.watch.steady
        close = self._frames_came_close(passed.time) and steady
        self._waiting.append(dataclasses.replace(passed, shown=shown, close=close))
        return []

    def _seen(self, frame: Frame, detections: Detections, glance: Glance | None) -> _Seen:
        """Take from an image all that is taken from it; it goes no further."""
        with self.timings.stage("watch"):
            steady = self.watch is None or self.watch.trusted(frame.image, detections.boxes_px, frame.time)
            if self.watch is not None and self.watch.state == "moved":
                self._redactor.forget()
        with self.timings.stage("redact"):
            sketch = self._redactor.ingest(frame, detections, glance)
        return _Seen(frame.index, frame.time, frame.time_sigma_s, detections, sketch, steady)

    def _moments(self, seen: _Seen) -> list[Moment]:
        stage = self.timings.stage
        with stage("track"):
            tracks = self._tracker.update(seen.detections, seen.time)
        with stage("place"):
            before = self._waiting[-1].time if self._waiting else None
            scene = self._stage.place(tracks, seen.time, seen.time_sigma_s, frame_before=before)
        if not self._frames_came_close(seen.time) or not seen.steady:
            scene = dataclasses.replace(scene, trusted=False)
        if self.lookout is not None:
            with stage("glance"):
                velocities, unsure = self._stage.velocities, self._tracker.unsure
                self.lookout.saw(seen.time, tracks, scene, velocities, unsure=unsure)
        moments = [self._between(passed, scene) for passed in self._waiting]
        self._waiting.clear()
        self._scene = scene
        return [*moments, self._judged(seen.index, scene, seen.sketch)]

    def _between(self, passed: _Passed, after: Scene) -> Moment:
        """Return the moment of a frame nobody looked at, once the next look tells where everybody went."""
        with self.timings.stage("place"):
            scene = between(
                after if self._scene is None else self._scene,
                after,
                time=passed.time,
                time_sigma_s=passed.time_sigma_s,
                trusted=passed.close,
            )
        return self._judged(passed.index, scene, None, shown=passed.shown)

    def _left_over(self) -> Iterator[Moment]:
        """Give the frames after the last look: nothing had moved, so whoever stood there then still does."""
        for passed in self._waiting:
            if self._scene is not None:
                yield self._between(passed, dataclasses.replace(self._scene, time=passed.time))
        self._waiting.clear()

    def _judged(self, index: int, scene: Scene, sketch: Sketch | None, *, shown: bool = True) -> Moment:
        """Judge a scene and keep its sketch; None where nobody looked."""
        with self.timings.stage("judge"):
            findings = self._engine.judge(scene)
        with self.timings.stage("record"):
            if sketch is not None:
                self._recorder.add(sketch, scene)
            elif shown:
                self._recorder.pass_over(scene.time, scene.signals)
            for finding in findings:
                self._recorder.hold(self.rates.judged(finding))
            due = tuple(self._recorder.due(scene.time))
        return Moment(index, scene.time, scene, due, looked=sketch is not None)

    def _frames_came_close(self, time: float) -> bool:
        """Return whether the frame rate was above the floor for the last second."""
        self.rates.frame(time)
        if time - self._last > self._max_interval_s:
            self._distrusted_until = time + DISTRUST_S
        self._last = time
        return time >= self._distrusted_until


@contextmanager
def _prompt_threads() -> Iterator[None]:
    """Let threads wait shorter for the interpreter, and OpenCV keep to the thread that called it."""
    import cv2

    interval_s, opencv_threads = sys.getswitchinterval(), cv2.getNumThreads()
    sys.setswitchinterval(min(interval_s, SWITCH_S))
    # Its threads would take the detector's core for pictures too small to be shared out.
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        cv2.setNumThreads(opencv_threads)
