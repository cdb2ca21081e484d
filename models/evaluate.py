"""How well a detector finds people: average precision against boxes drawn by hand.

Source of the measure: Everingham et al. (2010), The PASCAL Visual Object Classes Challenge, IJCV 88, in its
form since 2010: the area under the whole precision-recall curve, precision made non-increasing.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from models.card import ModelError
from models.detections import KINDS, Detections, Detector, Kind

Boxes = NDArray[np.float32]

# Picture sizes in use, by which the truth's own is found: its boxes may be for a larger copy.
_USUAL_WIDTHS = (
    *(160, 176, 240, 320, 352, 384, 400, 480, 512, 640, 704, 720, 768, 800, 854, 960, 1024, 1152),
    *(1280, 1366, 1440, 1600, 1920, 2048, 2560, 3840),
)
_OVERHANG_PX = 2.0


@dataclass(frozen=True)
class Truth:
    """Boxes drawn by hand: for each frame (0, 1, ...) an (N, 4) array of corners; absent: not annotated."""

    boxes: Mapping[int, Boxes]

    def __len__(self) -> int:
        return sum(len(boxes) for boxes in self.boxes.values())

    def scaled(self, factor: float) -> Truth:
        return Truth({frame: (boxes * factor).astype(np.float32) for frame, boxes in self.boxes.items()})


@dataclass(frozen=True)
class Score:
    """What a detector reached.

    Attributes:
        ap50: average precision at an intersection over union of 0.5.
        precision, recall: at ``threshold``; precision is NaN where nothing was reported.
        detect_s: time the detector took over all frames.
    """

    frames: int
    boxes: int
    ap50: float
    threshold: float
    precision: float
    recall: float
    detect_s: float = 0.0


def read_truth(path: Path) -> Truth:
    """Read a CVML file, as the PETS 2009 boxes are published.

    Raises:
        ModelError: not such a file, or a box that is none.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ElementTree.ParseError as error:
        raise ModelError(f"{path}: not an XML file: {error}") from error
    boxes: dict[int, Boxes] = {}
    problems = []
    for frame in root.iter("frame"):
        try:
            number = int(frame.attrib["number"])
            centres = [
                [float(box.attrib[key]) for key in ("xc", "yc", "w", "h")] for box in frame.iter("box")
            ]
        except (KeyError, ValueError) as error:
            problems.append(
                f"{path}: frame {frame.attrib.get('number', '?')}: {error} is missing or no number"
            )
            continue
        array = np.array(centres, np.float64).reshape(-1, 4)
        if not np.isfinite(array).all() or (array[:, 2:] <= 0).any():
            problems.append(f"{path}: frame {number}: a box without a size")
            continue
        centre, half = array[:, :2], array[:, 2:] / 2
        boxes[number] = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    if problems:
        raise ModelError(problems)
    if not boxes:
        raise ModelError(f"{path}: no <frame> in it; expected CVML (dataset/frame/objectlist/object/box)")
    return Truth(boxes)


def truth_size(truth: Truth, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the picture size the boxes were drawn for, given that of the recording.

    CVML does not state it. Boxes that stay within the recording's picture are taken to be for it; else the
    size is the smallest usual one of the same shape that holds all of them.
    """
    width, height = image_size
    edges = np.concatenate([boxes[:, 2:] for boxes in truth.boxes.values()])
    right, bottom = edges.max(axis=0) if len(edges) else (0.0, 0.0)
    needed = max((right - _OVERHANG_PX) / width, (bottom - _OVERHANG_PX) / height)
    if needed <= 1:
        return image_size
    for usual in _USUAL_WIDTHS:
        if usual / width >= needed:
            return usual, round(usual * height / width)
    return round(width * needed), round(height * needed)


def evaluate(
    detector: Detector,
    images: Iterable[tuple[int, NDArray[np.uint8]]],
    truth: Truth,
    *,
    kind: Kind = "pedestrian",
    threshold: float,
) -> Score:
    """Return how well a detector finds one kind in the annotated ones of the images.

    Args:
        detector: reporting boxes of low scores too, for the whole curve.
        images: each with its frame number, BGR; frames without annotation are skipped.
        truth: boxes in pixels of these images.
        threshold: where precision and recall are read.
    """
    scores: list[Boxes] = []
    hits: list[NDArray[np.bool_]] = []
    frames = boxes = 0
    detect_s = 0.0
    for number, image in images:
        wanted = truth.boxes.get(number)
        if wanted is None:
            continue
        start = perf_counter()
        detections = detector.detect(image)
        detect_s += perf_counter() - start
        found = _of_kind(detections, kind)
        frames += 1
        boxes += len(wanted)
        scores.append(found.scores)
        hits.append(matched(found.boxes_px, wanted))
    return score(
        np.concatenate(scores) if scores else np.zeros(0, np.float32),
        np.concatenate(hits) if hits else np.zeros(0, bool),
        boxes=boxes,
        frames=frames,
        threshold=threshold,
        detect_s=detect_s,
    )


def matched(found: Boxes, wanted: Boxes, *, iou: float = 0.5) -> NDArray[np.bool_]:
    """Tell for each box found, best first, whether it is a true one not yet taken by a better."""
    taken = np.zeros(len(wanted), bool)
    hits = np.zeros(len(found), bool)
    overlaps = overlap(found, wanted)
    for index, row in enumerate(overlaps):
        free = np.where(taken, -1.0, row)
        if len(free) and free.max() >= iou:
            taken[free.argmax()] = hits[index] = True
    return hits


def overlap(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of every box of a (N) with every one of b (M), as (N, M)."""
    first, second = a[:, None].astype(np.float64), b[None].astype(np.float64)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = np.prod(first[..., 2:] - first[..., :2], -1) + np.prod(second[..., 2:] - second[..., :2], -1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))


def score(
    scores: NDArray[np.float32],
    hits: NDArray[np.bool_],
    *,
    boxes: int,
    frames: int,
    threshold: float,
    detect_s: float = 0.0,
) -> Score:
    """Return the figures of all boxes found, given which of them are true."""
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(hits[order])
    recall = true / max(boxes, 1)
    precision = true / np.arange(1, len(true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    ap50 = float(np.sum(np.diff(recall, prepend=0.0) * envelope))
    reported = scores >= threshold
    return Score(
        frames=frames,
        boxes=boxes,
        ap50=ap50,
        threshold=threshold,
        precision=float(hits[reported].mean()) if reported.any() else float("nan"),
        recall=float(hits[reported].sum() / max(boxes, 1)),
        detect_s=detect_s,
    )


def _of_kind(found: Detections, kind: Kind) -> Detections:
    chosen: Sequence[int] | NDArray[np.intp] = np.flatnonzero(found.kinds == KINDS.index(kind))
    order = np.asarray(chosen)[np.argsort(-found.scores[chosen], kind="stable")]
    return Detections(found.boxes_px[order], found.scores[order], found.kinds[order])
