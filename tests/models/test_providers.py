"""Every provider there is computes what the CPU does; one that is not there is refused, never replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from models import zoo
from models.card import ModelError
from models.detections import Detections
from models.session import PROVIDERS, options_of

THERE = set(onnxruntime.get_available_providers())
# Eight bits of a number's sixteen are its range: what is sure stays sure, and boxes move by a pixel or two.
TOLERANCE = {"openvino-bf16": (4.0, 0.1)}
USUAL_TOLERANCE = (1.0, 0.02)


def street(data: Path) -> NDArray[np.uint8]:
    import cv2

    image = cv2.VideoCapture(str(data / "video" / "strudl_vid0.mp4")).read()[1]
    return np.asarray(image, np.uint8)


@pytest.mark.data
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("model", ["deimv2-atto", "yolox-nano"])
def test_a_provider_that_is_there_sees_what_the_cpu_sees(data: Path, provider: str, model: str) -> None:
    if PROVIDERS[provider] not in THERE:
        pytest.skip(f"{PROVIDERS[provider]} is not in this ONNX Runtime: it has {', '.join(sorted(THERE))}")
    weights = str(data / "weights" / f"{model}.onnx")
    image = street(data)
    expected = zoo.load(weights, threads=1).detect(image)
    detector = zoo.load(weights, provider=provider, threads=1)
    assert detector.provider == PROVIDERS[provider]
    seen = detector.detect(image)
    box_px, score = TOLERANCE.get(provider, USUAL_TOLERANCE)
    sure = expected.scores > 0.25 + score
    assert sure.any()
    for box, kind, expected_score in zip(
        expected.boxes_px[sure], expected.kinds[sure], expected.scores[sure], strict=True
    ):
        assert _has(seen, box, kind, expected_score, box_px=box_px, score=score)
    assert abs(len(seen) - len(expected)) <= int((~sure).sum()) + 2


def _has(
    seen: Detections, box: NDArray[np.float32], kind: int, expected: float, *, box_px: float, score: float
) -> bool:
    like = (np.abs(seen.boxes_px - box).max(axis=1) < box_px) & (seen.kinds == kind)
    return bool((like & (np.abs(seen.scores - expected) < score)).any())


@pytest.mark.data
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_is_not_there_is_refused(data: Path, provider: str) -> None:
    if PROVIDERS[provider] in THERE:
        pytest.skip(f"{PROVIDERS[provider]} is here")
    with pytest.raises(ModelError, match=f"provider {PROVIDERS[provider]} is not in this ONNX Runtime"):
        zoo.load(str(data / "weights" / "deimv2-atto.onnx"), provider=provider)


@pytest.mark.data
@pytest.mark.skipif(PROVIDERS["openvino"] not in THERE, reason="OpenVINO is not in this ONNX Runtime")
def test_openvino_that_cannot_be_set_is_refused_and_not_replaced(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.session.options_of", lambda _provider, threads: {"load_config": "no JSON"})
    with pytest.raises(ModelError, match=r"did not start|cannot load it"):
        zoo.load(str(data / "weights" / "deimv2-atto.onnx"), provider="openvino")


def test_openvino_is_told_its_threads_and_bits() -> None:
    assert options_of(None, threads=2) == options_of("cpu", threads=2) == options_of("cuda", threads=2) == {}
    assert options_of("openvino", threads=None) == {}
    assert options_of("OpenVINOExecutionProvider", threads=2) == {"num_of_threads": "2"}
    half = options_of("openvino-bf16", threads=1)
    assert half["num_of_threads"] == "1"
    assert json.loads(half["load_config"]) == {"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}
