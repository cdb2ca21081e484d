"""Vehicles on a few frames of real streets, labelled by hand, and the average precision on them.

Twenty boxes: enough to tell networks apart that differ much, no more. Labelled with the networks' own
proposals in view, then accepted, corrected or left out by eye. Where cars stand in rows far away nobody can
tell one from the next: what is found there counts neither way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.sources.file import open_video
from models.detections import KINDS
from models.evaluate import matched, score
from models.onnx import OnnxDetector

Box = tuple[float, float, float, float]

_VEHICLES = tuple(KINDS.index(kind) for kind in ("motorcycle", "car", "bus", "truck"))


@dataclass(frozen=True)
class Labelled:
    """One frame: left, top, right, bottom in pixels; ``apart``: where nothing counts."""

    clip: str
    frame: int
    boxes: tuple[Box, ...]
    apart: tuple[Box, ...]


_EDGES: tuple[Box, ...] = ((395, 0, 525, 78), (525, 0, 572, 48), (0, 0, 130, 50), (605, 425, 640, 480))
FRAMES = (
    Labelled(
        "strudl_vid0",
        50,
        ((165, 70, 259, 112), (31, 77, 94, 117), (60, 107, 119, 173), (0, 270, 97, 375)),
        _EDGES,
    ),
    Labelled(
        "strudl_vid1",
        50,
        (
            (533, 56, 575, 89),
            (552, 178, 640, 250),
            (18, 75, 85, 105),
            (47, 95, 102, 145),
            (380, 16, 400, 47),
            (0, 270, 97, 375),
        ),
        # The rider stands left of the queue.
        ((402, 0, 525, 78), *_EDGES[1:]),
    ),
    Labelled(
        "strudl_vid1",
        99,
        (
            (201, 100, 304, 161),
            (440, 137, 550, 205),
            (1, 69, 43, 107),
            (541, 82, 583, 125),
            (593, 27, 618, 48),
            (364, 27, 386, 57),
            (0, 160, 37, 215),
            (0, 272, 96, 374),
        ),
        _EDGES,
    ),
    Labelled("rox_crosswalk", 70, ((207, 151, 249, 178), (272, 150, 317, 175)), ((0, 0, 640, 122),)),
)


def vehicle_ap50(detector: OnnxDetector, data: Path) -> float:
    """Return the AP50 of vehicles of any kind; the detector reports boxes of low scores too."""
    scores, hits, count = [], [], 0
    for clip in sorted({each.clip for each in FRAMES}):
        wanted = {each.frame: each for each in FRAMES if each.clip == clip}
        with open_video(data / "video" / f"{clip}.mp4", start_time=0.0) as source:
            for frame in source:
                labelled = wanted.get(frame.index)
                if labelled is None:
                    continue
                found = detector.detect(frame.image)
                counts = np.isin(found.kinds, _VEHICLES) & ~_apart(found.boxes_px, labelled.apart)
                boxes = np.array(labelled.boxes, np.float32)
                scores.append(found.scores[counts])
                hits.append(matched(found.boxes_px[counts], boxes))
                count += len(boxes)
    return score(
        np.concatenate(scores), np.concatenate(hits), boxes=count, frames=len(FRAMES), threshold=0.25
    ).ap50


def _apart(boxes: NDArray[np.float32], places: tuple[Box, ...]) -> NDArray[np.bool_]:
    """Return which boxes have their middle where nothing counts."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    apart = np.zeros(len(boxes), np.bool_)
    for left, top, right, bottom in places:
        apart |= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return apart
