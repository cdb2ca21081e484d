"""All tracks of a beat understood at once: velocities, averaged positions and headings.

A beat gives a track five rows on a live street and some two hundred of a recording: handing each track to
numpy on its own costs more than its numbers do. So the rows of all tracks stand one behind the other, and
sums over time are taken in a table with one track a line, in which a window's sum is the difference of two
cells. A track's numbers are the same to the last bit whoever else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.rules.path import (
    COLUMNS,
    CX,
    HALF_S,
    HX,
    HY,
    KEPT_S,
    KIND,
    NOISY_M,
    SIGMA,
    TIME,
    UNTOLD_M,
    Path,
    X,
    Y,
)
from edge.rules.samples import PEDESTRIAN_CODE, Floats, Integers

# One long track among many short ones would make the table large: tracks of like length share one.
LARGEST_TABLE = 200_000
# Jitter is read from the samples so far to either side.
JITTER_S = 0.3
_ROUNDING_S = 1e-6

Flags = NDArray[np.bool_]
# A track and the rows of it to be understood, never none.
Fresh = tuple[Path, slice]


def understand(paths: Sequence[Path], now: float) -> list[slice]:
    """Clean the rows whose following half second is known; return which rows these are, of each track."""
    found = {path.serial: path.ready(now) for path in paths}
    fresh = [
        (path, found[path.serial]) for path in paths if found[path.serial].start < found[path.serial].stop
    ]
    for group in _of_like_length(fresh):
        for (path, rows), known in zip(group, _cleaned(group), strict=True):
            if known:
                path.done = rows.stop
            else:
                found[path.serial] = slice(path.done, path.done)
    return [found[path.serial] for path in paths]


def _of_like_length(fresh: list[Fresh]) -> Iterator[list[Fresh]]:
    group: list[Fresh] = []
    for each in sorted(fresh, key=lambda each: len(each[0].rows)):
        if group and (len(group) + 1) * len(each[0].rows) > LARGEST_TABLE:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _cleaned(group: list[Fresh]) -> list[bool]:
    """Fill CX … POSITION_SIGMA of the fresh rows; return for each track whether its heading is known."""
    windows = _Windows(group)
    cleaned = np.empty((len(windows.own), COLUMNS - CX))
    moving = _velocities(windows, cleaned)
    _headings(windows, moving, cleaned)
    known = []
    for (path, rows), start, stop in zip(group, windows.cuts[:-1], windows.cuts[1:], strict=True):
        told = _first_heading(path, rows, cleaned[start:stop])
        known.append(told)
        if told:
            path.rows[rows, CX:] = cleaned[start:stop]
            seen = np.flatnonzero(moving[start:stop])
            if len(seen):
                path.heading = (float(cleaned[start + seen[-1], 0]), float(cleaned[start + seen[-1], 1]))
    return known


class _Windows:
    """The rows of some tracks from half a second before the fresh ones on, one track behind the other.

    Attributes:
        rows: (M, 21) as in ``Path``; ``track`` (M,) whose, ``place`` (M,) the how manieth of it.
        own: (N,) where in ``rows`` the fresh ones are; those of track i are ``cuts[i]`` to ``cuts[i + 1]``.
        times: (M,) seconds from the first row of the track.
    """

    def __init__(self, group: list[Fresh]) -> None:
        starts = [_half_before(path, fresh.start) for path, fresh in group]
        self.group = group
        self.rows = np.concatenate(
            [path.rows[start:] for (path, _), start in zip(group, starts, strict=True)]
        )
        lengths = np.array([len(path.rows) - start for (path, _), start in zip(group, starts, strict=True)])
        self.firsts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        self.lengths = lengths
        self.track = np.repeat(np.arange(len(group)), lengths)
        self.place = np.arange(len(self.rows)) - self.firsts[self.track]
        counts = np.array([fresh.stop - fresh.start for _, fresh in group])
        self.cuts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        begin = self.firsts[:-1] + [
            fresh.start - start for (_, fresh), start in zip(group, starts, strict=True)
        ]
        self.own_track = np.repeat(np.arange(len(group)), counts)
        self.own = np.arange(self.cuts[-1]) + (begin - self.cuts[:-1])[self.own_track]
        time = self.rows[:, TIME]
        self.times = time - time[self.firsts[:-1]][self.track]

    def around(self, times: Floats, half_s: float) -> tuple[Integers, Integers]:
        """Return for each fresh row the first place within ``half_s``, and the first one after it."""
        low, high = np.empty(len(self.own), np.int64), np.empty(len(self.own), np.int64)
        own = times[self.own]
        firsts, cuts = self.firsts.tolist(), self.cuts.tolist()
        for index in range(len(self.group)):
            of_track, fresh = times[firsts[index] : firsts[index + 1]], slice(cuts[index], cuts[index + 1])
            low[fresh] = of_track.searchsorted(own[fresh] - half_s - _ROUNDING_S)
            high[fresh] = of_track.searchsorted(own[fresh] + half_s + _ROUNDING_S, side="right")
        return low, high

    def sums(self, values: Floats, low: Integers, high: Integers) -> Floats:
        """Return the sums (K, N) of values (K, M) from the places ``low`` to before ``high``."""
        table = np.zeros((len(values), len(self.group), int(self.lengths.max()) + 1))
        table[:, self.track, self.place + 1] = values
        np.cumsum(table, axis=2, out=table)
        line = self.own_track * table.shape[2]
        flat = table.reshape(len(values), -1)
        return np.asarray(flat[:, line + high] - flat[:, line + low])


def _half_before(path: Path, row: int) -> int:
    times = path.rows[:, TIME]
    return max(0, int(times.searchsorted(times[row] - HALF_S)) - 1)


def _velocities(windows: _Windows, cleaned: Floats) -> Flags:
    """Fill SPEED … POSITION_SIGMA, by least squares over ± 0.5 s; return which rows move."""
    times, own = windows.times, windows.own
    low, high = windows.around(times, HALF_S)
    # Alone in its second (slow frames): take the neighbour before.
    low = np.where(high - low < 2, np.maximum(low - 1, 0), low)
    count = np.maximum(high - low, 1).astype(np.float64)
    first = windows.rows[windows.firsts[:-1]]
    x = windows.rows[:, X] - first[windows.track, X]
    y = windows.rows[:, Y] - first[windows.track, Y]
    values = np.stack([times, times * times, times * x, times * y, x, y])
    sum_t, sum_tt, sum_tx, sum_ty, sum_x, sum_y = windows.sums(values, low, high)
    spread = np.maximum(sum_tt - sum_t**2 / count, 0.0)
    known = spread > 1e-6
    safe = np.where(known, spread, 1.0)
    vx = np.where(known, (sum_tx - sum_t * sum_x / count) / safe, 0.0)
    vy = np.where(known, (sum_ty - sum_t * sum_y / count) / safe, 0.0)
    speed = np.hypot(vx, vy)
    rows = windows.rows[own]
    told = np.isfinite(rows[:, SIGMA])
    noise = np.maximum(rows[:, SIGMA], 0.01)
    if not told.all():
        noise = np.where(told, noise, np.maximum(_jitter(windows), UNTOLD_M))
    noisy = noise > np.where(told, NOISY_M, UNTOLD_M)
    off = times[own] - sum_t / count
    first = first[windows.own_track]
    error = noise / np.sqrt(safe)
    # Of n samples a line errs by sigma / √n at their middle, and by its slope as far as one is off it.
    line = noise * np.sqrt(1 / count + off**2 / safe)
    cleaned[:, 2:] = np.stack(
        [
            speed,
            vx,
            vy,
            error,
            np.where(noisy, first[:, X] + sum_x / count + vx * off, rows[:, X]),
            np.where(noisy, first[:, Y] + sum_y / count + vy * off, rows[:, Y]),
            np.where(rows[:, SIGMA] <= NOISY_M, noise, line),
        ],
        axis=-1,
    )
    # Noise seldom looks like three sigmas of speed, yet who stands for minutes gives it many chances.
    sigmas = np.where(rows[:, KIND] == PEDESTRIAN_CODE, 3.0, 5.0)
    return np.asarray(speed > np.maximum(0.5, sigmas * error))


def _jitter(windows: _Windows) -> Floats:
    """Return how far samples within ± 0.3 s lie from the chord of their neighbours, as one sigma."""
    rows, time = windows.rows, windows.rows[:, TIME]
    length = windows.lengths[windows.track]
    inner = np.flatnonzero((windows.place > 0) & (windows.place < length - 1))
    step = time[inner + 1] - time[inner - 1]
    share = (time[inner] - time[inner - 1]) / np.maximum(step, 1e-6)
    spread = 1 + share**2 + (1 - share) ** 2
    off = [
        rows[inner, axis] - (1 - share) * rows[inner - 1, axis] - share * rows[inner + 1, axis]
        for axis in (X, Y)
    ]
    squares = np.zeros((1, len(rows)))
    squares[0, inner] = (off[0] ** 2 + off[1] ** 2) / (2 * spread)
    low, high = windows.around(time, JITTER_S)
    length = windows.lengths[windows.own_track]
    low, high = np.maximum(low, 1), np.minimum(high, length - 1)
    # Of two rows neither has neighbours on both sides.
    count = np.where(length < 3, 0, high - low)
    high = np.where(length < 3, low, high)
    mean = windows.sums(squares, np.minimum(low, high), high)[0] / np.maximum(count, 1)
    return np.asarray(np.sqrt(np.maximum(mean, 0.0)))


def _headings(windows: _Windows, moving: Flags, cleaned: Floats) -> None:
    """Fill CX, CY; NaN where nothing tells the heading.

    The given heading stands where it agrees with the motion. A tracker that takes headings from one
    frame to the next gives nonsense for what stands: there the last good one is held.
    """
    given = windows.rows[windows.own][:, (HX, HY)]
    told = np.isfinite(given[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        motion = cleaned[:, 3:5] / cleaned[:, 2:3]
        along = given[:, 0] * motion[:, 0] + given[:, 1] * motion[:, 1]
    agree = told & moving & (along > 0.5)
    facing = np.where(agree[:, None], given, np.where(moving[:, None], motion, np.nan))
    last = np.maximum.accumulate(np.where(moving, np.arange(len(moving)), -1))
    held = np.array([(np.nan, np.nan) if path.heading is None else path.heading for path, _ in windows.group])
    before = last < windows.cuts[:-1][windows.own_track]
    anchor = np.where(before[:, None], held[windows.own_track], facing[last])
    close = anchor[:, 0] * given[:, 0] + anchor[:, 1] * given[:, 1] > 0.87
    still = np.where((told & (close | np.isnan(anchor[:, 0])))[:, None], given, anchor)
    cleaned[:, :2] = np.where(moving[:, None], facing, still)


def _first_heading(path: Path, fresh: slice, cleaned: Floats) -> bool:
    """Turn what stood first into the heading it sets off with; False while nothing tells the heading yet."""
    unknown = np.isnan(cleaned[:, 0])
    if not unknown.any():
        return True
    if unknown.all():
        return path.ended or float(path.rows[fresh.stop - 1, TIME] - path.rows[0, TIME]) > KEPT_S
    first = int(unknown.argmin())
    cleaned[:first, :2] = cleaned[first, :2]
    return True
