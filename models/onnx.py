"""A detector that runs an ONNX file under ONNX Runtime, as its card describes it.

Everything that can be wrong is found when the model is loaded: outputs that do not fit the head, an output
that could say who somebody is, a provider that is not really there. After that ``detect`` only computes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models import decode
from models.card import Card, ModelError, refused_labels
from models.decode import Candidates, Fit
from models.detections import Detections
from models.inlet import Inlet
from models.session import CPU, first_line, session_of
from models.session import Runtime as Runtime

_DETR_OUTPUTS = ("labels", "boxes", "scores")
# Images of several cameras in one run: more only make the first of them wait.
MOST_AT_ONCE = 4


class _Value(Protocol):
    """A named input or output of a session."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image as a network takes it: ``blob`` (1, 3, H, W), and how boxes in it map back to the image."""

    blob: NDArray[np.float32]
    fit: Fit


class OnnxDetector:
    """Finds road users with an ONNX model. One thread at a time; inference lets go of the GIL.

    Args:
        weights: the file's bytes, whose hash was verified: what is checked is what runs.
        card: what the file is.
        origin: what to call it in messages, usually its path.
        provider: an ONNX Runtime provider or its short name (``cuda``); None is the CPU.
        threads: of one inference; None leaves it to ONNX Runtime (one per core).
        score: reports boxes from this score on, instead of the card's threshold.
        runtime: how ONNX Runtime is set; None: as ``Runtime()`` says.

    Raises:
        ModelError: the file, its outputs or the provider cannot be used.
    """

    def __init__(
        self,
        weights: bytes,
        card: Card,
        *,
        origin: str,
        provider: str | None = None,
        threads: int | None = None,
        score: float | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.card = card
        self._origin = origin
        self._score = card.thresholds.score if score is None else score
        self._kind_of_class = np.array(card.kind_of_class, np.int8)
        self._session = session_of(
            weights, origin=origin, provider=provider, threads=threads, runtime=runtime or Runtime()
        )
        self._refuse_identity()
        self._check_input()
        self._check_outputs([(value.name, tuple(value.shape)) for value in self._session.get_outputs()])

        inlet = card.input
        self._inlet = Inlet(card)
        self._canvas = np.full(self._inlet.shape, inlet.pad, np.uint8)
        # Two inputs in turn: one is filled while the other is computed.
        self._blobs = [np.zeros((1, 3, inlet.height, inlet.width), np.float32) for _ in range(2)]
        self._constants: dict[str, NDArray[np.int64]] = {}
        if card.head.kind == "detr":
            self._constants["orig_target_sizes"] = np.array([[inlet.width, inlet.height]], np.int64)
        self._output_names = (
            list(_DETR_OUTPUTS) if card.head.kind == "detr" else [self._session.get_outputs()[0].name]
        )
        self._grid = decode.yolox_grid(card) if card.head.kind == "yolox" else None
        self._rehearse()

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def provider(self) -> str:
        """What really computes, as ONNX Runtime reports it."""
        return str(self._session.get_providers()[0])

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the road users in an image (H, W, 3), uint8, BGR; best first."""
        prepared = self.prepare(image)
        return self.read(prepared, self.compute(prepared))

    def prepare(self, image: NDArray[np.uint8]) -> Prepared:
        """Return a network's input for an image; it holds until ``prepare`` was called twice more.

        ``prepare``, ``compute`` and ``read`` are ``detect`` in three steps, so that only the one that takes
        long need run in a thread of its own, the next image being prepared meanwhile.
        """
        fit = self._inlet.lay(image, self._canvas)
        self._blobs.reverse()
        self._inlet.fill(self._canvas, self._blobs[0][0])
        return Prepared(self._blobs[0], fit)

    def compute(self, prepared: Prepared) -> Sequence[NDArray[np.float32]]:
        """Return the network's outputs; lets go of the GIL from beginning to end."""
        outputs: Sequence[NDArray[np.float32]] = self._session.run(
            self._output_names, {self._image_input: prepared.blob, **self._constants}
        )
        return outputs

    def read(self, prepared: Prepared, outputs: Sequence[NDArray[np.float32]]) -> Detections:
        """Return the road users the outputs tell of; best first."""
        return decode.detections(
            self._candidates(outputs),
            prepared.fit,
            kind_of_class=self._kind_of_class,
            nms_iou=self.card.thresholds.nms_iou,
        )

    def infer(self) -> None:
        """Run the bare network on whatever lies in its input: the yardstick of the benchmark."""
        self._session.run(self._output_names, {self._image_input: self._blobs[0], **self._constants})

    def bound(self) -> Callable[[], None]:
        """Return ``infer`` with its input and outputs bound to memory of ONNX Runtime's once and for all."""
        binding = self._session.io_binding()
        given = {self._image_input: self._blobs[0], **self._constants}
        held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in given.items()}
        for name, value in held.items():
            binding.bind_ortvalue_input(name, value)
        for name in self._output_names:
            binding.bind_output(name)

        def infer() -> None:
            self._session.run_with_iobinding(binding)

        return infer

    @property
    def most_at_once(self) -> int:
        """How many images one run takes: one, unless the file leaves the number open.

        One on a CPU, whose caches four images do not fit into: each took 1.15 of the time of one alone
        (deimv2-femto, one thread; `nearmiss bench --only runtime`).
        """
        if self.provider == CPU:
            return 1
        shape = next(each.shape for each in self._session.get_inputs() if each.name == self._image_input)
        return 1 if isinstance(shape[0], int) else MOST_AT_ONCE

    def candidates(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Candidates]:
        """Return what is seen on canvases laid elsewhere (models/inlet.py), in one run where the model may.

        Args:
            canvases: ``most_at_once`` at most, each of the network's size.
        """
        size = len(canvases)
        blob = self._blobs[0] if size == 1 else np.empty((size, *self._blobs[0].shape[1:]), np.float32)
        for index, canvas in enumerate(canvases):
            self._inlet.fill(canvas, blob[index])
        constants = {name: np.repeat(value, size, axis=0) for name, value in self._constants.items()}
        outputs = self._session.run(self._output_names, {self._image_input: blob, **constants})
        return [self._candidates([output[index : index + 1] for output in outputs]) for index in range(size)]

    def _candidates(self, outputs: Sequence[NDArray[np.float32]]) -> Candidates:
        match self.card.head.kind:
            case "detr":
                labels, boxes, scores = outputs
                return decode.detr(labels[0].astype(np.int64), boxes[0], scores[0], threshold=self._score)
            case "yolox":
                assert self._grid is not None  # made when the card says yolox
                return decode.yolox(outputs[0][0], self._grid, threshold=self._score)
            case "ultralytics":
                return decode.ultralytics(outputs[0][0], threshold=self._score)
            case "ultralytics_end2end":
                return decode.ultralytics_end2end(outputs[0][0], threshold=self._score)

    def _refuse_identity(self) -> None:
        """Hold the class names written in the file to its card; none may be a face or a plate."""
        written = _written_labels(self._session.get_modelmeta().custom_metadata_map)
        refused = refused_labels(written)
        if refused:
            raise ModelError(
                f"{self._origin}: the model's own class {', '.join(map(repr, refused))} would tell who "
                "somebody is: nearmiss refuses models that see faces or plates"
            )
        if written and [label.lower() for label in written] != [
            label.lower() for label in self.card.label_names
        ]:
            raise ModelError(
                f"{self._origin}: the model was made with {len(written)} classes ({_some(written)}), "
                f"its card says {len(self.card.label_names)} ({_some(self.card.label_names)})"
            )

    def _check_input(self) -> None:
        inputs = {value.name: value for value in self._session.get_inputs()}
        expected = (1, 3, self.card.input.height, self.card.input.width)
        images = [value for value in inputs.values() if len(value.shape) == 4]
        extra = {"orig_target_sizes"} if self.card.head.kind == "detr" else set()
        names = {value.name for value in images}
        if len(images) != 1 or set(inputs) - names != extra:
            raise ModelError(
                f"{self._origin}: inputs are {_described(inputs.values())}; head "
                f"{self.card.head.kind!r} takes one image {list(expected)}"
                + (" and orig_target_sizes [1, 2]" if extra else "")
            )
        image = images[0]
        if image.type != "tensor(float)" or not _fits(image.shape, expected):
            raise ModelError(
                f"{self._origin}: input {image.name} is {image.type} {list(image.shape)}, its card says "
                f"tensor(float) {list(expected)}"
            )
        if extra and inputs["orig_target_sizes"].type != "tensor(int64)":
            raise ModelError(
                f"{self._origin}: input orig_target_sizes is {inputs['orig_target_sizes'].type}, "
                "not tensor(int64)"
            )
        self._image_input = image.name

    def _check_outputs(self, outputs: Sequence[tuple[str, Sequence[int | str | None]]]) -> None:
        """Hold outputs (name, shape; unknown sides are no number) to the head; nothing else may come out."""
        kind = self.card.head.kind
        expected = self._expected_outputs()
        names = list(expected) if kind == "detr" else [name for name, _ in outputs[:1]]
        shapes = dict(zip(names, expected.values(), strict=False))
        problems = []
        for name, shape in outputs:
            if name not in shapes:
                problems.append(
                    f"{self._origin}: output {name} {list(shape)} is not explained by head {kind!r}"
                    + _suspicion(shape)
                )
            elif not _fits(shape, shapes[name]):
                problems.append(
                    f"{self._origin}: output {name} is {list(shape)}, head {kind!r} with "
                    f"{len(self.card.label_names)} labels gives {_shape(shapes[name])}{_suspicion(shape)}"
                )
        absent = set(shapes) - {name for name, _ in outputs}
        problems += [
            f"{self._origin}: head {kind!r} has an output {name}, the model has none"
            for name in sorted(absent)
        ]
        if problems:
            raise ModelError(problems)

    def _expected_outputs(self) -> dict[str, tuple[int | None, ...]]:
        classes = len(self.card.label_names)
        match self.card.head.kind:
            case "detr":
                return {"labels": (1, None), "boxes": (1, None, 4), "scores": (1, None)}
            case "yolox":
                return {"output": (1, len(decode.yolox_grid(self.card)[0]), 5 + classes)}
            case "ultralytics":
                return {"output": (1, 4 + classes, None)}
            case "ultralytics_end2end":
                return {"output": (1, None, 6)}

    def _rehearse(self) -> None:
        """Run once on an empty picture: sides left open in the file are checked, the provider is warm."""
        try:
            outputs = self._session.run(None, {self._image_input: self._blobs[0], **self._constants})
        except Exception as error:  # whatever ONNX Runtime raises, the file cannot be run
            raise ModelError(f"{self._origin}: the model cannot be run: {first_line(error)}") from error
        names = [value.name for value in self._session.get_outputs()]
        self._check_outputs([(name, np.shape(output)) for name, output in zip(names, outputs, strict=True)])
        by_name = dict(zip(names, outputs, strict=True))
        if self.card.head.kind == "detr" and len({len(by_name[name][0]) for name in _DETR_OUTPUTS}) != 1:
            raise ModelError(f"{self._origin}: labels, boxes and scores differ in number")


def _written_labels(metadata: dict[str, str]) -> list[str]:
    """Return the class names an exporter wrote into the file ({0: 'person', ...}); [] without any."""
    try:
        names = ast.literal_eval(metadata.get("names", "[]"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=str if _mixed(names) else None)]
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _mixed(names: dict[object, object]) -> bool:
    return not all(isinstance(key, int) for key in names)


def _fits(shape: Sequence[int | str | None], expected: Sequence[int | None]) -> bool:
    """Tell whether a shape can be the expected one; a side that is no number is still open."""
    return len(shape) == len(expected) and all(
        side == wanted or wanted is None or not isinstance(side, int)
        for side, wanted in zip(shape, expected, strict=True)
    )


def _suspicion(shape: Sequence[int | str | None]) -> str:
    last = shape[-1] if shape else None
    if len(shape) == 2 and (not isinstance(last, int) or last >= 64):
        return (
            ": it looks like an embedding, by which a person could be recognised; "
            "nearmiss refuses such models"
        )
    return ""


def _shape(expected: Sequence[int | None]) -> str:
    return "[" + ", ".join("N" if side is None else str(side) for side in expected) + "]"


def _described(values: object) -> str:
    return ", ".join(f"{value.name} {value.type} {list(value.shape)}" for value in values) or "none"  # type: ignore[attr-defined]  # an iterable of session values


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
