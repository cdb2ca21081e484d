"""Times in files, in seconds: from the start of the recording, or UTC."""

from __future__ import annotations

import math

# A time below this is relative to the start of the recording, above it UTC (1e8 s is 1973).
RELATIVE_BELOW_S = 1e8
# Beyond the year 2100 no street was seen: what is larger counts milliseconds, or is damaged.
LATEST_S = 4_102_444_800.0


def time_problem(time: float) -> str | None:
    """Return what is wrong with a time as a file gives it; None where nothing is."""
    if not math.isfinite(time):
        return "is not a finite number of seconds"
    if time > LATEST_S:
        return "lies beyond the year 2100, expected seconds (are these milliseconds?)"
    if time <= -RELATIVE_BELOW_S:
        return "lies years before the start, expected seconds from the start or UTC"
    return None


def utc(time: float, start_time: float) -> float:
    """Return a time of a file in seconds UTC."""
    return time + start_time if time < RELATIVE_BELOW_S else time
