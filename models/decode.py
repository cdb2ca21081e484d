"""From a network's raw outputs to boxes of road users, in pixels of the image.

Every head is first read into candidates (boxes in pixels of the network's input, best class, score); what is
no road user ends there. Then two boxes of like kind that overlap become one, and boxes return to the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.detections import KINDS, Detections

Floats = NDArray[np.float32]

# Which kinds are taken for one another: a car is often also seen as a truck, and would be counted twice.
# A rider and the bicycle under her are two boxes on purpose; what they are together is the tracker's to say.
_LIKE = {"pedestrian": 0, "bicycle": 1, "motorcycle": 1, "car": 2, "bus": 2, "truck": 2}
_LIKE_OF_KIND = np.array([_LIKE[kind] for kind in KINDS], np.int8)

MAX_CANDIDATES = 1000


@dataclass(frozen=True)
class Fit:
    """How an image lies in the network's input: ``input = image * scale + offset``, along x and y."""

    image_size: tuple[int, int]
    size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]

    @classmethod
    def of(cls, card: Card, image_size: tuple[int, int]) -> Fit:
        """Return where an image of (width, height) goes."""
        inlet = card.input
        width, height = image_size
        if inlet.resize == "stretch":
            return cls(
                image_size,
                (inlet.width, inlet.height),
                (inlet.width / width, inlet.height / height),
                (0, 0),
            )
        ratio = min(inlet.width / width, inlet.height / height)
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        spare = inlet.width - size[0], inlet.height - size[1]
        offset = (0, 0) if inlet.anchor == "top_left" else (spare[0] // 2, spare[1] // 2)
        # The side that was rounded to whole pixels is stretched by that rounding, so its own scale counts.
        return cls(image_size, size, (size[0] / width, size[1] / height), offset)

    def to_image(self, boxes: Floats) -> Floats:
        """Return boxes in pixels of the image, clipped to it."""
        width, height = self.image_size
        offset = np.array(self.offset * 2, np.float32)
        scale = np.array(self.scale * 2, np.float32)
        limit = np.array([width, height, width, height], np.float32)
        in_image: Floats = np.clip((boxes - offset) / scale, 0, limit).astype(np.float32)
        return in_image


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes in pixels of the network's input (N, 4), class of the model (N,), score (N,)."""

    boxes: Floats
    classes: NDArray[np.intp]
    scores: Floats


def detr(labels: NDArray[np.int64], boxes: Floats, scores: Floats, *, threshold: float) -> Candidates:
    """Read the DETR family's outputs for one image: labels (N,), corners (N, 4), scores (N,)."""
    keep = scores >= threshold
    return Candidates(boxes[keep], labels[keep].astype(np.intp), scores[keep])


def yolox_grid(card: Card) -> tuple[Floats, Floats]:
    """Return the cell corner (N, 2) and the stride (N, 1) of each row of a YOLOX output, in its order."""
    corners, strides = [], []
    for stride in card.head.strides:
        columns, rows = card.input.width // stride, card.input.height // stride
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((rows * columns, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def yolox(rows: Floats, grid: tuple[Floats, Floats], *, threshold: float) -> Candidates:
    """Read a YOLOX output (N, 5 + classes): offset of the centre in cells, log size, objectness, classes.

    Source: Ge et al. (2021), YOLOX: Exceeding YOLO Series in 2021, arXiv:2107.08430.
    """
    corners, strides = grid
    hopeful = np.flatnonzero(rows[:, 4] >= threshold)  # a score is objectness × class: never above either
    rows = rows[hopeful]
    classes = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + classes]
    centres = (rows[:, :2] + corners[hopeful]) * strides[hopeful]
    halves = np.exp(np.minimum(rows[:, 2:4], 20.0)) * strides[hopeful] / 2
    keep = scores >= threshold
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return Candidates(boxes[keep], classes[keep], scores[keep])


def ultralytics(columns: Floats, *, threshold: float) -> Candidates:
    """Read an Ultralytics v8 to v12 output (4 + classes, N): centre, size, class scores; input pixels."""
    best = columns[4:].max(axis=0)
    keep = np.flatnonzero(best >= threshold)
    kept = columns[:, keep]
    centres, halves = kept[:2], kept[2:4] / 2
    boxes = np.concatenate([centres - halves, centres + halves]).T
    return Candidates(boxes, kept[4:].argmax(axis=0), best[keep])


def ultralytics_end2end(rows: Floats, *, threshold: float) -> Candidates:
    """Read an Ultralytics end-to-end output (N, 6): corners in input pixels, score, class."""
    kept = rows[rows[:, 4] >= threshold]
    return Candidates(kept[:, :4], np.rint(kept[:, 5]).astype(np.intp), kept[:, 4])


def detections(
    candidates: Candidates, fit: Fit, *, kind_of_class: NDArray[np.int8], nms_iou: float
) -> Detections:
    """Return the road users among the candidates, best first, each once, in pixels of the image.

    Args:
        kind_of_class: index into ``KINDS`` for each class of the model, -1 for what is no road user.
        nms_iou: of two boxes of like kind that overlap more than this the better stays.
    """
    boxes, classes, scores = candidates.boxes, candidates.classes, candidates.scores
    known = (classes >= 0) & (classes < len(kind_of_class))
    kinds = np.where(known, kind_of_class[np.where(known, classes, 0)], -1).astype(np.int8)
    sound = (kinds >= 0) & np.isfinite(scores) & np.isfinite(boxes).all(axis=1)
    boxes, kinds, scores = boxes[sound], kinds[sound], scores[sound]
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes, kinds, scores = boxes[order], kinds[order], scores[order]
    stay = suppressed(boxes, _LIKE_OF_KIND[kinds], iou=nms_iou)
    boxes, kinds, scores = fit.to_image(boxes[stay]), kinds[stay], scores[stay]
    seen = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    return Detections(boxes[seen], np.clip(scores[seen], 0, 1).astype(np.float32), kinds[seen])


def suppressed(boxes: Floats, groups: NDArray[np.int8], *, iou: float) -> NDArray[np.intp]:
    """Return the indices that greedy non-maximum suppression within each group leaves.

    Args:
        boxes: (N, 4) corners, best first.
        groups: (N,) boxes of different groups never suppress each other.
    """
    corners = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    corners -= np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    np.maximum(corners, 0, out=corners)
    shared = corners[..., 0] * corners[..., 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alike = shared > iou * (areas[:, None] + areas[None, :] - shared)
    alike &= groups[:, None] == groups[None, :]
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes) - 1):
        if alive[index]:
            alive[index + 1 :] &= ~alike[index, index + 1 :]
    return np.flatnonzero(alive)
