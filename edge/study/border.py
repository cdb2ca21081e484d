"""Neighbouring stretches joined at their border: no event twice or lost, a track goes on under one number.

Both stretches saw the seconds around the border, the first in its tail, the second behind its warm-up.
What each says there is matched, and what happened before the border is told in the words of the first::

    first    ──────────────a──────|··a'··           a = b: the first's, it lies before the border
    second            ··b··|──────────────          a' without a partner: the second did not find it, left out
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.wire import LocalEvent

# As `nearmiss evaluate` matches, with room for a rule that saw less of what came before.
SAME_EVENT_S = 1.0
# Seconds on either side of a border in which tracks are compared, and how far the same one may lie apart.
COMPARED_S = 2.0
SAME_TRACK_M = 1.0
FEWEST_COMMON = 3


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a stretch told it: which stretch, and its number there."""

    stretch: int
    event: LocalEvent

    @property
    def time(self) -> float:
        return self.event.time.timestamp()

    @property
    def key(self) -> tuple[int, int]:
        return self.stretch, self.event.n


def joined(stretches: Sequence[tuple[float, float, Sequence[LocalEvent]]]) -> list[LocalEvent]:
    """Return the events of a sequence, each once, in order of time and numbered from 1.

    Args:
        stretches: start, end and what was found from a margin before to a margin behind, in order.
    """
    told = [[Told(number, event) for event in events] for number, (_, _, events) in enumerate(stretches)]
    kept: dict[tuple[int, int], Told] = {}
    stands_for: dict[tuple[int, int], Told] = {}
    for number, (start, end, _) in enumerate(stretches):
        for each in told[number]:
            if start <= each.time < end or (number == len(stretches) - 1 and each.time == end):
                kept[each.key] = each
    for number, (_, border, _) in enumerate(stretches[:-1]):
        for before, after in _same(told[number], told[number + 1], border):
            chosen, other = (before, after) if before.time < border else (after, before)
            stands_for[other.key] = chosen
            kept.pop(other.key, None)
            kept[chosen.key] = chosen
    ordered = sorted(kept.values(), key=lambda each: (each.time, each.event.rule, each.event.place, each.key))
    numbers = {each.key: n for n, each in enumerate(ordered, 1)}
    return [_numbered(each, numbers, stands_for) for each in ordered]


def _numbered(
    told: Told, numbers: Mapping[tuple[int, int], int], stands_for: Mapping[tuple[int, int], Told]
) -> LocalEvent:
    event, cause = told.event, told.event.caused_by
    if cause is not None:
        chosen = stands_for.get((told.stretch, cause))
        cause = numbers.get((told.stretch, cause) if chosen is None else chosen.key)
    return event.model_copy(update={"n": numbers[told.key], "caused_by": cause})


def _same(first: Sequence[Told], second: Sequence[Told], border: float) -> list[tuple[Told, Told]]:
    """Return pairs that are one event, nearest first; each stands in one pair at most."""
    near = [
        (abs(a.time - b.time), a, b)
        for a in first
        for b in second
        if _what(a.event) == _what(b.event)
        and abs(a.time - b.time) <= SAME_EVENT_S
        and (abs(a.time - border) <= SAME_EVENT_S or abs(b.time - border) <= SAME_EVENT_S)
    ]
    pairs, taken = [], set()
    for _, a, b in sorted(near, key=lambda pair: (pair[0], pair[1].event.n, pair[2].event.n)):
        if (0, a.event.n) not in taken and (1, b.event.n) not in taken:
            taken |= {(0, a.event.n), (1, b.event.n)}
            pairs.append((a, b))
    return pairs


def _what(event: LocalEvent) -> tuple[str, str, str, str | None]:
    return event.rule, event.place, event.road_user, event.road_user2


def same_tracks(first: Path, second: Path, border: float) -> dict[int, int]:
    """Return, for tracks of the second stretch, which track of the first each one is.

    Args:
        first, second: the two ``tracks.csv``; frames that both saw have the same time in both.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    before, after = _around(first, border), _around(second, border)
    if not before or not after:
        return {}
    earlier, later = sorted(before), sorted(after)
    apart_m = np.full((len(earlier), len(later)), math.inf)
    for row, a in enumerate(earlier):
        for column, b in enumerate(later):
            common = before[a].keys() & after[b].keys()
            if len(common) >= min(FEWEST_COMMON, len(before[a]), len(after[b])) and common:
                apart_m[row, column] = sum(
                    math.dist(before[a][time], after[b][time]) for time in common
                ) / len(common)
    cost = np.where(apart_m <= SAME_TRACK_M, apart_m, 1e3)
    rows, columns = linear_sum_assignment(cost)
    return {
        later[column]: earlier[row]
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if apart_m[row, column] <= SAME_TRACK_M
    }


def _around(path: Path, border: float) -> dict[int, dict[str, tuple[float, float]]]:
    """Return the places of each track near a border, by the frame's time as it is written."""
    found: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in rows(path):
        if abs(float(row["time"]) - border) <= COMPARED_S:
            found[int(row["track"])][row["time"]] = (float(row["x"]), float(row["y"]))
    return dict(found)


def rows(path: Path) -> Iterable[dict[str, str]]:
    """Yield the rows of a ``tracks.csv``."""
    with path.open(encoding="ascii", newline="") as file:
        yield from csv.DictReader(file)
