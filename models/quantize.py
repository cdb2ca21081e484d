"""Eight bits instead of thirty-two: a network's convolutions quantised by what a camera of yours shows.

Only convolutions: they are where the time goes, and attention and the boxes' last layers lose too much in 8
bits. Needs the package onnx (`pip install 'nearmiss[quantize]'`), on a workstation; a node only runs the
result.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.card import Accuracy, Card, ModelError
from models.inlet import Inlet

CALIBRATION_FRAMES = 64
_PER_CHANNEL_OPSET = 13


def quantised(weights: bytes, card: Card, images: Iterable[NDArray[np.uint8]]) -> tuple[bytes, Card]:
    """Return a model's weights with convolutions in 8 bits, and its card.

    Args:
        images: (H, W, 3) BGR, of the street it will see: they tell how large its inner numbers get.

    Raises:
        ModelError: the package onnx is not installed, or the model cannot be quantised.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ModelError("quantising needs the package onnx: pip install 'nearmiss[quantize]'") from error
    weights, name = _read(weights)
    inputs = _Inputs(card, list(images), name=name)
    with tempfile.TemporaryDirectory(prefix="nearmiss-quantize-") as temporary:
        folder = Path(temporary)
        (folder / "float.onnx").write_bytes(weights)
        try:
            quant_pre_process(
                str(folder / "float.onnx"), str(folder / "inferred.onnx"), skip_symbolic_shape=True
            )
            quantize_static(
                str(folder / "inferred.onnx"),
                str(folder / "int8.onnx"),
                inputs,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # whatever the library raises: the model cannot be quantised
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{card.name} cannot be quantised: {first}") from error
        result = (folder / "int8.onnx").read_bytes()
    return result, card.model_copy(
        update={
            "name": f"{card.name}-int8",
            "sha256": hashlib.sha256(result).hexdigest(),
            # What was published of the other file is not true of this one, nor can it be pulled.
            "accuracy": Accuracy(),
            "source": card.source.model_copy(update={"url": None, "url_checked": False}),
        }
    )


def _read(weights: bytes) -> tuple[bytes, str]:
    """Return a model whose scales may differ by channel, and the name of the input that takes the image."""
    import onnx
    from onnx import version_converter

    model = onnx.load_from_string(weights)
    opset = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if opset < _PER_CHANNEL_OPSET:
        model = version_converter.convert_version(model, _PER_CHANNEL_OPSET)
    name = next(each.name for each in model.graph.input if len(each.type.tensor_type.shape.dim) == 4)
    return bytes(model.SerializeToString()), str(name)


class _Inputs:
    """Calibration inputs, one after the other, as onnxruntime.quantization reads them."""

    def __init__(self, card: Card, images: Sequence[NDArray[np.uint8]], *, name: str) -> None:
        if not images:
            raise ModelError("no frame to calibrate with")
        self._card, self._inlet, self._name = card, Inlet(card), name
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        image = next(self._images, None)
        if image is None:
            return None
        inlet = self._card.input
        canvas = np.full(self._inlet.shape, inlet.pad, np.uint8)
        self._inlet.lay(image, canvas)
        blob = np.zeros((1, 3, inlet.height, inlet.width), np.float32)
        self._inlet.fill(canvas, blob[0])
        given: dict[str, NDArray[np.generic]] = {self._name: blob}
        if self._card.head.kind == "detr":
            given["orig_target_sizes"] = np.array([[inlet.width, inlet.height]], np.int64)
        return given

    def set_range(self, start_index: int, end_index: int) -> None:
        raise NotImplementedError("all inputs are read in one go")
