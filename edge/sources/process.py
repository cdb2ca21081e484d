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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 3
DECODER = Path(__file__).with_name("decoder.py")


class DecoderDiedError(Exception):
    """The decoder's process ended or stood still; the message is one clear clause."""


class DecoderProcess:
    """A decoder of one recording in a process of its own.

    The images pass through anonymous memory (memfd) that has no name and no file: whichever side is killed
    leaves nothing behind. Its process ends when this one does, because its standard input does.
    """

    def __init__(self, path: Path, *, timeout_s: float, from_s: float = 0.0, decoder: Path = DECODER) -> None:
        self.timeout_s = timeout_s
        self._memory_fd = os.memfd_create("nearmiss-frames", os.MFD_CLOEXEC)
        self._images: NDArray[np.uint8] | None = None
        self._received = b""
        # -P: else the folder of the script would be searched for modules. A process group of its own: else
        # Ctrl-C, which the terminal sends to the whole group, would take the decoder before its last frames.
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", str(decoder), str(path.absolute())),
                *(str(self._memory_fd), str(SLOTS), str(from_s)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=(self._memory_fd,),
            process_group=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to_decoder, self._from_decoder = self._process.stdin, self._process.stdout
        self._free(*range(SLOTS))

    @property
    def pid(self) -> int:
        return self._process.pid

    def receive(self) -> dict[str, Any]:
        """Return the next record.

        Raises:
            DecoderDiedError: the process ended without its last record, or gave none for ``timeout_s``.
        """
        deadline = time.monotonic() + self.timeout_s
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._from_decoder], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise DecoderDiedError(f"the decoder gave nothing for {self.timeout_s:g} s")
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
        memory = mmap.mmap(self._memory_fd, SLOTS * height * width * 3, prot=mmap.PROT_READ)
        self._images = np.frombuffer(memory, np.uint8).reshape(SLOTS, height, width, 3)

    def take(self, slot: int) -> NDArray[np.uint8]:
        """Return a copy of the image in a slot (0.1 ms at 640×480), and give the slot back."""
        assert self._images is not None
        image: NDArray[np.uint8] = self._images[slot].copy()
        self._free(slot)
        return image

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

    def _free(self, *slots: int) -> None:
        with contextlib.suppress(OSError):  # it has died: receive() says so, with the reason
            self._to_decoder.write(bytes(slots))


def _obituary(status: int) -> str:
    if status < 0:
        return f"the decoder crashed ({signal.Signals(-status).name})"
    return f"the decoder ended unexpectedly (exit {status})"
