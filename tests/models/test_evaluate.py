"""Average precision: by hand on small cases, and on PETS against figures others measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from edge.cli import app
from models.card import ModelError
from models.detections import KINDS, Detections
from models.evaluate import Truth, evaluate, matched, read_truth, score, truth_size

BOX = (10.0, 10.0, 20.0, 40.0)
IMAGE = np.zeros((100, 100, 3), np.uint8)


def boxes(*corners: Sequence[float]) -> NDArray[np.float32]:
    return np.array(corners, np.float32).reshape(-1, 4)


class Listed:
    """A detector that answers from a list, one entry an image."""

    name, provider = "listed", "none"

    def __init__(self, *answers: list[tuple[str, float, Sequence[float]]]) -> None:
        self._answers = list(answers)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        answer = self._answers.pop(0)
        return Detections(
            boxes(*(box for _, _, box in answer)),
            np.array([confidence for _, confidence, _ in answer], np.float32),
            np.array([KINDS.index(kind) for kind, _, _ in answer], np.int8),  # type: ignore[arg-type]  # a kind
        )


def test_average_precision_worked_out_by_hand() -> None:
    # Best first: hit, miss, hit, of three boxes. Recall 1/3 at precision 1, 2/3 at precision 2/3.
    hits = np.array([True, True, False])
    scores = np.array([0.9, 0.5, 0.7], np.float32)
    found = score(scores, hits, boxes=3, frames=1, threshold=0.6)
    assert found.ap50 == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    assert (found.precision, found.recall) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


def test_a_true_box_counts_once_and_other_kinds_do_not() -> None:
    answer = [("pedestrian", 0.9, BOX), ("pedestrian", 0.8, BOX), ("car", 0.99, BOX)]
    found = evaluate(
        Listed(answer, []),
        [(0, IMAGE), (7, IMAGE)],
        Truth({0: boxes(BOX), 7: boxes(BOX, (50, 50, 60, 80))}),
        threshold=0.5,
    )
    assert (found.frames, found.boxes) == (2, 3)
    assert found.ap50 == pytest.approx(1 / 3)
    assert found.precision == pytest.approx(1 / 2)
    assert found.recall == pytest.approx(1 / 3)


def test_frames_without_annotation_are_left_out() -> None:
    found = evaluate(Listed([]), [(0, IMAGE), (1, IMAGE)], Truth({1: boxes(BOX)}), threshold=0.5)
    assert (found.frames, found.boxes, found.ap50, found.recall) == (1, 1, 0.0, 0.0)
    assert np.isnan(found.precision)


def test_a_box_needs_half_of_the_union() -> None:
    half = boxes((0, 0, 10, 10))
    assert matched(boxes((0, 0, 10, 20)), half).tolist() == [True]
    assert matched(boxes((0, 0, 10, 20.1)), half).tolist() == [False]


@pytest.mark.parametrize(
    ("edge", "image_size", "expected"),
    [
        pytest.param((766.0, 576.3), (480, 360), (768, 576), id="PETS boxes on the smaller copy"),
        pytest.param((470.0, 355.0), (480, 360), (480, 360), id="boxes that stay inside"),
        pytest.param((481.0, 361.0), (480, 360), (480, 360), id="boxes that hang over by a pixel"),
        pytest.param((1900.0, 1000.0), (1280, 720), (1920, 1080), id="full HD on 720p"),
    ],
)
def test_the_size_the_boxes_were_drawn_for(
    edge: tuple[float, float], image_size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert truth_size(Truth({0: boxes((1, 1, *edge))}), image_size) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("no xml", "not an XML file", id="no XML"),
        pytest.param("<Camera/>", "no <frame>", id="another XML"),
        pytest.param("<d><frame number='x'/></d>", "frame x", id="a frame without a number"),
        pytest.param(
            "<d><frame number='1'><box xc='1' yc='2' w='3'/></frame></d>", "'h'", id="a box without height"
        ),
        pytest.param(
            "<d><frame number='1'><box xc='1' yc='2' w='0' h='5'/></frame></d>",
            "without a size",
            id="no width",
        ),
        pytest.param(
            "<d><frame number='1'><box xc='nan' yc='2' w='1' h='5'/></frame></d>", "without a size", id="nan"
        ),
    ],
)
def test_a_truth_that_is_none(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.xml"
    path.write_text(text)
    with pytest.raises(ModelError, match=problem):
        read_truth(path)


@pytest.mark.data
def test_the_truth_of_pets(data: Path) -> None:
    truth = read_truth(data / "pets2009" / "PETS2009-S2L1.xml")
    assert (len(truth.boxes), len(truth)) == (795, 4650)
    # <box h="75.17" w="31.03" xc="514.7109" yc="195.2731"/>
    np.testing.assert_allclose(truth.boxes[0][0], [499.1959, 157.6881, 530.2259, 232.8581], atol=1e-3)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"), [("deimv2-femto", 0.905), ("deimv2-atto", 0.821), ("yolox-nano", 0.894)]
)
def test_persons_of_pets_are_found_as_often_as_others_measured(
    name: str, published: float, data: Path
) -> None:
    answer = CliRunner().invoke(
        app,
        [
            *("models", "evaluate", str(data / "weights" / f"{name}.onnx")),
            *("--video", str(data / "pets2009" / "s2l1.mp4")),
            *("--truth", str(data / "pets2009" / "PETS2009-S2L1.xml"), "--json"),
        ],
        catch_exceptions=False,
    )
    figures = json.loads(answer.stdout)
    assert (figures["frames"], figures["boxes"], figures["boxes_drawn_for"]) == (795, 4650, [768, 576])
    assert figures["person_ap50"] == pytest.approx(published, abs=0.02)
    assert figures["provider"] == "CPUExecutionProvider"
