"""A detector in another process: one network for all cameras of a host, and none of its memory here.

This side loads neither ONNX Runtime nor weights. It lays its image into a canvas both processes see and
asks; what comes back goes through the same decoding as everywhere, so the detections are the same to the
bit.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import decode, shared_wire
from models.card import Card
from models.decode import Candidates, Fit
from models.detections import Detections
from models.inlet import Inlet

# A process that died is there again within this, weights loaded; a look at the slowest host takes less.
BACK_WITHIN_S = 20.0
_TRY_EVERY_S = 0.2


class DetectorGoneError(RuntimeError):
    """The detector's process is not there, and did not come back in time."""


@dataclass(frozen=True, eq=False)
class Laid:
    """An image on a canvas, ready to be looked at."""

    slot: int
    fit: Fit


class SharedDetector:
    """The near side of a shared detector. One thread at a time for each of its steps.

    Args:
        path: the process' socket.

    Raises:
        DetectorGoneError: nobody is there.
    """

    def __init__(self, path: Path, *, back_within_s: float = BACK_WITHIN_S) -> None:
        self._path, self._patience_s = path, back_within_s
        self._channel: socket.socket | None = None
        self._descriptor = -1
        self._number = 0
        self._slot = 0
        self.restarts = 0
        self.card, self.provider = self._connect()
        self._inlet = Inlet(self.card)
        self._kind_of_class = np.array(self.card.kind_of_class, np.int8)

    @property
    def name(self) -> str:
        return self.card.name

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the road users in an image (H, W, 3), uint8, BGR; best first."""
        laid = self.prepare(image)
        return self.read(laid, self.compute(laid))

    def prepare(self, image: NDArray[np.uint8]) -> Laid:
        """Lay an image on a canvas; it holds until ``prepare`` was called twice more."""
        self._slot = (self._slot + 1) % shared_wire.SLOTS
        return Laid(self._slot, self._inlet.lay(image, self._canvases[self._slot]))

    def compute(self, laid: Laid) -> Candidates:
        """Have the canvas looked at; waits for the other process, and through its new beginning.

        Raises:
            DetectorGoneError: it did not come back in time.
            RuntimeError: the detector failed on this picture; its own words.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._asked(laid, deadline)
            except (OSError, shared_wire.BadPacketError) as error:
                self._close()
                if time.monotonic() >= deadline:
                    raise DetectorGoneError(f"{self._path}: the shared detector is gone: {error}") from error
                self._come_back(deadline)

    def read(self, laid: Laid, candidates: Candidates) -> Detections:
        """Return the road users the candidates tell of; best first."""
        return decode.detections(
            candidates,
            laid.fit,
            kind_of_class=self._kind_of_class,
            nms_iou=self.card.thresholds.nms_iou,
        )

    def close(self) -> None:
        self._close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _asked(self, laid: Laid, deadline: float) -> Candidates:
        if self._channel is None:
            raise ConnectionError("not connected")
        self._number += 1
        self._channel.settimeout(max(deadline - time.monotonic(), 0.01))
        self._channel.send(shared_wire.ask(laid.slot, self._number))
        packet = self._channel.recv(shared_wire.MAX_PACKET)
        if not packet:
            raise ConnectionError("its process ended")
        number, answer = shared_wire.replied(packet)
        if number != self._number:
            raise shared_wire.BadPacketError(f"reply {number} to request {self._number}")
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def _come_back(self, deadline: float) -> None:
        """Connect again, as soon as somebody is there."""
        while time.monotonic() < deadline:
            with contextlib.suppress(DetectorGoneError):
                card, self.provider = self._connect()
                if card != self.card:
                    self._close()
                    raise RuntimeError(f"{self._path}: another model came back: {card.name}")
                self.restarts += 1
                return
            time.sleep(_TRY_EVERY_S)

    def _connect(self) -> tuple[Card, str]:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(self._patience_s)
        try:
            channel.connect(str(self._path))
            provider, _, text = channel.recv(shared_wire.MAX_PACKET).decode().partition("\n")
            card = Card.model_validate_json(text)
            if self._descriptor < 0:
                shape = (card.input.height, card.input.width, 3)
                self._descriptor, self._canvases = shared_wire.canvases(shape)
            shared_wire.send_canvases(channel, self._descriptor)
        except (OSError, ValueError) as error:
            channel.close()
            raise DetectorGoneError(f"{self._path}: no shared detector is there: {error}") from error
        self._channel = channel
        return card, provider

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
