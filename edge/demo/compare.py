"""Found against truth: what the collector stored beside what the story says happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from broker.wire import LocalEvent, MeasureName
from edge.demo.truth import TrueEvent

TOLERANCE_S = 0.5
_WIDE = 110
Verdict = Literal["found", "late", "undecided", "missed", "claimed", "doubted"]
_COLOURS: dict[Verdict, str] = {
    "found": "green",
    "late": "red",
    "undecided": "red",
    "missed": "red",
    "claimed": "red",
    "doubted": "yellow",
}


_SAID: Mapping[MeasureName, tuple[str, str]] = {  # the measure that matters, of each rule
    "into_red_s": ("into red", "s"),
    "into_amber_s": ("into amber", "s"),
    "into_clearance_s": ("into flashing", "s"),
    "into_dont_walk_s": ("into don't walk", "s"),
    "outside_m": ("outside", "m"),
    "pet_s": ("PET", "s"),
    "ttc_s": ("TTC", "s"),
}


@dataclass(frozen=True)
class Row:
    """One line of the comparison; either side may be missing."""

    verdict: Verdict
    true: TrueEvent | None
    found: LocalEvent | None
    off_s: float | None


@dataclass(frozen=True)
class Comparison:
    rows: tuple[Row, ...]

    @property
    def agrees(self) -> bool:
        """Return whether every event was found in time and nothing else was claimed."""
        return all(row.verdict in ("found", "doubted") for row in self.rows)


def compared(true: Sequence[TrueEvent], found: Sequence[LocalEvent], *, start_time: float) -> Comparison:
    """Match events one to one by rule, place and road users, the nearest in time first.

    Args:
        true: times in seconds of the recording.
        found: what was stored, with exact times.
        start_time: seconds UTC of the recording's time 0.
    """
    pairs = sorted(
        (abs(_seconds(event, start_time) - truth.time), i, j)
        for i, truth in enumerate(true)
        for j, event in enumerate(found)
        if _same(truth, event)
    )
    of_truth: dict[int, int] = {}
    for apart_s, i, j in pairs:
        if i not in of_truth and j not in of_truth.values() and apart_s <= 4 * TOLERANCE_S:
            of_truth[i] = j
    rows = []
    for i, truth in enumerate(true):
        event = found[of_truth[i]] if i in of_truth else None
        off_s = _seconds(event, start_time) - truth.time if event is not None else None
        rows.append((truth.time, Row(_verdict(event, off_s), truth, event, off_s)))
    for j, event in enumerate(found):
        if j not in of_truth.values():
            verdict: Verdict = "claimed" if event.outcome == "occurred" else "doubted"
            rows.append((_seconds(event, start_time), Row(verdict, None, event, None)))
    return Comparison(tuple(row for _, row in sorted(rows, key=lambda each: each[0])))


def print_comparison(comparison: Comparison, *, start_time: float, console: Console) -> None:
    """Print the table a person reads at the end of the demo; with what was measured where there is room."""
    wide = console.width >= _WIDE
    table = Table(
        title="Found against truth", header_style="bold", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("off", justify="right", no_wrap=True)
    for name in ("rule", "place", "road users", *(("measured",) if wide else ()), ""):
        table.add_column(name, overflow="fold")
    for row in comparison.rows:
        table.add_row(*_cells(row, start_time, wide=wide))
    console.print(table)


def _cells(row: Row, start_time: float, *, wide: bool) -> tuple[str | Text, ...]:
    true, found = row.true, row.found
    rule = true.rule if true is not None else found.rule if found is not None else ""
    place = true.place if true is not None else found.place if found is not None else ""
    time = true.time if true is not None else _seconds(found, start_time) if found is not None else 0.0
    return (
        f"{time:.2f} s",
        "" if row.off_s is None else f"{row.off_s:+.2f}",
        rule.replace("_", " "),
        place,
        _users(true, found),
        *((_measures(found),) if wide else ()),
        Text(row.verdict, style=_COLOURS[row.verdict]),
    )


def _users(true: TrueEvent | None, found: LocalEvent | None) -> str:
    if true is not None:
        return true.actor.kind if true.second is None else f"{true.actor.kind} – {true.second.kind}"
    assert found is not None
    return found.road_user if found.road_user2 is None else f"{found.road_user} – {found.road_user2}"


def _measures(found: LocalEvent | None) -> str:
    if found is None:
        return ""
    return ", ".join(
        f"{said} {found.measures[name].value:.1f}"
        + ("" if found.measures[name].sigma is None else f" ± {found.measures[name].sigma:.1f}")
        + " "
        + unit
        for name, (said, unit) in _SAID.items()
        if name in found.measures
    )


def _verdict(event: LocalEvent | None, off_s: float | None) -> Verdict:
    if event is None or off_s is None:
        return "missed"
    if event.outcome != "occurred":
        return "undecided"
    return "found" if abs(off_s) <= TOLERANCE_S else "late"


def _same(truth: TrueEvent, event: LocalEvent) -> bool:
    second = truth.second.kind if truth.second is not None else None
    users = (event.road_user, event.road_user2)
    return (
        truth.rule == event.rule
        and truth.place == event.place
        # Who was first in a near miss is an order of moments, not a different event.
        and (
            users == (truth.actor.kind, second)
            or (second is not None and users == (second, truth.actor.kind))
        )
    )


def _seconds(event: LocalEvent, start_time: float) -> float:
    return event.time.timestamp() - start_time
