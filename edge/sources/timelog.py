"""A log of capture times: one line per frame of a recording, where the file's own timestamps are not true.

Taken are, the same on every line::

    00000 2013 06 06 17:04:39.840      frame number, date, time of day (UTC)
    2026-11-20T08:15:02.350Z           RFC 3339; without a zone UTC
    12.345                             seconds: from the start below 1e8, else UTC

Blank lines and lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import InputError

MOST_PROBLEMS = 20
LONGEST_LINE = 200
RELATIVE_BELOW_S = 1e8
# No log is better than this, however many digits it writes: stamping itself takes time.
FINEST_S = 0.001

_NUMBERED = re.compile(r"(\d{1,9}) (\d{4}) (\d\d) (\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)")
_SECONDS = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_FORMATS = {
    "numbered": "frame number, date and time such as 00000 2013 06 06 17:04:39.840",
    "rfc3339": "an RFC 3339 time such as 2026-11-20T08:15:02.350Z",
    "seconds": "seconds such as 12.345",
}


@dataclass(frozen=True)
class TimeLog:
    """Capture times of a recording's frames.

    Attributes:
        times: seconds UTC of frame 0, 1, 2, ..., increasing.
        sigma_s: 1-sigma error of each: what the log's resolution leaves open, resolution / sqrt(12).
    """

    times: array[float]
    sigma_s: float


def read_times(path: Path, *, start_time: float | None) -> TimeLog:
    """Read a log of capture times.

    Args:
        start_time: seconds UTC. What relative times count from (None: 0); where the log is absolute it is
            the true instant of the first line, and the log is shifted to it (None: the log is UTC).

    Raises:
        InputError: with one line per mistake, all at once.
    """
    times: array[float] = array("d")
    problems: list[str] = []
    first_format, first_number, last, relative = "", 0, -math.inf, False
    for line_number, line in _lines(path):
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError(f"longer than {LONGEST_LINE} characters")
            kind, time, number = _parsed(line)
            if not first_format:
                first_format, first_number, relative = kind, number, _is_relative(kind, time)
            if kind != first_format:
                raise ValueError(f"{line!r} is not {_FORMATS[first_format]}, as the first line is")
            if kind == "numbered" and number != first_number + len(times):
                raise ValueError(f"frame number {number}, expected {first_number + len(times)}")
            if _is_relative(kind, time) != relative:
                raise ValueError(f"{line!r}: seconds from the start and seconds UTC are mixed")
            if time <= last:
                raise ValueError(f"{line!r} is not after the line before it: times must increase")
            last = time
        except ValueError as error:
            problems.append(f"{path}: line {line_number}: {error}")
            time = last
        times.append(time)  # kept also where wrong, so that one mistake is told once
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise InputError(problems[:MOST_PROBLEMS] + ([f"{path}: and {more} more lines"] if more > 0 else []))
    if not times:
        raise InputError(f"{path}: holds no time, expected one line per frame")
    shift = (start_time or 0.0) if relative else 0.0 if start_time is None else start_time - times[0]
    resolution_s = _resolution_s(times)
    return TimeLog(array("d", (time + shift for time in times)), resolution_s / math.sqrt(12))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            number = 0
            # Bounded: a file of zeros is one line of gigabytes.
            while line := file.readline(LONGEST_LINE + 2):
                number += 1
                whole = line.endswith("\n")
                text = line.strip() if whole or len(line) <= LONGEST_LINE else line
                if text and not text.startswith("#"):
                    yield number, text
                while not whole and (rest := file.readline(1 << 16)):
                    whole = rest.endswith("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parsed(line: str) -> tuple[str, float, int]:
    if match := _NUMBERED.fullmatch(line):
        number, year, month, day, clock = match.groups()
        return "numbered", _utc(f"{year}-{month}-{day}T{clock}"), int(number)
    if _SECONDS.fullmatch(line):
        seconds = float(line)
        if not math.isfinite(seconds) or abs(seconds) > 1e11:
            raise ValueError(f"{line!r} is no time in seconds")
        return "seconds", seconds, 0
    return "rfc3339", _utc(line), 0


def _utc(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        expected = "; ".join(_FORMATS.values())
        raise ValueError(f"{text!r} is no time; expected one of: {expected}") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _is_relative(kind: str, time: float) -> bool:
    return kind == "seconds" and time < RELATIVE_BELOW_S


def _resolution_s(times: array[float]) -> float:
    """Return the step that divides all differences: 0.02 where a clock ticks 50 times a second."""
    ticks = {round((time - times[0]) * 1e6) for time in times} - {0}
    return max(math.gcd(*ticks) / 1e6, FINEST_S) if ticks else FINEST_S
