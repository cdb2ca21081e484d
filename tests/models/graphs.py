"""Tiny ONNX models whose outputs are known, for tests of everything around the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Side = int | str


def constant_model(
    outputs: Mapping[str, NDArray[np.generic]],
    *,
    size: Sequence[Side] = (64, 64),
    declared: Mapping[str, Sequence[Side]] | None = None,
    sizes_input: bool = False,
    image_type: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a model that takes an image of (height, width) and always answers with ``outputs``.

    Args:
        declared: shapes as the file states them, where they shall be other than the real ones.
        sizes_input: whether it also takes ``orig_target_sizes``, as the DETR family does.
    """
    inputs = [helper.make_tensor_value_info("images", image_type, [1, 3, *size])]
    if sizes_input:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
    values, nodes, held = [], [], []
    for name, array in outputs.items():
        shape = (declared or {}).get(name, array.shape)
        values.append(
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), list(shape))
        )
        held.append(numpy_helper.from_array(np.ascontiguousarray(array), f"{name}_held"))
        if name not in (declared or {}):
            nodes.append(helper.make_node("Identity", [f"{name}_held"], [name]))
            continue
        # The shape hangs on the image (its mean, below 1, as a whole number: 0), so that nothing but running
        # the model tells it.
        held.append(numpy_helper.from_array(np.array(array.shape, np.int64), f"{name}_shape"))
        nodes += [
            helper.make_node("ReduceMean", ["images"], [f"{name}_mean"], keepdims=0),
            helper.make_node("Cast", [f"{name}_mean"], [f"{name}_zero"], to=TensorProto.INT64),
            helper.make_node("Add", [f"{name}_shape", f"{name}_zero"], [f"{name}_sides"]),
            helper.make_node("Reshape", [f"{name}_held", f"{name}_sides"], [name]),
        ]
    graph = helper.make_graph(nodes, "constant", inputs, values, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    content: bytes = model.SerializeToString()
    onnx.load_from_string(content)
    return content


def card_text(
    head: str = "ultralytics",
    *,
    name: str = "mine",
    labels: str = '["person", "car"]',
    size: tuple[int, int] = (64, 64),
    sha256: str | None = None,
    more: str = "",
) -> str:
    """Return a card of one's own; ``size`` is (width, height)."""
    stated = f'sha256 = "{sha256}"' if sha256 else ""
    return f"""name = "{name}"
licence = "MIT"
{stated}
labels = {labels}
[input]
width = {size[0]}
height = {size[1]}
colour = "rgb"
divide = 255.0
resize = "letterbox"
anchor = "centre"
[head]
kind = "{head}"
{more}
"""
