"""From a checkpoint of Ultralytics to an ONNX file with its card: the one place that imports Ultralytics.

Ultralytics is AGPL-3.0 and brings torch; it is the extra ``[export]``, for a workstation, never for a node.
A checkpoint is a pickle, which runs whatever it holds: only one whose hash the caller names is opened.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import tempfile
import time
from pathlib import Path
from types import ModuleType

from models.card import ModelError, coco80, read_card
from models.onnx import OnnxDetector

# Its smallest network of a kind that every release since 2024 knows.
UNTRAINED = "yolo11n.yaml"


def export(checkpoint: Path, *, sha256: str, name: str, out: Path, size_px: int = 640) -> tuple[Path, Path]:
    """Write ``NAME.onnx`` and its card ``NAME.toml`` into a folder, for ``nearmiss models add``.

    Args:
        checkpoint: a detection checkpoint (.pt) of Ultralytics v8 or later.
        sha256: the checkpoint's, from whoever published it.
        size_px: side of the square input, a multiple of 32.

    Raises:
        ModelError: another hash, Ultralytics not installed, a name or classes that no card may have.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,39}", name):
        raise ModelError(f"name {name!r}: expected small letters, digits, '.', '_' and '-', at most 40")
    try:
        content = checkpoint.read_bytes()
    except OSError as error:
        raise ModelError(f"{checkpoint}: cannot be read: {error.strerror or error}") from error
    came = hashlib.sha256(content).hexdigest()
    if came != sha256.lower():
        raise ModelError(
            f"{checkpoint}: sha256 is {came}, expected {sha256}: not opened, for a checkpoint may run code"
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{name}.pt"  # what was verified is what is opened
        copy.write_bytes(content)
        ultralytics = _ultralytics(config_folder=Path(folder))
        model = ultralytics.YOLO(str(copy), task="detect")
        labels = [str(label) for _, label in sorted(model.names.items())]
        # Refused before any work: a model of faces or plates, or one without a road user.
        read_card(_card(name, labels, "ultralytics", size_px=size_px), origin=f"{checkpoint}: card")
        written = Path(model.export(format="onnx", imgsz=size_px, dynamic=False, nms=False, simplify=False))
        weights = written.read_bytes()
    card = _fitting_card(weights, name, labels, size_px=size_px)
    paths = out / f"{name}.onnx", out / f"{name}.toml"
    try:
        out.mkdir(parents=True, exist_ok=True)
        paths[0].write_bytes(weights)
        paths[1].write_text(card, "utf-8")
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {error.strerror or error}") from error
    return paths


def untrained(folder: Path, *, size_px: int) -> Path:
    """Write a network of Ultralytics as it is before any training, ONNX with its card beside it: for speed.

    Raises:
        ModelError: Ultralytics is not installed, or cannot export.
    """
    ultralytics = _ultralytics(config_folder=folder)
    made = ultralytics.YOLO(UNTRAINED, task="detect")
    labels = [str(label) for _, label in sorted(made.names.items())]
    if len(labels) != len(coco80()):
        raise ModelError(f"{UNTRAINED} has {len(labels)} classes, expected {len(coco80())}")
    made.model.names = dict(enumerate(coco80()))
    checkpoint = folder / Path(UNTRAINED).with_suffix(".pt").name
    made.save(str(checkpoint))
    copy = ultralytics.YOLO(str(checkpoint), task="detect")
    weights = Path(copy.export(format="onnx", imgsz=size_px, dynamic=False, nms=False, simplify=False))
    name = weights.stem
    card = _fitting_card(weights.read_bytes(), name, list(coco80()), size_px=size_px)
    weights.with_suffix(".toml").write_text(card, "utf-8")
    return weights


def tracked_s(weights: Path, video: Path, *, size_px: int, frames: int) -> float:
    """Return the seconds a frame that Ultralytics' own tracker takes on a recording, at its defaults.

    Raises:
        ModelError: Ultralytics is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = _ultralytics(config_folder=Path(folder)).YOLO(str(weights), task="detect")
        results = model.track(source=str(video), stream=True, imgsz=size_px, verbose=False, device="cpu")
        next(results)  # what is loaded once
        begin, count = time.perf_counter(), 0
        for count, _ in enumerate(results, 1):
            if count >= frames:
                break
        return (time.perf_counter() - begin) / max(count, 1)


def _fitting_card(weights: bytes, name: str, labels: list[str], *, size_px: int) -> str:
    """Return the card with the head the file really has: newer models leave no suppression to be done."""
    problems: list[str] = []
    for head in ("ultralytics", "ultralytics_end2end"):
        text = _card(name, labels, head, size_px=size_px)
        try:
            OnnxDetector(weights, read_card(text, origin=name), origin=f"{name}.onnx")
        except ModelError as error:
            problems += error.problems
        else:
            return text
    raise ModelError(problems)


def _ultralytics(*, config_folder: Path) -> ModuleType:
    # It installs packages, asks the network and reports usage unless told not to before it is imported.
    os.environ.update(
        YOLO_AUTOINSTALL="false",
        YOLO_OFFLINE="true",
        YOLO_CONFIG_DIR=str(config_folder),
        YOLO_VERBOSE="false",
    )
    try:
        ultralytics = importlib.import_module("ultralytics")
    except ImportError as error:
        raise ModelError(
            "Ultralytics is not installed: pip install 'nearmiss[export]' on a workstation "
            "(AGPL-3.0, and it brings torch)"
        ) from error
    ultralytics.settings.update({"sync": False})
    return ultralytics


def _card(name: str, labels: list[str], head: str, *, size_px: int) -> str:
    quoted = ", ".join(json.dumps(label, ensure_ascii=False) for label in labels)  # TOML quotes alike
    return f"""name = "{name}"
licence = "AGPL-3.0"
labels = [{quoted}]

[input]
width = {size_px}
height = {size_px}
colour = "rgb"
divide = 255.0
resize = "letterbox"
anchor = "centre"
pad = 114

[head]
kind = "{head}"

[thresholds]
score = 0.25
nms_iou = 0.7

[source]
upstream = "ultralytics/ultralytics"
"""
