"""What a model may not be is found when it is loaded; what it is given is what its card says."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from models import zoo
from models.card import ModelError, read_card
from models.detections import Detector
from models.onnx import OnnxDetector
from tests.models.graphs import card_text, constant_model

F = np.float32
FRAME = np.random.default_rng(1).integers(0, 256, (48, 80, 3), dtype=np.uint8)


def load(weights: bytes, card: str, **options: object) -> OnnxDetector:
    return OnnxDetector(weights, read_card(card, origin="mine.toml"), origin="mine.onnx", **options)  # type: ignore[arg-type]  # passed through


def detr_model(**options: object) -> bytes:
    outputs = {
        "labels": np.zeros((1, 5), np.int64),
        "boxes": np.zeros((1, 5, 4), F),
        "scores": np.zeros((1, 5), F),
    }
    outputs.update(options.pop("extra", {}))  # type: ignore[call-overload]  # a dict of arrays
    return constant_model(outputs, sizes_input=True, **options)  # type: ignore[arg-type]  # passed through


@pytest.mark.parametrize("length", [128, 256, 512, 2048])
@pytest.mark.parametrize("head", ["detr", "ultralytics"])
def test_an_embedding_beside_the_boxes_is_refused(head: str, length: int) -> None:
    embedding = {"features": np.zeros((1, length), F)}
    model = (
        detr_model(extra=embedding)
        if head == "detr"
        else constant_model({"output0": np.zeros((1, 6, 20), F), **embedding})
    )
    with pytest.raises(ModelError, match=r"features .* an embedding, by which a person could be recognised"):
        load(model, card_text(head))


def test_an_embedding_of_open_size_is_refused() -> None:
    model = constant_model(
        {"output0": np.zeros((1, 6, 20), F), "id": np.zeros((1, 512), F)}, declared={"id": ["n", "length"]}
    )
    with pytest.raises(ModelError, match="embedding"):
        load(model, card_text())


def test_a_model_that_is_an_embedding_is_refused() -> None:
    with pytest.raises(ModelError, match="embedding"):
        load(constant_model({"output0": np.zeros((1, 512), F)}), card_text())


def test_an_embedding_beside_each_box_is_refused() -> None:
    with pytest.raises(ModelError, match=r"output0 is \[1, 518, 20\].*2 labels gives \[1, 6, N\]"):
        load(constant_model({"output0": np.zeros((1, 518, 20), F)}), card_text())


def test_a_face_class_written_in_the_file_is_refused_whatever_the_card_says() -> None:
    model = constant_model(
        {"output0": np.zeros((1, 6, 20), F)}, metadata={"names": "{0: 'person', 1: 'license_plate'}"}
    )
    with pytest.raises(ModelError, match="'license_plate' would tell who somebody is"):
        load(model, card_text())


def test_classes_written_in_the_file_are_the_cards() -> None:
    output = {"output0": np.zeros((1, 6, 20), F)}
    load(constant_model(output, metadata={"names": "{0: 'person', 1: 'car'}"}), card_text())
    with pytest.raises(ModelError, match="its card says"):
        load(constant_model(output, metadata={"names": "{0: 'car', 1: 'person'}"}), card_text())
    load(constant_model(output, metadata={"names": "__import__('os')"}), card_text())  # data, never run


@pytest.mark.parametrize(
    ("head", "outputs", "declared", "problem"),
    [
        pytest.param(
            "ultralytics", {"o": np.zeros((1, 20, 6), F)}, None, "gives [1, 6, N]", id="not transposed"
        ),
        pytest.param(
            "ultralytics", {"o": np.zeros((1, 84, 20), F)}, None, "2 labels", id="more classes than labels"
        ),
        pytest.param(
            "ultralytics",
            {"o": np.zeros((1, 84, 20), F)},
            {"o": ["b", "c", "n"]},
            "o is [1, 84, 20]",
            id="more classes than labels, in a file that leaves it open",
        ),
        pytest.param("ultralytics", {"o": np.zeros((2, 6, 20), F)}, None, "o is [2, 6, 20]", id="two images"),
        pytest.param(
            "ultralytics_end2end", {"o": np.zeros((1, 300, 7), F)}, None, "[1, N, 6]", id="a seventh number"
        ),
        pytest.param("yolox", {"o": np.zeros((1, 85, 7), F)}, None, "gives [1, 84, 7]", id="a row too many"),
        pytest.param("detr", {"o": np.zeros((1, 6, 20), F)}, None, "orig_target_sizes", id="another family"),
        pytest.param(
            "ultralytics",
            {"o": np.zeros((1, 6, 20), F), "masks": np.zeros((1, 32, 16, 16), F)},
            None,
            "masks [1, 32, 16, 16] is not explained",
            id="outlines beside the boxes",
        ),
    ],
)
def test_outputs_that_do_not_fit_the_head(
    head: str,
    outputs: dict[str, np.ndarray],
    declared: dict[str, list[int | str]] | None,
    problem: str,
) -> None:
    with pytest.raises(ModelError) as caught:
        load(constant_model(outputs, declared=declared), card_text(head))
    assert all(line.startswith("mine.onnx: ") for line in caught.value.problems)
    assert any(problem in line for line in caught.value.problems), caught.value.problems


def test_a_detr_model_lacks_an_output() -> None:
    outputs = {"labels": np.zeros((1, 5), np.int64), "boxes": np.zeros((1, 5, 4), F)}
    with pytest.raises(ModelError, match="has an output scores, the model has none"):
        load(constant_model(outputs, sizes_input=True), card_text("detr"))


def test_open_sides_are_taken_where_they_fit() -> None:
    model = constant_model(
        {"o": np.zeros((1, 6, 20), F)}, size=("height", "width"), declared={"o": ["b", 6, "n"]}
    )
    detector: Detector = load(model, card_text())
    assert len(detector.detect(FRAME)) == 0


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        pytest.param(
            constant_model({"o": np.zeros((1, 6, 9), F)}, size=(64, 96)), "1, 3, 64, 96", id="another size"
        ),
        pytest.param(
            constant_model({"o": np.zeros((1, 6, 9), F)}, image_type=TensorProto.FLOAT16),
            "tensor(float16)",
            id="another type of number",
        ),
        pytest.param(b"no model", "cannot load it", id="not ONNX"),
        pytest.param(b"", "cannot load it", id="empty"),
    ],
)
def test_files_that_cannot_be_used(model: bytes, problem: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(model, card_text())
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_a_provider_that_is_not_there_is_an_error() -> None:
    model = constant_model({"o": np.zeros((1, 6, 9), F)})
    for provider in {"cuda", "TensorrtExecutionProvider", "nonsense"}:
        if provider.replace("cuda", "CUDAExecutionProvider") in onnxruntime.get_available_providers():
            continue
        with pytest.raises(ModelError, match="is not in this ONNX Runtime"):
            load(model, card_text(), provider=provider)
    assert load(model, card_text(), provider="cpu").provider == "CPUExecutionProvider"


@pytest.mark.skipif(
    "AzureExecutionProvider" not in onnxruntime.get_available_providers(), reason="another ONNX Runtime"
)
def test_a_provider_that_computes_nothing_is_an_error() -> None:
    # It starts, is listed first, and leaves every node to the CPU.
    with pytest.raises(ModelError, match="would run on CPUExecutionProvider"):
        load(constant_model({"o": np.zeros((1, 6, 9), F)}), card_text(), provider="AzureExecutionProvider")


def test_a_provider_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Listed as available, but its libraries are not on this machine: ONNX Runtime falls back by itself.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with pytest.raises(ModelError, match=r"did not start|cannot load it on CUDAExecutionProvider"):
        load(constant_model({"o": np.zeros((1, 6, 9), F)}), card_text(), provider="cuda")


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_the_input_is_what_the_card_says(colour: str, resize: str) -> None:
    text = card_text().replace('"rgb"', f'"{colour}"').replace('"letterbox"', f'"{resize}"')
    text = text.replace(
        "divide = 255.0", "divide = 255.0\nmean = [0.5, 0.25, 0.0]\nstd = [0.5, 1.0, 2.0]\npad = 51"
    )
    detector = load(constant_model({"o": np.zeros((1, 6, 9), F)}), text)
    for image in (FRAME[:, :40], FRAME):  # a second size after the first: nothing of that stays
        detector.detect(np.ascontiguousarray(image))
    field = np.full((64, 64, 3), 51, np.uint8)
    if resize == "stretch":
        field = cv2.resize(FRAME, (64, 64))
    else:  # 80×48 becomes 64×38 with 13 above and below
        field[13:51] = cv2.resize(FRAME, (64, 38))
    planes = field.astype(np.float64)[..., :: -1 if colour == "rgb" else 1] / 255.0
    expected = ((planes - [0.5, 0.25, 0.0]) / [0.5, 1.0, 2.0]).transpose(2, 0, 1)
    np.testing.assert_allclose(detector._blobs[0][0], expected, atol=1e-5)


def test_an_image_that_is_none() -> None:
    detector = load(constant_model({"o": np.zeros((1, 6, 9), F)}), card_text())
    for image in (FRAME[..., 0], FRAME.astype(F), FRAME[:0]):
        with pytest.raises(ValueError, match="uint8"):
            detector.detect(image)


def test_the_next_image_may_be_prepared_before_this_one_is_computed() -> None:
    text = card_text()
    detector = load(constant_model({"o": np.zeros((1, 6, 9), F)}), text)
    first, second = detector.prepare(FRAME), detector.prepare(255 - FRAME)
    blob = first.blob.copy()
    assert not np.array_equal(blob, second.blob)
    detector.compute(second)
    np.testing.assert_array_equal(first.blob, blob)
    assert first.fit == second.fit


@pytest.mark.data
def test_three_steps_see_what_one_does(data: Path) -> None:
    detector = zoo.load(str(data / "weights" / "deimv2-atto.onnx"), threads=1)
    noise = np.random.default_rng(3).integers(0, 255, (2, 96, 128, 3), np.uint8)
    alone = [detector.detect(image) for image in noise]
    prepared = [detector.prepare(image) for image in noise]
    for whole, each in zip(alone, prepared, strict=True):
        read = detector.read(each, detector.compute(each))
        np.testing.assert_array_equal(read.boxes_px, whole.boxes_px)
        np.testing.assert_array_equal(read.scores, whole.scores)


@pytest.mark.data
def test_a_cpu_looks_at_one_image_a_run_though_the_file_takes_more(data: Path) -> None:
    detector = zoo.load(str(data / "weights" / "deimv2-atto.onnx"), threads=1)
    noise = np.random.default_rng(3).integers(0, 255, (2, 320, 320, 3), np.uint8)
    assert detector.most_at_once == 1  # four of them take longer in one run than one after the other
    together = detector.candidates(list(noise))
    for canvas, seen in zip(noise, together, strict=True):
        (alone,) = detector.candidates([canvas])
        np.testing.assert_allclose(np.sort(seen.scores), np.sort(alone.scores), atol=1e-4)


@pytest.mark.data
def test_inference_lets_other_threads_work(data: Path) -> None:
    detector = zoo.load(str(data / "weights" / "deimv2-atto.onnx"), threads=1)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is made to let go of the GIL: whoever does, does so by itself
    try:
        assert any(_runs_beside(detector) for _ in range(20))
    finally:
        sys.setswitchinterval(usual)


def _runs_beside(detector: OnnxDetector) -> bool:
    """Tell whether this thread got to run between the start and the end of an inference."""
    begun, ended = threading.Event(), []

    def infer() -> None:
        begun.set()
        detector.infer()
        ended.append(True)

    worker = threading.Thread(target=infer)
    worker.start()
    begun.wait()
    beside = not ended
    worker.join()
    return beside
