"""The contract: every record that leaves a node or is kept by a collector; drawings are in ``drawing.py``.

Closed at every level: unknown fields are refused, leaves are enums, numbers bounded and on a grid, or UUIDs.
No field can hold free text, an image of anything that moves, a track or a person. What is not exactly this is
refused by the sender and again by the receiver, never stripped.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

RoadUser = Literal["pedestrian", "bicycle", "motorcycle", "car", "bus", "truck"]
Rule = Literal[
    "red_light_entry",
    "right_on_red_without_stop",
    "amber_entry",
    "pedestrian_against_signal",
    "pedestrian_late_start",
    "crossing_outside_crosswalk",
    "wrong_way",
    "blocking_box",
    "failure_to_yield",
    "near_miss",
]
State = Literal["red", "red_amber", "amber", "green", "flashing_red", "flashing_amber", "dark", "unknown"]
SignalSourceKind = Literal["file", "plan", "controller", "spat", "mqtt", "lamp", "none"]
Outcome = Literal["occurred", "undecidable"]
MeasureName = Literal[
    "into_red_s",
    "into_amber_s",
    "into_clearance_s",
    "into_dont_walk_s",
    "speed_mps",
    "speed_at_onset_mps",
    "distance_at_onset_m",
    "min_speed_mps",
    "outside_m",
    "pet_s",
    "ttc_s",
    "drac_mps2",
    "conflict_speed_mps",
    "wrong_way_m",
    "inside_at_red_s",
    "gap_s",
]

SiteId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
NodeId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
PlaceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
Software = Annotated[str, Field(pattern=r"^nearmiss [0-9]+\.[0-9]+\.[0-9]+[a-z0-9.+-]{0,20}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[float, Field(ge=-10_000, le=10_000)]
Sigma = Annotated[float, Field(ge=0, le=10_000)]
Sequence = Annotated[int, Field(ge=1, le=2**53)]
Tally = Annotated[int, Field(ge=0, le=1_000_000_000)]


def _forward(run: tuple[int, int]) -> tuple[int, int]:
    if run[0] > run[1]:
        raise ValueError("a run goes from its first number to its last")
    return run


Run = Annotated[tuple[Sequence, Sequence], AfterValidator(_forward)]

_UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
# Steps per unit of what is measured, by the end of its name: a finer number is more than its error justifies,
# and digits nobody needs are room for what nobody asked for (PRIVACY §2).
STEPS_PER_UNIT: dict[str, float] = {
    "_s": 10.0,  # 0.1 s
    "_mps": 3.6,  # 1 km/h
    "_m": 2.0,  # 0.5 m
    "_mps2": 10.0,  # 0.1 m/s², what speeds of 1 km/h over a second or more can carry
}
# Bins are whole minutes (calibration.site: thresholds.time_bin_s).
BIN_STEP_S = 60


def steps_per_unit(measure: str) -> float:
    """Return the steps per unit in which a measure travels."""
    return STEPS_PER_UNIT[measure[measure.rindex("_") :]]


def on_grid(value: float, steps: float) -> float:
    """Return the nearest number of the grid; three decimals name a step of 1 km/h (0.278 m/s)."""
    return round(round(value * steps) / steps, 3) + 0.0  # no minus zero


def _random_id(came: object) -> object:
    """Let through what can be a UUIDv4 in its one written form."""
    if isinstance(came, str) and not re.fullmatch(_UUID4, came):
        raise ValueError("an id is a UUIDv4: it carries no time and links nothing")
    if isinstance(came, UUID) and not re.fullmatch(_UUID4, str(came)):
        raise ValueError("an id is a UUIDv4: it carries no time and links nothing")
    return came


def _whole(came: object) -> object:
    if type(came) is not int:
        raise ValueError("expected a whole number")  # else true would do for 1
    return came


def _in_tenths(number: float) -> float:
    if round(number, 1) != number:
        raise ValueError("expected a multiple of 0.1")
    return number


def _in_hundredths(number: float) -> float:
    if round(number, 2) != number:
        raise ValueError("expected a multiple of 0.01")
    return number


RandomId = Annotated[
    UUID,
    BeforeValidator(_random_id),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": _UUID4}),
]
Version = Annotated[Literal[1], BeforeValidator(_whole)]
Tenths = Annotated[float, AfterValidator(_in_tenths)]
Hundredths = Annotated[float, AfterValidator(_in_hundredths)]


def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, none of whose names stands twice: a hook for ``json.loads``.

    Raises:
        KeyError: one does; which.
    """
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return record


class Record(BaseModel):
    """A closed, frozen, strict record."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def encode(self) -> bytes:
        """Return the record as UTF-8 JSON on one line."""
        return self.model_dump_json(exclude_none=False).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the record a payload holds.

        Raises:
            pydantic.ValidationError: anything else than exactly this record.
        """
        record = cls.model_validate_json(payload)
        try:
            # Of a name given twice pydantic reads the last one, another reader the first.
            json.loads(payload, object_pairs_hook=each_name_once)
        except KeyError:
            twice = PydanticCustomError("name_twice", "a name stands twice in one object")
            mistake: Any = {"type": twice, "loc": (), "input": None}
            raise ValidationError.from_exception_data(cls.__name__, [mistake]) from None
        return record


def _milliseconds(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _has_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-11-20T08:15:02Z")
    return time.astimezone(UTC)


ExactTime = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str)]
BinTime = Annotated[datetime, PlainSerializer(_seconds, return_type=str)]


class Measure(Record):
    """A number with its 1-sigma error; an unknown error is None, never a guess."""

    value: Number
    sigma: Sigma | None


Measures = dict[MeasureName, Measure]


class LocalSignal(Record):
    """The signal state an event was judged against; ``since`` is None where the onset was not seen."""

    group: PlaceId
    state: State
    since: ExactTime | None
    source: SignalSourceKind


class WireSignal(Record):
    """The same without the onset's time, which would tell the event's."""

    group: PlaceId
    state: State
    source: SignalSourceKind


_ORDER = (
    *("v", "id", "seq", "n", "site", "node", "rule", "outcome", "time", "time_sigma_s", "place"),
    *("road_user", "road_user2", "signal", "measures", "clip", "caused_by", "detector", "software"),
)


class _Finding(Record):
    v: Version = 1
    site: SiteId
    node: NodeId
    rule: Rule
    outcome: Outcome
    place: PlaceId
    road_user: RoadUser
    road_user2: RoadUser | None = None
    measures: Measures
    clip: Hash | None
    detector: ModelName
    software: Software

    @model_validator(mode="after")
    def _second_user_only_in_near_miss(self) -> Self:
        if self.road_user2 is not None and self.rule != "near_miss":
            raise ValueError(f"road_user2 belongs to near_miss, not to {self.rule}")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        # Fields that only some events have are left out of the others, not written as null; the rest stand
        # in the order of the contract, so that a person can read a line.
        record: dict[str, object] = serialise(self)
        return {
            field: record[field]
            for field in _ORDER
            if field in record and not (record[field] is None and field in ("road_user2", "caused_by"))
        }


class LocalEvent(_Finding):
    """One line of ``events.jsonl``: exact times, kept on the disk of whoever made the recording."""

    n: Annotated[int, Field(ge=1)]
    time: ExactTime
    time_sigma_s: Sigma | None
    signal: LocalSignal | None
    caused_by: Annotated[int, Field(ge=1)] | None = None

    _zone = field_validator("time")(_has_zone)


class Event(_Finding):
    """An event on the wire: a random id, the time floored to the site's bin, rounded measures."""

    id: RandomId
    seq: Sequence
    time: BinTime
    time_sigma_s: Annotated[Sigma, AfterValidator(_in_tenths)] | None
    signal: WireSignal | None
    caused_by: RandomId | None = None

    _zone = field_validator("time")(_has_zone)

    @field_validator("time")
    @classmethod
    def _in_a_bin(cls, time: datetime) -> datetime:
        if time.timestamp() % BIN_STEP_S:
            raise ValueError("an event on the wire carries the start of its bin, a whole minute")
        return time

    @field_validator("measures")
    @classmethod
    def _rounded(cls, measures: Measures) -> Measures:
        for name, measure in measures.items():
            steps = steps_per_unit(name)
            for number in (measure.value, measure.sigma):
                if number is not None and number != on_grid(number, steps):
                    raise ValueError(
                        f"{name} is finer than it may travel: {steps:g} steps a unit, to three decimals"
                    )
        return measures


class Count(Record):
    """How many road users of a kind entered or crossed at a place."""

    place: PlaceId
    road_user: RoadUser
    count: Tally


class Counts(Record):
    """Exposure of one site over 15 minutes."""

    v: Version = 1
    site: SiteId
    node: NodeId
    seq: Sequence
    start: BinTime
    minutes: Annotated[Literal[15], BeforeValidator(_whole)] = 15
    counts: Annotated[tuple[Count, ...], Field(max_length=2000)]

    _zone = field_validator("start")(_has_zone)

    @field_validator("start")
    @classmethod
    def _of_a_quarter(cls, start: datetime) -> datetime:
        if start.timestamp() % 900:
            raise ValueError("counts start on a quarter of an hour, UTC")
        return start


class RuleRate(Record):
    """How often the detector looks near a rule's decisions; a rule under its floor is suspended."""

    rule: Rule
    rate_hz: Annotated[float, Field(ge=0, le=1000)] | None
    floor_hz: Annotated[float, Field(ge=0, le=1000)]
    suspended: bool


class SignalClock(Record):
    """By how much the second source of a signal group is behind the first, to whose clock it is corrected."""

    group: PlaceId
    offset_s: Annotated[Tenths, Field(ge=-100, le=100)]
    drift_ppm: Annotated[int, Field(ge=-100_000, le=100_000)]


class Status(Record):
    """A node's health, retained on the broker; nothing about the street."""

    v: Version = 1
    site: SiteId
    node: NodeId
    seq: Annotated[int, Field(ge=0, le=2**53)]
    state: Literal["starting", "running", "degraded", "stopped", "lost"]
    detector: ModelName | None = None
    provider: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,40}$")] | None = None
    frame_rate_hz: Annotated[Tenths, Field(ge=0, le=1000)] | None = None
    # The camera's stream, and how well the time of its frames is known (None: not known).
    source: Literal["connecting", "live", "lost", "frozen", "other_size"] | None = None
    frames_dropped: Tally | None = None
    frames_lost: Tally | None = None
    reconnects: Tally | None = None
    time_from: Literal["rtcp", "driver", "timestamps", "cadence"] | None = None
    time_sigma_s: Sigma | None = None
    # Who says how good the node's clock is, and how often one that was set was taken over.
    clock: Literal["stated", "synchronised", "unsynchronised", "set"] | None = None
    clock_steps: Tally | None = None
    # Of the node's processes for this camera, decoder included; 100 % is one core.
    memory_mb: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    cpu_percent: Annotated[float, Field(ge=0, le=100_000)] | None = None
    outbox_rows: Tally | None = None
    evicted_clips: Tally | None = None
    evicted_events: Tally | None = None
    evicted_counts: Tally | None = None
    # The disk is full: what waits in memory for room, and what that has cost.
    unstored: Tally | None = None
    lost_events: Tally | None = None
    # How often a damaged outbox was begun anew; the first number this outbox gave or will give.
    outbox_repaired: Tally | None = None
    first_seq: Sequence | None = None
    # Runs of numbers, first to last, of messages given up for room or quarantined: they will not arrive. The
    # last ones, in order.
    given_up: Annotated[tuple[Run, ...], Field(max_length=64)] = ()
    quarantined: Tally | None = None
    clip_mode: Literal["scene", "schematic", "none"] | None = None
    # Whether the camera still looks where its ground plane was fitted, and by how much it is off on the road.
    camera: Literal["unknown", "steady", "moved"] | None = None
    camera_shift_px: Annotated[Tenths, Field(ge=0, le=10_000)] | None = None
    camera_shift_m: Annotated[Hundredths, Field(ge=0, le=1000)] | None = None
    # Signal groups whose two sources disagree; whether the feed of signal states is heard, and how long after
    # a change its message comes (an offset of the sender's clock shows the same).
    signals_disagree: Annotated[tuple[PlaceId, ...], Field(max_length=64)] = ()
    signal_feed: Literal["connected", "lost"] | None = None
    signal_clocks: Annotated[tuple[SignalClock, ...], Field(max_length=64)] = ()
    signal_delay_s: Annotated[Tenths, Field(ge=-60, le=3600)] | None = None
    # The share of frames the detector looked at, and its looks a second near each rule's decisions.
    looked_share: Annotated[float, Field(ge=0, le=1)] | None = None
    rules: Annotated[tuple[RuleRate, ...], Field(max_length=32)] = ()
    software: Software


class Receipt(Record):
    """The collector's word that these ids are committed to the store."""

    v: Version = 1
    ids: Annotated[tuple[RandomId, ...], Field(max_length=1000)] = ()
    hashes: Annotated[tuple[Hash, ...], Field(max_length=1000)] = ()
    seqs: Annotated[tuple[Sequence, ...], Field(max_length=1000)] = ()


RULES: tuple[Rule, ...] = get_args(Rule)
ROAD_USERS: tuple[RoadUser, ...] = get_args(RoadUser)
STATES: tuple[State, ...] = get_args(State)
