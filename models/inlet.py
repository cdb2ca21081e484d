"""From an image to a network's input, in two steps that may happen in two processes.

``lay`` puts the image into a canvas of the network's size, 8 bits a channel: the last place that needs the
whole picture, and a tenth of its bytes. ``fill`` turns a canvas into numbers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.decode import Fit

Canvas = NDArray[np.uint8]


class Inlet:
    """The input of one model, as its card describes it. One thread at a time."""

    def __init__(self, card: Card) -> None:
        inlet = self._inlet = card.input
        self._card = card
        self.shape = (inlet.height, inlet.width, 3)
        self._planes = [np.empty((inlet.height, inlet.width), np.uint8) for _ in range(3)]
        self._gain = [np.float32(1 / (inlet.divide * std)) for std in inlet.std]
        self._shift = [np.float32(mean / std) for mean, std in zip(inlet.mean, inlet.std, strict=True)]
        self._fit: Fit | None = None

    def lay(self, image: NDArray[np.uint8], canvas: Canvas) -> Fit:
        """Write an image (H, W, 3) into a canvas of ``shape``, and return where it lies.

        Raises:
            ValueError: no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f"an image is (H, W, 3) uint8, not {image.shape} {image.dtype}")
        size = image.shape[1], image.shape[0]
        fit = self._fit
        if fit is None or fit.image_size != size:
            fit = self._fit = Fit.of(self._card, size)
        (left, top), (width, height) = fit.offset, fit.size
        if (height, width) != self.shape[:2]:
            canvas[:] = self._inlet.pad
        target = canvas[top : top + height, left : left + width]
        cv2.resize(image, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
        return fit

    def fill(self, canvas: Canvas, blob: NDArray[np.float32]) -> None:
        """Write a canvas into a network's input (3, height, width), in place."""
        cv2.split(canvas, self._planes)
        planes = self._planes if self._inlet.colour == "bgr" else self._planes[::-1]
        for channel, plane in enumerate(planes):
            np.multiply(plane, self._gain[channel], out=blob[channel])
            if self._shift[channel]:
                blob[channel] -= self._shift[channel]
