"""What a signal showed around an instant, and what may be said of it within the error of both clocks."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass

from edge.rules.finding import Outcome
from edge.scene import SignalReading, Signals, State

# An onset nearer than this many sigma may have been on the other side of the instant.
DOUBT_SIGMAS = 2.0
# Changes farther than this from an instant are looked at only where their clock is that bad.
HORIZON_S = 5.0
JUST_BEFORE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Shown:
    """The reading at an instant, and every state it may have been, given the errors."""

    reading: SignalReading
    states: frozenset[State]


def shown(signals: Signals, group: str, time: float, sigma_s: float) -> Shown:
    """Return what a signal group showed at an instant known to ``sigma_s``."""
    reading = signals.at(group, time)
    states = {reading.state}
    nearby = list(signals.changes(group, time - HORIZON_S, time + HORIZON_S))
    if reading.since is not None and reading.since <= time - HORIZON_S:
        nearby.append(reading)
    for change in nearby:
        if change.since is None:
            continue
        doubt = DOUBT_SIGMAS * math.hypot(sigma_s, change.sigma_s)
        if abs(change.since - time) <= doubt:
            states |= {change.state, signals.at(group, change.since - JUST_BEFORE_S).state}
    return Shown(reading, frozenset(states))


def outcome(states: Set[State], against: Set[State], *, doubtful: bool = False) -> Outcome | None:
    """Return whether it occurred: None where no possible state is against the rule."""
    if not states & against:
        return None
    return "undecidable" if doubtful or states - against else "occurred"


def onset(
    signals: Signals, group: str, time: float, states: Set[State], sigma_s: float
) -> SignalReading | None:
    """Return the change that began the stretch of ``states`` at an instant, or within its error of it.

    Red-amber follows red: the onset of a red light is that of the whole stretch. None where it was not seen.
    """
    reading = signals.at(group, time)
    if reading.state not in states:
        near = [
            change
            for change in signals.changes(group, time - HORIZON_S, time + HORIZON_S)
            if change.state in states
            and change.since is not None
            and abs(change.since - time) <= DOUBT_SIGMAS * math.hypot(sigma_s, change.sigma_s)
        ]
        if not near:
            return None
        reading = min(near, key=lambda change: abs((change.since or 0.0) - time))
    while reading.since is not None:
        earlier = signals.at(group, reading.since - JUST_BEFORE_S)
        if earlier.state not in states or earlier.since is None:
            break
        reading = earlier
    return reading if reading.since is not None else None


def earlier_in_stretch(signals: Signals, reading: SignalReading, states: Set[State]) -> bool:
    """Return whether the state before a reading belongs to the same stretch, its own onset unseen."""
    if reading.since is None:
        return False
    return signals.at(reading.group, reading.since - JUST_BEFORE_S).state in states
