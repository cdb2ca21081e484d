"""When each frame of a recording was captured, and how sure that is."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

# Returns the seconds UTC of a frame by its index and presentation timestamp; None where it is not known.
Clock = Callable[[int, int | None], float | None]

# Assumed for the error alone, never for a time, where the file does not tell its frame rate.
UNKNOWN_INTERVAL_S = 0.04
# A higher "frame rate" is the tick of the file's clock, as in an AVI of varying rate.
HIGHEST_RATE_HZ = 240.0


def clock_from_timestamps(first_pts: int, *, time_base_s: tuple[int, int], start_time: float) -> Clock:
    """Return a clock that reads the file's own timestamps: the first frame is at ``start_time``.

    Frame times are never index / frame rate: recordings drop frames and vary their rate.
    """
    numerator, denominator = time_base_s

    def time(_index: int, pts: int | None) -> float | None:
        return None if pts is None else start_time + (pts - first_pts) * numerator / denominator

    return time


def clock_from_log(times: array[float]) -> Clock:
    """Return a clock that reads a log of capture times by the frame's index."""

    def time(index: int, _pts: int | None) -> float | None:
        return times[index] if index < len(times) else None

    return time


def timestamp_sigma_s(*, time_base_s: tuple[int, int], rate_hz: float | None) -> float:
    """Return the 1-sigma error of times taken from a file's timestamps.

    An encoder stamps frames to its nominal rate: when within its interval a frame was captured is not
    known, which makes interval / sqrt(12), and the tick of the file's clock adds its own. On the strudl
    clip, which has a log beside it, true intervals are 40 or 60 ms where the file says 40.
    """
    interval_s = 1 / rate_hz if rate_hz and rate_hz <= HIGHEST_RATE_HZ else UNKNOWN_INTERVAL_S
    tick_s = time_base_s[0] / time_base_s[1]
    return math.hypot(interval_s, tick_s) / math.sqrt(12)
