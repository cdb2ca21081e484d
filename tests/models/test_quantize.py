"""Eight bits: the file and its card are whole, and a network that lost too much is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.cli import app
from models import zoo
from models.card import ModelError
from models.quantize import quantised
from models.zoo import load
from tests.models.graphs import card_text, constant_model


@pytest.mark.data
@pytest.mark.slow
def test_a_quantised_network_still_sees_the_people(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARMISS_MODELS", str(tmp_path / "store"))
    clip = data / "pets2009" / "s2l1.mp4"
    arguments = ["models", "quantize", str(data / "weights" / "deimv2-atto.onnx"), "--clip", str(clip)]
    truth = ["--truth", str(data / "pets2009" / "PETS2009-S2L1.xml"), "--frames", "10"]
    refused = CliRunner().invoke(app, [*arguments, *truth, "--most-lost", "-0.9"])
    assert refused.exit_code == 1 and not (tmp_path / "store").exists()
    done = CliRunner().invoke(app, [*arguments, *truth, "--most-lost", "0.1"])
    assert done.exit_code == 0, done.output
    small = load("deimv2-atto-int8", threads=1)
    assert small.card.sha256 is not None and small.card.accuracy.coco_ap is None
    # Ten frames are not PETS S2L1: its card does not say that they are.
    assert small.card.accuracy.pets_person_ap50 is None
    assert [model.card.name for model in zoo.listed() if model.path] == ["deimv2-atto-int8"]


def test_nothing_to_calibrate_with_is_told() -> None:
    from models.card import read_card

    card = read_card(card_text(), origin="mine.toml")
    with pytest.raises(ModelError, match="no frame to calibrate with"):
        quantised(constant_model({"output0": np.zeros((1, 6, 2), np.float32)}), card, [])
