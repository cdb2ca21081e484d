"""Signal phase and timing messages (SPaT, SAE J2735) as JSON, read into signal states.

Taken as the ITS JPO's operational data environment writes them, in its older and newer spelling, and as plain
J2735 in JSON encoding rules.

Source: SAE J2735 (2016 and 2020), DF_IntersectionState, DE_MovementPhaseState, DE_IntersectionStatusObject,
DE_MinuteOfTheYear, DE_DSecond.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calibration.site import Site
from edge.scene import State
from edge.signals.history import Shown, Sightings

# A real message is some 4 kB; one with 255 groups and all options stays below this.
LONGEST_MESSAGE = 1_000_000
MINUTE_UNKNOWN = 527_040
# Above a minute's 60,000 ms lies the leap second, then what J2735 reserves or calls unavailable.
SECOND_UNKNOWN_FROM_MS = 61_000
YEAR_2000 = 946_684_800.0
YEAR_2100 = 4_102_444_800.0

# MovementPhaseState → our states. For pedestrians the allowed states are walk and the clearances are flashing
# don't walk. Caution at conflicting traffic is flashing amber, stop then proceed flashing red: both are never
# a violation, nor is unavailable.
PHASE_STATES: dict[str, State] = {
    "unavailable": "unknown",
    "dark": "dark",
    "stop-then-proceed": "flashing_red",
    "stop-and-remain": "red",
    "pre-movement": "red_amber",
    "permissive-movement-allowed": "green",
    "protected-movement-allowed": "green",
    "permissive-clearance": "amber",
    "protected-clearance": "amber",
    "caution-conflicting-traffic": "flashing_amber",
}
_BY_NUMBER = tuple(PHASE_STATES.values())  # J2735 numbers them 0 to 9 in this order
# Bits of IntersectionStatusObject under which what the movements say is not what the lamps show → instead.
STATUS_STATES: dict[str, State] = {
    "off": "dark",
    "failureflash": "unknown",
    "failuremode": "unknown",
    "preemptisactive": "unknown",
    "novalidspatisavailableatthistime": "unknown",
}
_STATUS_BITS = {
    2: "failureflash",
    3: "preemptisactive",
    8: "failuremode",
    9: "off",
    13: "novalidspatisavailableatthistime",
}


class SpatError(ValueError):
    """A message that is not SPaT, or says too little; the text tells what came and what was expected."""


@dataclass(frozen=True, slots=True)
class SpatState:
    """What one intersection showed.

    Attributes:
        revision: 0 to 127, then 0 again.
        minute: of the year, UTC; None where not given.
        millisecond: of the minute.
        groups: SPaT signal group → state.
        received: the arrival the message itself notes, seconds UTC: tells the year, never the instant.
    """

    intersection: int
    revision: int
    minute: int | None
    millisecond: int
    groups: Mapping[int, State]
    received: float | None


def decode(text: str | bytes) -> list[SpatState]:
    """Return the intersections of one message.

    Raises:
        SpatError: anything else than one SPaT message in JSON.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpatError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise SpatError("expected a JSON object")
    received = _received(_at(message, "metadata", "odeReceivedAt"))
    inner = _first(_at(message, "payload", "data"), message.get("value"), message)
    listed = _first(
        _at(inner, "intersectionStateList", "intersectionStatelist"), _at(inner, "intersections"), None
    )
    if not isinstance(listed, list) or not listed:
        raise SpatError("no intersections, expected a SPaT message")
    minute = _at(inner, "timeStamp")
    return [_intersection(each, minute, received) for each in listed]


def instant(minute: int | None, millisecond: int, *, near: float) -> float:
    """Return seconds UTC of a minute of some year (None: of some hour), the one nearest to ``near``."""
    if minute is None:
        start = near - near % 60.0
        candidates = [start + shift for shift in (-60.0, 0.0, 60.0)]
    else:
        year = datetime.fromtimestamp(near, UTC).year
        candidates = [
            datetime(each, 1, 1, tzinfo=UTC).timestamp() + 60.0 * minute
            for each in (year - 1, year, year + 1)
        ]
    return min((start + millisecond / 1000.0 for start in candidates), key=lambda time: abs(time - near))


def newer(revision: int, than: int) -> bool:
    """Tell which of two revisions is the later, numbers 0 to 127 that begin again."""
    return 0 < (revision - than) % 128 < 64


class SpatReader:
    """Follows the messages of one intersection and gives the changes of the site's groups."""

    def __init__(
        self, site: Site, *, near: Callable[[], float | None], most_off_s: float | None = None
    ) -> None:
        """Take a site and what its messages' times are near to.

        Args:
            near: an instant within half a year of the next message, None where nobody knows.
            most_off_s: for messages as they come: ``near`` is the clock, and one further from it is refused,
                for a time far ahead would shut out every message after it.
        """
        spat = site.spat
        self.late = 0
        self._groups: dict[int, list[str]] = {}
        for row in site.spat_groups:
            self._groups.setdefault(row.spat_group, []).append(row.signal_group)
        self._intersection = spat.intersection
        self._near = near
        self._most_off_s = most_off_s
        self._last: tuple[float, int] | None = None
        self._sightings = Sightings(
            source="spat",
            sigma_s=spat.clock_sigma_s,
            stale_after_s=spat.stale_after_s,
            on_change=spat.sends == "on_change",
        )

    def read(self, text: str | bytes) -> tuple[list[Shown], dict[str, float]]:
        """Return what a message changes, and the groups it speaks of with the instant it speaks of.

        Raises:
            SpatError: not SPaT, or of no known time.
        """
        shown: list[Shown] = []
        heard: dict[str, float] = {}
        for state in decode(text):
            if self._intersection is None:
                self._intersection = state.intersection  # a site is one intersection: the first one heard
            if state.intersection != self._intersection:
                continue
            time = self._time(state)
            if self._last is not None:
                last_time, last_revision = self._last
                if time < last_time or (time == last_time and newer(last_revision, state.revision)):
                    self.late += 1
                    continue
            self._last = (time, state.revision)
            for number, groups in self._groups.items():
                if number in state.groups:
                    for group in groups:
                        heard[group] = time
                        shown += self._sightings.see(group, state.groups[number], time)
        return shown, heard

    def end(self) -> list[Shown]:
        """Return that nothing is known past the last message."""
        return self._sightings.end()

    def lost(self, time: float) -> list[Shown]:
        """Return that messages may have been missed from an instant on."""
        return self._sightings.lost(time)

    def _time(self, state: SpatState) -> float:
        live = self._most_off_s is not None
        known = self._last[0] if self._last is not None and not live else None
        near = _first(known, self._near(), state.received)
        if near is None or not YEAR_2000 <= near <= YEAR_2100:
            raise SpatError("its year is not known: give --start, or odeReceivedAt in the message")
        time = instant(state.minute, state.millisecond, near=near)
        if self._most_off_s is not None and abs(time - near) > self._most_off_s:
            raise SpatError(f"its time is {time - near:+.0f} s off the clock")
        return time


def _intersection(record: object, minute: object, received: float | None) -> SpatState:
    identity = _at(record, "id", "id")
    revision = _whole(_at(record, "revision"), "revision", 0, 127)
    own = _first(_at(record, "moy"), minute, None)
    of_year = None if own is None else _whole(own, "moy", 0, MINUTE_UNKNOWN)
    millisecond = _whole(_at(record, "timeStamp"), "timeStamp of the intersection", 0, 65_535)
    if millisecond >= SECOND_UNKNOWN_FROM_MS:
        raise SpatError(f"timeStamp of the intersection is {millisecond}: the second is not known")
    listed = _first(_at(record, "states", "movementList"), _at(record, "states"), None)
    if not isinstance(listed, list):
        raise SpatError("no states of movements")
    instead = _instead(_at(record, "status"))
    groups: dict[int, State] = {}
    for movement in listed:
        number = _whole(_at(movement, "signalGroup"), "signalGroup", 0, 255)
        timed = _first(_at(movement, "state_time_speed"), _at(movement, "state-time-speed"), None)
        events = _first(_at(timed, "movementEventList"), timed, None)
        if not isinstance(events, list) or not events:
            raise SpatError(f"signalGroup {number}: no state_time_speed")
        state = instead or _phase_state(_at(events[0], "eventState"), number)
        if groups.get(number, state) != state:
            raise SpatError(f"signalGroup {number} stands twice, as {groups[number]} and as {state}")
        groups[number] = state
    return SpatState(
        intersection=_whole(identity, "id of the intersection", 0, 65_535),
        revision=revision,
        minute=None if of_year == MINUTE_UNKNOWN else of_year,
        millisecond=millisecond,
        groups=groups,
        received=received,
    )


def _phase_state(value: object, number: int) -> State:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_BY_NUMBER):
        return _BY_NUMBER[value]
    name = value.lower().replace("_", "-") if isinstance(value, str) else ""
    if name not in PHASE_STATES:
        raise SpatError(f"signalGroup {number}: eventState {value!r:.40} is not a MovementPhaseState")
    return PHASE_STATES[name]


def _instead(status: object) -> State | None:
    """Return what to take the lamps for under an intersection's status; None where the movements tell."""
    names: Iterable[str] = ()
    if status is not None and not isinstance(status, (dict, list, str)):
        raise SpatError(f"status {status!r:.40} is not a bit string")
    if isinstance(status, dict):
        names = [name for name, value in status.items() if value is True]
    elif isinstance(status, list):
        names = [str(name) for name in status]
    elif isinstance(status, str) and status:  # a bit string in hexadecimal, the first bit leftmost
        try:
            bits = f"{int(status, 16):0{4 * len(status)}b}"
        except ValueError:
            raise SpatError(f"status {status!r:.40} is not a bit string") from None
        names = [name for bit, name in _STATUS_BITS.items() if bit < len(bits) and bits[bit] == "1"]
    found = {STATUS_STATES.get(name.lower()) for name in names} - {None}
    return "unknown" if "unknown" in found else (found.pop() if found else None)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpatError(f"{name} {value!r:.40} is not a whole number from {least} to {most}")
    return value


def _at(record: object, *path: str) -> object:
    """Return what lies at a path of names, None where there is nothing."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def _first(*values: Any) -> Any:
    """Return the first that is not None."""
    return next((value for value in values if value is not None), None)


def _received(text: object) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    received = moment.timestamp() if moment is not None and moment.tzinfo else math.nan
    return received if YEAR_2000 <= received <= YEAR_2100 else None
