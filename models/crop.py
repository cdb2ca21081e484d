"""A network shown a part of the picture: road users are larger to it there, or a smaller network suffices."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections

# Left, top, right, bottom, in whole pixels of the image.
Rectangle = tuple[int, int, int, int]


class Network(Protocol):
    """A detector in three steps, as ``models.onnx.OnnxDetector`` has them."""

    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    def prepare(self, image: NDArray[np.uint8], /) -> Any: ...

    def compute(self, prepared: Any, /) -> Any: ...

    def read(self, prepared: Any, computed: Any, /) -> Detections: ...


class Cropped:
    """The same network, shown a rectangle; its boxes are in pixels of the whole image."""

    def __init__(self, network: Network, rectangle: Rectangle) -> None:
        self._network, self.rectangle = network, rectangle
        left, top, _, _ = rectangle
        self._offset = np.array([left, top, left, top], np.float32)

    @property
    def name(self) -> str:
        return self._network.name

    @property
    def provider(self) -> str:
        return self._network.provider

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the road users in the rectangle of an image (H, W, 3), uint8, BGR; best first."""
        prepared = self.prepare(image)
        return self.read(prepared, self.compute(prepared))

    def prepare(self, image: NDArray[np.uint8]) -> Any:
        """Return the network's input for an image; it holds until ``prepare`` was called twice more."""
        left, top, right, bottom = self.rectangle
        return self._network.prepare(image[top:bottom, left:right])

    def compute(self, prepared: Any) -> Any:
        return self._network.compute(prepared)

    def read(self, prepared: Any, computed: Any) -> Detections:
        """Return the road users the outputs tell of; best first."""
        found = self._network.read(prepared, computed)
        return dataclasses.replace(found, boxes_px=found.boxes_px + self._offset)
