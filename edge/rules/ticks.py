"""All tracks at common instants, a tenth of a second apart: what pairs of road users are judged on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.measures import Footprints
from edge.rules.path import (
    CX,
    CY,
    DEPTH,
    KIND,
    LENGTH,
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
from edge.rules.samples import PEDESTRIAN_CODE, Floats

TICK_S = 0.1
# A box may be blocked a minute after the entry, and is followed for ten seconds more.
KEPT_TICKS = 800
TICK_COLUMNS = (SX, SY, CX, CY, LENGTH, WIDTH, SIGMA, SPEED_SIGMA, VX, VY, DEPTH, KIND, TIME_SIGMA)
(TX, TY, TCX, TCY, TLENGTH, TWIDTH, TSIGMA, TSPEED_SIGMA, TVX, TVY, TDEPTH, TKIND, TCLOCK) = range(13)


def tick_after(time: float) -> int:
    return math.ceil(time / TICK_S - 1e-6)


def tick_before(time: float) -> int:
    return math.floor(time / TICK_S + 1e-6)


@dataclass(eq=False)
class TickTrack:
    """One track at the ticks ``start`` .. ``start + len(rows) - 1``; rows (N, 13)."""

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

    def feed(self, path: Path, fresh: slice) -> TickTrack | None:
        """Extend a track's ticks by the rows just understood; return the new part."""
        if fresh.stop <= fresh.start:
            return None
        rows = path.rows[max(fresh.start - 1, 0) : fresh.stop]
        known = self.tracks.get(path.serial)
        first = known.end if known is not None else tick_after(float(rows[0, TIME]))
        last = tick_before(float(rows[-1, TIME]))
        if last < first:
            return None
        times = np.arange(first, last + 1) * TICK_S
        own = rows[:, TIME]
        high = np.clip(np.searchsorted(own, times), 1, max(len(own) - 1, 1)) if len(own) > 1 else None
        if high is None:
            table = np.repeat(rows[:, TICK_COLUMNS], len(times), axis=0)
        else:
            low = high - 1
            share = np.clip((times - own[low]) / np.maximum(own[high] - own[low], 1e-9), 0.0, 1.0)[:, None]
            picked = rows[:, TICK_COLUMNS]
            mixed = picked.copy()
            mixed[:, TCLOCK] = 0.0
            table = (1 - share) * mixed[low] + share * mixed[high]
            nearer = np.where(share[:, 0] < 0.5, low, high)
            # Neither a kind nor an unknown clock's error, which is infinite, has anything in between.
            table[:, (TKIND, TCLOCK)] = picked[nearer][:, (TKIND, TCLOCK)]
        length = np.hypot(table[:, TCX], table[:, TCY])
        # Opposite headings may cancel out; without a heading a footprint faces its velocity, else east.
        lost = ~(length > 0.05)
        table[lost, TCX], table[lost, TCY] = 1.0, 0.0
        length[lost] = 1.0
        table[:, TCX] /= length
        table[:, TCY] /= length
        pedestrian = int(np.bincount(table[:, TKIND].astype(np.int64)).argmax()) == PEDESTRIAN_CODE
        if known is None:
            known = self.tracks[path.serial] = TickTrack(path, first, table, pedestrian)
        else:
            known.rows = np.concatenate((known.rows, table))
            known.pedestrian = pedestrian
            if len(known.rows) > 2 * KEPT_TICKS:
                known.rows = known.rows[-KEPT_TICKS:].copy()
                known.start = last + 1 - KEPT_TICKS
        return TickTrack(path, first, table, pedestrian)

    def forget(self, path: Path) -> None:
        self.tracks.pop(path.serial, None)
