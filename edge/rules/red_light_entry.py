"""Red-light entry: the front-most ground point crosses the stop line after red onset.

Already across at onset is no entry. Who comes to stand with the front less than a metre over the line on red
and goes on with the green has waited, not entered; who goes on in red has entered when the front crossed, or,
if it only lay on the line (10 cm), when it went on. Δ = entry − onset is stored always, and if the onset
lies within its error the outcome is undecidable.

Source: Bonneson, Brewer & Zimmerman, Review and Evaluation of Factors that Affect the Frequency of
Red-Light-Running, FHWA/TX-02/4027-1 (2001): 95 % of 541 violations fell within 2 s of the onset, so that
timing error decides everything. Severe beyond 5 s: Utah DOT, ATSPM red-light monitoring. Red with amber does
not lift the red: Vienna Convention on Road Signs and Signals (1968), Article 23.
"""

from __future__ import annotations

import math

from edge.rules.entries import Entry
from edge.rules.finding import Finding, Measure, Outcome
from edge.rules.verdict import onset, outcome, shown
from edge.scene import Signals, State

RED: frozenset[State] = frozenset({"red", "red_amber"})


def red_light_entry(entry: Entry, signals: Signals) -> Finding | None:
    """Return the finding of one entry, or None where the signal was not red."""
    verdict = red_verdict(entry, signals)
    return None if verdict is None else red_finding("red_light_entry", entry, signals, verdict)


def red_verdict(entry: Entry, signals: Signals) -> Outcome | None:
    """Return whether the light was red at an entry."""
    group = entry.frame.line.signal_group
    if group is None:
        return None
    states = shown(signals, group, entry.instant.time, entry.instant.sigma_s).states
    verdict = outcome(states, RED, doubtful=entry.doubtful)
    if verdict is None or entry.set_off is None:
        return verdict
    # It waited with its front over the line, which is no entry yet: it entered when it went on.
    later = shown(signals, group, entry.set_off.time, entry.set_off.sigma_s).states
    return None if later - RED else verdict


def red_finding(rule: str, entry: Entry, signals: Signals, verdict: Outcome) -> Finding:
    """Return a finding about an entry on red, with Δ and the speed."""
    group = entry.frame.line.signal_group or ""
    instant = entry.set_off if entry.set_off is not None and entry.on_line else entry.instant
    measures = {"speed_mps": Measure(entry.speed_mps, entry.speed_sigma_mps)}
    began = onset(signals, group, instant.time, RED, instant.sigma_s)
    if began is not None and began.since is not None:
        delta = instant.time - began.since
        measures["into_red_s"] = Measure(delta, math.hypot(instant.sigma_s, began.sigma_s))
    return Finding(
        rule=rule,
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


def is_severe(finding: Finding, severe_s: float) -> bool:
    """Return whether an entry lay so long into red that no late driver explains it."""
    into_red = finding.measures.get("into_red_s")
    return into_red is not None and into_red.value > severe_s
