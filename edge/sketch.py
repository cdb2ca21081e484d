"""What is left of a frame behind the redactor: boxes and cells, no pixel.

Nothing downstream of ``Redactor.ingest`` accepts an image; this is the type that goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.scene import Kind


@dataclass(frozen=True, slots=True)
class SketchBox:
    """A detection, snapped to 4 px; ``moved`` tells whether the pixels in it differed from the background."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int
    kind: Kind
    moved: bool


@dataclass(frozen=True, slots=True)
class Sketch:
    """One frame's boxes and the grid cells where something moved that no box explains.

    Attributes:
        time: seconds UTC at capture.
        boxes: in the order of the frame's detections, so that ``RoadUser.detection`` indexes them.
        cells: indices row * columns + column of the grid of ``cell_px`` squares.
        faulty: the redactor failed or was flooded with motion: no clip may show this instant.
    """

    time: float
    boxes: tuple[SketchBox, ...]
    cells: tuple[int, ...]
    cell_px: int
    columns: int
    faulty: bool = False
