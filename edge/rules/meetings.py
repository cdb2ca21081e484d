"""Meetings: which two road users came so near each other that measuring them is worth it.

Two cheap looks over all tracks at once find candidates, far too many rather than one too few: ways that run
through the same square of the road a few seconds apart at an angle, and two that move against each other. A
meeting is measured once nothing more has happened between the two for some seconds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge.measures import Footprints, time_to_collision_s
from edge.rules.samples import Floats
from edge.rules.ticks import (
    TCX,
    TCY,
    TICK_S,
    TLENGTH,
    TVX,
    TVY,
    TWIDTH,
    TX,
    TY,
    TickBoard,
    TickTrack,
)

CELL_M = 3.0
# Cells are numbered row by row; a site is smaller than this many cells.
ROW_OF_CELLS = 1_000_003
LOOK_EVERY = 5
# A meeting is over when neither look finds the two together for this long; then it is measured.
QUIET_TICKS = 50
AROUND_TICKS = 50
LONGEST_TICKS = 300
NEAR_TTC_S = 2.2
CROSSING_COSINE = math.cos(math.radians(25))
STANDING_MPS = 0.3


@dataclass(frozen=True, eq=False)
class Meeting:
    """Two tracks around the time they met."""

    first: TickTrack
    second: TickTrack


@dataclass(slots=True)
class _Open:
    first: int
    last: int


class MeetingWatch:
    """Finds meetings among all tracks."""

    def __init__(self, *, gap_s: float) -> None:
        self._gap_ticks = math.ceil(gap_s / TICK_S)
        self._cells: dict[int, dict[int, tuple[int, float, float]]] = {}
        self._ranges: dict[int, tuple[int, ...]] = {}
        self._open: dict[tuple[int, int], _Open] = {}
        self._looked = -(2**62)
        self._swept = -(2**62)

    def feed(self, parts: list[TickTrack], board: TickBoard, until: int) -> Iterator[Meeting]:
        """Take the newest ticks of all tracks; return the meetings that are over by the tick ``until``."""
        flags = [*self._crossing(parts), *self._closing(board, until)]
        for tick, one, other in sorted(flags):
            yield from self._flag(tick, (one, other), board)
        for pair in [pair for pair, open_ in self._open.items() if open_.last + QUIET_TICKS <= until]:
            yield from self._close(pair, board)
        self._sweep(until, board)

    def finish(self, board: TickBoard) -> Iterator[Meeting]:
        for pair in sorted(self._open):
            yield from self._close(pair, board)

    def forget_pairs_of(self, key: int, board: TickBoard) -> Iterator[Meeting]:
        """Return what is open with a track that is about to be forgotten."""
        for pair in sorted(pair for pair in self._open if key in pair):
            yield from self._close(pair, board)

    def involves(self, key: int) -> bool:
        return any(key in pair for pair in self._open)

    def _flag(self, tick: int, pair: tuple[int, int], board: TickBoard) -> Iterator[Meeting]:
        open_ = self._open.get(pair)
        if open_ is not None and (tick - open_.last > QUIET_TICKS or tick - open_.first > LONGEST_TICKS):
            yield from self._close(pair, board)
            open_ = None
        if open_ is None:
            self._open[pair] = _Open(tick, tick)
        else:
            open_.first, open_.last = min(open_.first, tick), max(open_.last, tick)

    def _close(self, pair: tuple[int, int], board: TickBoard) -> Iterator[Meeting]:
        open_ = self._open.pop(pair)
        tracks = [board.tracks.get(key) for key in pair]
        parts = [
            track.between(open_.first - AROUND_TICKS, open_.last + AROUND_TICKS)
            for track in tracks
            if track is not None
        ]
        if len(parts) == 2 and all(len(part.rows) for part in parts):
            yield Meeting(*sorted(parts, key=lambda part: (part.start, part.path.number)))

    def _crossing(self, parts: list[TickTrack]) -> Iterator[tuple[int, int, int]]:
        """Yield pairs whose ways run through one cell at an angle within the gap.

        A stay is a stretch of ticks in the same cells. One that goes on from the part before is lengthened,
        not begun anew, so that it does not matter how many ticks come at once.
        """
        stays: list[tuple[int, int, int, TickTrack, bool, list[int]]] = []
        for part in parts:
            ranges = _cell_ranges(part)
            changes = np.flatnonzero((ranges[1:] != ranges[:-1]).any(axis=1)) + 1
            bounds = [0, *changes.tolist(), len(ranges)]
            goes_on = self._ranges.get(part.path.serial) == tuple(ranges[0].tolist())
            for first, after in itertools.pairwise(bounds):
                tick, cells = part.start + first, ranges[first].tolist()
                stays.append((tick, part.path.serial, part.start + after - 1, part, goes_on, cells))
                goes_on = False
            self._ranges[part.path.serial] = tuple(ranges[-1].tolist())
        stays.sort(key=lambda stay: stay[:2])
        all_cells, gap = self._cells, self._gap_ticks
        for start, own, end, part, goes_on, (x0, y0, x1, y1) in stays:
            _, _, cx, cy, *_ = part.rows[start - part.start].tolist()
            visit = (end, cx, cy)
            for x in range(x0 * ROW_OF_CELLS, (x1 + 1) * ROW_OF_CELLS, ROW_OF_CELLS):
                for cell in range(x + y0, x + y1 + 1):
                    here = all_cells.get(cell)
                    if here is None:
                        all_cells[cell] = {own: visit}
                        continue
                    if not goes_on:
                        for key, (last, ox, oy) in here.items():
                            if start - last <= gap and cx * ox + cy * oy < CROSSING_COSINE and key != own:
                                yield (start, own, key) if own < key else (start, key, own)
                    here[own] = visit

    def _sweep(self, until: int, board: TickBoard) -> None:
        if until - self._swept < 10 * QUIET_TICKS:
            return
        self._swept = until
        for cell in list(self._cells):
            here = self._cells[cell]
            for key in [key for key, visit in here.items() if until - visit[0] > self._gap_ticks + 100]:
                del here[key]
            if not here:
                del self._cells[cell]
        gone = [key for key in self._ranges if key not in board.tracks]
        for key in gone:
            del self._ranges[key]

    def _closing(self, board: TickBoard, until: int) -> Iterator[tuple[int, int, int]]:
        """Yield pairs that would touch within a little more than the longest TTC worth measuring."""
        tracks = [track for track in board.tracks.values() if len(track.rows) and track.end > self._looked]
        if not tracks:
            self._looked = max(self._looked, until)
            return
        first = max(self._looked + 1, min(track.start for track in tracks))
        self._looked = until
        if len(tracks) < 2:
            return
        ticks = _ticks_with_tracks(tracks, first, until)
        starts = np.array([track.start for track in tracks])
        ends = np.array([track.end for track in tracks])
        keys = [track.path.serial for track in tracks]
        walking = np.array([track.pedestrian for track in tracks])
        for tick in ticks:
            here = np.flatnonzero((starts <= tick) & (ends > tick))
            if len(here) < 2:
                continue
            rows = np.stack([tracks[index].rows[tick - tracks[index].start] for index in here.tolist()])
            for one, other in _near_pairs(rows, walking[here]):
                pair = sorted((keys[here[one]], keys[here[other]]))
                yield tick, pair[0], pair[1]


def _ticks_with_tracks(tracks: Sequence[TickTrack], first: int, until: int) -> Iterator[int]:
    """Yield every ``LOOK_EVERY``-th tick at which somebody is there; an empty month costs nothing."""
    tick = -(-first // LOOK_EVERY) * LOOK_EVERY
    for track in sorted(tracks, key=lambda track: track.start):
        tick = max(tick, -(-track.start // LOOK_EVERY) * LOOK_EVERY)
        while tick < min(track.end, until + 1):
            yield tick
            tick += LOOK_EVERY


def _cell_ranges(part: TickTrack) -> np.ndarray:
    """Return the cells (N, 4) each footprint reaches into: first x and y, last x and y."""
    rows = part.rows
    reach_x = (np.abs(rows[:, TCX]) * rows[:, TLENGTH] + np.abs(rows[:, TCY]) * rows[:, TWIDTH]) / 2
    reach_y = (np.abs(rows[:, TCY]) * rows[:, TLENGTH] + np.abs(rows[:, TCX]) * rows[:, TWIDTH]) / 2
    x, y = rows[:, TX], rows[:, TY]
    bounds = np.stack([x - reach_x, y - reach_y, x + reach_x, y + reach_y], axis=-1)
    return np.floor(bounds / CELL_M).astype(np.int64)


def _near_pairs(rows: Floats, walking: np.ndarray) -> list[tuple[int, int]]:
    speed = np.hypot(rows[:, TVX], rows[:, TVY])
    moving = np.flatnonzero((speed > STANDING_MPS) & ~walking)
    if not len(moving):
        return []
    reach = np.hypot(rows[:, TLENGTH], rows[:, TWIDTH]) / 2
    dx = rows[moving, TX][:, None] - rows[None, :, TX]
    dy = rows[moving, TY][:, None] - rows[None, :, TY]
    vx = rows[moving, TVX][:, None] - rows[None, :, TVX]
    vy = rows[moving, TVY][:, None] - rows[None, :, TVY]
    away = np.hypot(dx, dy) - reach[moving][:, None] - reach[None, :]
    close = (away <= np.hypot(vx, vy) * NEAR_TTC_S + 0.5) & (dx * vx + dy * vy < 0)
    close[np.arange(len(moving)), moving] = False
    one, other = np.nonzero(close)
    one = moving[one]
    if not len(one):
        return []
    shapes = [
        Footprints(
            side[:, TX], side[:, TY], side[:, TCX], side[:, TCY], side[:, TLENGTH] / 2 + 0.3,
            side[:, TWIDTH] / 2 + 0.3,
        )
        for side in (rows[one], rows[other])
    ]  # fmt: skip
    soon = time_to_collision_s(
        shapes[0], shapes[1], rows[other, TVX] - rows[one, TVX], rows[other, TVY] - rows[one, TVY]
    )
    return [
        (a, b)
        for a, b, ttc in zip(one.tolist(), other.tolist(), soon.tolist(), strict=True)
        if ttc <= NEAR_TTC_S
    ]
