"""The price list: rows that were measured are kept, and what is measured is what is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bench import labelled, prices
from models.detections import KINDS, Detections

ROW = {
    "input": "416×416", "person_ap50": 0.9, "vehicle_ap50": 0.8, "event_f1": 0.5, "looked_share": 1.0,
    "of_bare": 0.9, "memory_mb": 57.0,
}  # fmt: skip


def test_a_run_that_was_broken_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("deimv2-atto", "deimv2-femto"):
        (tmp_path / "weights" / f"{name}.onnx").write_bytes(name.encode())
    measured: list[tuple[str, str]] = []

    def row(path: Path, gate: str, *_: Any, **__: Any) -> dict[str, Any]:
        measured.append((path.stem, gate))
        if len(measured) == 3:
            raise KeyboardInterrupt
        return ROW

    monkeypatch.setattr(prices, "_row", row)
    monkeypatch.setattr(prices, "_film", lambda _folder: None)
    with pytest.raises(KeyboardInterrupt):
        prices.measure(tmp_path, cache=tmp_path / "cache")
    section = prices.measure(tmp_path, cache=tmp_path / "cache")
    assert measured[:2] == [("deimv2-femto", "off"), ("deimv2-femto", "on")]  # the yardstick first
    assert len(measured) == 5 and len(section.rows) == 4
    (tmp_path / "weights" / "deimv2-atto.onnx").write_bytes(b"other weights")
    prices.measure(tmp_path, cache=tmp_path / "cache")
    assert len(measured) == 9


def test_nothing_found_is_no_f1() -> None:
    assert prices.event_f1(()) == 0.0


@pytest.mark.data
def test_a_detector_that_answers_with_the_labels_has_them_all(data: Path) -> None:
    answers = iter(sorted(labelled.FRAMES, key=lambda each: (each.clip, each.frame)))

    class Knows:
        def detect(self, _image: NDArray[np.uint8]) -> Detections:
            boxes = [*next(answers).boxes, (430.0, 20.0, 470.0, 54.0), (20.0, 5.0, 60.0, 40.0)]
            count = len(boxes)  # the last two lie where nothing counts, in the order of their scores
            kinds = np.full(count, KINDS.index("car"), np.int8)
            return Detections(
                np.array(boxes, np.float32), np.linspace(0.9, 0.5, count, dtype=np.float32), kinds
            )

    assert labelled.vehicle_ap50(Knows(), data) == pytest.approx(1.0)  # type: ignore[arg-type]  # detects
