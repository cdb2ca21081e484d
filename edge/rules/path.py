"""One track as it is followed: its samples of the last seconds, cleaned of what noise does to headings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.rules.samples import KINDS, PEDESTRIAN_CODE, Floats
from edge.scene import Kind

# A sample is understood with the half second around it, so it is judged that much later.
HALF_S = 0.5
# A track unseen for longer is another one: nothing is judged across the gap.
LOST_S = 3.0
# Samples are kept as long as anything can ask for them: a right turn decided late, a near miss.
KEPT_S = 30.0

(
    TIME, X, Y, HX, HY, LENGTH, WIDTH, SIGMA, TIME_SIGMA, TRUSTED, KIND,
    DEPTH, CX, CY, SPEED, VX, VY, SPEED_SIGMA, SX, SY,
) = range(20)  # fmt: skip
COLUMNS = 20
# Noisier positions are averaged where a whole footprint is judged; exact ones stay as they are.
NOISY_M = 0.03
# Where no error is told a position is taken to be no better than this.
UNTOLD_M = 0.05


class Path:
    """The samples of one track.

    ``rows`` (N, 20) holds what was measured (TIME … KIND), what places say about it (DEPTH: metres inside the
    carriageway), and what is understood once the following half second is known: CX, CY the unit heading,
    SPEED, VX, VY the velocity by least squares over ± 0.5 s with its 1-sigma error SPEED_SIGMA,
    SX, SY the position on that line where it is noisy.
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

    def understand(self, now: float) -> slice:
        """Clean the rows whose following half second is known; return which rows these are."""
        rows = self.rows
        ready = len(rows) if self.ended else int(np.searchsorted(rows[:, TIME], now - HALF_S, side="right"))
        if ready <= self.done:
            return slice(self.done, self.done)
        fresh = slice(self.done, ready)
        self._velocities(fresh)
        if not self._headings(fresh):
            return slice(self.done, self.done)
        self.done = ready
        return fresh

    def _velocities(self, fresh: slice) -> None:
        start = max(0, int(np.searchsorted(self.rows[:, TIME], self.rows[fresh.start, TIME] - HALF_S)) - 1)
        window = self.rows[start:]
        times = window[:, TIME] - window[0, TIME]
        own = times[fresh.start - start : fresh.stop - start]
        low = np.searchsorted(times, own - HALF_S - 1e-6)
        high = np.searchsorted(times, own + HALF_S + 1e-6, side="right")
        # Alone in its second (slow frames): take the neighbour before.
        low = np.where(high - low < 2, np.maximum(low - 1, 0), low)
        count = np.maximum(high - low, 1).astype(np.float64)

        def total(values: Floats) -> Floats:
            sums = np.concatenate((np.zeros(1), np.cumsum(values)))
            return np.asarray(sums[high] - sums[low])

        x, y = window[:, X] - window[0, X], window[:, Y] - window[0, Y]
        sum_t = total(times)
        spread = np.maximum(total(times * times) - sum_t**2 / count, 0.0)
        known = spread > 1e-6
        safe = np.where(known, spread, 1.0)
        vx = np.where(known, (total(times * x) - sum_t * total(x) / count) / safe, 0.0)
        vy = np.where(known, (total(times * y) - sum_t * total(y) / count) / safe, 0.0)
        self.rows[fresh, VX] = vx
        self.rows[fresh, VY] = vy
        self.rows[fresh, SPEED] = np.hypot(vx, vy)
        noise = self._noise(fresh)
        told = np.isfinite(self.rows[fresh, SIGMA])
        noisy = noise > np.where(told, NOISY_M, UNTOLD_M)
        off = own - sum_t / count
        self.rows[fresh, SX] = np.where(
            noisy, window[0, X] + total(x) / count + vx * off, self.rows[fresh, X]
        )
        self.rows[fresh, SY] = np.where(
            noisy, window[0, Y] + total(y) / count + vy * off, self.rows[fresh, Y]
        )
        self.rows[fresh, SPEED_SIGMA] = noise / np.sqrt(safe)

    def _noise(self, fresh: slice) -> Floats:
        """Return the position error of rows: as stated, else the jitter that shows around each."""
        sigma = self.rows[fresh, SIGMA]
        known = np.isfinite(sigma)
        if known.all():
            return np.asarray(np.maximum(sigma, 0.01))
        return np.asarray(np.where(known, np.maximum(sigma, 0.01), np.maximum(self._jitter(fresh), UNTOLD_M)))

    def _jitter(self, fresh: slice) -> Floats:
        """Return how far samples within ± 0.3 s lie from the chord of their neighbours, as one sigma."""
        start = max(0, int(np.searchsorted(self.rows[:, TIME], self.rows[fresh.start, TIME] - HALF_S)) - 1)
        rows = self.rows[start:]
        if len(rows) < 3:
            return np.zeros(fresh.stop - fresh.start)
        times = rows[:, TIME]
        step = times[2:] - times[:-2]
        share = (times[1:-1] - times[:-2]) / np.maximum(step, 1e-6)
        spread = 1 + share**2 + (1 - share) ** 2
        off = np.zeros((2, len(rows)))
        for axis, column in enumerate((X, Y)):
            value = rows[:, column]
            off[axis, 1:-1] = value[1:-1] - (1 - share) * value[:-2] - share * value[2:]
        sums = np.zeros(len(rows) + 1)
        squares = off[0] ** 2 + off[1] ** 2
        squares[1:-1] /= 2 * spread
        np.cumsum(squares, out=sums[1:])
        own = rows[fresh.start - start : fresh.stop - start, TIME]
        low = np.maximum(np.searchsorted(times, own - 0.3 - 1e-6), 1)
        high = np.minimum(np.searchsorted(times, own + 0.3 + 1e-6, side="right"), len(rows) - 1)
        mean = (sums[high] - sums[np.minimum(low, high)]) / np.maximum(high - low, 1)
        return np.asarray(np.sqrt(np.maximum(mean, 0.0)))

    def _headings(self, fresh: slice) -> bool:
        """Fill CX, CY; False while nothing tells the heading yet.

        The given heading stands where it agrees with the motion. A tracker that takes headings from one
        frame to the next gives nonsense for what stands: there the last good one is held. A vehicle that
        stood first takes the heading it sets off with.
        """
        rows = self.rows[fresh]
        # Noise seldom looks like three sigmas of speed, yet who stands for minutes gives it many chances.
        sigmas = np.where(rows[:, KIND] == PEDESTRIAN_CODE, 3.0, 5.0)
        moving = rows[:, SPEED] > np.maximum(0.5, sigmas * rows[:, SPEED_SIGMA])
        given = np.isfinite(rows[:, HX])
        with np.errstate(invalid="ignore", divide="ignore"):
            mx, my = rows[:, VX] / rows[:, SPEED], rows[:, VY] / rows[:, SPEED]
        agree = given & moving & (rows[:, HX] * mx + rows[:, HY] * my > 0.5)
        cx = np.where(agree, rows[:, HX], np.where(moving, mx, np.nan))
        cy = np.where(agree, rows[:, HY], np.where(moving, my, np.nan))
        still = np.flatnonzero(~moving)
        if len(still):
            held = self.heading
            if moving.any():
                index = np.maximum.accumulate(np.where(moving, np.arange(len(rows)), -1))
            else:
                index = np.full(len(rows), -1)
            for row in still.tolist():
                last = int(index[row])
                anchor = (float(cx[last]), float(cy[last])) if last >= 0 else held
                if anchor is None and given[row]:
                    anchor = (float(rows[row, HX]), float(rows[row, HY]))
                elif anchor is not None and given[row]:
                    facing = anchor[0] * rows[row, HX] + anchor[1] * rows[row, HY]
                    if facing > 0.87:
                        anchor = (float(rows[row, HX]), float(rows[row, HY]))
                if anchor is not None:
                    cx[row], cy[row] = anchor
        unknown = np.isnan(cx)
        if unknown.any():
            if unknown.all():
                long = float(rows[-1, TIME] - self.rows[0, TIME]) > KEPT_S
                if not (self.ended or long):
                    return False
            else:
                first = int(np.flatnonzero(~unknown)[0])
                cx[:first], cy[:first] = cx[first], cy[first]
        self.rows[fresh, CX], self.rows[fresh, CY] = cx, cy
        known = np.flatnonzero(moving)
        if len(known):
            self.heading = (float(cx[known[-1]]), float(cy[known[-1]]))
        return True


def position_error_m(rows: Floats) -> Floats:
    """Return the 1-sigma error of SX, SY (N,): of exact positions as stated, of noisy ones that of the line.

    A line fitted to n positions over a second errs at its middle by sigma / √n, over half a second (where a
    track begins or ends) at its end by 2 sigma / √n. Its slope errs by sigma / √(n / 12) and by
    sigma / √(n / 48): in both cases the position by that of the slope times half a second over √3.
    """
    noisy = ~(rows[:, SIGMA] <= NOISY_M)
    return np.where(noisy, rows[:, SPEED_SIGMA] * HALF_S / math.sqrt(3), np.maximum(rows[:, SIGMA], 0.01))


def settled(rows: Floats) -> Floats:
    """Return rows with SX, SY in the place of X, Y: where noise averages out."""
    copy = rows.copy()
    copy[:, X], copy[:, Y] = rows[:, SX], rows[:, SY]
    return copy


def segments(times: Floats) -> Iterator[slice]:
    """Return the stretches of one track's times without a gap longer than ``LOST_S``."""
    cuts = [0, *(np.flatnonzero(np.diff(times) > LOST_S) + 1).tolist(), len(times)]
    return (slice(start, end) for start, end in itertools.pairwise(cuts))
