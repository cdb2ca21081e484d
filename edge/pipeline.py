"""The straight line every frame takes, the same for a recording, a camera and the demo.

::

    source ─→ detect(k) ───────────────────────────┐ one thread of its own
                                                   │
    meanwhile, of frame k-1:  redact → track → place → judge → record → what came due

The detector takes nearly all of the time and lets go of the interpreter while it computes, so everything
else is done beside it: the line is as fast as the detector alone, and two images are alive at any time.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.wire import Clip
from edge.frame import Frame, Gap, Source
from edge.rules.finding import Finding
from edge.scene import Scene
from edge.timings import Timings

if TYPE_CHECKING:
    from edge.placing import Stage
    from edge.recorder import Recorder
    from edge.redact import Redactor
    from edge.rules.engine import Engine
    from edge.tracker import RoadUserTracker
    from models.detections import Detections, Detector

logger = logging.getLogger(__name__)

# After frames came too far apart, tracks are young or guessed; this long nothing is judged.
DISTRUST_S = 1.0
# A detector that fails on one picture may do well on the next; one that fails on all is broken.
MOST_FAILURES = 10

Due = tuple[Finding, Clip | None]


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
    """

    index: int
    time: float
    scene: Scene
    due: tuple[Due, ...]


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
        timings: Timings | None = None,
    ) -> None:
        self._source = source
        self._detector = detector
        self._redactor = redactor
        self._tracker = tracker
        self._stage = stage
        self._engine = engine
        self._recorder = recorder
        self._max_interval_s = 1.0 / min_frame_rate_hz
        self._last = math.nan
        self._distrusted_until = -math.inf
        self._failures = 0
        self._failed: list[Gap] = []
        self._stopped = False
        self.timings = Timings() if timings is None else timings

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read or not be looked at so far, in order of time."""
        return tuple(sorted((*self._source.gaps, *self._failed), key=lambda gap: gap.start))

    def stop(self) -> None:
        """Take no more frames; those on the line are finished. May be called from a signal handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Moment]:
        frames = iter(self._source)
        with ThreadPoolExecutor(1, thread_name_prefix="detector") as thread:
            frame = self._next(frames)
            looking = None if frame is None else thread.submit(self._detect, frame)
            while frame is not None and looking is not None:
                following = self._next(frames)
                detections = self._result(looking, frame)
                looking = None if following is None else thread.submit(self._detect, following)
                if detections is not None:
                    yield self._moment(frame, detections)
                frame = following

    def finish(self) -> list[Due]:
        """Return the findings that are left, once no frame will come any more."""
        for finding in self._engine.finish():
            self._recorder.hold(finding)
        return self._recorder.flush()

    def _next(self, frames: Iterator[Frame]) -> Frame | None:
        if self._stopped:
            return None
        with self.timings.stage("wait for frame"):
            return next(frames, None)

    def _detect(self, frame: Frame) -> Detections:
        with self.timings.stage("detect"):
            return self._detector.detect(frame.image)

    def _result(self, looking: Future[Detections], frame: Frame) -> Detections | None:
        """Return what the detector saw; None where it failed on this frame, which is then left out."""
        try:
            with self.timings.stage("wait for detector"):
                detections = looking.result()
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

    def _moment(self, frame: Frame, detections: Detections) -> Moment:
        stage = self.timings.stage
        with stage("redact"):
            sketch = self._redactor.ingest(frame, detections)
        with stage("track"):
            tracks = self._tracker.update(detections, frame.time)
        with stage("place"):
            scene = self._stage.place(tracks, frame.time, frame.time_sigma_s)
        if not self._frames_came_close(frame.time):
            scene = dataclasses.replace(scene, trusted=False)
        with stage("judge"):
            findings = self._engine.judge(scene)
        with stage("record"):
            self._recorder.add(sketch, scene)
            for finding in findings:
                self._recorder.hold(finding)
            due = self._recorder.due(frame.time)
        return Moment(frame.index, frame.time, scene, tuple(due))

    def _frames_came_close(self, time: float) -> bool:
        """Return whether the frame rate was above the floor for the last second."""
        if time - self._last > self._max_interval_s:
            self._distrusted_until = time + DISTRUST_S
        self._last = time
        return time >= self._distrusted_until
