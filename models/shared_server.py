"""The shared detector's own process: one session, many cameras, each in its turn.

Started by ``models.shared_process``. A camera has one request at a time, and who asked first is looked at
first, so no camera waits for more than one look of every other. Whatever a camera sends that is not of the
form ends its connection and no other. It ends when its standard input does, which is when whoever started
it ends.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import struct
import sys
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import shared_wire
from models.onnx import OnnxDetector
from models.zoo import load

MOST_CAMERAS = 256


class _Camera:
    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.canvases: NDArray[np.uint8] | None = None
        self.asked: tuple[int, int] | None = None


class Server:
    """Serves one detector on one socket."""

    def __init__(self, path: Path, detector: OnnxDetector) -> None:
        self._detector = detector
        self._shape = (detector.card.input.height, detector.card.input.width, 3)
        self._greeting = f"{detector.provider}\n{detector.card.model_dump_json()}".encode()
        self._selector = selectors.DefaultSelector()
        self._waiting: deque[_Camera] = deque()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of a process that was killed
        self._listening.bind(str(path))
        path.chmod(0o600)
        self._listening.listen(MOST_CAMERAS)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._open = True

    def end_with(self, parent_fd: int) -> None:
        """End when the other end of a pipe is closed."""
        self._selector.register(parent_fd, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the parent is gone."""
        while self._open:
            self._hear(None if not self._waiting else 0)
            batch = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), self._detector.most_at_once))
            ]
            if batch:
                self._look(batch)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _hear(self, timeout_s: float | None) -> None:
        """Take what has come; waits where nobody waits for a look."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._listening:
                self._welcome()
            elif isinstance(key.data, _Camera):
                self._heard(key.data)
            elif not os.read(key.fd, 16):
                self._open = False

    def _welcome(self) -> None:
        channel, _ = self._listening.accept()
        if _peer(channel) != os.getuid() or len(self._selector.get_map()) > MOST_CAMERAS:
            channel.close()
            return
        channel.settimeout(5.0)
        try:
            channel.send(self._greeting)
        except OSError:
            channel.close()
            return
        self._selector.register(channel, selectors.EVENT_READ, _Camera(channel))

    def _heard(self, camera: _Camera) -> None:
        try:
            if camera.canvases is None:
                camera.canvases = shared_wire.received_canvases(camera.channel, self._shape)
                return
            packet = camera.channel.recv(64)
            if not packet or camera.asked is not None:
                raise shared_wire.BadPacketError("gone, or asks twice")
            camera.asked = shared_wire.asked(packet)
            self._waiting.append(camera)
        except (OSError, shared_wire.BadPacketError):
            self._farewell(camera)

    def _look(self, batch: list[_Camera]) -> None:
        canvases, numbers = [], []
        for camera in batch:
            assert camera.asked is not None and camera.canvases is not None
            slot, number = camera.asked
            canvases.append(camera.canvases[slot])
            numbers.append(number)
            camera.asked = None
        try:
            seen = self._detector.candidates(canvases)
            packets = [shared_wire.reply(*each) for each in zip(numbers, seen, strict=True)]
        except Exception as error:  # noqa: BLE001  # whatever ONNX Runtime raises: the cameras hear of it
            packets = [shared_wire.failure(number, str(error)) for number in numbers]
        for camera, packet in zip(batch, packets, strict=True):
            try:
                camera.channel.send(packet)
            except OSError:
                self._farewell(camera)

    def _farewell(self, camera: _Camera) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(camera.channel)
        camera.channel.close()
        with contextlib.suppress(ValueError):
            self._waiting.remove(camera)


def _peer(channel: socket.socket) -> int:
    """Return the user at the other end."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def main() -> None:
    path, model, provider, threads = sys.argv[1:5]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would be a raw frame on disk
    try:
        detector = load(model, provider=provider or None, threads=int(threads) or None)
    except ValueError as error:
        sys.exit("\n".join(getattr(error, "problems", (str(error),))))
    server = Server(Path(path), detector)
    server.end_with(0)
    server.run()


if __name__ == "__main__":
    main()
