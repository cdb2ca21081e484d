"""Cards are closed, say every mistake at once, and know no class that tells who somebody is."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from models.card import ModelError, coco80, read_card, refused_labels, shipped_cards
from models.detections import KINDS
from tests.conftest import ROOT
from tests.models.graphs import card_text


@pytest.mark.data
def test_cards_that_come_along_name_the_shared_weights(data: Path) -> None:
    for name, card in shipped_cards().items():
        assert card.sha256 == hashlib.sha256((data / "weights" / f"{name}.onnx").read_bytes()).hexdigest()
        assert card.licence == "Apache-2.0"
        assert card.source.url is not None
        assert card.source.url.endswith(card.source.file)
    assert set(shipped_cards()) == {"deimv2-femto", "deimv2-atto", "yolox-nano"}


def test_coco_gives_six_kinds_and_keeps_the_rest_inside() -> None:
    card = shipped_cards()["deimv2-femto"]
    named = {coco80()[i]: KINDS[kind] for i, kind in enumerate(card.kind_of_class) if kind >= 0}
    assert len(coco80()) == 80
    assert named == {
        "person": "pedestrian",
        "bicycle": "bicycle",
        "car": "car",
        "motorcycle": "motorcycle",
        "bus": "bus",
        "truck": "truck",
    }


@pytest.mark.parametrize(
    "label",
    [
        "face",
        "Face",
        "human face",
        "FrontFace",
        "face_with_mask",
        "number plate",
        "License-Plate",
        "licencePlate",
        "registration plate",
        "NumberPlate",
        "alpr",
        "head",
        "faces",
        "facemask",
        "Vehicle registration plate",
        "vehicle registration",
        "rear_plate",
        "VRN",
        "Kennzeichen",
        "Gesicht",
        "visage",
        "human eye",
        "mouth",
        "woman",
        "Male",
        "person_0412",
        "ID 17",
        "re-id",
    ],
)
def test_a_face_or_plate_class_is_refused(label: str) -> None:
    assert refused_labels([label]) == [label]
    with pytest.raises(ModelError, match="who somebody is"):
        read_card(card_text(labels=f'["person", "{label}"]'), origin="mine.toml")


def test_ordinary_street_classes_are_not_refused() -> None:
    street = [
        "road surface",
        "signal head",
        "headlight",
        "traffic light",
        "plateau",
        "template",
        "van",
        "manhole",
        "gear",
    ]
    assert refused_labels([*coco80(), *street]) == []


def test_labels_of_ones_own_are_mapped_by_kinds() -> None:
    text = card_text(
        labels='["Auto", "Fussgaenger", "Baum"]', more='[kinds]\nAuto = "car"\nFussgaenger = "pedestrian"'
    )
    card = read_card(text, origin="mine.toml")
    assert card.kind_of_class == (KINDS.index("car"), KINDS.index("pedestrian"), -1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("name = ", "not a TOML file", id="not TOML"),
        pytest.param(card_text(more="[extra]\na = 1"), "extra: Extra inputs", id="an unknown field"),
        pytest.param(card_text("rcnn"), "head.kind: Input should be 'detr'", id="an unknown head"),
        pytest.param(card_text(name="motion"), "built-in", id="the name of the built-in detector"),
        pytest.param(card_text(name="../up"), "name: String should match", id="a name that is a path"),
        pytest.param(card_text(labels='["dog"]'), "no label is a road user", id="no road user"),
        pytest.param(card_text(labels='["car", "Car"]'), "more than one class", id="a label twice"),
        pytest.param(
            card_text(more='[kinds]\ntram = "bus"'), "not among the labels", id="a kind of no label"
        ),
        pytest.param(card_text(more='[kinds]\ncar = "lorry"'), "kinds.car", id="a kind there is not"),
        pytest.param(card_text(sha256="abc"), "sha256: String should match", id="a short hash"),
        pytest.param(
            card_text(more="[thresholds]\nscore = nan"), "thresholds.score", id="a score that is no number"
        ),
        pytest.param(
            card_text(more='[thresholds]\nscore = "0.5"'), "thresholds.score", id="a number in quotes"
        ),
        pytest.param(
            card_text(more='[source]\nurl = "http://example.org/m.onnx"'), "https", id="an open address"
        ),
    ],
)
def test_mistakes_are_named(text: str, problem: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_card(text, origin="mine.toml")
    assert any(problem in line for line in caught.value.problems), caught.value.problems
    assert all(line.startswith("mine.toml: ") for line in caught.value.problems)


def test_every_mistake_is_named_at_once() -> None:
    text = card_text("rcnn", size=(1, 64)).replace('"rgb"', '"grey"')
    with pytest.raises(ModelError) as caught:
        read_card(text, origin="mine.toml")
    assert len(caught.value.problems) == 3


def test_the_card_in_the_documents_can_be_used() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    cards = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [KINDS[kind] for kind in read_card(cards[0], origin="docs/models.md").kind_of_class] == [
        "pedestrian",
        "bicycle",
        "car",
        "car",
    ]
    assert all(f"`{name}`" in page for name in shipped_cards())
