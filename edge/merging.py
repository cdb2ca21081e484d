"""One box a road user: rider and bicycle are one cyclist, one vehicle seen as two classes is one vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detections import KINDS, Detections

FOUR_WHEELED = tuple(KINDS.index(kind) for kind in ("car", "bus", "truck"))
_MOTORISED = (*FOUR_WHEELED, KINDS.index("motorcycle"))
_PEDESTRIAN = KINDS.index("pedestrian")
_TWO_WHEELED = (KINDS.index("bicycle"), KINDS.index("motorcycle"))

# Two vehicles in a row overlap up to about 0.6 in a low camera's image; one vehicle called car and truck
# in the same frame overlaps by 0.9. People walk closer together than vehicles drive.
_SAME_VEHICLE_IOU = 0.75
_SAME_PERSON_IOU = 0.85
# A second box that ends where the first does left, right and below is the same vehicle with less of a roof.
_SAME_EDGES = 0.08


@dataclass(frozen=True, eq=False)
class Merged:
    """Detections with one box for each road user.

    Attributes:
        detections: what is left, a rider's box joined to that of the bicycle.
        origin: (N,) for each, its index in the detections that came in.
        ridden: (N,) whether a rider was seen on it.
    """

    detections: Detections
    origin: NDArray[np.intp]
    ridden: NDArray[np.bool_]


def merged(detections: Detections) -> Merged:
    """Return one box for each road user.

    A pedestrian's box that stands on a bicycle's or motorcycle's box is its rider: the two become one
    detection of the two-wheeler's kind around both. Where two boxes of one vehicle (or of one person)
    nearly coincide, the higher score stays.
    """
    boxes = detections.boxes_px.astype(np.float64)
    scores = detections.scores.astype(np.float32)
    kept = np.ones(len(detections), bool)
    ridden = np.zeros(len(detections), bool)
    joined = boxes.copy()
    for rider, cycle in _riders(boxes, detections.kinds):
        kept[rider], ridden[cycle] = False, True
        joined[cycle] = np.r_[
            np.minimum(boxes[rider, :2], boxes[cycle, :2]), np.maximum(boxes[rider, 2:], boxes[cycle, 2:])
        ]
        scores[cycle] = max(scores[rider], scores[cycle])
    motorised = np.isin(detections.kinds, _MOTORISED)
    overlap = iou(joined, joined)
    kept &= ~_doubled((overlap > _SAME_VEHICLE_IOU) | _share_edges(boxes), scores, motorised & kept)
    kept &= ~_doubled(overlap > _SAME_PERSON_IOU, scores, ~motorised & kept)
    origin = np.flatnonzero(kept)
    left = Detections(joined[origin].astype(np.float32), scores[origin], detections.kinds[origin])
    return Merged(left, origin, ridden[origin])


def _riders(boxes: NDArray[np.float64], kinds: NDArray[np.int8]) -> list[tuple[int, int]]:
    """Return (pedestrian, two-wheeler) pairs, each box in one pair at most, the best fit first.

    ::

        ┌─────┐  rider: the head above the bicycle's box, the hips over its middle,
        │  o  │  the feet (pedals) inside it or little below
        ┌─┼───┼─┐
        │ └───┘ │
        └───────┘  bicycle
    """
    people, cycles = np.flatnonzero(kinds == _PEDESTRIAN), np.flatnonzero(np.isin(kinds, _TWO_WHEELED))
    if not len(people) or not len(cycles):
        return []
    person, cycle = boxes[people][:, None], boxes[cycles][None]
    height = cycle[..., 3] - cycle[..., 1]
    width = np.minimum(person[..., 2] - person[..., 0], cycle[..., 2] - cycle[..., 0])
    overlap_x = np.minimum(person[..., 2], cycle[..., 2]) - np.maximum(person[..., 0], cycle[..., 0])
    centre_x = (person[..., 0] + person[..., 2]) / 2
    tall = person[..., 3] - person[..., 1]
    sits = (
        (centre_x > cycle[..., 0])
        & (centre_x < cycle[..., 2])
        & (overlap_x > 0.6 * width)
        & (person[..., 1] < cycle[..., 1] + 0.1 * height)
        & (person[..., 3] > cycle[..., 1] + 0.3 * height)
        # Whoever walks in front of a parked bicycle has the feet clearly lower in the image.
        & (person[..., 3] < cycle[..., 3] + 0.15 * height)
        # A person far behind a near bicycle, or before a far one, is of another size.
        & (tall > 0.6 * height)
        & (tall < 3.5 * height)
    )
    fit = np.where(
        sits, overlap_x / width - np.abs(centre_x - (cycle[..., 0] + cycle[..., 2]) / 2) / width, -np.inf
    )
    pairs: list[tuple[int, int]] = []
    while np.isfinite(fit).any():
        row, column = np.unravel_index(int(np.argmax(fit)), fit.shape)
        pairs.append((int(people[row]), int(cycles[column])))
        fit[row, :], fit[:, column] = -np.inf, -np.inf
    return pairs


def _doubled(
    same: NDArray[np.bool_], scores: NDArray[np.float32], among: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which boxes (N,) are the same (N, N) as a box of a higher score."""
    doubled = np.zeros(len(scores), bool)
    order = np.flatnonzero(among)
    order = order[np.argsort(-scores[order], kind="stable")]
    for position, box in enumerate(order):
        better = order[:position]
        doubled[box] = bool((same[box, better] & ~doubled[better]).any())
    return doubled


def _share_edges(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes (N, N) end at the same left, right and bottom."""
    size = boxes[:, 2:] - boxes[:, :2]
    reach = _SAME_EDGES * np.minimum(size[:, None], size[None])[..., [0, 0, 1]]
    apart = np.abs(boxes[:, None, (0, 2, 3)] - boxes[None][..., (0, 2, 3)])
    return np.asarray((apart < reach).all(axis=-1))


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union (N, M) of boxes (N, 4) with boxes (M, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-9))
