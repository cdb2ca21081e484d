"""What a detector returns: boxes, scores and kinds of road users, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["pedestrian", "bicycle", "motorcycle", "car", "bus", "truck"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class Detections:
    """The road users seen in one image.

    Attributes:
        boxes_px: (N, 4) float32, left, top, right, bottom in pixels of the image given to the detector.
        scores: (N,) float32, 0..1.
        kinds: (N,) int8, index into ``KINDS``.
    """

    boxes_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    kinds: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.scores)

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes_px.shape != (count, 4) or self.kinds.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes_px.shape}, scores {self.scores.shape}, kinds {self.kinds.shape} "
                "do not describe the same detections"
            )

    @classmethod
    def none(cls) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int8))


class Detector(Protocol):
    """Finds road users in an image."""

    @property
    def name(self) -> str:
        """The model's name as it stands in events, such as ``deimv2-femto`` or ``motion``."""
        ...

    @property
    def provider(self) -> str:
        """What really computes, such as ``CPUExecutionProvider``; ``opencv`` for ``motion``."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the road users in an image (H, W, 3), uint8, BGR. Called in order of the frames."""
        ...
