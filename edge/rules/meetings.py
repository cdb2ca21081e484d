"""Meetings: which two road users came so near each other that measuring them is worth it.

Two cheap looks over all tracks at once find candidates, far too many rather than one too few: ways that run
through the same square of the road a few seconds apart at an angle, and two that move against each other. A
meeting is measured once nothing more has happened between the two for some seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edge.rules.closing import ClosingLook
from edge.rules.shared_cells import SharedCells
from edge.rules.ticks import TICK_S, TickBoard, TickTrack

# A meeting is over when neither look finds the two together for this long; then it is measured.
QUIET_TICKS = 50
AROUND_TICKS = 50
LONGEST_TICKS = 300


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
        self._cells = SharedCells(gap_ticks=math.ceil(gap_s / TICK_S))
        self._closing = ClosingLook()
        self._open: dict[tuple[int, int], _Open] = {}
        self._swept = -(2**62)

    def feed(self, parts: list[TickTrack], board: TickBoard, until: int) -> Iterator[Meeting]:
        """Take the newest ticks of all tracks; return the meetings that are over by the tick ``until``."""
        flags = self._cells.feed(parts, until)
        flags.update(self._closing.feed(board.tracks.values(), until))
        for tick, one, other in sorted(flags):
            yield from self._flag(tick, (one, other), board)
        for pair in [pair for pair, open_ in self._open.items() if open_.last + QUIET_TICKS <= until]:
            yield from self._close(pair, board)
        self._sweep(until, board)

    def finish(self, board: TickBoard) -> Iterator[Meeting]:
        for pair in sorted(self._open):
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

    def _sweep(self, until: int, board: TickBoard) -> None:
        if until - self._swept < 10 * QUIET_TICKS:
            return
        self._swept = until
        self._cells.keep(board.tracks.keys())
