"""``signals.csv``: ``time,signal_group,state[,sigma_s]``, a row a change (DESIGN §4.4)."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import get_args

from calibration.site import Site
from edge.scene import SignalReading, State
from edge.signals.header import column_problems, columns
from edge.signals.history import SignalHistory
from edge.signals.lines import Problems, shortened, text_lines
from edge.signals.seconds import time_problem, utc

COLUMNS = ("time", "signal_group", "state")
OPTIONAL_COLUMNS = ("sigma_s",)
STATES: tuple[State, ...] = get_args(State)
# A row is some forty characters; this leaves room for any that a person could have meant.
LONGEST_ROW = 10_000
# The file says when a state changed; without `sigma_s` it is taken at its word, as the reference clock. The
# frame clock's own error still counts, so an entry within that of the onset stays undecidable.
DEFAULT_SIGMA_S = 0.0


def load_signals_csv(path: Path, *, site: Site, start_time: float) -> SignalHistory:
    """Read a signal file; times below 1e8 are relative to ``start_time``.

    A header without rows is valid: every state is unknown.

    Raises:
        InputError: every mistake in the file at once, as ``file:line: what came, what was expected``.
    """
    problems = Problems(path)
    header: list[str] | None = None
    changes: list[SignalReading] = []
    previous_s = -math.inf
    seen: set[str] = set()  # groups with a row at `previous_s`
    for number, text in text_lines(path, problems, longest=LONGEST_ROW):
        if header is None and problems:
            break  # what should have been the header cannot be read
        if not text.strip():
            continue
        try:
            cells = columns(text)
        except csv.Error as error:
            problems.add(number, f"not a row of CSV: {error}")
            continue
        if header is None:
            header = cells
            wrong = column_problems(header, needed=COLUMNS, optional=OPTIONAL_COLUMNS)
            for each in wrong:
                problems.add(number, each)
            if wrong:
                break
            continue
        if len(cells) != len(header):
            problems.add(number, f"{len(cells)} values, expected {len(header)} ({','.join(header)})")
            continue
        row = dict(zip(header, cells, strict=True))
        time = _time(row["time"], number, problems)
        group = _group(row["signal_group"], site, number, problems)
        state = _state(row["state"], number, problems)
        sigma_s = _sigma_s(row.get("sigma_s", ""), number, problems)
        if time is None:
            continue
        time = utc(time, start_time)
        if time < previous_s:
            problems.add(
                number, f"time {row['time']} comes before that of the row above, expected sorted rows"
            )
            continue
        if time > previous_s:
            previous_s = time
            seen.clear()
        if group in seen:
            problems.add(number, f"a second row for signal_group {group!r} at time {row['time']}")
        elif group is not None:
            seen.add(group)
            if state is not None and sigma_s is not None:
                changes.append(SignalReading(group, state, time, sigma_s, "file"))
    if header is None and not problems:
        problems.add(None, f"the file is empty, expected the columns {','.join(COLUMNS)}")
    problems.raise_if_any()
    return SignalHistory(changes)


def _time(text: str, number: int, problems: Problems) -> float | None:
    value = _number(text, "time", number, problems)
    wrong = None if value is None else time_problem(value)
    if wrong is not None:
        problems.add(number, f"time {shortened(text)} {wrong}")
        return None
    return value


def _number(text: str, name: str, number: int, problems: Problems) -> float | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Python's float() also takes "1_0" and "infinity", which no tool that wrote the file meant.
    if not math.isfinite(value) or "_" in text:
        problems.add(number, f"{name} {shortened(text)} is not a finite number of seconds")
        return None
    return value


def _sigma_s(text: str, number: int, problems: Problems) -> float | None:
    """Return the row's error, ``inf`` where the file says so, None for a mistake."""
    if not text:
        return DEFAULT_SIGMA_S
    if text == "inf":
        return math.inf
    value = _number(text, "sigma_s", number, problems)
    if value is not None and value < 0:
        problems.add(number, f"sigma_s {text} is negative")
        return None
    return value


def _group(text: str, site: Site, number: int, problems: Problems) -> str | None:
    groups = site.signal_groups
    if text in groups:
        return text
    known = ", ".join(sorted(groups)) or "none"
    problems.add(number, f"signal_group {shortened(text)} is not one of the site's: {known}")
    return None


def _state(text: str, number: int, problems: Problems) -> State | None:
    for state in STATES:
        if text == state:
            return state
    problems.add(number, f"state {shortened(text)} is not one of {', '.join(STATES)}")
    return None
