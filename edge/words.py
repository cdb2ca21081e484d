"""What a traffic engineer reads: the titles of rules, kinds and measures, with units."""

from __future__ import annotations

from broker.wire import MeasureName, RoadUser, Rule

RULE_TITLES: dict[Rule, str] = {
    "red_light_entry": "Red-light entry",
    "right_on_red_without_stop": "Right on red without a stop",
    "amber_entry": "Entry on amber",
    "pedestrian_against_signal": "Crossing against the signal",
    "pedestrian_late_start": "Late start (flashing don't walk)",
    "crossing_outside_crosswalk": "Crossing outside the crosswalk",
    "wrong_way": "Wrong way",
    "blocking_box": "Blocking the box",
    "failure_to_yield": "Failure to yield at a crosswalk",
    "near_miss": "Near miss",
}

RULE_MEANINGS: dict[Rule, str] = {
    "red_light_entry": "The front of a vehicle crossed the stop line after red onset (FHWA-HRT-04-091; "
    "already across at onset is no entry).",
    "right_on_red_without_stop": "A right turn on red without a complete stop, where a stop is required.",
    "amber_entry": "The front of a vehicle crossed the stop line during amber.",
    "pedestrian_against_signal": "A pedestrian stepped onto the carriageway on a steady don't walk.",
    "pedestrian_late_start": "A pedestrian stepped onto the carriageway on flashing don't walk (MUTCD).",
    "crossing_outside_crosswalk": "A kerb-to-kerb crossing left the crosswalk by more than its margin.",
    "wrong_way": "A vehicle travelled against the direction of its approach.",
    "blocking_box": "A vehicle entered the junction without room to leave it and stood there at red.",
    "failure_to_yield": "A vehicle passed in front of a pedestrian on a crosswalk.",
    "near_miss": "Two road users missed each other by a short time (PET: Allen et al. 1978; TTC: SSAM, "
    "FHWA-HRT-08-051).",
}

KIND_TITLES: dict[RoadUser, tuple[str, str]] = {
    "pedestrian": ("pedestrian", "pedestrians"),
    "bicycle": ("bicycle", "bicycles"),
    "motorcycle": ("motorcycle", "motorcycles"),
    "car": ("car", "cars"),
    "bus": ("bus", "buses"),
    "truck": ("truck", "trucks"),
}

MEASURES: dict[MeasureName, tuple[str, str]] = {
    "into_red_s": ("into red", "s"),
    "into_amber_s": ("into amber", "s"),
    "into_clearance_s": ("into flashing don't walk", "s"),
    "into_dont_walk_s": ("into don't walk", "s"),
    "speed_mps": ("speed", "m/s"),
    "speed_at_onset_mps": ("speed at onset", "m/s"),
    "distance_at_onset_m": ("distance to the line at onset", "m"),
    "min_speed_mps": ("lowest speed", "m/s"),
    "outside_m": ("outside the crosswalk by", "m"),
    "pet_s": ("post-encroachment time (PET)", "s"),
    "ttc_s": ("time to collision (TTC), least", "s"),
    "drac_mps2": ("deceleration to avoid a crash (DRAC)", "m/s²"),
    "conflict_speed_mps": ("conflict speed", "m/s"),
    "wrong_way_m": ("against the direction for", "m"),
    "inside_at_red_s": ("inside at red for", "s"),
    "gap_s": ("gap", "s"),
}

STATE_TITLES: dict[str, str] = {
    "red": "red",
    "red_amber": "red and amber",
    "amber": "amber",
    "green": "green",
    "flashing_red": "flashing red",
    "flashing_amber": "flashing amber",
    "dark": "dark",
    "unknown": "unknown",
}


def number(value: float, sigma: float | None, unit: str) -> str:
    """Return a number to the digits its error justifies: ``1.25 ± 0.05 s``, ``11.2 m (error unknown)``."""
    if sigma is None:
        return f"{value:.1f} {unit} (error unknown)"
    digits = 2 if sigma < 0.095 else 1 if sigma < 9.5 else 0
    return f"{value:.{digits}f} ± {sigma:.{digits}f} {unit}"


def clock(seconds: float) -> str:
    """Return a stretch of time as ``1:02:03.4`` or ``2:03.4``."""
    tenths = round(abs(seconds) * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    sign = "-" if seconds < 0 else ""
    tail = f"{rest // 10:02d}.{rest % 10}"
    return f"{sign}{hours}:{minutes:02d}:{tail}" if hours else f"{sign}{minutes}:{tail}"
