"""A detector that knows what was drawn: exact boxes, spoilt as a network's are, and the same at every run.

Networks trained on photographs see the drawn street badly, so they tell little of what gating changes there.
This one has the truth's boxes with the errors a network has: edges off by a pixel and 3 %, some boxes missed,
more of the small ones. The errors hang on the frame and on who it is, never on which frames were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.demo.camera import Camera
from edge.demo.solids import solid
from edge.demo.story import Actor
from edge.frame import Frame, Gap, Source
from models.detections import KINDS, Detections

Floats = NDArray[np.float64]

EDGE_PX, EDGE_SHARE = 1.0, 0.03
MISSED, MISSED_SMALL = 0.03, 0.15
SMALL_PX, LEAST_PX = 24.0, 10.0
# Of a box that somebody nearer covers to this share nothing is seen.
HIDDEN_SHARE = 0.75


class KnowingDetector:
    """Answers with what was drawn at the time of the frame; ``network`` computes beside it, for its cost.

    Frames reach it through ``shown``, which tells it their time.
    """

    name = "knowing"

    def __init__(
        self,
        actors: Sequence[Actor],
        camera: Camera,
        *,
        start_time: float,
        network: Any | None = None,
        seed: int = 1,
    ) -> None:
        self._actors, self._camera, self._start, self._network = actors, camera, start_time, network
        self._seed = seed
        self._now = 0.0
        self.looks = 0
        self.provider = "drawn" if network is None else str(network.provider)
        self._bodies = {actor.name: _corners(actor) for actor in actors}

    def shown(self, source: Source) -> Source:
        """Return the source, which tells this detector the time of each frame as it passes."""
        return _Telling(source, self)

    def at(self, time: float) -> None:
        self._now = time

    def prepare(self, image: NDArray[np.uint8]) -> tuple[float, Any]:
        return self._now, None if self._network is None else self._network.prepare(image)

    def compute(self, prepared: tuple[float, Any]) -> None:
        if self._network is not None:
            self._network.compute(prepared[1])

    def read(self, prepared: tuple[float, Any], _computed: None) -> Detections:
        self.looks += 1
        return self.boxes(prepared[0] - self._start)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        prepared = self.prepare(image)
        self.compute(prepared)
        return self.read(prepared, None)

    def truth(self, time: float) -> list[tuple[int, Floats]]:
        """Return who (index) is in view at a time of the story and the exact box, nearest first."""
        width, height = self._camera.image_size
        seen: list[tuple[float, int, Floats]] = []
        for index, actor in enumerate(self._actors):
            if not actor.span_s[0] <= time <= actor.span_s[1]:
                continue
            (x, y), heading_deg = actor.movement.at(time)
            middle = np.array([x, y, 0.8])
            depth = float(self._camera.depth(middle))
            if depth < 4.0:
                continue
            turn = np.deg2rad(float(heading_deg))
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            corners = self._bodies[actor.name].copy()
            corners[:, :2] = corners[:, :2] @ rotation.T + (float(x), float(y))
            pixels = self._camera.image(corners)
            if not np.isfinite(pixels).all():
                continue
            box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
            box = np.clip(box, 0, [width, height, width, height])
            if (box[2:] - box[:2]).min() >= 4.0:
                seen.append((depth, index, box))
        visible: list[tuple[int, Floats]] = []
        for _, index, box in sorted(seen, key=lambda each: each[0]):
            area = float((box[2:] - box[:2]).prod())
            covered = max((_shared(box, nearer) for _, nearer in visible), default=0.0)
            if covered < HIDDEN_SHARE * area:
                visible.append((index, box))
        return visible

    def boxes(self, time: float) -> Detections:
        """Return what this detector sees at a time of the story."""
        boxes, scores, kinds = [], [], []
        for index, box in self.truth(time):
            chance = np.random.default_rng((self._seed, round(time * 1000) & 0xFFFFFFFF, index))
            size = box[2:] - box[:2]
            if size.max() < LEAST_PX:
                continue
            missed = MISSED_SMALL if size.max() < SMALL_PX else MISSED
            sigma = np.hypot(EDGE_PX, EDGE_SHARE * np.tile(size, 2))
            noisy = box + chance.normal(size=4) * sigma
            score = float(np.clip(chance.normal(0.75, 0.1), 0.3, 0.98))
            if chance.random() < missed or (noisy[2:] - noisy[:2]).min() < 2.0:
                continue
            boxes.append(noisy)
            scores.append(score)
            kinds.append(KINDS.index(self._actors[index].kind))
        if not boxes:
            return Detections.none()
        width, height = self._camera.image_size
        clipped = np.clip(np.array(boxes), 0, [width, height, width, height]).astype(np.float32)
        return Detections(clipped, np.array(scores, np.float32), np.array(kinds, np.int8))


class _Telling:
    def __init__(self, source: Source, detector: KnowingDetector) -> None:
        self._source, self._detector = source, detector

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self._source.gaps

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self._detector.at(frame.time)
            yield frame


def _corners(actor: Actor) -> Floats:
    """Return the corners (N, 3) of an actor's solid, standing at the origin."""
    body = solid(actor.kind, actor.colour, stride_m=0.0)
    points = []
    for part in body.painted:
        if hasattr(part, "points"):
            points.append(part.points)
        else:
            points += [part.centre[None] - part.radius_m, part.centre[None] + part.radius_m]
    return np.concatenate(points)


def _shared(box: Floats, other: Floats) -> float:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    return float(np.clip(high - low, 0, None).prod())
