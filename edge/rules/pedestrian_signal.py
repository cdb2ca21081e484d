"""Pedestrians against the signal: judged at the instant of stepping onto the carriageway.

==================  ==========================================
the signal shows    a real start then is
==================  ==========================================
green (walk)        compliant
amber (flashing)    ``pedestrian_late_start``
red (don't walk)    ``pedestrian_against_signal``
anything else       no verdict
==================  ==========================================

Who started in time and finishes late has done nothing wrong. Each stage of a crossing over a refuge island
is a start of its own.

Source: FHWA MUTCD (11th ed.), 4I.02: flashing DON'T WALK means "shall not start to cross", and who has begun
"shall proceed to the far side of the traveled way" or to a median.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from broker.wire import MeasureName, Rule
from edge.rules.crossings import Start
from edge.rules.finding import Finding, Measure
from edge.rules.verdict import onset, outcome, shown
from edge.scene import PEDESTRIAN, Signals, State

TABLE: tuple[tuple[State, Rule, MeasureName], ...] = (
    ("red", "pedestrian_against_signal", "into_dont_walk_s"),
    ("amber", "pedestrian_late_start", "into_clearance_s"),
)


def begun(start: Start, group: str, signals: Signals) -> tuple[float, frozenset[State]]:
    """Return when somebody started as far as the signal goes, and every state it may have shown then.

    Who stood within a metre of the kerb and went on with the walk has started with it; who waited at the kerb
    and went with the walk, give or take, was in time.
    """
    states = shown(signals, group, start.instant.time, start.instant.sigma_s).states
    if start.set_off is not None:
        later = shown(signals, group, start.set_off.time, start.set_off.sigma_s).states
        if "green" in later:
            return start.set_off.time, frozenset({"green"})
    if start.waited and "green" in states:
        return start.instant.time, frozenset({"green"})
    return start.instant.time, states


def pedestrian_signal(start: Start, signals: Signals) -> Iterator[Finding]:
    """Return the findings of one start; none on walk, without a signal, or where its state is unknown."""
    crosswalk, instant = start.crosswalk, start.instant
    if crosswalk is None or crosswalk.signal_group is None:
        return
    group = crosswalk.signal_group
    states = begun(start, group, signals)[1]
    for state, rule, into in TABLE:
        verdict = outcome(states, {state}, doubtful=start.doubtful)
        if verdict is None:
            continue
        measures = {"speed_mps": Measure(start.speed_mps, start.speed_sigma_mps)}
        began = onset(signals, group, instant.time, {state}, instant.sigma_s)
        if began is not None and began.since is not None:
            delta = instant.time - began.since
            measures[into] = Measure(delta, math.hypot(instant.sigma_s, began.sigma_s))
        yield Finding(
            rule=rule,
            outcome=verdict,
            time=instant.time,
            time_sigma_s=instant.sigma_s,
            place=crosswalk.id,
            road_user=PEDESTRIAN,
            signal=signals.at(group, instant.time),
            measures=measures,
            x=start.x,
            y=start.y,
            tracks=(start.path.number,),
        )
