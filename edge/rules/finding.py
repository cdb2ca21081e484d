"""What a rule found: at a place, at an instant, with numbers and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge.scene import Kind, SignalReading

Outcome = Literal["occurred", "undecidable"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its 1-sigma error; NaN where the error is unknown."""

    value: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement of one rule.

    Attributes:
        rule: one of ``broker.wire.RULES``.
        time: seconds UTC of the instant the rule is about, interpolated between frames.
        time_sigma_s: its 1-sigma error.
        place: id of a stop line, crosswalk, roadway, or "junction".
        signal: what the rule was judged against; None for rules without a signal.
        measures: keys are ``broker.wire.MeasureName``.
        x, y: where, metres.
        tracks: the tracks concerned, first (and second) road user; never leave the process.
        caused_by: the finding this one follows from, such as the red-light entry behind a near miss.
    """

    rule: str
    outcome: Outcome
    time: float
    time_sigma_s: float
    place: str
    road_user: Kind
    signal: SignalReading | None
    measures: Mapping[str, Measure]
    x: float
    y: float
    tracks: tuple[int, ...]
    road_user2: Kind | None = None
    caused_by: Finding | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Exposure:
    """How many road users of a kind entered or crossed a place in one quarter of an hour."""

    start: float
    place: str
    road_user: Kind
    count: int
