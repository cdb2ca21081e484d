"""Amber entry: the front-most ground point crosses the stop line in amber.

No violation where drivers may enter on amber: a record for the dilemma zone, with the distance to the line
and the speed at amber onset.

Source: Gazis, Herman & Maradudin, The problem of the amber signal light in traffic flow, Operations Research
8 (1960); dilemma zone by distance and speed at onset: FHWA Signal Timing Manual (2nd ed.), 5.3.
"""

from __future__ import annotations

import math

import numpy as np

from edge.rules.entries import Entry, front
from edge.rules.finding import Finding, Measure
from edge.rules.path import POSITION_SIGMA, SPEED, SPEED_SIGMA, TIME, TIME_SIGMA, settled
from edge.rules.verdict import onset, outcome, shown
from edge.scene import Signals, State

AMBER: frozenset[State] = frozenset({"amber"})


def amber_entry(entry: Entry, signals: Signals) -> Finding | None:
    """Return the finding of one entry, or None where the signal was not amber."""
    group = entry.frame.line.signal_group
    if group is None:
        return None
    instant = entry.instant
    states = shown(signals, group, instant.time, instant.sigma_s).states
    verdict = outcome(states, AMBER, doubtful=entry.doubtful)
    if verdict is None or (verdict == "undecidable" and entry.set_off is not None):
        # Came to stand on the line at about the onset: it entered when it went on, if at all.
        return None
    measures = {"speed_mps": Measure(entry.speed_mps, entry.speed_sigma_mps)}
    began = onset(signals, group, instant.time, AMBER, instant.sigma_s)
    if began is not None and began.since is not None:
        delta = instant.time - began.since
        measures["into_amber_s"] = Measure(delta, math.hypot(instant.sigma_s, began.sigma_s))
        measures |= _at_onset(entry, began.since, began.sigma_s)
    return Finding(
        rule="amber_entry",
        outcome=verdict,
        time=instant.time,
        time_sigma_s=instant.sigma_s,
        place=entry.frame.line.id,
        road_user=entry.kind,
        signal=signals.at(group, instant.time),
        measures=measures,
        x=entry.x,
        y=entry.y,
        tracks=(entry.path.number,),
    )


def _at_onset(entry: Entry, time: float, time_sigma_s: float) -> dict[str, Measure]:
    """Return distance to the line and speed at an onset; nothing where the track was not seen then.

    Nor of one that lies behind the entry, within its error: it was over the line already, and how far is not
    known yet in a street that is judged as it happens.
    """
    if time > entry.instant.time:
        return {}
    rows = entry.path.rows[: entry.path.done]
    first, last = entry.path.span(time - 1.5, time + 1.5)
    rows = rows[first:last]
    if not len(rows) or not rows[0, TIME] <= time <= rows[-1, TIME]:
        return {}
    before_m = -entry.frame.beyond_m(*front(settled(rows)))

    def at(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float(np.interp(time, rows[:, TIME], values))

    speed = at(rows[:, SPEED])
    # The clocks of frames and signals are both behind where it was at the onset.
    clock_s = float(rows[int(np.abs(rows[:, TIME] - time).argmin()), TIME_SIGMA])
    error = math.hypot(at(rows[:, POSITION_SIGMA]), speed * time_sigma_s, speed * clock_s)
    return {
        "distance_at_onset_m": Measure(at(before_m), error),
        "speed_at_onset_mps": Measure(speed, at(rows[:, SPEED_SIGMA])),
    }
