"""Counted work: nothing is done twice, and what would be done twice is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bench import SECTIONS
from edge.bench.work import Work, counted, excess
from edge.redact import Redactor
from edge.sources.process import ChildDecoder, DecoderProcess
from models.onnx import OnnxDetector
from tests.edge.streets import car_video, site_file
from tests.models.graphs import card_text, constant_model

FRAMES = 40


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Return a recording, its site, and a network that sees the same car wherever it looks."""
    folder = tmp_path_factory.mktemp("work")
    model = folder / "mine.onnx"
    row = np.array([[[32.0, 32.0, 8.0, 6.0, 0.0, 0.9]]], np.float32).transpose(0, 2, 1)
    model.write_bytes(constant_model({"output0": row}))
    (folder / "mine.toml").write_text(card_text())
    return car_video(folder / "car.mp4", count=FRAMES), site_file(folder), str(model)


def work_of(street: tuple[Path, Path, str], *, gate: str = "off") -> Work:
    video, site, model = street
    return counted(video, site, model, gate=gate)


def test_every_frame_is_decoded_once_looked_at_once_and_never_copied(street: Any) -> None:
    work = work_of(street)
    assert (work.frames, work.looks, work.inferences) == (FRAMES, FRAMES, FRAMES)
    assert (work.sessions, work.decoders, work.decoded, work.copied) == (1, 1, FRAMES, 0)
    assert excess(work) == []


def test_with_the_gate_the_network_runs_at_looks_alone(street: Any) -> None:
    work = work_of(street, gate="on")
    assert work.frames == FRAMES and work.inferences == work.looks < FRAMES
    assert excess(work) == []


def test_a_second_inference_is_noticed(street: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = OnnxDetector.compute

    def twice(self: OnnxDetector, prepared: Any) -> Any:
        compute(self, prepared)
        return compute(self, prepared)

    monkeypatch.setattr(OnnxDetector, "compute", twice)
    assert excess(work_of(street)) == [f"inferences: {2 * FRAMES}, expected {FRAMES} (one a look)"]


def test_a_copy_of_the_picture_is_noticed(street: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(self: DecoderProcess, slot: int) -> NDArray[np.uint8]:
        image = ChildDecoder.image(self, slot)
        self.free(slot)
        return image

    monkeypatch.setattr(DecoderProcess, "take", copied)
    told = excess(work_of(street))
    assert any(line.startswith(f"pictures copied: {FRAMES}, expected 0") for line in told)


def test_a_copy_anywhere_on_the_line_is_noticed(street: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = Redactor.ingest

    def copying(self: Redactor, frame: Any, *rest: Any) -> Any:
        return ingest(
            self, type(frame)(frame.index, frame.time, frame.time_sigma_s, frame.image.copy()), *rest
        )

    monkeypatch.setattr(Redactor, "ingest", copying)
    (told,) = excess(work_of(street))
    assert told.startswith("allocated while a frame is on its way: ")


def test_a_network_loaded_twice_is_noticed(street: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge import opening

    detector_of = opening.detector_of
    monkeypatch.setattr(
        opening,
        "detector_of",
        lambda *given, **named: (detector_of(*given, **named), detector_of(*given, **named))[1],
    )
    assert excess(work_of(street)) == ["sessions: 2, expected 1 (one network)"]


def test_it_is_a_section_of_the_benchmark() -> None:
    assert "work" in SECTIONS
