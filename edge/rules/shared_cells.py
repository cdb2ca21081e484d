"""Ways that run through one square of the road at an angle, a few seconds apart at most.

The road is cut into cells. A stay is a stretch of ticks in which a footprint reaches into the same cells, a
visit one cell of a stay. All visits of a beat are sorted by cell once; cells through which everybody went one
way, nearly all of them, are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edge.rules.samples import Floats, Integers
from edge.rules.ticks import TCX, TCY, TLENGTH, TWIDTH, TX, TY, TickTrack

CELL_M = 3.0
# Cells are numbered row by row; a site is smaller than this many cells.
ROW_OF_CELLS = 1_000_003
CROSSING_DEG = 25.0
CROSSING_COSINE = math.cos(math.radians(CROSSING_DEG))
# Two that differ from a third by less than half the angle differ by less than all of it.
ONE_WAY_COSINE = math.cos(math.radians(CROSSING_DEG / 2 - 0.01))
# Visits are remembered this much longer than the gap: what stood at first is understood late.
LATE_TICKS = 100


@dataclass(frozen=True, eq=False)
class _Visits:
    """(N,) each, in the order in which they are looked at.

    Attributes:
        start, end: first and last tick in the cell.
        cx, cy: unit heading at the first.
        begins: it did not only stay where it was when the ticks before these were looked at.
    """

    cell: Integers
    serial: Integers
    start: Integers
    end: Integers
    cx: Floats
    cy: Floats
    begins: NDArray[np.bool_]

    def __getitem__(self, index: Integers | NDArray[np.bool_]) -> _Visits:
        return _Visits(*(getattr(self, field.name)[index] for field in fields(self)))

    def then(self, later: _Visits) -> _Visits:
        both = ((getattr(self, field.name), getattr(later, field.name)) for field in fields(self))
        return _Visits(*map(np.concatenate, both))


class SharedCells:
    """Remembers who was in which cell last, and when."""

    def __init__(self, *, gap_ticks: int) -> None:
        self._gap_ticks = gap_ticks
        self._ranges: dict[int, list[int]] = {}
        none = np.empty(0, np.int64)
        self._held = _Visits(none, none, none, none, np.empty(0), np.empty(0), np.empty(0, np.bool_))

    def feed(self, parts: Sequence[TickTrack], until: int) -> set[tuple[int, int, int]]:
        """Take the newest ticks of all tracks; return (tick, serial, serial) of pairs that shared a cell.

        A visit that goes on from the part before is lengthened, not begun anew, so that it does not matter
        how many ticks come at once.
        """
        if not parts:
            return set()
        visits = self._held.then(self._visits(parts))
        # One run a cell and track; of each run the last visit is remembered.
        order = np.lexsort((visits.serial, visits.cell))
        cell, serial = visits.cell[order], visits.serial[order]
        new_cell = np.append(True, cell[1:] != cell[:-1])
        new_run = new_cell | np.append(True, serial[1:] != serial[:-1])
        pairs = self._pairs(visits, order, new_cell, new_run)
        kept = np.sort(order[np.append(new_run[1:], True)])
        self._held = visits[kept[until - visits.end[kept] <= self._gap_ticks + LATE_TICKS]]
        return pairs

    def keep(self, serials: Set[int]) -> None:
        """Forget all tracks but these."""
        self._ranges = {serial: cells for serial, cells in self._ranges.items() if serial in serials}

    def _visits(self, parts: Sequence[TickTrack]) -> _Visits:
        rows = np.concatenate([part.rows for part in parts])
        ranges = _cell_ranges(rows)
        cuts = np.cumsum([0, *(len(part.rows) for part in parts)])
        begins = np.append(True, (ranges[1:] != ranges[:-1]).any(axis=1))
        begins[cuts[:-1]] = True
        first = np.flatnonzero(begins)
        whose = np.searchsorted(cuts, first, side="right") - 1
        tick = np.array([part.start for part in parts])[whose] + first - cuts[whose]
        length = np.diff(np.append(first, len(rows)))
        serial = np.array([part.path.serial for part in parts])[whose]
        anew = np.ones(len(first), dtype=bool)
        edges = np.searchsorted(first, cuts)
        for part, begin, low, high in zip(parts, edges, cuts, cuts[1:], strict=False):
            anew[begin] = self._ranges.get(part.path.serial) != ranges[low].tolist()
            self._ranges[part.path.serial] = ranges[high - 1].tolist()
        # In order of time, as everybody came.
        order = np.lexsort((serial, tick))
        first, reach = first[order], ranges[first[order]]
        sizes = reach[:, 2:] - reach[:, :2] + 1
        many = sizes[:, 0] * sizes[:, 1]
        stay = np.repeat(np.arange(len(first)), many)
        which = np.arange(len(stay)) - (np.cumsum(many) - many)[stay]
        x, y = reach[stay, 0] + which // sizes[stay, 1], reach[stay, 1] + which % sizes[stay, 1]
        index = order[stay]
        return _Visits(
            cell=x * ROW_OF_CELLS + y,
            serial=serial[index],
            start=tick[index],
            end=(tick + length - 1)[index],
            cx=rows[first, TCX][stay],
            cy=rows[first, TCY][stay],
            begins=anew[index],
        )

    def _pairs(
        self, visits: _Visits, order: Integers, new_cell: NDArray[np.bool_], new_run: NDArray[np.bool_]
    ) -> set[tuple[int, int, int]]:
        """Return the pairs of a visit and the last one of another track before it, within the gap.

        ::

            order   │ cell 1                │ cell 2
            runs    │ track 4  │ track 9    │ track 4 …
            visits  │ 2  5  7  │ 3  8       │ …           visit 8 meets 7, the last before it of track 4
        """
        cells, runs = np.cumsum(new_cell) - 1, np.cumsum(new_run) - 1
        starts = np.flatnonzero(new_cell)
        cx, cy = visits.cx[order], visits.cy[order]
        turned = cx * cx[starts][cells] + cy * cy[starts][cells] < ONE_WAY_COSINE
        mixed = np.logical_or.reduceat(turned, starts)
        fresh = (visits.begins & (np.arange(len(order)) >= len(self._held.cell)))[order]
        looking = np.flatnonzero(mixed[cells] & fresh)
        if not len(looking):
            return set()
        # Every visit against every run of its cell.
        first_run = runs[starts]
        count = np.diff(np.append(first_run, runs[-1] + 1))
        many = count[cells[looking]]
        one = np.repeat(looking, many)
        run = first_run[cells[one]] + np.arange(len(one)) - np.repeat(np.cumsum(many) - many, many)
        # Visits are sorted by run, then by when they are looked at: one key finds the last of a run before.
        key = runs * len(order) + order
        other = np.searchsorted(key, run * len(order) + order[one]) - 1
        met = (other >= 0) & (runs[other] == run) & (runs[one] != run)
        one, other = one[met], other[met]
        soon = visits.start[order[one]] - visits.end[order[other]] <= self._gap_ticks
        crossing = cx[one] * cx[other] + cy[one] * cy[other] < CROSSING_COSINE
        one, other = order[one[soon & crossing]], order[other[soon & crossing]]
        pair = np.sort(np.stack([visits.serial[one], visits.serial[other]], axis=-1), axis=1)
        return set(zip(visits.start[one].tolist(), *pair.T.tolist(), strict=True))


def _cell_ranges(rows: Floats) -> Integers:
    """Return the cells (N, 4) each footprint reaches into: first x and y, last x and y."""
    cx, cy = np.abs(rows[:, TCX]), np.abs(rows[:, TCY])
    reach_x = (cx * rows[:, TLENGTH] + cy * rows[:, TWIDTH]) / 2
    reach_y = (cy * rows[:, TLENGTH] + cx * rows[:, TWIDTH]) / 2
    x, y = rows[:, TX], rows[:, TY]
    bounds = np.stack([x - reach_x, y - reach_y, x + reach_x, y + reach_y], axis=-1)
    return np.floor(bounds / CELL_M).astype(np.int64)
