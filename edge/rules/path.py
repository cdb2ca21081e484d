"""One track as it is followed: its samples of the last seconds, cleaned of what noise does to headings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.rules.samples import KINDS, Floats
from edge.scene import Kind

# A sample is understood with the half second around it, so it is judged that much later.
HALF_S = 0.5
# A track unseen for longer is another one: nothing is judged across the gap.
LOST_S = 3.0
# Samples are kept as long as anything can ask for them: a right turn decided late, a near miss.
KEPT_S = 30.0

(
    TIME, X, Y, HX, HY, LENGTH, WIDTH, SIGMA, TIME_SIGMA, TRUSTED, KIND,
    DEPTH, CX, CY, SPEED, VX, VY, SPEED_SIGMA, SX, SY, POSITION_SIGMA,
) = range(21)  # fmt: skip
COLUMNS = 21
# Noisier positions are averaged where a whole footprint is judged; exact ones stay as they are.
NOISY_M = 0.03
# Where no error is told a position is taken to be no better than this.
UNTOLD_M = 0.05


class Path:
    """The samples of one track.

    ``rows`` (N, 21) holds what was measured (TIME … KIND), what places say about it (DEPTH: metres inside the
    carriageway), and what is understood once the following half second is known: CX, CY the unit heading,
    SPEED, VX, VY the velocity by least squares over ± 0.5 s with its 1-sigma error SPEED_SIGMA,
    SX, SY the position on that line where it is noisy, with its 1-sigma error POSITION_SIGMA.
    Rows before ``done`` are understood, ``forgotten`` rows came before the first. ``number`` is the
    tracker's, ``serial`` is never given twice.
    """

    __slots__ = (
        "done", "ended", "first_time", "forgotten", "heading", "kept", "near", "number", "rows", "serial",
    )  # fmt: skip

    def __init__(self, number: int, serial: int) -> None:
        self.number, self.serial = number, serial
        self.rows: Floats = np.empty((0, COLUMNS))
        self.near: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.done = 0
        self.forgotten = 0
        self.kept: dict[int, tuple[float, float]] = {}
        self.ended = False
        self.first_time = math.nan
        self.heading: tuple[float, float] | None = None

    def extend(self, rows: Floats, near: NDArray[np.int64]) -> None:
        if not len(self.rows):
            self.first_time = float(rows[0, TIME])
            self.rows, self.near = rows, near
        else:
            self.rows = np.concatenate((self.rows, rows))
            self.near = np.concatenate((self.near, near))

    def prune(self) -> None:
        """Forget what is understood and older than anything can ask for."""
        if len(self.rows) and self.rows[0, TIME] < self.rows[-1, TIME] - 2 * KEPT_S:
            old = min(int(np.searchsorted(self.rows[:, TIME], self.rows[-1, TIME] - KEPT_S)), self.done)
            wanted = np.ones(len(self.rows), dtype=bool)
            wanted[:old] = False
            for start, end in self.kept.values():
                wanted[slice(*self.span(start, end))] = True
            gone = int(len(wanted) - wanted.sum())
            # Copies, else a view would keep the whole of what it was cut from.
            self.rows, self.near = self.rows[wanted], self.near[wanted]
            self.done -= gone
            self.forgotten += gone

    def keep(self, key: int, window: tuple[float, float] | None) -> None:
        """Keep what was seen in a window of time, however long it is asked for; None: no longer.

        A front may stand over its line for minutes before it goes on: when it got there is asked then.
        """
        if window is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = window

    def kind_at(self, time: float) -> Kind:
        """Return the kind the track had most often in the two seconds around an instant."""
        first, last = self.span(time - 2.0, time + 0.5)
        codes = self.rows[first:last, KIND].astype(np.int64)
        if not len(codes):
            codes = self.rows[-1:, KIND].astype(np.int64)
        return KINDS[int(np.bincount(codes).argmax())]

    def span(self, start: float, end: float) -> tuple[int, int]:
        """Return the slice of rows with start <= time <= end."""
        times = self.rows[:, TIME]
        return int(np.searchsorted(times, start)), int(np.searchsorted(times, end, side="right"))

    def ready(self, now: float) -> slice:
        """Return the rows not understood yet whose following half second is known."""
        times = self.rows[:, TIME]
        known = len(times) if self.ended else int(np.searchsorted(times, now - HALF_S, side="right"))
        return slice(self.done, max(known, self.done))


def settled(rows: Floats) -> Floats:
    """Return rows with SX, SY in the place of X, Y: where noise averages out."""
    copy = rows.copy()
    copy[:, X], copy[:, Y] = rows[:, SX], rows[:, SY]
    return copy
