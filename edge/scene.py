"""What is on the road at one instant, in metres, and what the signals show: all that a rule may know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["pedestrian", "bicycle", "motorcycle", "car", "bus", "truck"]
State = Literal["red", "red_amber", "amber", "green", "flashing_red", "flashing_amber", "dark", "unknown"]
SourceKind = Literal["file", "plan", "controller", "spat", "mqtt", "lamp", "none"]

PEDESTRIAN: Kind = "pedestrian"
VEHICLES: frozenset[Kind] = frozenset({"bicycle", "motorcycle", "car", "bus", "truck"})
MOTOR_VEHICLES: frozenset[Kind] = frozenset({"motorcycle", "car", "bus", "truck"})
VULNERABLE: frozenset[Kind] = frozenset({"pedestrian", "bicycle", "motorcycle"})


@dataclass(frozen=True, slots=True)
class RoadUser:
    """A confirmed road user's footprint on the ground.

    Attributes:
        track: the tracker's number for it; never leaves the process.
        x, y: centre of the footprint, metres.
        heading_deg: counter-clockwise from east; NaN where it never moved.
        length_m, width_m: of the footprint.
        sigma_m: 1-sigma error of the position; NaN where unknown.
        detection: index of its box in the frame's sketch; None where it is predicted or has no image.
        px: ground contact point in the image, pixels; None without an image.
    """

    track: int
    kind: Kind
    x: float
    y: float
    heading_deg: float
    length_m: float
    width_m: float
    sigma_m: float
    detection: int | None = None
    px: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class SignalReading:
    """What one signal group shows at one instant.

    Attributes:
        state: see DESIGN §4.4; for pedestrians green is walk, amber flashing don't walk, red don't walk.
        since: seconds UTC of the change into ``state``; None where the change was not seen.
        sigma_s: 1-sigma error of ``since`` against the frame clock; ``inf`` where unknown.
        source: where it was learnt.
    """

    group: str
    state: State
    since: float | None
    sigma_s: float
    source: SourceKind


class Signals(Protocol):
    """The history of all signal groups as far as it is known."""

    def at(self, group: str, time: float) -> SignalReading:
        """Return what a group showed at an instant; state unknown where nothing is known."""
        ...

    def changes(self, group: str, start: float, end: float) -> Sequence[SignalReading]:
        """Return the changes with ``start < since <= end``, in order of time."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """One instant of the street.

    Attributes:
        time: seconds UTC at capture.
        time_sigma_s: 1-sigma error of ``time`` against the signal clock.
        users: confirmed road users only, each track once.
        signals: readings up to ``time``; a rule may ask about any earlier instant.
        trusted: False while positions cannot be trusted (camera moved, no ground plane, frame rate
            under the floor): rules give ``undecidable`` or nothing.
    """

    time: float
    time_sigma_s: float
    users: tuple[RoadUser, ...]
    signals: Signals
    trusted: bool = True
