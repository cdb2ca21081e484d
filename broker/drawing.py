"""The contract's drawings: a clip (a drawing list: what moved, as shapes), and the plate it is drawn on.

Records of the same making as those of ``broker.wire``: closed at every level, and no field that holds a pixel
of anything that moves.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from broker.wire import Hash, NodeId, Number, PlaceId, Record, RoadUser, SiteId, State, Tenths, Version

Cell = Annotated[int, Field(ge=0, le=1_000_000)]
Step = Annotated[int, Field(ge=0, le=600)]
Span = tuple[Step, Annotated[int, Field(ge=0, le=601)]]
GridPixels = Annotated[int, Field(ge=-5000, le=5000)]
GridMetres = Annotated[int, Field(ge=-40_000, le=40_000)]
# step, x / 4 px, y / 4 px, x / 0.25 m, y / 0.25 m, heading / 15 degrees (-1: unknown)
GlyphKey = tuple[
    Step,
    GridPixels | None,
    GridPixels | None,
    GridMetres | None,
    GridMetres | None,
    Annotated[int, Field(ge=-1, le=23)],
]


class Glyph(Record):
    """One moving thing: a fixed shape and colour per kind, at snapped places.

    Between two ``keys`` it moves in a straight line at an even speed. A key with all four coordinates None
    says it is not seen from that step on, and it rests from the key before until then; the same two
    coordinates None throughout: its place in that view is not known. ``hollow`` spans (from step, to step,
    exclusive) had no motion support: a cue that the glyph may be false. ``number`` is given to vulnerable
    road users only, 1..n in random order.
    """

    kind: RoadUser
    number: Annotated[int, Field(ge=1, le=999)] | None
    role: Literal["first", "second", "other"]
    keys: Annotated[tuple[GlyphKey, ...], Field(min_length=1, max_length=601)]
    hollow: Annotated[tuple[Span, ...], Field(max_length=300)] = ()


class LampChange(Record):
    """A state of a signal group from an instant on, seconds relative to the event."""

    at_s: Annotated[Tenths, Field(ge=-60, le=60)]
    state: State


class Lamp(Record):
    """The states of one signal group during a clip; the first change holds from the clip's start."""

    group: PlaceId
    changes: Annotated[tuple[LampChange, ...], Field(min_length=1, max_length=200)]


class MoverCells(Record):
    """Cells (row * columns + column) in which something moved at one step that no box explains."""

    step: Step
    cells: Annotated[tuple[Cell, ...], Field(max_length=20_000)]


class Clip(Record):
    """A drawing of the seconds around one event: no pixel of the recording, no absolute time.

    Steps are ``step_s`` apart (0.1 s); step 0 is ``start_s`` (negative: before the event, which is at 0).
    ``plate`` is the hash of the plate it is drawn on; None in files of `analyze`, where one plate lies beside
    all clips. ``blanks`` (from step, to step, exclusive) show nothing: the redactor failed there, or no frame
    came. ``spot`` is where the event happened, in steps of 0.25 m.
    """

    v: Version = 1
    plate: Hash | None
    start_s: Annotated[Tenths, Field(ge=-60, le=0)]
    step_s: Annotated[Tenths, Field(ge=0.1, le=1.0)]
    steps: Annotated[int, Field(ge=1, le=601)]
    cell_px: Annotated[int, Field(ge=8, le=256)]
    columns: Annotated[int, Field(ge=1, le=2500)]
    glyphs: Annotated[tuple[Glyph, ...], Field(max_length=400)]
    movers: Annotated[tuple[MoverCells, ...], Field(max_length=601)]
    lamps: Annotated[tuple[Lamp, ...], Field(max_length=64)]
    blanks: Annotated[tuple[Span, ...], Field(max_length=300)] = ()
    spot: tuple[GridMetres, GridMetres] | None = None


Coordinate = Annotated[float, Field(ge=-100_000, le=100_000)]
Outline = Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(min_length=2, max_length=200)]


class Zone(Record):
    """A drawn place of the site file, in metres and, where it can be seen, in pixels."""

    id: PlaceId
    kind: Literal["stop_line", "crosswalk", "roadway", "signal_head"]
    group: PlaceId | None
    outline_m: Outline | None
    outline_px: Outline | None


class Plate(Record):
    """What clips of one site are drawn on: the site's plan, and one still background or none.

    ``background`` is a PNG in base64, of the empty site, at most 12.5 px/m and 6 bits a channel, unknown
    area hatched; None in ``schematic`` mode, where no camera pixel is used at all. ``homography`` maps
    metres to pixels (row by row, scaled so that its largest number is 1000), for the size of the glyphs;
    ``bend`` is that of the lens after it (calibration/lens.py), 0 where it draws straight lines straight.
    """

    v: Version = 1
    site: SiteId
    # Whose camera it is: two nodes never name one plate, so that no hash of theirs is ever the same.
    node: NodeId | None = None
    image_size: tuple[Annotated[int, Field(gt=0, le=20_000)], Annotated[int, Field(gt=0, le=20_000)]] | None
    background: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=]*$", max_length=4_000_000)] | None
    zones: Annotated[tuple[Zone, ...], Field(max_length=400)]
    homography: Annotated[tuple[Number, ...], Field(min_length=9, max_length=9)] | None = None
    bend: Annotated[float, Field(ge=-1, le=1)] = 0.0
    drive_on: Literal["right", "left"] = "right"
