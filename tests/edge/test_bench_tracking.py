"""The benchmark's scores are those of an independent implementation, and lengths come out in metres."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from edge.bench.tracking import Seen, scores
from edge.merging import iou

CAMERA = np.array([0.0, -10.0])


def walking(seed: int) -> tuple[list[Seen], list[Seen]]:
    """Five people on a line; tracks that miss some, add some, and swap two numbers half way."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for frame in range(60):
        numbers = np.arange(5)
        left = 40.0 + 60 * numbers + 2 * frame
        boxes = np.stack([left, np.full(5, 50.0), left + 20, np.full(5, 100.0)], axis=1)
        places = np.stack([left / 20, np.full(5, 5.0)], axis=1)
        truth.append(Seen(numbers, boxes, places, np.zeros(5)))
        kept = rng.random(5) > 0.15
        named = 10 + (numbers if frame < 30 else np.array([1, 0, 2, 3, 4]))
        shown = boxes[kept] + rng.normal(0, 1.5, (int(kept.sum()), 4))
        extra = rng.random() < 0.2
        false = np.array([[400.0, 10, 420, 60]]) if extra else np.zeros((0, 4))
        found.append(
            Seen(
                np.r_[named[kept], [99] * extra],
                np.concatenate([shown, false]),
                np.concatenate([places[kept] + [0.3, 0.4], np.zeros((len(false), 2))]),
                np.full(int(kept.sum()) + len(false), 0.5),
            )
        )
    return truth, found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mota_and_idf1_agree_with_motmetrics(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # motmetrics 1.4 on pandas 3
        import motmetrics

        truth, found = walking(seed)
        other = motmetrics.MOTAccumulator(auto_id=True)
        for wanted, seen in zip(truth, found, strict=True):
            overlap = iou(wanted.boxes_px, seen.boxes_px)
            distance = np.where(overlap >= 0.5, 1 - overlap, np.nan)
            other.update(wanted.numbers.tolist(), seen.numbers.tolist(), distance)
        expected = motmetrics.metrics.create().compute(other, metrics=["mota", "idf1", "num_switches"])
    result = scores(truth, found, CAMERA)
    assert result.mota == pytest.approx(float(expected["mota"].iloc[0]), abs=1e-9)
    assert result.idf1 == pytest.approx(float(expected["idf1"].iloc[0]), abs=1e-9)
    assert result.id_switches == int(expected["num_switches"].iloc[0]) >= 2


def test_an_offset_of_half_a_metre_is_half_a_metre() -> None:
    result = scores(*walking(0), CAMERA)
    assert result.position_error_m == pytest.approx(0.5)
    assert 0.3 < result.along_sight_m < 0.5
    assert result.stated_sigma_m == pytest.approx(0.5)
    assert result.within_two_sigma == 1.0
