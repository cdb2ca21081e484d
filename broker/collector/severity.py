"""How severe and how uncertain an event is, from its own numbers: what the queue is ordered by.

Severity is about the place and the moment, 0 (a matter for statistics) to 3 (look at it first). Sources: more
than 5 s into red is severe (UDOT); PET and TTC below 1.0 and 0.5 s, and conflict speed, after FHWA-HRT-08-051
(SSAM) and Hydén (1987); 30 and 50 km/h are where the risk of death to somebody on foot rises (Rosén 2011).
"""

from __future__ import annotations

from broker.wire import Event, MeasureName

SEVERE = 3
# By rule: where it begins, and the measures that raise it by one, at each of their steps.
_BASE = {
    "near_miss": 1,
    "failure_to_yield": 1,
    "wrong_way": 2,
    "red_light_entry": 1,
    "pedestrian_against_signal": 1,
    "crossing_outside_crosswalk": 1,
}
_MORE: dict[MeasureName, tuple[float, ...]] = {"into_red_s": (2.0, 5.0), "conflict_speed_mps": (8.3, 13.9)}
_LESS: dict[MeasureName, tuple[float, ...]] = {"pet_s": (1.0, 0.5), "ttc_s": (1.0, 0.5)}
# What a rule turns on, and where: within twice its error of it, an event is uncertain.
_EDGE: dict[MeasureName, float] = {
    "into_red_s": 0.0,
    "into_amber_s": 0.0,
    "into_clearance_s": 0.0,
    "into_dont_walk_s": 0.0,
    "outside_m": 1.0,
    "pet_s": 1.5,
    "ttc_s": 1.5,
}


def severity(event: Event) -> int:
    """Return 0 to 3."""
    raised = 0
    for name, measure in event.measures.items():
        raised += sum(measure.value > step for step in _MORE.get(name, ()))
        raised += sum(measure.value < step for step in _LESS.get(name, ()))
    return min(_BASE.get(event.rule, 0) + raised, SEVERE)


def uncertainty(event: Event) -> int:
    """Return 0 (clear) to 9 (the rule itself could not tell)."""
    if event.outcome == "undecidable":
        return 9
    margins = [
        float("inf") if measure.sigma == 0 else abs(measure.value - _EDGE[name]) / measure.sigma
        for name, measure in event.measures.items()
        if name in _EDGE and measure.sigma is not None
    ]
    if not margins:
        return 5
    least = min(margins)
    return 7 if least < 2 else 3 if least < 4 else 0


def ranks(event: Event) -> dict[str, int]:
    """Return the columns an event is ordered by; the smallest urgency comes first."""
    severe = severity(event)
    return {"severity": severe, "urgency": -(10 * severe + uncertainty(event))}
