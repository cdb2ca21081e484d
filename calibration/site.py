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

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Point = tuple[float, float]
Metres = Annotated[float, Field(ge=-100_000, le=100_000)]
Pixels = Annotated[float, Field(ge=-100_000, le=100_000)]
MetrePoint = tuple[Metres, Metres]
PixelPoint = tuple[Pixels, Pixels]
PlaceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Polygon = Annotated[tuple[MetrePoint, ...], Field(min_length=3, max_length=200)]
PixelRectangle = tuple[Pixels, Pixels, Pixels, Pixels]


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


class SignalHead(_Record):
    """A signal head as seen in the image: blanked in the plate, drawn from data in a clip."""

    signal_group: PlaceId
    region_px: PixelRectangle


class PointPair(_Record):
    """One point of the road surface, in the image and in metres."""

    px: PixelPoint
    m: MetrePoint
    held_out: bool = False


class GroundPlane(_Record):
    """What ties the image to the road: point pairs, and burned-in text to fill."""

    image_size: tuple[Annotated[int, Field(gt=0, le=20_000)], Annotated[int, Field(gt=0, le=20_000)]]
    points: Annotated[tuple[PointPair, ...], Field(min_length=4, max_length=10_000)]
    osd: tuple[PixelRectangle, ...]


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
    time_bin_s: Annotated[int, Field(ge=60, le=3600)] = 300


class Site(_Record):
    """One intersection, as its site file describes it."""

    site: SiteInfo
    stop_lines: tuple[StopLine, ...] = ()
    crosswalks: tuple[Crosswalk, ...] = ()
    roadways: tuple[Roadway, ...] = ()
    signal_heads: tuple[SignalHead, ...] = ()
    ground_plane: GroundPlane | None = None
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _places_are_distinct(self) -> Self:
        named: tuple[StopLine | Crosswalk | Roadway, ...] = (
            *self.stop_lines,
            *self.crosswalks,
            *self.roadways,
        )
        places = [place.id for place in named if place.id]
        doubled = sorted({place for place in places if places.count(place) > 1})
        if doubled:
            raise ValueError(f"the id {', '.join(doubled)} stands for more than one place")
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
    for mistake in error.errors(include_url=False):
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
