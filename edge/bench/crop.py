"""What it brings to show a network only the part of the picture that matters: persons found there, by AP50.

PETS S2L1, every eighth frame, as if the places of its site lay in a part of the picture: persons whose feet
are there, looked for in the whole picture and in the rectangle around it, of the picture's own shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bench import pets
from edge.bench.section import Section
from edge.sources.file import open_video
from models import evaluate as measuring
from models.crop import Cropped, Rectangle
from models.detections import Detections, Detector
from models.evaluate import Score, Truth
from models.zoo import load

MODELS = ("deimv2-femto", "deimv2-atto", "yolox-nano")
EVERY = 8
LOWEST_SCORE, THRESHOLD = 0.05, 0.25
# Where the feet are, as shares of the picture: left, top, right, bottom; and the part that is shown.
PARTS = {
    "far left": ((0.0, 0.17, 0.5, 0.5), (0.0, 0.0, 0.605, 0.605)),
    "far right": ((0.5, 0.17, 1.0, 0.5), (0.395, 0.0, 1.0, 0.605)),
    "middle": ((0.25, 0.25, 0.75, 0.75), (0.17, 0.125, 0.825, 0.78)),
}
Picture = NDArray[np.uint8]


class _Within:
    """What a detector sees whose feet are in a part of the picture."""

    def __init__(self, detector: Detector, feet: Rectangle) -> None:
        self._detector, self._feet = detector, feet
        self.name, self.provider = detector.name, detector.provider

    def detect(self, image: Picture) -> Detections:
        found = self._detector.detect(image)
        kept = within(found.boxes_px, self._feet)
        return Detections(found.boxes_px[kept], found.scores[kept], found.kinds[kept])


def measure(data: Path) -> Section:
    """Measure every network with and without."""
    truth = measuring.read_truth(pets.truth(data))
    with open_video(pets.video(data), start_time=0.0) as source:
        size = source.image_size
        truth = truth.scaled(size[0] / measuring.truth_size(truth, size)[0])
        frames = [(frame.index, frame.image.copy()) for frame in source if frame.index % EVERY == 0]
    rows, numbers = [], {}
    for model in MODELS:
        network = load(str(data / "weights" / f"{model}.onnx"), score=LOWEST_SCORE)
        for name, (feet, shown) in PARTS.items():
            part = in_pixels(feet, size)
            wanted = Truth({index: boxes[within(boxes, part)] for index, boxes in truth.boxes.items()})
            shared = _score(network, part, frames, wanted)
            alone = _score(Cropped(network, in_pixels(shown, size)), part, frames, wanted)
            share = (shown[2] - shown[0]) * (shown[3] - shown[1])
            rows.append((f"{model}, {name}", f"{share:.2f}", *_told(shared), *_told(alone)))
            numbers[f"{model} {name}"] = {"shown": share, "whole_ap50": shared.ap50, "part_ap50": alone.ap50}
    return Section(
        title="Persons in a part of the picture: the whole of it shown, or that part",
        columns=(
            "network, part",
            "shown",
            "AP50",
            "precision",
            "recall",
            "AP50 shown",
            "precision",
            "recall",
        ),
        rows=rows,
        numbers=numbers,
        remarks=(f"PETS S2L1, every {EVERY}th frame; precision and recall at {THRESHOLD:g}.",),
    )


def within(boxes: NDArray[np.float32], feet: Rectangle) -> NDArray[np.bool_]:
    """Return which boxes (N, 4) have the middle of their lower edge in a rectangle."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    left, top, right, bottom = feet
    return np.asarray((x >= left) & (x < right) & (y >= top) & (y < bottom))


def in_pixels(shares: Sequence[float], size: tuple[int, int]) -> Rectangle:
    """Return a rectangle given as shares of an image's width and height."""
    left, top, right, bottom = (round(share * size[index % 2]) for index, share in enumerate(shares))
    return left, top, right, bottom


def _score(detector: Detector, feet: Rectangle, frames: Iterable[tuple[int, Picture]], truth: Truth) -> Score:
    return measuring.evaluate(_Within(detector, feet), frames, truth, threshold=THRESHOLD)


def _told(score: Score) -> tuple[str, str, str]:
    return f"{score.ap50:.3f}", f"{score.precision:.2f}", f"{score.recall:.2f}"
