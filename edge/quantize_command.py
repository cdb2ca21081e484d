"""`nearmiss models quantize`: a network in 8 bits, measured before it is kept."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import typer
from numpy.typing import NDArray

from edge.sources.file import open_video
from models import evaluate as measure
from models import zoo
from models.card import Card
from models.onnx import OnnxDetector
from models.quantize import CALIBRATION_FRAMES, quantised

# From here down nothing changes the average precision by more than 0.005, and it doubles the boxes.
_LOWEST_SCORE = 0.05
# A card's ``pets_person_ap50`` was measured on all of PETS 2009 S2L1 against these boxes, nothing else.
PETS_TRUTH_SHA256 = "4a91380025ef20254e2157fa14f4a705e668b41d77869d330cb1c6e2a53bd9e2"


def quantize(model: str, *, clip: Path, truth: Path | None, frames: int | None, most_lost: float) -> int:
    """Quantise a model and take it into the store; 1, and nothing kept, where it lost too much.

    Args:
        clip: a recording of the street it will see: calibration frames come from all of it.
        truth: boxes drawn by hand for the clip; without them those of the unquantised model are the truth.
        frames: how many frames of the clip it is measured on; None: all.
        most_lost: of the average precision (AP50 of persons).

    Raises:
        InputError, models.card.ModelError: the clip, the truth or the model cannot be used.
    """
    before = zoo.load(model, score=_LOWEST_SCORE)
    weights, card = quantised(zoo.weights_of(model), before.card, _spread(clip))
    after = OnnxDetector(weights, card, origin=card.name, score=_LOWEST_SCORE)
    known = _truth(before, clip, truth, frames)
    was, now = (_score(each, clip, known, frames) for each in (before, after))
    lost = was.ap50 - now.ap50
    said = "against boxes drawn by hand" if truth else "against the unquantised model's own boxes"
    typer.echo(
        f"{card.name}: person AP50 {was.ap50:.3f} before, {now.ap50:.3f} in 8 bits, {said} "
        f"({now.frames} frames); {1000 * was.detect_s / was.frames:.1f} and "
        f"{1000 * now.detect_s / now.frames:.1f} ms a frame"
    )
    if lost > most_lost:
        typer.echo(f"nearmiss: it lost {lost:.3f}, more than {most_lost:g}: not kept", err=True)
        return 1
    whole_pets = truth is not None and frames is None and _sha256(truth) == PETS_TRUTH_SHA256
    kept = zoo.keep(weights, _with_accuracy(card, now.ap50 if whole_pets else None))
    typer.echo(f"{kept.card.name}: {kept.path}, sha256 {kept.card.sha256}")
    return 0


def _spread(clip: Path) -> list[NDArray]:  # type: ignore[type-arg]  # images, uint8
    """Return frames from the whole of a recording."""
    with open_video(clip, start_time=0.0) as source:
        every = max((source.expected_frames or CALIBRATION_FRAMES) // CALIBRATION_FRAMES, 1)
        return [frame.image for frame in itertools.islice(source, 0, None, every)][:CALIBRATION_FRAMES]


def _images(clip: Path, frames: int | None) -> Iterator[tuple[int, NDArray]]:  # type: ignore[type-arg]  # uint8
    with open_video(clip, start_time=0.0) as source:
        for frame in itertools.islice(source, frames):
            yield frame.index, frame.image


def _truth(detector: OnnxDetector, clip: Path, truth: Path | None, frames: int | None) -> measure.Truth:
    if truth is not None:
        known = measure.read_truth(truth)
        with open_video(clip, start_time=0.0) as source:
            width = source.image_size[0]
            return known.scaled(width / measure.truth_size(known, source.image_size)[0])
    threshold = detector.card.thresholds.score
    found = {}
    for index, image in _images(clip, frames):
        seen = detector.detect(image)
        found[index] = seen.boxes_px[(seen.kinds == 0) & (seen.scores >= threshold)]
    return measure.Truth(found)


def _score(detector: OnnxDetector, clip: Path, truth: measure.Truth, frames: int | None) -> measure.Score:
    threshold = detector.card.thresholds.score
    return measure.evaluate(detector, _images(clip, frames), truth, threshold=threshold)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _with_accuracy(card: Card, ap50: float | None) -> Card:
    if ap50 is None:
        return card
    return card.model_copy(
        update={"accuracy": card.accuracy.model_copy(update={"pets_person_ap50": round(ap50, 3)})}
    )
