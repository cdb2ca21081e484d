"""The redactor: a frame goes in, boxes and cells come out, and no pixel goes further than this line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from broker.drawing import Plate
from calibration.plane import Plane
from calibration.site import Site
from edge.capping import scale_map
from edge.frame import Frame
from edge.motion_support import Motion, MotionSupport, quarter
from edge.plan import plate_of
from edge.plate import SITE_WINDOW_S, PlateBuilder
from edge.scene import Kind
from edge.sketch import Sketch, SketchBox
from models.detections import KINDS, Detections

logger = logging.getLogger(__name__)

Mode = Literal["scene", "schematic", "none"]
Rectangle = tuple[float, float, float, float]

SNAP_PX = 4
CELL_M = 0.25
# Without frames for longer than this nobody knows who walked into the picture meanwhile.
STALL_S = 1.0
# More of the picture in motion than this is a moved camera, headlights or a storm.
FLOOD_SHARE = 0.5
# Share of a box, and of a cell, that has to differ from the background to count as moved.
_BOX_SHARE = 0.08
_CELL_SHARE = 0.25
_DAY_S = 86_400.0
# At the edge of what the detector is shown it misses those of whom it sees a part, quarter pixels.
EDGE_CELLS = 4
_NO_BOXES = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class Glance:
    """What was seen of a frame before anybody decided whether the detector looks at it: no pixel of it.

    Attributes:
        motion: where it moves; None where that could not be told.
        fault: why no clip may show this instant, in words; None where one may.
    """

    motion: Motion | None
    fault: str | None


class Redactor:
    """Turns frames into sketches and, from the same frames, builds the plate of the empty site.

    Whatever goes wrong gives less picture, never more: on an error, a flood of motion, a stall or an image
    of another size the sketch is ``faulty``, and no exception reaches the loop that judges events.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        *,
        plane: Plane | None,
        osd: Sequence[Rectangle] = (),
        lamps: Sequence[Rectangle] = (),
        mode: Mode = "scene",
        plate_window_s: float = SITE_WINDOW_S,
        seen_px: Rectangle | None = None,
    ) -> None:
        """
        Args:
            osd, lamps: burned-in text and signal heads, (left, top, right, bottom) in image pixels: not
                looked at for motion, and filled in the plate.
            mode: ``scene`` draws clips on a plate, ``schematic`` on the plan alone (no camera pixel at
                all), ``none`` makes no clips.
            plate_window_s: least stretch of time a plate is made from (``SITE_WINDOW_S``, or
                ``OWN_RECORDING_WINDOW_S`` for a recording somebody made).
            seen_px: what the detector is shown; None: the whole image. Whoever stands elsewhere has no box,
                so none of that is ever on a plate; what moves there is in no box and covers its cells.
        """
        self._image_size = image_size
        self._mode = mode
        self.cell_px = cell_size_px(image_size, plane)
        self.columns = -(-image_size[0] // self.cell_px)
        self._rows = -(-image_size[1] // self.cell_px)
        self._motion = MotionSupport(image_size, ignored=_inside([*osd, *lamps], image_size))
        # Without a plane nobody knows how large a person is in the picture: no picture is made.
        self._plate = (
            PlateBuilder(image_size, plane=plane, osd=osd, lamps=lamps)
            if mode == "scene" and plane is not None
            else None
        )
        self._unseen = _outside(seen_px, image_size)
        self._plane = plane
        self._plate_window_s = plate_window_s
        self._plate_made: tuple[float, str] | None = None
        self._time: float | None = None
        self._fault: str | None = None

    def glance(self, frame: Frame) -> Glance:
        """Return what moves in a frame. Called once a frame, in their order; nothing of the image is kept
        but a background of grey blocks."""
        elapsed = 0.0 if self._time is None else frame.time - self._time
        self._time = frame.time
        height, width = frame.image.shape[:2]
        if (width, height) != self._image_size:
            return Glance(None, f"an image of {width} x {height} px")
        try:
            motion = self._motion.motion(frame.image, elapsed, grey=frame.grey)
        except Exception:  # noqa: BLE001  # whatever failed, the street is still judged; the clip is not drawn
            self._report("error", error=True)
            return Glance(None, "error")
        late = not 0.0 <= elapsed <= STALL_S
        return Glance(motion, f"{elapsed:.1f} s between two frames" if late else None)

    def look(self) -> None:
        """The detector looks at the frame of the last glance: changes count from it on."""
        self._motion.look()

    def ingest(self, frame: Frame, detections: Detections, glance: Glance | None = None) -> Sketch:
        """Return a frame's sketch. No reference to the frame or its image is kept.

        Args:
            glance: at this frame, where there was one already.
        """
        if self._mode == "none":
            return self._blank(frame.time)
        glance = self.glance(frame) if glance is None else glance
        try:
            sketch = self._sketch(frame, detections, glance)
        except Exception:  # noqa: BLE001  # whatever failed, the street is still judged; the clip is not drawn
            self._report("error", error=True)
            sketch = self._blank(frame.time)
        if sketch.faulty and self._plate is not None:
            self._plate.cover_all(frame.time)
        return sketch

    def pass_over(self, time: float, glance: Glance) -> bool:
        """Take note of a frame the detector did not look at; return whether a clip may show this instant.

        It makes no sketch and no sample for the plate: of what moved in it only that it is not background.
        """
        if self._mode == "none":
            return False
        fault = self._fault_of(glance)
        if self._plate is not None:
            if fault is None and glance.motion is not None:
                self._plate.cover(_NO_BOXES, glance.motion.moving | self._unseen, time)
            else:
                self._plate.cover_all(time)
        return fault is None

    def forget(self) -> None:
        """The camera looks elsewhere than it did: no plate is made of before and after."""
        if self._plate is not None:
            self._plate.forget()

    def plate(self, site: Site) -> Plate:
        """Return what clips are drawn on; a new background at most once a day.

        Until there is one, and in mode ``schematic``, the plate is the plan of the site alone.
        """
        return plate_of(site, self._plane, image_size=self._image_size, background=self._background())

    def _background(self) -> str | None:
        if self._plate is None or self._time is None:
            return None
        if self._plate_made is not None and self._time - self._plate_made[0] < _DAY_S:
            return self._plate_made[1]
        background = self._plate.background(window_s=self._plate_window_s)
        if background is not None:
            self._plate_made = (self._time, background)
        return background

    def _fault_of(self, glance: Glance) -> str | None:
        """Return why no clip may show the instant of a glance; None where one may."""
        if glance.fault is not None or glance.motion is None:
            return glance.fault or "error"
        moving = glance.motion.moving
        # So little cannot fill a quarter of every second cell: they need not be counted.
        little = int(np.count_nonzero(moving)) <= _CELL_SHARE * FLOOD_SHARE * moving.size
        flooded = not little and self._cells(moving).mean() > FLOOD_SHARE
        return "a flood of motion" if flooded else None

    def _sketch(self, frame: Frame, detections: Detections, glance: Glance) -> Sketch:
        fault = self._fault_of(glance)
        if fault is not None or glance.motion is None:
            if fault != "error":
                self._report(fault)
            return self._blank(frame.time)
        moving = glance.motion.moving
        cells = self._cells(moving)
        self._report(None)
        if self._plate is not None:
            self._plate.cover(detections.boxes_px, moving | self._unseen, frame.time)
            self._plate.ingest(frame.image, frame.time)
        boxes = tuple(
            self._box(box, KINDS[int(kind)], moving)
            for box, kind in zip(detections.boxes_px.tolist(), detections.kinds, strict=True)
        )
        for box in boxes:
            cells[
                max(box.top_px // self.cell_px - 1, 0) : max(box.bottom_px // self.cell_px + 2, 0),
                max(box.left_px // self.cell_px - 1, 0) : max(box.right_px // self.cell_px + 2, 0),
            ] = False
        unexplained = tuple(int(cell) for cell in np.flatnonzero(cells))
        return Sketch(frame.time, boxes, unexplained, self.cell_px, self.columns)

    def _cells(self, moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the cells (rows, columns) a quarter of which or more is in motion."""
        side = self.cell_px // 4
        padded = np.zeros((self._rows * side, self.columns * side), np.bool_)
        padded[: moving.shape[0], : moving.shape[1]] = moving[: padded.shape[0], : padded.shape[1]]
        share = padded.reshape(self._rows, side, self.columns, side).mean(axis=(1, 3))
        return np.asarray(share >= _CELL_SHARE)

    def _box(self, box: list[float], kind: Kind, moving: NDArray[np.bool_]) -> SketchBox:
        left, top, right, bottom = (SNAP_PX * round(edge / SNAP_PX) for edge in box)
        right, bottom = max(right, left + SNAP_PX), max(bottom, top + SNAP_PX)
        inside = moving[max(top // 4, 0) : max(bottom // 4, 0), max(left // 4, 0) : max(right // 4, 0)]
        moved = inside.size > 0 and float(inside.mean()) >= _BOX_SHARE
        return SketchBox(left, top, right, bottom, kind, moved)

    def _blank(self, time: float) -> Sketch:
        return Sketch(time, (), (), self.cell_px, self.columns, faulty=True)

    def _report(self, fault: str | None, *, error: bool = False) -> None:
        """Log a change of state once, never per frame."""
        if fault != self._fault and fault is not None:
            logger.warning("no picture of the street: %s", fault, exc_info=error)
        elif fault is None and self._fault is not None:
            logger.info("the street is drawn again")
        self._fault = fault


def cell_size_px(image_size: tuple[int, int], plane: Plane | None) -> int:
    """Return the side of a mover cell: a multiple of 4 px, at least 8 px, and 0.25 m wherever it lies.

    Without a ground plane the scale is unknown, and a cell is a tenth of the image's height: as if a
    person filled the picture.
    """
    scale = image_size[1] * 0.1 / CELL_M if plane is None else float(scale_map(plane).max())
    side = max(8, 4 * int(np.ceil(CELL_M * scale / 4)))
    return min(side, 256)


def _outside(seen_px: Rectangle | None, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where (H/4, W/4) the detector sees nobody whole: beyond its part of the image, at its edge."""
    columns, rows = quarter(image_size)
    outside = np.zeros((rows, columns), np.bool_)
    if seen_px is None:
        return outside
    left, top, right, bottom = seen_px
    outside[:] = True
    # An edge of the part that is the image's own hides nobody.
    outside[
        max(-int(-top // 4) + EDGE_CELLS * (top > 0), 0) : int(bottom // 4)
        + (1 if bottom >= image_size[1] else -EDGE_CELLS),
        max(-int(-left // 4) + EDGE_CELLS * (left > 0), 0) : int(right // 4)
        + (1 if right >= image_size[0] else -EDGE_CELLS),
    ] = False
    return outside


def _inside(rectangles: Sequence[Rectangle], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    columns, rows = quarter(image_size)
    inside = np.zeros((rows, columns), np.bool_)
    for left, top, right, bottom in rectangles:
        inside[
            max(int(top // 4), 0) : max(-int(-bottom // 4), 0),
            max(int(left // 4), 0) : max(-int(-right // 4), 0),
        ] = True
    return inside
