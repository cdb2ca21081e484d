"""Export with a stand-in for Ultralytics: what it is told, and what is refused before it is asked."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from models import zoo
from models.card import ModelError
from models.export import export
from tests.conftest import ROOT
from tests.models.graphs import constant_model

CHECKPOINT = b"a pickle"
SHA256 = hashlib.sha256(CHECKPOINT).hexdigest()


class _Settings(dict[str, Any]):
    pass


@pytest.fixture
def ultralytics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stand in for Ultralytics: a checkpoint of two classes whose export is a small ONNX file."""
    module = ModuleType("ultralytics")
    module.settings = _Settings()  # type: ignore[attr-defined]  # as the real one has it
    module.names = {0: "person", 1: "car"}  # type: ignore[attr-defined]  # for the test to change
    module.output = np.zeros((1, 6, 20), np.float32)  # type: ignore[attr-defined]  # for the test to change
    module.asked = []  # type: ignore[attr-defined]  # for the test to read

    class YOLO:
        def __init__(self, path: str, task: str) -> None:
            assert Path(path).read_bytes() == CHECKPOINT
            self.path, self.names = Path(path), module.names

        def export(self, **options: object) -> str:
            module.asked.append(options)
            written = self.path.with_suffix(".onnx")
            written.write_bytes(
                constant_model({"output0": module.output}, metadata={"names": str(self.names)})
            )
            return str(written)

    module.YOLO = YOLO  # type: ignore[attr-defined]  # as the real one has it
    monkeypatch.setitem(sys.modules, "ultralytics", module)
    for name in ("YOLO_AUTOINSTALL", "YOLO_OFFLINE", "YOLO_CONFIG_DIR", "YOLO_VERBOSE"):
        monkeypatch.setenv(name, "")
    return module


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(CHECKPOINT)
    return path


@pytest.mark.parametrize(
    ("shape", "head"), [((1, 6, 20), "ultralytics"), ((1, 300, 6), "ultralytics_end2end")]
)
def test_an_export_can_be_added_as_it_is(
    shape: tuple[int, ...],
    head: str,
    ultralytics: Any,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEARMISS_MODELS", str(tmp_path / "store"))
    ultralytics.output = np.zeros(shape, np.float32)
    onnx, card = export(checkpoint, sha256=SHA256, name="mine", out=tmp_path / "out", size_px=64)
    assert zoo.add(onnx, card=card).card.head.kind == head
    assert zoo.load("mine").card.licence == "AGPL-3.0"
    assert ultralytics.asked == [
        {"format": "onnx", "imgsz": 64, "dynamic": False, "nms": False, "simplify": False}
    ]
    assert (os.environ["YOLO_AUTOINSTALL"], os.environ["YOLO_OFFLINE"]) == ("false", "true")
    assert ultralytics.settings == {"sync": False}


def test_only_a_checkpoint_of_the_named_hash_is_opened(
    ultralytics: Any, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="not opened"):
        export(checkpoint, sha256="0" * 64, name="mine", out=tmp_path / "out")
    assert ultralytics.settings == {}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        pytest.param({0: "person", 1: "licence plate"}, "who somebody is", id="a plate class"),
        pytest.param({0: "cat", 1: "dog"}, "no label is a road user", id="no road user"),
    ],
)
def test_what_nearmiss_refuses_is_not_exported(
    names: dict[int, str], problem: str, ultralytics: Any, checkpoint: Path, tmp_path: Path
) -> None:
    ultralytics.names = names
    with pytest.raises(ModelError, match=problem):
        export(checkpoint, sha256=SHA256, name="mine", out=tmp_path / "out", size_px=64)
    assert ultralytics.asked == []


def test_a_name_that_is_a_path(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="small letters"):
        export(checkpoint, sha256=SHA256, name="../mine", out=tmp_path)


def test_without_ultralytics_it_says_what_to_install(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ModelError, match=r"nearmiss\[export\]"):
        export(checkpoint, sha256=SHA256, name="mine", out=tmp_path)


def test_no_other_file_names_ultralytics_in_an_import() -> None:
    for room in ("calibration", "models", "broker", "edge"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
                    imported += [str(getattr(argument, "value", "")) for argument in node.args]
                found = [name for name in imported if name.split(".")[0] in ("ultralytics", "torch")]
                assert not found or path.name == "export.py", f"{path} imports {found}"
