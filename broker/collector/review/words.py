"""The words of the review page: every enum of the contract in plain English, numbers with their units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

RULES = {
    "red_light_entry": "Red-light entry",
    "right_on_red_without_stop": "Right on red without a stop",
    "amber_entry": "Entry on amber",
    "pedestrian_against_signal": "Pedestrian against the signal",
    "pedestrian_late_start": "Pedestrian started late",
    "crossing_outside_crosswalk": "Crossing outside the crosswalk",
    "wrong_way": "Wrong way",
    "blocking_box": "Blocking the box",
    "failure_to_yield": "Failure to yield",
    "near_miss": "Near miss",
}
SEVERITIES = ("slight", "moderate", "serious", "severe")
VERDICTS = {
    "undecided": "Undecided",
    "confirm": "Confirmed",
    "reject": "Rejected",
    "unclear": "Unclear",
}
ROLES = {
    "viewer": "sees statistics and the nodes' health",
    "reviewer": "also looks at events and decides",
    "admin": "also sees refused messages and approves",
}
MEASURES = {
    "into_red_s": "Into red",
    "into_amber_s": "Into amber",
    "into_clearance_s": "Into clearance",
    "into_dont_walk_s": "Into don't walk",
    "speed_mps": "Speed",
    "speed_at_onset_mps": "Speed at onset",
    "distance_at_onset_m": "Distance at onset",
    "min_speed_mps": "Lowest speed",
    "outside_m": "Outside the crosswalk",
    "pet_s": "Post-encroachment time",
    "ttc_s": "Time to collision",
    "drac_mps2": "Deceleration needed",
    "conflict_speed_mps": "Conflict speed",
    "wrong_way_m": "Distance the wrong way",
    "inside_at_red_s": "Inside at red",
    "gap_s": "Gap",
}
STATES = {
    "red": "red",
    "red_amber": "red and amber",
    "amber": "amber",
    "green": "green",
    "flashing_red": "flashing red",
    "flashing_amber": "flashing amber",
    "dark": "dark",
    "unknown": "unknown",
}
# By the end of a measure's name: what it is shown in, and by what it is multiplied for that.
_UNITS = {"_s": ("s", 1.0), "_m": ("m", 1.0), "_mps": ("km/h", 3.6), "_mps2": ("m/s²", 1.0)}


def measure(name: str, value: float, sigma: float | None) -> str:
    """Return a number with its error and unit, such as ``1.2 ± 0.1 s``."""
    unit, factor = _UNITS[name[name.rindex("_") :]]
    digits = 0 if unit == "km/h" else 1
    error = "error unknown" if sigma is None else f"± {sigma * factor:.{digits}f} {unit}"
    shown = f"{value * factor:.{digits}f}"
    return f"{shown} {error}" if sigma is not None else f"{shown} {unit}, {error}"


def measures(found: Mapping[str, tuple[float, float | None]]) -> list[tuple[str, str]]:
    """Return label and text of each measure, in the order of the contract."""
    return [(label, measure(name, *found[name])) for name, label in MEASURES.items() if name in found]


def road_users(first: str, second: str | None) -> str:
    """Return who took part, such as ``car, pedestrian``."""
    return first if second is None else f"{first}, {second}"


def day(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def clock(time_s: int) -> str:
    """Return the bin an event lies in, by its start: nothing finer ever left the node."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M")
