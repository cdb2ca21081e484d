"""One-to-one matching of found events with true ones, and the scores that follow.

Two events match if rule, place and road users are the same and their times differ by no more than a
tolerance. Of all matchings the one with most pairs counts, and of those the one with the least total time
difference. What is undecidable is neither hit nor miss: it is counted beside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from broker.wire import LocalEvent

RESAMPLES = 1000
SEED = 20_261_120
LEVEL = 0.95

Key = tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What became of the events of one rule (of one recording)."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    undecidable_truths: int = 0
    undecidable_others: int = 0
    excused: int = 0
    time_errors_s: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.hits += other.hits
        self.false_alarms += other.false_alarms
        self.misses += other.misses
        self.undecidable_truths += other.undecidable_truths
        self.undecidable_others += other.undecidable_others
        self.excused += other.excused
        self.time_errors_s += other.time_errors_s


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval; None where nothing was there to be a share of."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of one rule."""

    tally: Tally
    precision: Share
    recall: Share
    f1: Share

    def counted(self) -> tuple[str, str, str, str, str]:
        """Return as a table shows them: true events, hits, false, missed, undecidable of true and others."""
        tally = self.tally
        return (
            str(tally.hits + tally.misses + tally.undecidable_truths),
            str(tally.hits),
            str(tally.false_alarms),
            str(tally.misses),
            f"{tally.undecidable_truths} + {tally.undecidable_others}",
        )


def tallies(
    found: Iterable[LocalEvent], truth: Iterable[LocalEvent], *, tolerance_s: float
) -> dict[tuple[str, str], Tally]:
    """Return one tally per (recording, rule)."""
    by_key: dict[Key, tuple[list[LocalEvent], list[LocalEvent]]] = defaultdict(lambda: ([], []))
    for side, events in ((0, found), (1, truth)):
        for event in events:
            by_key[_key(event)][side].append(event)
    result: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for key, (here, there) in sorted(by_key.items()):
        tally = _tally(here, there, tolerance_s)
        result[key[0], key[1]].add(tally)
    return dict(result)


def recording_of(event: LocalEvent) -> str:
    return event.site


def _key(event: LocalEvent) -> Key:
    # Who came first is a matter of definition where two meet; that the two met is not.
    users = sorted(filter(None, (event.road_user, event.road_user2)))
    return (recording_of(event), event.rule, event.place, *users)


def _tally(found: Sequence[LocalEvent], truth: Sequence[LocalEvent], tolerance_s: float) -> Tally:
    certain, unsure = _by_outcome(found)
    true, open_ = _by_outcome(truth)
    tally = Tally()
    pairs = matched(_times(certain), _times(true), tolerance_s=tolerance_s)
    tally.hits = len(pairs)
    tally.time_errors_s = [_times(certain)[a] - _times(true)[b] for a, b in pairs]
    alarms = _without(certain, {a for a, _ in pairs})
    missed = _without(true, {b for _, b in pairs})
    # A truth that is itself undecidable excuses what was found there.
    tally.excused = len(matched(_times(alarms), _times(open_), tolerance_s=tolerance_s))
    tally.false_alarms = len(alarms) - tally.excused
    tally.undecidable_truths = len(matched(_times(unsure), _times(missed), tolerance_s=tolerance_s))
    tally.misses = len(missed) - tally.undecidable_truths
    tally.undecidable_others = len(unsure) - tally.undecidable_truths
    return tally


def _by_outcome(events: Iterable[LocalEvent]) -> tuple[list[LocalEvent], list[LocalEvent]]:
    ordered = sorted(events, key=lambda event: event.time)
    return (
        [event for event in ordered if event.outcome == "occurred"],
        [event for event in ordered if event.outcome == "undecidable"],
    )


def _without(events: Sequence[LocalEvent], used: set[int]) -> list[LocalEvent]:
    return [event for index, event in enumerate(events) if index not in used]


def _times(events: Sequence[LocalEvent]) -> list[float]:
    return [event.time.timestamp() for event in events]


def matched(found: Sequence[float], truth: Sequence[float], *, tolerance_s: float) -> list[tuple[int, int]]:
    """Return index pairs of the best one-to-one matching of two sorted lists of times.

    Only neighbours in time can match, so the lists are cut where they are farther apart than the tolerance:
    a year of events is matched as quickly as an hour.
    """
    events = sorted(
        [(time, 0, index) for index, time in enumerate(found)]
        + [(time, 1, index) for index, time in enumerate(truth)]
    )
    pairs: list[tuple[int, int]] = []
    group: list[tuple[float, int, int]] = []
    for event in events:
        if group and event[0] - group[-1][0] > tolerance_s + 1e-9:
            pairs += _assigned(group, tolerance_s)
            group = []
        group.append(event)
    return sorted(pairs + _assigned(group, tolerance_s))


def _assigned(group: Sequence[tuple[float, int, int]], tolerance_s: float) -> list[tuple[int, int]]:
    found = [(time, index) for time, side, index in group if side == 0]
    truth = [(time, index) for time, side, index in group if side == 1]
    if not found or not truth:
        return []
    apart = np.abs(np.array([time for time, _ in found])[:, None] - np.array([time for time, _ in truth]))
    within = apart <= tolerance_s + 1e-9
    # One pair more is worth more than any saving of time.
    gain = np.where(within, 1.0 + 1e-6 - apart / (apart.max() + 1.0) / (len(group) + 1), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [
        (found[row][1], truth[column][1])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if within[row, column]
    ]


def scored(counts: Mapping[str, Tally]) -> Score:
    """Return the score over recordings, with bootstrap intervals.

    Whole recordings are drawn with replacement, since events of one share their light, their camera and
    their errors; with a single recording its events are drawn, which is optimistic. The seed is fixed.
    """
    total = Tally()
    for tally in counts.values():
        total.add(tally)
    table = np.array(
        [[tally.hits, tally.false_alarms, tally.misses] for tally in counts.values()], dtype=np.int64
    ).reshape(-1, 3)
    shares = _shares(table.sum(axis=0))
    drawn = _resampled(table)
    low, high = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    intervals = []
    for value, column in zip(shares.tolist(), drawn.T, strict=True):
        known = column[np.isfinite(column)]
        if np.isfinite(value) and len(known):
            bounds = np.quantile(known, [low, high]).tolist()
            intervals.append(Share(value, bounds[0], bounds[1]))
        else:
            intervals.append(Share(None, None, None))
    return Score(total, *intervals)


def _resampled(table: NDArray[np.int64]) -> NDArray[np.float64]:
    chance = np.random.default_rng(SEED)
    recordings, total = len(table), int(table.sum())
    if recordings > 1:
        picks = chance.integers(0, recordings, size=(RESAMPLES, recordings))
        return _shares(table[picks].sum(axis=1))
    if total == 0:
        return np.full((1, 3), np.nan)
    return _shares(chance.multinomial(total, table.sum(axis=0) / total, size=RESAMPLES))


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return precision, recall, F1 (..., 3) for hits, false alarms, misses (..., 3); NaN for 0 / 0."""
    hits, alarms, misses = (counts[..., index].astype(np.float64) for index in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [hits / (hits + alarms), hits / (hits + misses), 2 * hits / (2 * hits + alarms + misses)], axis=-1
        )
