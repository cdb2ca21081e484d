"""A controller's high-resolution events, turned into what its signal groups showed.

Source: Sturdevant et al. (2012), Indiana Traffic Signal Hi Resolution Data Logger Enumerations, Purdue
University, doi:10.4231/K4RN35SH; codes 67 to 70 and 173 from its 2019 successor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calibration.site import Site
from edge.scene import SignalReading, State
from edge.signals.history import Shown, SignalHistory, unknown

# Logs are written in tenths of a second: the true instant lies anywhere within one.
RESOLUTION_S = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the log, ``time`` in seconds UTC."""

    time: float
    code: int
    parameter: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says of its output.

    Attributes:
        state: what the output shows from here on.
        after: codes that may come before it; after any other, events were lost on the way.
        onset: whether the state begins here; False where it began at an earlier code (11: red goes on).
    """

    state: State
    after: frozenset[int]
    onset: bool = True


def _after(*codes: int) -> frozenset[int]:
    return frozenset(codes)


# Output of the site file's ``controller_phases`` → code → meaning. Not every controller logs both 9 and 10,
# so a phase may begin green after each of the ways its red is written.
MEANINGS: dict[str, dict[int, Meaning]] = {
    "phase": {
        1: Meaning("green", _after(9, 10, 11)),
        8: Meaning("amber", _after(1)),
        9: Meaning("red", _after(8)),
        10: Meaning("red", _after(8, 9)),
        11: Meaning("red", _after(9, 10), onset=False),
    },
    "pedestrian_phase": {
        21: Meaning("green", _after(22, 23, 24)),
        22: Meaning("amber", _after(21)),
        23: Meaning("red", _after(22, 24)),
        24: Meaning("dark", _after(21, 22, 23)),
    },
    "overlap": {
        61: Meaning("green", _after(64, 65, 66)),
        62: Meaning("green", _after(61), onset=False),
        63: Meaning("amber", _after(61, 62, 66)),
        64: Meaning("red", _after(63)),
        65: Meaning("red", _after(63, 64, 66)),
        66: Meaning("dark", _after(61, 62, 63, 64, 65)),
    },
    "pedestrian_overlap": {
        67: Meaning("green", _after(68, 69, 70)),
        68: Meaning("amber", _after(67)),
        69: Meaning("red", _after(68, 70)),
        70: Meaning("dark", _after(67, 68, 69)),
    },
}
# Unit flash status (173): this value says that the signals do not flash.
NOT_FLASHING = 2


@dataclass(slots=True)
class _Output:
    """One phase or overlap, as far as its log was read."""

    group: str
    meanings: dict[int, Meaning]
    number: int
    shown: list[Shown]
    last_code: int | None = None
    last_time: float = -math.inf
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class ControllerReading:
    """What a log told: the history, and how often events were missing from it."""

    history: SignalHistory
    lost: int
    suspensions: int


def read_events(events: Iterable[Event], site: Site) -> ControllerReading:
    """Turn a log, sorted by time, into the history of the site's groups.

    Unknown: before an output's first event and after the last row of the log; between two events of an
    output that cannot follow each other (rows were lost); while a preemption, flash or power failure lasts.
    """
    sigma_s = math.hypot(RESOLUTION_S / math.sqrt(12.0), site.controller.clock_sigma_s)
    outputs = _outputs(site)
    by_code: dict[tuple[int, int], list[_Output]] = {}
    for output in outputs:
        for code in output.meanings:
            by_code.setdefault((code, output.number), []).append(output)
    suspended = _Suspensions()
    last_time = -math.inf
    for event in events:
        last_time = event.time
        suspended.note(event)
        for output in by_code.get((event.code, event.parameter), ()):
            _follow(output, event, sigma_s)
    shown: list[Shown] = []
    for output in outputs:
        shown += _without(suspended.stretches(), output)
        if math.isfinite(last_time):
            end = last_time + RESOLUTION_S
            shown.append(Shown(end, unknown(output.group, source="controller")))
    lost = sum(output.gaps for output in outputs)
    return ControllerReading(SignalHistory(shown), lost, len(suspended.stretches()))


def _outputs(site: Site) -> list[_Output]:
    outputs = []
    for row in site.controller_phases:
        for kind, meanings in MEANINGS.items():
            number = getattr(row, kind)
            if number is not None:
                outputs.append(_Output(row.signal_group, meanings, number, []))
    return outputs


def _follow(output: _Output, event: Event, sigma_s: float) -> None:
    """Add what an event says to its output."""
    if event.code == output.last_code and event.time == output.last_time:
        return  # the same row twice, as exports that overlap have it
    meaning = output.meanings[event.code]
    lost = output.last_code is not None and output.last_code not in meaning.after
    if lost:
        output.gaps += 1
        # Between the two events at least one more happened, at an instant nobody wrote down.
        before = output.shown[-1].time
        output.shown[-1] = Shown(before, unknown(output.group, source="controller"))
    output.last_code, output.last_time = event.code, event.time
    continues = not lost and bool(output.shown) and output.shown[-1].reading.state == meaning.state
    if continues:
        return
    seen = meaning.onset
    since = event.time if seen else None
    reading = SignalReading(output.group, meaning.state, since, sigma_s if seen else math.inf, "controller")
    output.shown.append(Shown(event.time, reading))


class _Suspensions:
    """When the controller did something else than its programme: preemption, flash, no power.

    A preemption that was only called (102) is over with its call (104); one entered (105) also needs its
    exit (111), and both where both were written.
    """

    def __init__(self) -> None:
        self._active: set[tuple[str, int]] = set()
        self._began: float | None = None
        self._over: list[tuple[float, float]] = []

    def note(self, event: Event) -> None:
        match event.code:
            case 102:
                self._active.add(("called", event.parameter))
            case 104:
                self._active.discard(("called", event.parameter))
            case 105:
                self._active.add(("entered", event.parameter))
            case 111:
                self._active.discard(("entered", event.parameter))
            case 173 if event.parameter != NOT_FLASHING:
                self._active.add(("flash", 0))
            case 173:
                self._active.discard(("flash", 0))
            case 182:
                self._active.add(("no power", 0))
            case 184:
                self._active.discard(("no power", 0))
            case _:
                return
        if self._active and self._began is None:
            self._began = event.time
        elif not self._active and self._began is not None:
            self._over.append((self._began, event.time))
            self._began = None

    def stretches(self) -> Sequence[tuple[float, float]]:
        """Return (from, to) of each; ``to`` is inf where the log does not tell the end."""
        return [*self._over, *([(self._began, math.inf)] if self._began is not None else [])]


def _without(stretches: Sequence[tuple[float, float]], output: _Output) -> list[Shown]:
    """Return what an output showed, unknown during the stretches, and after them without an onset."""
    shown = output.shown
    for start, end in stretches:
        before = [each for each in shown if each.time < start]
        pause = Shown(start, unknown(output.group, since=start, source="controller"))
        resumed = []
        until = [each for each in shown if each.time <= end]
        if until and math.isfinite(end):
            last = until[-1].reading.state
            resumed = [Shown(end, SignalReading(output.group, last, None, math.inf, "controller"))]
        shown = [*before, pause, *resumed, *(each for each in shown if each.time > end)]
    return shown
