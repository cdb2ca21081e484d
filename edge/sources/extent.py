"""How long a recording is, and how large its image; read in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError
from edge.sources.process import DECODER

# A day of video in one file is read at the speed of the disk.
TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Extent:
    """Image size (width, height) in pixels, and seconds from the first frame to the end of the last."""

    image_size: tuple[int, int]
    duration_s: float


def extent(path: Path, *, timeout_s: float = TIMEOUT_S) -> Extent:
    """Return the extent of a recording: what it holds, not what its header says.

    Raises:
        InputError: not a recording, no video in it, or nothing that tells time.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(DECODER), "--extent", str(path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: reading it took longer than {timeout_s:g} s") from None
    if not done.stdout:
        raise InputError(f"{path}: cannot be read: the decoder ended unexpectedly ({done.returncode})")
    found = json.loads(done.stdout)
    if "error" in found:
        raise InputError(f"{path}: {found['error']}")
    return Extent((found["size"][0], found["size"][1]), found["duration_s"])
