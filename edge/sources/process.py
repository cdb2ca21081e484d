"""The near side of the decoder's process: starts it, takes its records and images, and ends it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 4
# So many images at once are seen in place; who keeps more gets copies, so that the decoder is never starved.
LENT_MOST = 2
DECODER = Path(__file__).with_name("decoder.py")


class DecoderDiedError(Exception):
    """The decoder's process ended or stood still; the message is one clear clause."""


class ChildDecoder:
    """A decoder in a process of its own.

    The images pass through anonymous memory (memfd) that has no name and no file: whichever side is killed
    leaves nothing behind. Its process ends when this one does, because its standard input does.
    """

    def __init__(self, script: Path, arguments: Sequence[str], *, slots: int, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._slots = slots
        self._memory_fd = os.memfd_create("nearmiss-frames", os.MFD_CLOEXEC)
        self._images: NDArray[np.uint8] | None = None
        self._greys: NDArray[np.uint8] | None = None
        self._received = b""
        # -P: else the folder of the script would be searched for modules. A process group of its own: else
        # Ctrl-C, which the terminal sends to the whole group, would take the decoder before its last frames.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), *arguments, str(self._memory_fd), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=(self._memory_fd,),
            process_group=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to_decoder, self._from_decoder = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def receive(self) -> dict[str, Any]:
        """Return the next record.

        Raises:
            DecoderDiedError: the process ended without its last record, or gave none for ``timeout_s``.
        """
        record = self.poll(self.timeout_s)
        if record is None:
            raise DecoderDiedError(f"the decoder gave nothing for {self.timeout_s:g} s")
        return record

    def poll(self, wait_s: float) -> dict[str, Any] | None:
        """Return the next record, None where none came within ``wait_s``.

        Raises:
            DecoderDiedError: the process ended without its last record.
        """
        deadline = time.monotonic() + wait_s
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._from_decoder], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self._from_decoder.fileno(), 1 << 16)
            if not chunk:
                raise DecoderDiedError(_obituary(self._process.wait(timeout=self.timeout_s)))
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        record: dict[str, Any] = json.loads(line)
        return record

    def map_images(self, image_size: tuple[int, int]) -> None:
        """Make the images visible, once the decoder has told their size (width, height)."""
        width, height = image_size
        size = height * width * 3
        memory = mmap.mmap(self._memory_fd, os.fstat(self._memory_fd).st_size, prot=mmap.PROT_READ)
        images = np.frombuffer(memory, np.uint8, self._slots * size)
        self._images = images.reshape(self._slots, height, width, 3)
        self._greys = _greys(memory, image_size, slots=self._slots)

    def image(self, slot: int) -> NDArray[np.uint8]:
        """Return a copy of the image in a slot (0.1 ms at 640×480)."""
        assert self._images is not None
        copied: NDArray[np.uint8] = self._images[slot].copy()
        return copied

    def grey(self, slot: int) -> NDArray[np.uint8] | None:
        """Return a copy of the grey picture of a slot, at a quarter of the image's size (H/4, W/4);
        None where the decoder makes none."""
        if self._greys is None:
            return None
        copied: NDArray[np.uint8] = self._greys[slot].copy()
        return copied

    def free(self, *slots: int) -> None:
        """Let slots be filled."""
        self.tell(bytes(slots))

    def end(self) -> None:
        """End the process and give its memory back; may be called twice."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._to_decoder.close()
        self._from_decoder.close()
        self._images = self._greys = None
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    def tell(self, message: bytes) -> None:
        """Write to the decoder's standard input."""
        with contextlib.suppress(OSError, ValueError):  # it has died: receive() says so, with the reason
            self._to_decoder.write(message)


class DecoderProcess(ChildDecoder):
    """A decoder of one recording: it decodes ahead into all of its slots."""

    def __init__(self, path: Path, *, timeout_s: float, from_s: float = 0.0, decoder: Path = DECODER) -> None:
        super().__init__(decoder, [str(path.absolute()), str(from_s)], slots=SLOTS, timeout_s=timeout_s)
        self._lent: set[int] = set()
        self.free(*range(SLOTS))

    def take(self, slot: int) -> NDArray[np.uint8]:
        """Return the image in a slot where it lies, read-only; the slot is given back when it is let go.

        Who lets a part of it outlive it sees another frame there. Where ``LENT_MOST`` are out it is a copy.
        """
        assert self._images is not None
        if len(self._lent) >= LENT_MOST:
            image = self.image(slot)
            self.free(slot)
            return image
        self._lent.add(slot)
        lent: NDArray[np.uint8] = self._images[slot]
        weakref.finalize(lent, self._back, slot).atexit = False
        return lent

    def _back(self, slot: int) -> None:
        self._lent.discard(slot)
        self.free(slot)


def _greys(memory: mmap.mmap, image_size: tuple[int, int], *, slots: int) -> NDArray[np.uint8] | None:
    """Return the grey pictures behind the images; None where the decoder makes none."""
    width, height = image_size
    size, begin = (width // 4) * (height // 4), slots * height * width * 3
    if size == 0 or len(memory) < begin + slots * size:
        return None
    return np.frombuffer(memory, np.uint8, slots * size, begin).reshape(slots, height // 4, width // 4)


def _obituary(status: int) -> str:
    if status < 0:
        return f"the decoder crashed ({signal.Signals(-status).name})"
    return f"the decoder ended unexpectedly (exit {status})"
