"""What the recorder keeps of one instant: whole numbers in a few arrays, a hundredth of the scene's size."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from edge.scene import Kind, RoadUser, Scene
from edge.sketch import Sketch

KINDS: tuple[Kind, ...] = ("pedestrian", "bicycle", "motorcycle", "car", "bus", "truck")
UNKNOWN = -(2**31)
_USER_FIELDS = 8
_BOX_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """One road user at one instant; NaN where a coordinate is unknown.

    Attributes:
        track: the tracker's number, None for a box no confirmed track stands for.
        px: ground contact point in pixels; ground: footprint's centre in metres.
        width_px: of the box, only to link boxes without a track.
    """

    track: int | None
    kind: Kind
    px: tuple[float, float]
    ground: tuple[float, float]
    heading_deg: float
    moved: bool
    width_px: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Instant:
    """One frame, packed: pixels to 1 px, metres to 1 cm, headings to 1 degree.

    ``until`` is the time of the last frame after it at which nobody had to look again: until then, what was
    seen here is what there is.
    """

    time: float
    until: float
    faulty: bool
    cell_px: int
    columns: int
    packed_users: array[int]
    packed_strays: array[int]
    packed_cells: array[int]

    @property
    def cells(self) -> tuple[int, ...]:
        return tuple(self.packed_cells)

    def users(self) -> Iterator[Seen]:
        """Give the confirmed road users."""
        for n in range(0, len(self.packed_users), _USER_FIELDS):
            track, kind, u, v, x, y, heading, moved = self.packed_users[n : n + _USER_FIELDS]
            yield Seen(
                track,
                KINDS[kind],
                (_loose(u, 1), _loose(v, 1)),
                (_loose(x, 100), _loose(y, 100)),
                _loose(heading, 1),
                bool(moved),
            )

    def strays(self) -> Iterator[Seen]:
        """Give the boxes no confirmed road user stands for."""
        for n in range(0, len(self.packed_strays), _BOX_FIELDS):
            kind, u, v, width, moved = self.packed_strays[n : n + _BOX_FIELDS]
            nowhere = (math.nan, math.nan)
            yield Seen(None, KINDS[kind], (u, v), nowhere, math.nan, bool(moved), float(width))


def packed(sketch: Sketch, scene: Scene) -> Instant:
    """Return what is kept of a frame."""
    users, strays = array("i"), array("i")
    taken = {user.detection for user in scene.users}
    for user in scene.users:
        users.extend(_user(user, sketch))
    for n, box in enumerate(sketch.boxes):
        if n not in taken:
            middle = (box.left_px + box.right_px) // 2
            strays.extend((KINDS.index(box.kind), middle, box.bottom_px))
            strays.extend((box.right_px - box.left_px, int(box.moved)))
    return Instant(
        sketch.time,
        sketch.time,
        sketch.faulty,
        sketch.cell_px,
        sketch.columns,
        users,
        strays,
        array("i", sketch.cells),
    )


def _user(user: RoadUser, sketch: Sketch) -> tuple[int, ...]:
    px = (math.nan, math.nan) if user.px is None else user.px
    box = None
    if user.detection is not None and user.detection < len(sketch.boxes):
        box = sketch.boxes[user.detection]
    return (
        user.track,
        KINDS.index(user.kind),
        _tight(px[0], 1),
        _tight(px[1], 1),
        _tight(user.x, 100),
        _tight(user.y, 100),
        _tight(user.heading_deg % 360.0, 1),
        # Predicted between two detections: nothing in this frame supports it.
        int(box is not None and box.moved),
    )


def _tight(value: float, scale: int) -> int:
    # Beyond what a clip can hold a coordinate is as good as unknown.
    return round(value * scale) if math.isfinite(value) and abs(value * scale) < 1e6 else UNKNOWN


def _loose(value: int, scale: int) -> float:
    return math.nan if value == UNKNOWN else value / scale
