"""Decoding against a second computation, written plainly from the papers, on real frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import zoo
from models.card import Card, coco80, read_card, shipped_cards
from models.decode import Fit, suppressed
from models.detections import KINDS, Detections
from models.onnx import OnnxDetector
from tests.models.graphs import card_text, constant_model

Image = NDArray[np.uint8]
Found = list[tuple[str, float, tuple[float, float, float, float]]]

STREET = {
    "person": "pedestrian",
    "bicycle": "bicycle",
    "motorcycle": "motorcycle",
    "car": "car",
    "bus": "bus",
    "truck": "truck",
}
GROUPS = [{"pedestrian"}, {"bicycle", "motorcycle"}, {"car", "bus", "truck"}]


@pytest.fixture(scope="module", params=["strudl_vid0.mp4", "rox_crosswalk.mp4"])
def frames(request: pytest.FixtureRequest, data: Path) -> list[Image]:
    with av.open(str(data / "video" / request.param)) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return images[:: len(images) // 5]


def raw(path: Path, feed: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, feed))


def plain_deimv2(path: Path, image: Image, side: int, threshold: float) -> Found:
    """The authors' recipe: RGB, stretched, /255; boxes come back in pixels of the image."""
    rgb = cv2.cvtColor(cv2.resize(image, (side, side)), cv2.COLOR_BGR2RGB)
    blob = (rgb.astype(np.float32) / 255.0).transpose(2, 0, 1)[None]
    sizes = np.array([[image.shape[1], image.shape[0]]], np.int64)
    labels, boxes, scores = raw(path, {"images": blob, "orig_target_sizes": sizes})
    found: Found = []
    for label, box, score in zip(labels[0], boxes[0], scores[0], strict=True):
        name = coco80()[int(label)]
        if score >= threshold and name in STREET:
            found.append((STREET[name], float(score), tuple(float(side) for side in box)))  # type: ignore[arg-type]  # four sides
    return found


def plain_yolox(path: Path, image: Image, side: int, threshold: float) -> tuple[Found, NDArray[np.float32]]:
    """The authors' recipe: BGR 0..255 in the top left of a field of 114; a row per cell, by strides."""
    ratio = min(side / image.shape[0], side / image.shape[1])
    small = cv2.resize(image, (round(image.shape[1] * ratio), round(image.shape[0] * ratio)))
    field = np.full((side, side, 3), 114, np.uint8)
    field[: small.shape[0], : small.shape[1]] = small
    rows = raw(path, {"images": field.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
    cells = [
        (x, y, stride) for stride in (8, 16, 32) for y in range(side // stride) for x in range(side // stride)
    ]
    found: Found = []
    plain = np.zeros((84, len(cells)), np.float32)
    for index, ((x, y, stride), row) in enumerate(zip(cells, rows.tolist(), strict=True)):
        centre_x, centre_y = (row[0] + x) * stride, (row[1] + y) * stride
        width, height = math.exp(row[2]) * stride, math.exp(row[3]) * stride
        best = max(range(80), key=lambda number: row[5 + number])
        score = row[4] * row[5 + best]
        plain[:4, index] = centre_x, centre_y, width, height
        plain[4:, index] = [row[4] * share for share in row[5:]]
        if score >= threshold and coco80()[best] in STREET:
            box = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            found.append((STREET[coco80()[best]], score, tuple(edge / ratio for edge in box)))  # type: ignore[arg-type]  # four sides
    return found, plain


def cleaned(found: Found, image: Image, iou: float) -> Found:
    """OpenCV's suppression, once in each group of kinds taken for one another; then clipped."""
    kept: Found = []
    for group in GROUPS:
        members = [item for item in found if item[0] in group]
        boxes = [(x0, y0, x1 - x0, y1 - y0) for _, _, (x0, y0, x1, y1) in members]
        chosen = cv2.dnn.NMSBoxes(boxes, [score for _, score, _ in members], 0.0, iou) if members else ()
        kept += [members[int(index)] for index in chosen]
    height, width = image.shape[:2]
    clipped: Found = [
        (kind, score, (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))))
        for kind, score, (x0, y0, x1, y1) in kept
    ]
    return sorted(clipped, key=lambda item: -item[1])


def compare(ours: Detections, theirs: Found, *, within_px: float) -> None:
    assert [KINDS[kind] for kind in ours.kinds] == [kind for kind, _, _ in theirs]
    np.testing.assert_allclose(ours.scores, [score for _, score, _ in theirs], atol=2e-4)
    np.testing.assert_allclose(
        ours.boxes_px, np.reshape([box for _, _, box in theirs], (-1, 4)), atol=within_px
    )


@pytest.mark.data
@pytest.mark.parametrize("name", ["deimv2-femto", "deimv2-atto"])
def test_deimv2_as_its_authors_run_it(name: str, frames: list[Image], data: Path) -> None:
    path = data / "weights" / f"{name}.onnx"
    detector = zoo.load(str(path), threads=1)
    total = 0
    for image in frames:
        theirs = cleaned(plain_deimv2(path, image, detector.card.input.width, 0.25), image, 0.7)
        compare(detector.detect(image), theirs, within_px=0.05)
        total += len(theirs)
    assert total > 20


@pytest.mark.data
def test_yolox_and_the_same_in_ultralytics_form(frames: list[Image], data: Path) -> None:
    path = data / "weights" / "yolox-nano.onnx"
    detector = zoo.load(str(path), threads=1)
    for image in frames[:3]:
        found, plain = plain_yolox(path, image, 416, 0.25)
        theirs = cleaned(found, image, 0.45)
        assert len(theirs) >= 2
        # 640×352 fits as 416×228.8: the height is rounded to whole pixels, which we undo and YOLOX does not.
        compare(detector.detect(image), theirs, within_px=0.05 if image.shape[0] == 480 else 1.0)

        card = _card("ultralytics", 416, "coco80", anchor="top_left", nms_iou=0.45)
        same = OnnxDetector(constant_model({"output0": plain[None]}, size=(416, 416)), card, origin="plain")
        compare(same.detect(image), theirs, within_px=0.05 if image.shape[0] == 480 else 1.0)


@pytest.mark.data
def test_end_to_end_form_of_the_same_boxes(frames: list[Image], data: Path) -> None:
    path = data / "weights" / "deimv2-femto.onnx"
    for image in frames[:2]:
        rgb = cv2.cvtColor(cv2.resize(image, (416, 416)), cv2.COLOR_BGR2RGB)
        feed = {
            "images": (rgb.astype(np.float32) / 255.0).transpose(2, 0, 1)[None],
            "orig_target_sizes": np.array([[image.shape[1], image.shape[0]]], np.int64),
        }
        labels, boxes, scores = raw(path, feed)
        ratio = 640 / max(image.shape[:2])
        margin = np.array([640 - image.shape[1] * ratio, 640 - image.shape[0] * ratio] * 2) // 2
        rows = np.concatenate([boxes[0] * ratio + margin, scores[0][:, None], labels[0][:, None]], axis=1)
        weights = constant_model({"output0": rows.astype(np.float32)[None]}, size=(640, 640))
        assert rows.shape == (300, 6)
        detector = OnnxDetector(
            weights, _card("ultralytics_end2end", 640, "coco80", nms_iou=0.7), origin="e2e"
        )
        compare(
            detector.detect(image),
            cleaned(plain_deimv2(path, image, 416, 0.25), image, 0.7),
            within_px=0.05,
        )


def _card(head: str, side: int, labels: str, *, anchor: str = "centre", nms_iou: float = 0.5) -> Card:
    text = card_text(head, labels=f'"{labels}"', size=(side, side), more=f"[thresholds]\nnms_iou = {nms_iou}")
    return read_card(text.replace('anchor = "centre"', f'anchor = "{anchor}"'), origin="mine.toml")


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        pytest.param([("car", 0.9, 0), ("truck", 0.8, 1)], ["car"], id="a car also seen as a truck is one"),
        pytest.param([("truck", 0.9, 0), ("bus", 0.95, 1)], ["bus"], id="the better class stays"),
        pytest.param(
            [("person", 0.6, 0), ("bicycle", 0.9, 1)], ["bicycle", "pedestrian"], id="a rider stays two"
        ),
        pytest.param(
            [("person", 0.9, 0), ("person", 0.8, 1)], ["pedestrian"], id="a person seen twice is one"
        ),
        pytest.param([("person", 0.9, 0), ("person", 0.8, 25)], ["pedestrian"] * 2, id="two persons are two"),
        pytest.param([("dog", 0.99, 0), ("train", 0.9, 9)], [], id="what is no road user stays inside"),
        pytest.param([("person", 0.24, 0)], [], id="below the threshold"),
        pytest.param([("person", math.nan, 0)], [], id="a score that is no number"),
        pytest.param([("person", 0.9, math.inf)], [], id="a box beyond all bounds"),
        pytest.param([("person", 0.9, 4000)], [], id="a box outside the image"),
    ],
)
@pytest.mark.parametrize("head", ["ultralytics", "ultralytics_end2end"])
def test_which_boxes_stay(head: str, boxes: list[tuple[str, float, float]], kept: list[str]) -> None:
    rows = np.zeros((300, 6), np.float32)
    columns = np.zeros((84, 300), np.float32)
    for index, (label, score, left) in enumerate(boxes):
        number = coco80().index(label)
        rows[index] = left, 10, left + 20, 50, score, number
        columns[:4, index] = left + 10, 30, 20, 40
        columns[4 + number, index] = score
    output = columns if head == "ultralytics" else rows
    detector = OnnxDetector(constant_model({"out": output[None]}), _card(head, 64, "coco80"), origin="made")
    found = detector.detect(np.zeros((64, 64, 3), np.uint8))
    assert [KINDS[kind] for kind in found.kinds] == kept
    assert found.boxes_px.dtype == found.scores.dtype == np.float32
    assert found.kinds.dtype == np.int8
    if kept:
        np.testing.assert_allclose(found.boxes_px[0][[1, 3]], [10, 50], atol=1e-3)


@given(
    width=st.integers(32, 4000),
    height=st.integers(32, 4000),
    name=st.sampled_from(sorted(shipped_cards())),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_point_goes_into_the_input_and_back(
    width: int, height: int, name: str, share: tuple[float, float]
) -> None:
    fit = Fit.of(shipped_cards()[name], (width, height))
    point = np.array([width * share[0], height * share[1]])
    inside = point * fit.scale + fit.offset
    assert (inside <= np.array(fit.size) + np.array(fit.offset) + 1e-6).all()
    back = fit.to_image(np.array([[*inside, *inside]], np.float32))[0]
    np.testing.assert_allclose(back[:2], point, atol=0.01 * max(1, max(width, height) / 500))


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 4), max_size=30), st.floats(0.1, 0.9))
def test_suppression_leaves_none_that_overlap(corners: list[tuple[float, ...]], iou: float) -> None:
    boxes = np.array([(x, y, x + w + 1, y + h + 1) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    stay = suppressed(boxes, np.zeros(len(boxes), np.int8), iou=iou)
    overlaps = _overlaps(boxes)
    assert not any(overlaps(i, j) > iou + 1e-4 for i in stay for j in stay if i < j)
    gone = set(range(len(boxes))) - set(stay.tolist())
    assert all(any(overlaps(i, j) > iou - 1e-4 for i in stay if i < j) for j in gone)


def _overlaps(boxes: NDArray[np.float32]) -> Callable[[int, int], float]:
    def overlap(i: int, j: int) -> float:
        a, b = boxes[i].tolist(), boxes[j].tolist()
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(wide, 0) * max(high, 0)
        return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))

    return overlap
