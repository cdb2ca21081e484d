"""One frame of a recording or a camera: an image, when it was captured, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """An image with its capture time.

    Attributes:
        index: 0, 1, 2, ... in decoding order; a gap means frames that could not be read.
        time: seconds UTC at capture, never at arrival.
        time_sigma_s: 1-sigma error of ``time``; ``inf`` where the clock is unknown.
        image: (H, W, 3) uint8, BGR. Not to be kept: no reference to it outlives the redactor.
        grey: (H/4, W/4) uint8, the luma at a quarter of the size, where the source has it at no cost; not to
            be kept either.
    """

    index: int
    time: float
    time_sigma_s: float
    image: NDArray[np.uint8]
    grey: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Gap:
    """A stretch of a recording that could not be read, seconds UTC; ``reason`` is one clear clause."""

    start: float
    end: float
    reason: str


class Source(Protocol):
    """Frames in the order of their capture."""

    def __iter__(self) -> Iterator[Frame]: ...

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read so far."""
        ...
