"""What is claimed of the drawn street: what truly happens, and what happens under other lamps only.

A false claim is made where it would be true had the signal plan been shifted: the same road user, place and
instant, only the lamps differ. Beside these stand the demo's temptations: who waits, creeps, steps back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from edge.demo.junction import APPROACHES, CYCLE_S, Plan
from edge.demo.movement import Walk
from edge.demo.story import DURATION_S, Actor
from edge.demo.truth import TrueEvent, _entries, _pedestrian, true_events

# How far the signal plan has gone when each of the three recordings starts.
OFFSETS_S = (0.0, 9.0, 24.0)
SIGNAL_RULES = ("red_light_entry", "pedestrian_against_signal")
# Nearer to a change of the lamps than this the rule itself would not decide.
UNDECIDED_S = 0.2
# Who stands before a line at red, and from when on: never an entry.
WAITING = (("car waiting at red, first cycle", 13.0, "E"), ("car creeping at the line", 53.0, "E"))
# Two who come near each other at a time that leaves room: seconds of the recording.
APART = (
    ("right turn long after the pedestrian", "legal, long before the right turn", 53.0),
    ("truck turning right on green", "legal, long before the truck turns", 71.5),
    ("car the left-turner waits for", "left-turner over the line before red", 14.2),
)


@dataclass(frozen=True)
class Claim:
    """One thing said of the street; ``true`` is what an operator should find out."""

    recording: int
    rule: str
    time: float
    place: str
    actor: Actor
    second: Actor | None
    true: bool


def plan(recording: int) -> Plan:
    return Plan(offset_s=OFFSETS_S[recording], duration_s=DURATION_S)


def all_claims(actors: Sequence[Actor]) -> list[Claim]:
    """Return every claim there is material for, true and false."""
    moments = [moment for actor in actors for moment in _moments(actor)]
    claims = [claim for recording in range(len(OFFSETS_S)) for claim in _of(recording, actors, moments)]
    claims += _without_lamps(actors, moments)
    return [claim for claim in claims if 8.0 <= claim.time <= DURATION_S - 6.0]


def chosen(actors: Sequence[Actor], *, count: int, seed: int) -> list[Claim]:
    """Return as many true as false claims, rules and road users as mixed as they come, in random order."""
    rng = random.Random(seed)
    picked: list[Claim] = []
    for wanted in (True, False):
        pool = [claim for claim in all_claims(actors) if claim.true is wanted]
        rng.shuffle(pool)
        used: dict[str, int] = {}
        half: list[Claim] = []
        while pool and len(half) < count // 2:
            pool.sort(key=lambda claim: (used.get(claim.rule, 0), used.get(claim.actor.name, 0)))
            claim = pool.pop(0)
            used[claim.rule] = used.get(claim.rule, 0) + 1
            used[claim.actor.name] = used.get(claim.actor.name, 0) + 1
            half.append(claim)
        picked += half
    rng.shuffle(picked)
    return picked


def _moments(actor: Actor) -> list[TrueEvent]:
    """Return when an actor enters or starts, each found under a plan that makes an event of it."""
    found: dict[str, TrueEvent] = {}
    events = _pedestrian if isinstance(actor.movement, Walk) else _entries
    for offset_s in range(0, int(CYCLE_S), 5):
        for event in events(actor, Plan(float(offset_s), DURATION_S)):
            if event.rule in SIGNAL_RULES:
                found.setdefault(event.rule, event)
    return list(found.values())


def _of(recording: int, actors: Sequence[Actor], moments: Sequence[TrueEvent]) -> list[Claim]:
    """Return what may be said of entries and starts under the lamps of one recording."""
    here = plan(recording)
    claims = []
    for event in moments:
        assert event.group is not None
        if not _near_a_change(here, event.group, event.time):
            true = here.state(event.group, event.time) == "red"
            claims.append(Claim(recording, event.rule, event.time, event.place, event.actor, None, true))
    return claims + [
        Claim(recording, "red_light_entry", time, leg, _named(actors, name), None, False)
        for name, time, leg in WAITING
        if here.state(_group(leg), time) == "red" and not _near_a_change(here, _group(leg), time)
    ]


def _without_lamps(actors: Sequence[Actor], moments: Sequence[TrueEvent]) -> list[Claim]:
    """Return what has nothing to do with lamps: near misses, and crossings beside the crosswalk."""
    claims = [
        Claim(0, event.rule, event.time, event.place, event.actor, event.second, True)
        for event in true_events(actors, plan(0))
        if event.rule in ("near_miss", "crossing_outside_crosswalk")
    ]
    claims += [
        Claim(0, "near_miss", time, "junction", _named(actors, first), _named(actors, second), False)
        for first, second, time in APART
    ]
    inside = [event for event in moments if event.rule == "pedestrian_against_signal"]
    claims += [
        Claim(0, "crossing_outside_crosswalk", event.time, event.place, event.actor, None, False)
        for event in inside[:3]
    ]
    return claims


def _near_a_change(here: Plan, group: str, time: float) -> bool:
    return any(abs(at - time) < UNDECIDED_S for at, _ in here.changes(group))


def _group(leg: str) -> str:
    return next(approach.group for approach in APPROACHES if approach.leg == leg)


def _named(actors: Sequence[Actor], name: str) -> Actor:
    return next(actor for actor in actors if actor.name == name)
