"""What a signal head shows, voted from what its lamps seemed to show frame by frame.

Pure: labels and times in, states with their onset out. A single frame decides nothing, and while frames
disagree with the state in force the state is unknown, so that nobody is accused on a lamp's first flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edge.scene import SignalReading, State
from edge.signals.history import LiveHistory, Shown

Aspects = Literal["vehicle", "pedestrian"]
# What one frame seemed to show: which lamps are lit; none; none, yet in the dark it may be hidden (black);
# one between lit and unlit (dim); or nobody can tell (occluded, contradictory).
Label = Literal["red", "red_amber", "amber", "green", "none", "black", "dim", "unsure"]

# A change the programme makes anyway needs a quarter of a second of agreement.
QUICK_S = 0.25
QUICK_FRAMES = 3
# Any other needs longer than the lit half of a flash: MUTCD 4D.30 asks for 50 to 60 flashes a minute, lit for
# half to two thirds of each, so at most 0.8 s.
STEADY_S = 1.2
LONGEST_BLINK_S = 1.0
SHORTEST_BLINK_S = 0.25
# Of a flash that goes on, a lit stretch longer than this is perhaps its end.
PERHAPS_STEADY_S = 0.8
# Nobody is accused by a dark head, so there is time: LEDs that beat with the frames are unseen for seconds.
DARK_S = 7.0
HALF_BLINK_S = 0.5
# A truck before the head hides it for seconds. No programme leaves a state and is back in less than this:
# the shortest amber is 3 s (MUTCD 4F.17), and red follows it.
BRIDGE_S = 3.0
# Frames that seemed to show something else for this long are noise.
GLITCH_S = 0.2
# A lamp that is switched off is dark within a frame, a bulb within a tenth of a second. One that fades for
# longer has LEDs that beat with the frames: that it is not seen says nothing.
FADE_S = 0.15
# Unlit for so long between two lit frames is between two pulses of an LED: no flash is as short.
FLICKER_S = 0.201
# Flashes are looked for this far back.
WINDOW_S = 6.0
# Without a frame for this long nothing is known.
SILENCE_S = 1.0

_EXPECTED: dict[Aspects, frozenset[tuple[State, Label]]] = {
    "vehicle": frozenset(
        {
            ("green", "amber"),
            ("amber", "red"),
            ("red", "green"),
            ("red", "red_amber"),
            ("red_amber", "green"),
        }
    ),
    # Not green → red: what seems the steady hand may be the first flash of the clearance.
    "pedestrian": frozenset({("red", "green")}),
}
_FLASHING: dict[Aspects, dict[Label, State]] = {
    "vehicle": {"red": "flashing_red", "amber": "flashing_amber", "green": "green"},
    "pedestrian": {"red": "amber", "green": "amber"},
}


@dataclass(slots=True)
class _Run:
    """Frames in a row with one label; ``before`` is the time of the frame ahead of the first.

    ``black``: some of its frames showed no lamp in surroundings too dark to tell whether it is hidden.
    """

    label: Label
    before: float
    start: float
    last: float
    frames: int = 1
    black: bool = False

    @property
    def length_s(self) -> float:
        return self.last - self.start


class Vote:
    """Follows one signal group and writes its history."""

    def __init__(self, group: str, history: LiveHistory, *, aspects: Aspects) -> None:
        self._group = group
        self._history = history
        self._aspects = aspects
        self._state: State = "unknown"
        self._blinking: Label | None = None  # the lamp that flashes, where `_state` is a flash
        self._agreed = -math.inf  # the last frame that fitted `_state`
        self._doubted = False  # whether the history says unknown from there on
        self._runs: list[_Run] = []

    def note(self, label: Label, time: float) -> None:
        """Take what one frame seemed to show; frames come in order of time."""
        last = self._runs[-1].last if self._runs else -math.inf
        if time <= last:
            return
        if time - last > SILENCE_S:
            self._doubt()
            self._state, self._blinking, self._runs = "unknown", None, []
        self._extend(label, last, time)
        self._runs = [run for run in self._runs if time - run.last <= WINDOW_S]
        flash = self._flash()
        if flash is not None and self._blinking != flash.label:
            self._confirm(_FLASHING[self._aspects][flash.label], flash, blinking=flash.label)
        elif self._fits():
            self._agree(time)
        elif not self._settled():
            if self._blinking is not None and self._runs[-1].label == self._blinking:
                # Too long lit for a flash: from when it came on last nobody knows.
                self._agreed = min(self._agreed, self._runs[-1].before)
            self._doubt()
        self._history.heard(self._group, time)

    def _extend(self, label: Label, last: float, time: float) -> None:
        black = label == "black"
        label = "none" if black else label
        runs = self._runs
        if label == "none" and runs and runs[-1].label == "dim" and runs[-1].last - runs[-1].before >= FADE_S:
            label = "dim"  # it faded away
        blink = (
            len(runs) > 1 and label in _LIT and runs[-2].label == label and runs[-1].label in ("none", "dim")
        )
        if blink and time - runs[-2].last <= FLICKER_S:
            runs.pop()  # LEDs on mains, seen between two of their pulses
        if runs and runs[-1].label == label:
            runs[-1].last = time
            runs[-1].frames += 1
            runs[-1].black |= black
        else:
            runs.append(_Run(label, last, time, time, black=black))

    def _fits(self) -> bool:
        """Whether the last frame fits the state in force, and nothing that mattered came in between."""
        run = self._runs[-1]
        if self._blinking is not None:
            longest_s = PERHAPS_STEADY_S if run.label == self._blinking else LONGEST_BLINK_S
            return run.label in (self._blinking, "none") and run.length_s <= longest_s
        if self._state == "unknown" or run.label != _LABELS.get(self._state):
            return False
        between = [other for other in self._runs[:-1] if other.start > self._agreed]
        other_s = sum(other.last - other.before for other in between if other.label in _LIT)
        dark_s = sum(other.last - other.before for other in between if other.label == "none")
        if max(run.before, self._agreed) - self._agreed > BRIDGE_S or other_s > GLITCH_S:
            return False
        # Off and on again may be the first of a flash: wait until it could have gone off once more.
        return dark_s < SHORTEST_BLINK_S or run.length_s >= STEADY_S

    def _flash(self) -> _Run | None:
        """Return the first of the runs in which one lamp goes on and off, None where none does."""
        alternating = [self._runs[-1]]
        for run in reversed(self._runs[:-1]):
            later = alternating[-1]
            one_lamp = {run.label, later.label} in ({lamp, "none"} for lamp in _LIT)
            same_lamp = len(alternating) < 2 or run.label == alternating[-2].label
            whole = len(alternating) < 2 or _blinks(later)
            if not (one_lamp and same_lamp and whole):
                break
            alternating.append(run)
        if not _blinks(alternating[-1]):
            alternating.pop()  # what it showed steadily before, or a frame of noise
        lit = [run for run in alternating if run.label != "none"]
        if len(alternating) < 3 or self._runs[-1].length_s > LONGEST_BLINK_S:
            return None
        if lit[0].label not in _FLASHING[self._aspects]:
            return None
        first = alternating[-1]
        return _Run(lit[0].label, first.before, first.start, first.last)

    def _settled(self) -> bool:
        """Put the last run's state in force if it lasted long enough; returns whether it did."""
        run = self._runs[-1]
        if run.label == "none":
            if run.length_s < DARK_S or run.black:
                return False
            self._confirm("dark", run, blinking=None)
        elif run.label == "unsure" or run.label == "dim" or run.label == "black":
            return False
        else:
            quick = self._blinking is None and (self._state, run.label) in _EXPECTED[self._aspects]
            enough = run.frames >= QUICK_FRAMES and run.length_s >= (QUICK_S if quick else STEADY_S)
            if not enough:
                return False
            self._confirm(run.label, run, blinking=None)
        return True

    def _agree(self, time: float) -> None:
        if self._doubted:
            self._history.retract(self._group, _just_after(self._agreed))
        self._agreed, self._doubted = time, False

    def _doubt(self) -> None:
        """Say that nothing is known from the first frame on that did not fit."""
        if not self._doubted and math.isfinite(self._agreed):
            self._history.retract(self._group, _just_after(self._agreed))
            self._history.append(Shown(_just_after(self._agreed), self._reading("unknown", None, math.inf)))
        self._doubted = True
        if self._runs and self._runs[-1].last - self._agreed > BRIDGE_S + STEADY_S:
            self._state, self._blinking = "unknown", None

    def _confirm(self, state: State, run: _Run, *, blinking: Label | None) -> None:
        """Put a state in force from a run on; its onset is told where the state before was known."""
        gap_s = run.start - self._agreed
        if self._state == "unknown" or gap_s > BRIDGE_S:
            self._doubt()
            shown = Shown(run.start, self._reading(state, None, math.inf))
        elif self._blinking is not None:
            # The last flash runs into the steady light: the flashing ended up to a dark half before the lamp
            # came on, or a lit half after it.
            sigma_s = 2 * HALF_BLINK_S / math.sqrt(12.0)
            shown = Shown(run.start, self._reading(state, run.start, sigma_s))
        else:
            # Anywhere between the last frame of the old state and the first of the new one.
            since = (self._agreed + run.start) / 2
            shown = Shown(since, self._reading(state, since, gap_s / math.sqrt(12.0)))
        self._history.retract(self._group, min(_just_after(self._agreed), shown.time))
        if shown.reading.since is None and math.isfinite(self._agreed):
            self._history.append(Shown(_just_after(self._agreed), self._reading("unknown", None, math.inf)))
        self._history.append(shown)
        self._state, self._blinking = state, blinking
        self._agreed, self._doubted = self._runs[-1].last, False

    def _reading(self, state: State, since: float | None, sigma_s: float) -> SignalReading:
        return SignalReading(self._group, state, since, sigma_s, "lamp")


_LIT: frozenset[Label] = frozenset({"red", "red_amber", "amber", "green"})
_LABELS: dict[State, Label] = {
    "red": "red",
    "red_amber": "red_amber",
    "amber": "amber",
    "green": "green",
    "dark": "none",
}


def _blinks(run: _Run) -> bool:
    return run.frames > 1 and SHORTEST_BLINK_S <= run.last - run.before <= LONGEST_BLINK_S + SHORTEST_BLINK_S


def _just_after(time: float) -> float:
    return math.nextafter(time, math.inf)
