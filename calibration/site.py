"""The site file: stop lines, crosswalks, roadways and the ground plane of one intersection.

All coordinates are metres in the site frame (x east, y north, any local origin) unless a name ends in
``px``; angles are degrees counter-clockwise from east.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

Point = tuple[float, float]
Metres = Annotated[float, Field(ge=-100_000, le=100_000)]
Pixels = Annotated[float, Field(ge=-100_000, le=100_000)]
MetrePoint = tuple[Metres, Metres]
PixelPoint = tuple[Pixels, Pixels]
PlaceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Polygon = Annotated[tuple[MetrePoint, ...], Field(min_length=3, max_length=200)]
PixelRectangle = tuple[Pixels, Pixels, Pixels, Pixels]
SignalState = Literal[
    "red", "red_amber", "amber", "green", "flashing_red", "flashing_amber", "dark", "unknown"
]


class SiteError(ValueError):
    """A site file that cannot be used; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SiteInfo(_Record):
    """Who the place is: its identifier, its name and the rules of its roads."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    name: Annotated[str, Field(max_length=120)] = ""
    timezone: str = "UTC"
    drive_on: Literal["right", "left"] = "right"
    # Where the site frame's origin is on the globe (WGS 84, degrees), and the compass bearing of its y axis:
    # for GeoJSON alone (calibration/geojson.py).
    origin_lat: Annotated[float, Field(ge=-89, le=89)] | None = None
    origin_lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    bearing_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0

    @model_validator(mode="after")
    def _whole_origin(self) -> Self:
        if (self.origin_lat is None) != (self.origin_lon is None):
            raise ValueError("origin_lat and origin_lon belong together: only one of them is given")
        return self

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone such as America/Chicago")
        return name


class StopLine(_Record):
    """A stop line, the direction of travel over it, and the signal group that controls it."""

    id: PlaceId
    signal_group: PlaceId | None = None
    line: Annotated[tuple[MetrePoint, ...], Field(min_length=2, max_length=20)]
    heading_deg: Annotated[float, Field(ge=-360, le=360)]
    right_on_red: Literal["allowed", "after_stop", "prohibited"] = "prohibited"

    @field_validator("line")
    @classmethod
    def _has_length(cls, line: tuple[MetrePoint, ...]) -> tuple[MetrePoint, ...]:
        if any(a == b for a, b in itertools.pairwise(line)):
            raise ValueError("two neighbouring points of the line are the same")
        return line


class Crosswalk(_Record):
    """A marked crosswalk; without a signal group it is unsignalised."""

    id: PlaceId
    signal_group: PlaceId | None = None
    polygon: Polygon


class Roadway(_Record):
    """A part of the carriageway: where a pedestrian is on the road."""

    id: PlaceId | None = None
    polygon: Polygon


class Box(_Record):
    """An area to be kept clear; without one it is the space between the stop lines."""

    id: PlaceId
    polygon: Polygon


class SignalHead(_Record):
    """A signal head as seen in the image: blanked in the plate, drawn from data in a clip.

    With ``read`` its lamps tell the state of the group: ``red_px``, ``amber_px`` and ``green_px`` are their
    centres; without them the region is divided evenly along ``orientation``, red first (on top, at the left).
    A pedestrian head has a red (don't walk) and a green or white (walk) lamp; flashing red counts as amber.
    """

    signal_group: PlaceId
    region_px: PixelRectangle
    read: bool = False
    aspects: Literal["vehicle", "pedestrian"] = "vehicle"
    orientation: Literal["vertical", "horizontal"] = "vertical"
    red_px: PixelPoint | None = None
    amber_px: PixelPoint | None = None
    green_px: PixelPoint | None = None
    radius_px: Annotated[float, Field(ge=1, le=500)] | None = None

    @model_validator(mode="after")
    def _lamps_lie_in_the_region(self) -> Self:
        left, top, right, bottom = self.region_px
        if right - left < 2 or bottom - top < 2:
            raise ValueError("region_px is left, top, right, bottom, at least 2 pixels wide and high")
        lamps = {"red_px": self.red_px, "amber_px": self.amber_px, "green_px": self.green_px}
        if self.aspects == "pedestrian" and self.amber_px is not None:
            raise ValueError("a pedestrian head has no amber_px")
        given = [name for name, lamp in lamps.items() if lamp is not None]
        wanted = 2 if self.aspects == "pedestrian" else 3
        if given and len(given) < wanted:
            raise ValueError(f"only {', '.join(given)} given, expected the centre of each lamp or of none")
        for name, lamp in lamps.items():
            if lamp is not None and not (left <= lamp[0] <= right and top <= lamp[1] <= bottom):
                raise ValueError(f"{name} lies outside region_px")
        return self


class ControllerPhase(_Record):
    """Which output of the controller's high-resolution log drives a signal group: exactly one of four."""

    signal_group: PlaceId
    phase: Annotated[int, Field(ge=1, le=64)] | None = None
    pedestrian_phase: Annotated[int, Field(ge=1, le=64)] | None = None
    overlap: Annotated[int, Field(ge=1, le=64)] | None = None
    pedestrian_overlap: Annotated[int, Field(ge=1, le=64)] | None = None

    @model_validator(mode="after")
    def _one_output(self) -> Self:
        outputs = (self.phase, self.pedestrian_phase, self.overlap, self.pedestrian_overlap)
        if sum(output is not None for output in outputs) != 1:
            raise ValueError("expected exactly one of phase, pedestrian_phase, overlap, pedestrian_overlap")
        return self


class Controller(_Record):
    """The controller whose log is read: its number in a log of several, and how well its clock is kept."""

    device: Annotated[int, Field(ge=0)] | None = None
    clock_sigma_s: Annotated[float, Field(ge=0, le=60)] = 0.1


class PlannedChange(_Record):
    """From ``at_s`` seconds into the cycle on a group shows ``state``."""

    at_s: Annotated[float, Field(ge=0, le=3600)]
    state: SignalState


class PlannedGroup(_Record):
    """The changes of one group in a cycle; before the first it shows what the last left."""

    signal_group: PlaceId
    changes: Annotated[tuple[PlannedChange, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(b.at_s <= a.at_s for a, b in itertools.pairwise(self.changes)):
            raise ValueError(f"changes of {self.signal_group}: at_s must rise from one to the next")
        return self


class SignalPlan(_Record):
    """A fixed-time plan: cycle 0 starts ``offset_s`` after ``epoch``."""

    epoch: AwareDatetime
    offset_s: Annotated[float, Field(ge=-3600, le=3600)] = 0.0
    cycle_s: Annotated[float, Field(ge=1, le=3600)]
    sigma_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    groups: Annotated[tuple[PlannedGroup, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _within_the_cycle(self) -> Self:
        for group in self.groups:
            if group.changes[-1].at_s >= self.cycle_s:
                raise ValueError(f"{group.signal_group} changes at {group.changes[-1].at_s} s, past cycle_s")
        doubled = _doubled(group.signal_group for group in self.groups)
        if doubled:
            raise ValueError(f"the plan names {doubled} twice")
        return self


class SpatGroup(_Record):
    """Which signal group of a SPaT message is which of ours."""

    signal_group: PlaceId
    spat_group: Annotated[int, Field(ge=1, le=255)]


class Spat(_Record):
    """The intersection to read in SPaT messages, and how they are sent.

    ``sends``: ``always`` repeats the state ten times a second, ``on_change`` only says what changed.
    """

    intersection: Annotated[int, Field(ge=0, le=65535)] | None = None
    sends: Literal["always", "on_change"] = "always"
    stale_after_s: Annotated[float, Field(gt=0, le=3600)] = 2.0
    clock_sigma_s: Annotated[float, Field(ge=0, le=60)] = 0.1


class SignalFeed(_Record):
    """A feed of signal states by MQTT; ``stale_after_s`` where its sender repeats itself."""

    topic: Annotated[str, Field(pattern=r"^[^\x00#+]{1,200}(/[#+])?$")]
    format: Literal["plain", "spat"] = "plain"
    stale_after_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    clock_sigma_s: Annotated[float, Field(ge=0, le=60)] = 0.1


class PointPair(_Record):
    """One point of the road surface, in the image and in metres."""

    px: PixelPoint
    m: MetrePoint
    held_out: bool = False


class KnownLength(_Record):
    """A length on the road that somebody measured, between two image points: a check, never fitted."""

    px: tuple[PixelPoint, PixelPoint]
    length_m: Annotated[float, Field(gt=0, le=1000)]


class GroundPlane(_Record):
    """What ties the image to the road: point pairs, lengths to check them, and burned-in text to fill."""

    image_size: tuple[Annotated[int, Field(gt=0, le=20_000)], Annotated[int, Field(gt=0, le=20_000)]]
    points: Annotated[tuple[PointPair, ...], Field(min_length=4, max_length=10_000)]
    osd: tuple[PixelRectangle, ...]
    lengths: Annotated[tuple[KnownLength, ...], Field(max_length=200)] = ()


class Thresholds(_Record):
    """Numbers a site may set; the defaults are those of the definitions (docs/rules)."""

    red_light_severe_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    stop_line_hysteresis_m: Annotated[float, Field(ge=0, le=5)] = 0.3
    crosswalk_margin_m: Annotated[float, Field(ge=0, le=10)] = 1.0
    step_back_m: Annotated[float, Field(ge=0, le=10)] = 1.0
    pet_record_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    pet_flag_s: Annotated[float, Field(gt=0, le=30)] = 1.5
    ttc_flag_s: Annotated[float, Field(gt=0, le=30)] = 1.5
    min_frame_rate_hz: Annotated[float, Field(gt=0, le=240)] = 4.0
    max_position_sigma_m: Annotated[float, Field(gt=0, le=20)] = 0.5
    # Whole minutes: a collector refuses an event whose time is finer (broker.wire).
    time_bin_s: Annotated[int, Field(ge=60, le=3600, multiple_of=60)] = 300


class Site(_Record):
    """One intersection, as its site file describes it."""

    site: SiteInfo
    stop_lines: tuple[StopLine, ...] = ()
    crosswalks: tuple[Crosswalk, ...] = ()
    roadways: tuple[Roadway, ...] = ()
    boxes: tuple[Box, ...] = ()
    signal_heads: tuple[SignalHead, ...] = ()
    controller: Controller = Controller()
    controller_phases: Annotated[tuple[ControllerPhase, ...], Field(max_length=64)] = ()
    signal_plan: SignalPlan | None = None
    spat: Spat = Spat()
    spat_groups: Annotated[tuple[SpatGroup, ...], Field(max_length=64)] = ()
    signal_feed: SignalFeed | None = None
    ground_plane: GroundPlane | None = None
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _places_are_distinct(self) -> Self:
        named: tuple[StopLine | Crosswalk | Roadway | Box, ...] = (
            *self.stop_lines,
            *self.crosswalks,
            *self.roadways,
            *self.boxes,
        )
        places = [place.id for place in named if place.id]
        doubled = sorted({place for place in places if places.count(place) > 1})
        if doubled:
            raise ValueError(f"the id {', '.join(doubled)} stands for more than one place")
        return self

    @model_validator(mode="after")
    def _sources_name_groups_of_the_site(self) -> Self:
        known = self.signal_groups | {head.signal_group for head in self.signal_heads}
        planned = self.signal_plan.groups if self.signal_plan else ()
        tables: dict[str, Iterable[ControllerPhase | SpatGroup | PlannedGroup]] = {
            "controller_phases": self.controller_phases,
            "spat_groups": self.spat_groups,
            "signal_plan.groups": planned,
        }
        for table, rows in tables.items():
            for group in [row.signal_group for row in rows]:
                if group not in known:
                    expected = ", ".join(sorted(known)) or "none"
                    raise ValueError(f"{table}: signal_group {group!r} is not one of {expected}")
            doubled = _doubled(row.signal_group for row in rows)
            if doubled:
                raise ValueError(f"{table}: signal_group {doubled} stands twice")
        return self

    @property
    def id(self) -> str:
        return self.site.id

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.timezone)

    @property
    def signal_groups(self) -> frozenset[str]:
        """Every signal group a place of this site is controlled by."""
        places: tuple[StopLine | Crosswalk, ...] = (*self.stop_lines, *self.crosswalks)
        return frozenset(place.signal_group for place in places if place.signal_group is not None)


def _doubled(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(sorted({name for name in every if every.count(name) > 1}))


def load_site(path: Path) -> Site:
    """Read a site file.

    Raises:
        SiteError: with one line per mistake (``file: place: what came, what was expected``), all at once.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise SiteError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError([f"{path}: not a TOML file: {error}"]) from error
    try:
        # Through JSON, so that strict mode takes lists for tuples yet no "1.5" for 1.5.
        return Site.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise SiteError(problem_lines(path, error)) from error


def problem_lines(path: Path, error: ValidationError) -> list[str]:
    """Return one line per mistake pydantic found: file, place, what came, what was expected."""
    lines = []
    mistakes = error.errors(include_url=False)
    places = [mistake["loc"] for mistake in mistakes]
    for mistake in mistakes:
        loc = mistake["loc"]
        if mistake["type"] == "too_short" and any(
            len(place) > len(loc) and place[: len(loc)] == loc for place in places
        ):
            continue  # pydantic counts what is left of a list without its mistakes; these are told
        place = ".".join(str(part) for part in mistake["loc"]) or "the file"
        came = "" if mistake["type"] in ("missing", "value_error") and not mistake["loc"] else _came(mistake)
        lines.append(f"{path}: {place}: {mistake['msg'].removeprefix('Value error, ')}{came}")
    return lines


def _came(mistake: object) -> str:
    kind, value = mistake["type"], mistake["input"]  # type: ignore[index]  # pydantic's ErrorDetails
    if kind == "missing":
        return ""
    text = repr(value)
    return f" (came: {text if len(text) <= 60 else text[:57] + '...'})"
