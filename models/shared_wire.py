"""What a shared detector's process and its cameras say to each other, over a socket of packets.

::

    process → camera   the card, as JSON; then a reply or an error a request
    camera → process   the descriptor of its canvases; then a request a frame: which canvas to look at

The canvases are anonymous memory (memfd) that neither side can shrink or grow: nobody can pull it from
under the other, nothing has a name in any folder, and nothing is left where one side is killed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import struct

import numpy as np
from numpy.typing import NDArray

from models.decode import Candidates

# While one canvas is looked at the next one is filled.
SLOTS = 2
MAX_PACKET = 1 << 17
_ASK = struct.Struct("<4sBQ")
_REPLY = struct.Struct("<4sQI")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class BadPacketError(ValueError):
    """The other side does not keep to the form: the connection is ended."""


def canvases(shape: tuple[int, int, int]) -> tuple[int, NDArray[np.uint8]]:
    """Return the descriptor of new canvases (SLOTS, H, W, 3) and the canvases."""
    size = SLOTS * int(np.prod(shape))
    descriptor = os.memfd_create("nearmiss-canvases", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    memory = mmap.mmap(descriptor, size)
    return descriptor, np.frombuffer(memory, np.uint8).reshape(SLOTS, *shape)


def received_canvases(channel: socket.socket, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return another process' canvases, to be read alone.

    Raises:
        BadPacketError: it sent none, or such as it could pull away.
    """
    word, descriptors, _, _ = socket.recv_fds(channel, 16, 1)
    if word != b"canvases" or len(descriptors) != 1:
        raise BadPacketError("expected the descriptor of canvases")
    size = SLOTS * int(np.prod(shape))
    try:
        sealed = fcntl.fcntl(descriptors[0], fcntl.F_GET_SEALS) & _SEALS == _SEALS
        if not sealed or os.fstat(descriptors[0]).st_size != size:
            raise BadPacketError(f"canvases are {size} bytes that cannot be shrunk")
        memory = mmap.mmap(descriptors[0], size, prot=mmap.PROT_READ)
    except OSError as error:
        raise BadPacketError("no memory of canvases") from error
    finally:
        os.close(descriptors[0])
    return np.frombuffer(memory, np.uint8).reshape(SLOTS, *shape)


def send_canvases(channel: socket.socket, descriptor: int) -> None:
    socket.send_fds(channel, [b"canvases"], [descriptor])


def ask(slot: int, number: int) -> bytes:
    return _ASK.pack(b"look", slot, number)


def asked(packet: bytes) -> tuple[int, int]:
    """Return which canvas to look at, and the number of the request."""
    if len(packet) != _ASK.size or packet[:4] != b"look":
        raise BadPacketError("expected a request")
    _, slot, number = _ASK.unpack(packet)
    if slot >= SLOTS:
        raise BadPacketError(f"there is no canvas {slot}")
    return slot, number


def reply(number: int, candidates: Candidates) -> bytes:
    count = len(candidates.scores)
    return b"".join(
        (
            _REPLY.pack(b"seen", number, count),
            candidates.boxes.astype(np.float32).tobytes(),
            candidates.classes.astype(np.int32).tobytes(),
            candidates.scores.astype(np.float32).tobytes(),
        )
    )


def failure(number: int, text: str) -> bytes:
    return _REPLY.pack(b"fail", number, 0) + text.encode()[:500]


def replied(packet: bytes) -> tuple[int, Candidates | str]:
    """Return the number of the request and what was seen, or why nothing was."""
    if len(packet) < _REPLY.size:
        raise BadPacketError("expected a reply")
    word, number, count = _REPLY.unpack_from(packet)
    body = memoryview(packet)[_REPLY.size :]
    if word == b"fail":
        return number, bytes(body).decode(errors="replace")
    if word != b"seen" or len(body) != 24 * count:
        raise BadPacketError("expected a reply")
    boxes = np.frombuffer(body[: 16 * count], np.float32).reshape(count, 4)
    classes = np.frombuffer(body[16 * count : 20 * count], np.int32).astype(np.intp)
    scores = np.frombuffer(body[20 * count :], np.float32)
    return number, Candidates(boxes, classes, scores)
