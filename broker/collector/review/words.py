"""The words of the review page: every enum of the contract in plain English, numbers with their units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from broker.collector.publication.periods import label
from broker.collector.review.language import DEFAULT, Language, language
from broker.collector.wording import N_
from broker.published import Period

ENGLISH = language(DEFAULT)

RULES = {
    "red_light_entry": N_("Red-light entry"),
    "right_on_red_without_stop": N_("Right on red without a stop"),
    "amber_entry": N_("Entry on amber"),
    "pedestrian_against_signal": N_("Pedestrian against the signal"),
    "pedestrian_late_start": N_("Pedestrian started late"),
    "crossing_outside_crosswalk": N_("Crossing outside the crosswalk"),
    "wrong_way": N_("Wrong way"),
    "blocking_box": N_("Blocking the box"),
    "failure_to_yield": N_("Failure to yield"),
    "near_miss": N_("Near miss"),
}
SEVERITIES = (N_("slight"), N_("moderate"), N_("serious"), N_("severe"))
VERDICTS = {
    "undecided": N_("Undecided"),
    "confirm": N_("Confirmed"),
    "reject": N_("Rejected"),
    "unclear": N_("Unclear"),
}
ROLES = {
    "viewer": N_("sees statistics and the nodes' health"),
    "reviewer": N_("also looks at events and decides"),
    "admin": N_("also sees refused messages and approves"),
}
MEASURES = {
    "into_red_s": N_("Into red"),
    "into_amber_s": N_("Into amber"),
    "into_clearance_s": N_("Into clearance"),
    "into_dont_walk_s": N_("Into don't walk"),
    "speed_mps": N_("Speed"),
    "speed_at_onset_mps": N_("Speed at onset"),
    "distance_at_onset_m": N_("Distance at onset"),
    "min_speed_mps": N_("Lowest speed"),
    "outside_m": N_("Outside the crosswalk"),
    "pet_s": N_("Post-encroachment time"),
    "ttc_s": N_("Time to collision"),
    "drac_mps2": N_("Deceleration needed"),
    "conflict_speed_mps": N_("Conflict speed"),
    "wrong_way_m": N_("Distance the wrong way"),
    "inside_at_red_s": N_("Inside at red"),
    "gap_s": N_("Gap"),
}
STATES = {
    "red": N_("red"),
    "red_amber": N_("red and amber"),
    "amber": N_("amber"),
    "green": N_("green"),
    "flashing_red": N_("flashing red"),
    "flashing_amber": N_("flashing amber"),
    "dark": N_("dark"),
    "unknown": N_("unknown"),
}
KINDS = {
    "pedestrian": N_("pedestrian"),
    "bicycle": N_("bicycle"),
    "motorcycle": N_("motorcycle"),
    "car": N_("car"),
    "bus": N_("bus"),
    "truck": N_("truck"),
}
SOURCES = {
    "controller": N_("controller"),
    "file": N_("file"),
    "lamp": N_("lamps in the picture"),
    "mqtt": N_("feed"),
    "none": N_("nowhere"),
    "plan": N_("fixed-time plan"),
    "spat": N_("SPaT"),
}
NODE_STATES = {
    "starting": N_("starting"),
    "running": N_("running"),
    "degraded": N_("degraded"),
    "stopped": N_("stopped"),
    "lost": N_("lost"),
}
# By the end of a measure's name: what it is shown in, and by what it is multiplied for that.
_UNITS = {
    "_s": (N_("{n} s"), 1.0),
    "_m": (N_("{n} m"), 1.0),
    "_mps": (N_("{n} km/h"), 3.6),
    "_mps2": (N_("{n} m/s²"), 1.0),
}


def measure(name: str, value: float, sigma: float | None, say: Language = ENGLISH) -> str:
    """Return a number with its error and unit, such as ``1.2 ± 0.1 s``."""
    if sigma is None:
        return say("{number}, error unknown", number=amount(name, value, say))
    unit, factor = _UNITS[name[name.rindex("_") :]]
    digits = 0 if factor != 1.0 else 1
    return say(unit, n=f"{say.number(value * factor, digits)} ± {say.number(sigma * factor, digits)}")


def amount(name: str, value: float, say: Language = ENGLISH) -> str:
    """Return a measure's value alone, such as ``40 km/h``."""
    unit, factor = _UNITS[name[name.rindex("_") :]]
    return say(unit, n=say.number(value * factor, 0 if factor != 1.0 else 1))


def measures(found: Mapping[str, tuple[float, float | None]], say: Language) -> list[tuple[str, str]]:
    """Return label and text of each measure, in the order of the contract."""
    return [
        (say(label), measure(name, *found[name], say)) for name, label in MEASURES.items() if name in found
    ]


def road_users(first: str, second: str | None, say: Language) -> str:
    """Return who took part, such as ``car, pedestrian``."""
    return ", ".join(say(KINDS[kind]) for kind in (first, second) if kind is not None)


def period(of: Period, say: Language) -> str:
    """Return a period's name, such as ``2026-Q3`` or ``2026-09-07 to 2026-10-04``."""
    if of.kind != "four_weeks":
        return label(of)
    return say("{first} to {last}", first=of.start.isoformat(), last=(of.end - timedelta(days=1)).isoformat())
