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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 3
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
        memory = mmap.mmap(self._memory_fd, self._slots * height * width * 3, prot=mmap.PROT_READ)
        self._images = np.frombuffer(memory, np.uint8).reshape(self._slots, height, width, 3)

    def image(self, slot: int) -> NDArray[np.uint8]:
        """Return a copy of the image in a slot (0.1 ms at 640×480)."""
        assert self._images is not None
        copied: NDArray[np.uint8] = self._images[slot].copy()
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
        self._images = None
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    def tell(self, message: bytes) -> None:
        """Write to the decoder's standard input."""
        with contextlib.suppress(OSError):  # it has died: receive() says so, with the reason
            self._to_decoder.write(message)


class DecoderProcess(ChildDecoder):
    """A decoder of one recording: it decodes ahead into all of its slots."""

    def __init__(self, path: Path, *, timeout_s: float, from_s: float = 0.0, decoder: Path = DECODER) -> None:
        super().__init__(decoder, [str(path.absolute()), str(from_s)], slots=SLOTS, timeout_s=timeout_s)
        self.free(*range(SLOTS))

    def take(self, slot: int) -> NDArray[np.uint8]:
        """Return a copy of the image in a slot, and give the slot back."""
        image = self.image(slot)
        self.free(slot)
        return image


def _obituary(status: int) -> str:
    if status < 0:
        return f"the decoder crashed ({signal.Signals(-status).name})"
    return f"the decoder ended unexpectedly (exit {status})"
