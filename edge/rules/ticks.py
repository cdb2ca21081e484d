"""All tracks at common instants, a tenth of a second apart: what pairs of road users are judged on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.measures import Footprints
from edge.rules.path import (
    CX,
    CY,
    DEPTH,
    KIND,
    LENGTH,
    POSITION_SIGMA,
    SIGMA,
    SPEED_SIGMA,
    SX,
    SY,
    TIME,
    TIME_SIGMA,
    VX,
    VY,
    WIDTH,
    Path,
)
from edge.rules.samples import PEDESTRIAN_CODE, Floats, Integers

TICK_S = 0.1
# A box may be blocked a minute after the entry, and is followed for ten seconds more.
KEPT_TICKS = 800
TICK_COLUMNS = (
    SX, SY, CX, CY, LENGTH, WIDTH, SIGMA, SPEED_SIGMA, VX, VY, DEPTH, KIND, TIME_SIGMA, POSITION_SIGMA,
)  # fmt: skip
(
    TX, TY, TCX, TCY, TLENGTH, TWIDTH, TSIGMA, TSPEED_SIGMA, TVX, TVY, TDEPTH, TKIND, TCLOCK, TPOSITION_SIGMA,
) = range(14)  # fmt: skip


def tick_after(time: float) -> int:
    return math.ceil(time / TICK_S - 1e-6)


def tick_before(time: float) -> int:
    return math.floor(time / TICK_S + 1e-6)


@dataclass(eq=False)
class TickTrack:
    """One track at the ticks ``start`` .. ``start + len(rows) - 1``; rows (N, 14)."""

    path: Path
    start: int
    rows: Floats
    pedestrian: bool

    @property
    def end(self) -> int:
        return self.start + len(self.rows)

    def between(self, first: int, last: int) -> TickTrack:
        """Return the part between two ticks, both included."""
        low, high = max(first, self.start), min(last + 1, self.end)
        rows = self.rows[low - self.start : max(high, low) - self.start]
        return TickTrack(self.path, low, rows, self.pedestrian)

    def times(self) -> Floats:
        return np.asarray((self.start + np.arange(len(self.rows))) * TICK_S)

    def footprints(self) -> Footprints:
        rows = self.rows
        return Footprints(
            rows[:, TX], rows[:, TY], rows[:, TCX], rows[:, TCY], rows[:, TLENGTH] / 2, rows[:, TWIDTH] / 2
        )

    def speeds(self) -> Floats:
        return np.asarray(np.hypot(self.rows[:, TVX], self.rows[:, TVY]))


class TickBoard:
    """Resamples every path as its rows are understood."""

    def __init__(self) -> None:
        self.tracks: dict[int, TickTrack] = {}

    def feed(self, paths: Sequence[Path], fresh: Sequence[slice]) -> list[TickTrack]:
        """Extend the ticks of tracks by the rows just understood; return the new parts.

        All at once, for a few ticks of one track are too few for numpy.
        """
        new = [each for each in map(self._due, paths, fresh) if each is not None]
        if not new:
            return []
        counts = np.array([last - first + 1 for _, _, first, last in new])
        cuts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        table = _resampled([rows for _, rows, _, _ in new], [ticks for _, _, *ticks in new], cuts)
        parts = []
        for (path, _, first, _), start, stop in zip(new, cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            part = table[start:stop]
            kinds = np.bincount(part[:, TKIND].astype(np.int64))
            parts.append(TickTrack(path, first, part, int(kinds.argmax()) == PEDESTRIAN_CODE))
            self._extend(parts[-1])
        return parts

    def _due(self, path: Path, fresh: slice) -> tuple[Path, Floats, int, int] | None:
        """Return the rows that tell of new ticks, and the first and last of these; None without any."""
        if fresh.stop <= fresh.start:
            return None
        rows = path.rows[max(fresh.start - 1, 0) : fresh.stop]
        known = self.tracks.get(path.serial)
        first = known.end if known is not None else tick_after(float(rows[0, TIME]))
        last = tick_before(float(rows[-1, TIME]))
        return (path, rows, first, last) if first <= last else None

    def _extend(self, part: TickTrack) -> None:
        known = self.tracks.get(part.path.serial)
        if known is None:
            # A copy, else a view would keep the ticks of all tracks.
            rows = part.rows.copy()
            self.tracks[part.path.serial] = TickTrack(part.path, part.start, rows, part.pedestrian)
            return
        known.rows = np.concatenate((known.rows, part.rows))
        known.pedestrian = part.pedestrian
        if len(known.rows) > 2 * KEPT_TICKS:
            known.rows = known.rows[-KEPT_TICKS:].copy()
            known.start = part.end - KEPT_TICKS

    def forget(self, path: Path) -> None:
        self.tracks.pop(path.serial, None)


def _resampled(rows: list[Floats], ticks: list[list[int]], cuts: Integers) -> Floats:
    """Return the rows of some tracks at their ticks, first to last, one track behind the other."""
    times = np.concatenate([np.arange(first, last + 1) for first, last in ticks]) * TICK_S
    low, high = np.empty(len(times), np.int64), np.empty(len(times), np.int64)
    begin = 0
    for own, start, stop in zip(rows, cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        after = own[:, TIME].searchsorted(times[start:stop])
        # Of one row alone both are that one.
        high[start:stop] = begin + np.clip(after, min(1, len(own) - 1), len(own) - 1)
        low[start:stop] = np.maximum(high[start:stop] - 1, begin)
        begin += len(own)
    flat = np.concatenate(rows)
    own, picked = flat[:, TIME], flat[:, TICK_COLUMNS]
    share = np.clip((times - own[low]) / np.maximum(own[high] - own[low], 1e-9), 0.0, 1.0)[:, None]
    nearer = np.where(share[:, 0] < 0.5, low, high)
    # Neither a kind nor an unknown clock's error, which is infinite, has anything in between.
    steps = picked[nearer][:, (TKIND, TCLOCK)]
    picked[:, TCLOCK] = 0.0
    table = np.asarray((1 - share) * picked[low] + share * picked[high])
    table[:, (TKIND, TCLOCK)] = steps
    length = np.hypot(table[:, TCX], table[:, TCY])
    # Opposite headings may cancel out; without a heading a footprint faces its velocity, else east.
    lost = ~(length > 0.05)
    table[lost, TCX], table[lost, TCY] = 1.0, 0.0
    length[lost] = 1.0
    table[:, TCX] /= length
    table[:, TCY] /= length
    return table
