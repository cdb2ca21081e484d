"""Pedestrians on the carriageway: where each stepped on, which crosswalk that was, where it left.

A start is real once the pedestrian is a metre from the kerb; who brushes the kerb or steps back has started
nothing. Its instant is that of stepping onto the carriageway. A refuge island ends one stage and begins the
next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.site import Crosswalk
from edge.rules.entries import LEARN_S, doubtful
from edge.rules.extremes import of_readings
from edge.rules.finding import Measure
from edge.rules.gate import (
    SET_OFF_SIGMA_S,
    STOOD_S,
    Crossing,
    Gate,
    Instant,
    crossing_instant,
    noise_split,
    set_off,
    standing,
)
from edge.rules.path import DEPTH, HALF_S, SIGMA, SPEED, SPEED_SIGMA, TIME, TIME_SIGMA, Path, X, Y
from edge.rules.places import Places
from edge.rules.samples import Floats

# Off the road by this much (or twice the error) a pedestrian is on the kerb or on the refuge island.
OFF_M = 0.1
# Who stands no farther out than this waits at the kerb: half of the body, half a metre
# deep, is still over it.
WAITING_M = 0.25
# Nearer than this (and twice the error) jitter may carry somebody over the kerb and back.
AT_KERB_M = 0.1
AVERAGED_S = 0.3
# Who stood this near the kerb within the last second was waiting there.
KERBSIDE_M = 0.5
KERBSIDE_S = 1.0
# Where positions are better known than this, jitter carries nobody over the kerb.
NOISY_M = 0.03
# The name under which a track's rows are kept for its step over the kerb; lines have theirs from 0.
KERB = -1
# A speed over ± 0.5 s tells of a set-off about this long before it happens.
SPEED_LEAD_S = 0.2


@dataclass(frozen=True, eq=False)
class Start:
    """One pedestrian's step onto the carriageway, once it is real.

    Attributes:
        crosswalk: the one it belongs to; None where it is none's.
        set_off: when it went on, where it stood on the road within the first metre.
        waited: the pedestrian stood at the kerb just before.
    """

    path: Path
    instant: Instant
    set_off: Instant | None
    x: float
    y: float
    speed_mps: float
    speed_sigma_mps: float
    crosswalk: Crosswalk | None
    waited: bool
    doubtful: bool


@dataclass(frozen=True, eq=False)
class Stay:
    """From one real start to the kerb at the end of it.

    Attributes:
        end: where the pedestrian left the road, or was lost on it.
        outside_m: how far from the nearest crosswalk the way led, metres; NaN in a site without crosswalks.
        outside_sigma_m: its 1-sigma error.
        lost: the track ended on the road.
    """

    start: Start
    end: tuple[float, float]
    outside_m: float
    outside_sigma_m: float
    lost: bool


@dataclass(slots=True)
class _Walk:
    gate: Gate
    pending: Crossing | None = None
    start: Start | None = None
    outside: list[tuple[float, float, float, float]] = field(default_factory=list)
    last: tuple[float, float, float, float] = (math.nan, math.nan, math.nan, math.nan)  # time, depth, x, y
    left: tuple[float, float] | None = None


class CrossingWatch:
    """Watches every pedestrian at the kerbs."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._walks: dict[int, _Walk] = {}

    def forget(self, path: Path) -> None:
        self._walks.pop(path.serial, None)

    def feed(self, path: Path, fresh: slice) -> Iterator[Start | Stay]:
        """Take the rows of a path that were just understood; return the starts and stays they complete."""
        road = self._places.carriageway
        if road is None:
            return
        index = np.flatnonzero(~np.isnan(path.rows[fresh, DEPTH])) + fresh.start
        walk = self._walks.get(path.serial)
        if walk is None:
            if not len(index):
                return
            walk = self._walks[path.serial] = _Walk(Gate(real_m=road.real_start_m, back_m=OFF_M))
        if len(index):
            yield from self._walked(path, walk, index)
        undecided = walk.gate.side == "band" or (walk.pending is not None and walk.start is None)
        window = (walk.gate.before - LEARN_S, walk.gate.after + HALF_S) if undecided else None
        path.keep(KERB, window)
        if path.ended:
            yield from self._ended(path, walk)

    def _walked(
        self, path: Path, walk: _Walk, index: np.ndarray[tuple[int], np.dtype[np.intp]]
    ) -> Iterator[Start | Stay]:
        rows = path.rows[index]
        off, noise, counts = self._smooth(path, rows, rows[:, DEPTH] > walk.gate.real_m)
        sigma = np.nan_to_num(rows[:, SIGMA], nan=0.0)
        still = standing(rows[:, SPEED], rows[:, SPEED_SIGMA])
        columns = (rows[:, TIME], rows[:, DEPTH], still, sigma, off, noise, counts, rows[:, X], rows[:, Y])
        samples = list(zip(*(column.tolist() for column in columns), strict=True))
        nothing, at = np.zeros(len(rows), dtype=bool), 0
        while at < len(rows):
            if walk.pending is None:
                passed = walk.gate.quiet(rows[at:, TIME], rows[at:, DEPTH], still[at:], nothing[at:])
                if passed:
                    at += passed
                    time, depth, *_, px, py = samples[at - 1]
                    walk.last = (time, depth, px, py)
                    continue
            time, depth, stands, error, outside, outside_error, count, px, py = samples[at]
            at += 1
            was_beyond = walk.gate.side == "beyond"
            crossing = walk.gate.feed(time, depth, stands, error)
            if crossing is not None:
                walk.pending, walk.start = crossing, None
                walk.outside = []
            if walk.pending is not None and time >= walk.pending.after + HALF_S and walk.start is None:
                walk.start = self._start(path, walk.pending)
                yield walk.start
            if walk.gate.side == "beyond" and walk.pending is not None:
                # Near the kerb a drawn crosswalk may end before the road does.
                if depth > walk.gate.real_m:
                    walk.outside.append((time, outside, outside_error, count))
                if depth < 0 and walk.last[1] >= 0:
                    share = walk.last[1] / (walk.last[1] - depth)
                    walk.left = (
                        walk.last[2] + share * (px - walk.last[2]),
                        walk.last[3] + share * (py - walk.last[3]),
                    )
            elif was_beyond and walk.gate.side == "before" and walk.pending is not None:
                if walk.start is None:
                    walk.start = self._start(path, walk.pending)
                    yield walk.start
                yield self._stay(walk, walk.left or (px, py), lost=False)
                walk.pending = walk.start = walk.left = None
            walk.last = (time, depth, px, py)

    def _ended(self, path: Path, walk: _Walk) -> Iterator[Start | Stay]:
        if walk.pending is None:
            return
        if walk.start is None:
            walk.start = self._start(path, walk.pending)
            yield walk.start
        # Off the road by less than the band that makes it certain: it has left all the same.
        on_road = walk.last[1] >= 0
        yield self._stay(walk, walk.left if walk.left and not on_road else walk.last[2:], lost=on_road)
        walk.pending = None

    def _stay(self, walk: _Walk, end: tuple[float, float], *, lost: bool) -> Stay:
        assert walk.start is not None
        outside = _outside(walk.outside) if self._places.crosswalks else Measure(math.nan, 0.0)
        return Stay(walk.start, end, outside.value, outside.sigma, lost)

    def _smooth(self, path: Path, rows: Floats, asked: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        """Return distances off the nearest crosswalk, their error, and how many positions make each.

        Only where ``asked``; 0 elsewhere. Noisy positions are averaged over ± 0.5 s.

        The largest of many noisy distances is too large; that of averaged ones hardly.
        """
        if not asked.any():
            return np.zeros(len(rows)), np.zeros(len(rows)), np.ones(len(rows))
        jitter, common = self._noise(path, rows)
        low, high = _around(path, rows[:, TIME], np.where(jitter > NOISY_M, HALF_S, 0.0))
        count = (high - low).astype(np.float64)
        x, y = _sums(path.rows[:, X], low, high) / count, _sums(path.rows[:, Y], low, high) / count
        off = np.zeros(len(rows))
        off[asked] = self._places.off_nearest_m(x[asked], y[asked])
        return off, np.hypot(jitter / np.sqrt(count), common), count

    def _noise(self, path: Path, rows: Floats) -> tuple[Floats, Floats]:
        """Return the jitter at each row and the error common to its neighbours, metres.

        Where errors are stated their mean over ± 0.5 s; elsewhere what shows around each full second. Both
        hang on what lies around a row alone, never on how many rows are judged at once.
        """
        sigma = path.rows[:, SIGMA]
        low, high = _around(path, rows[:, TIME], HALF_S)
        stated = _sums(np.isfinite(sigma).astype(np.float64), low, high)
        jitter = _sums(np.nan_to_num(sigma, posinf=0.0), low, high) / np.maximum(stated, 1.0)
        common = np.zeros(len(rows))
        seconds = np.maximum(np.floor(rows[:, TIME]), path.first_time)
        for second in np.unique(seconds[stated == 0]):
            first, last = path.span(second - LEARN_S, second + HALF_S)
            window = path.rows[first:last]
            here = (stated == 0) & (seconds == second)
            jitter[here], common[here] = noise_split(window[:, TIME], window[:, X], window[:, SIGMA])
        return jitter, common

    def _start(self, path: Path, crossing: Crossing) -> Start:
        until = max(crossing.after + HALF_S, crossing.confirmed)
        first, last = path.span(crossing.before - LEARN_S, until + 1e-6)
        rows = path.rows[first : min(last, path.done)]
        at = min(int(np.searchsorted(rows[:, TIME], crossing.after)), len(rows) - 1)
        series = (rows[:, TIME], rows[:, DEPTH], rows[:, SIGMA], float(rows[at, TIME_SIGMA]))
        instant = crossing_instant(crossing, *series)
        went_on = set_off(crossing, *series)
        if crossing.stood is not None and went_on is not None:
            # Who waits with the toes over the kerb starts when going on; who stands farther out had started.
            instant = _start_of_two(rows, instant, went_on, crossing.stood)
        instant = _end_of_wait(rows, instant) or instant
        x, y = (float(np.interp(instant.time, rows[:, TIME], rows[:, axis])) for axis in (X, Y))
        return Start(
            path=path,
            instant=instant,
            set_off=went_on,
            x=x,
            y=y,
            speed_mps=float(np.interp(instant.time, rows[:, TIME], rows[:, SPEED])),
            speed_sigma_mps=float(np.interp(instant.time, rows[:, TIME], rows[:, SPEED_SIGMA])),
            crosswalk=self._crosswalk(path, crossing, instant, x, y),
            waited=instant.set_off or _waited(rows, instant.time),
            doubtful=instant.gap or doubtful(self._places, rows, crossing),
        )

    def _crosswalk(
        self, path: Path, crossing: Crossing, instant: Instant, x: float, y: float
    ) -> Crosswalk | None:
        """Return the crosswalk whose margin the first steps stay in, the nearest of several."""
        if not self._places.crosswalks:
            return None
        first, last = path.span(instant.time, crossing.confirmed + 1e-6)
        rows = path.rows[first : max(last, first + 1)]
        rows = rows[rows[:, DEPTH] > 0]
        px, py = np.append(rows[:, X], x), np.append(rows[:, Y], y)
        sigma = rows[:, SIGMA][np.isfinite(rows[:, SIGMA])]
        error = float(sigma.mean()) if len(sigma) else 0.02
        off = self._places.off_crosswalks_m(px, py).mean(axis=0)
        nearest = int(off.argmin())
        margin = self._places.site.thresholds.crosswalk_margin_m
        return self._places.crosswalks[nearest] if off[nearest] <= margin + error else None


def _around(path: Path, times: Floats, half_s: Floats | float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the stretch of a path's rows about each of some instants: its first row, and that after it."""
    own = path.rows[:, TIME]
    return np.searchsorted(own, times - half_s - 1e-6), np.searchsorted(own, times + half_s + 1e-6, "right")


def _sums(values: Floats, low: NDArray[np.intp], high: NDArray[np.intp]) -> Floats:
    """Return the sum of each stretch of values."""
    sums = np.concatenate((np.zeros(1), np.cumsum(values)))
    return np.asarray(sums[high] - sums[low])


def _outside(seen: list[tuple[float, float, float, float]]) -> Measure:
    """Return how far off the way led, of (time, metres, error, how many positions were averaged)."""
    if not seen:
        return Measure(-math.inf, 0.0)
    times, off, errors, averaged = np.array(seen).T
    far = int(off.argmax())
    error = float(errors[far])
    if averaged[far] < 1.5:
        return Measure(float(off[far]), error)
    return of_readings(times, off, error, "mean", window_s=2 * HALF_S)


def _start_of_two(rows: Floats, stepped: Instant, went_on: Instant, stood: float) -> Instant:
    """Return which of stepping on and going on was the start; unsure by half of what lies between them."""
    there = (rows[:, TIME] >= stood - STOOD_S) & (rows[:, TIME] <= stood + 1e-6)
    depth = rows[there, DEPTH]
    # Averaged over the half second it stood, for one noisy position tells little.
    sigma = float(np.nan_to_num(rows[there, SIGMA]).mean()) / math.sqrt(len(depth))
    start = went_on if float(depth.mean()) <= WAITING_M else stepped
    if abs(float(depth.mean()) - WAITING_M) > 2.0 * sigma:
        return start
    return replace(start, sigma_s=math.hypot(start.sigma_s, (went_on.time - stepped.time) / 2))


def _end_of_wait(rows: Floats, instant: Instant) -> Instant | None:
    """Return when someone set off who stood at the kerb and whose position is too noisy to tell which side.

    Jitter carries a waiting person over the kerb and back; the steps that led across are those after they
    last stood. None where positions are exact, or where the crossing was later than that anyway.
    """
    sigma = rows[:, SIGMA]
    noisy = np.isfinite(sigma) & (sigma > NOISY_M)
    low = np.searchsorted(rows[:, TIME], rows[:, TIME] - AVERAGED_S)
    high = np.searchsorted(rows[:, TIME], rows[:, TIME] + AVERAGED_S, side="right")
    sums = np.concatenate((np.zeros(1), np.cumsum(rows[:, DEPTH])))
    depth, count = (sums[high] - sums[low]) / (high - low), high - low
    at_kerb = np.abs(depth) <= AT_KERB_M + 2.0 * np.nan_to_num(sigma) / np.sqrt(count)
    still = np.flatnonzero(noisy & at_kerb & standing(rows[:, SPEED], rows[:, SPEED_SIGMA]))
    # A speed is that of the half second around: it rises before the first step is made.
    if not len(still) or rows[still[-1], TIME] + SPEED_LEAD_S <= instant.time:
        return None
    return replace(
        instant,
        time=float(rows[still[-1], TIME]) + SPEED_LEAD_S,
        sigma_s=math.hypot(float(rows[still[-1], TIME_SIGMA]), SET_OFF_SIGMA_S),
        set_off=True,
    )


def _waited(rows: Floats, time: float) -> bool:
    """Return whether someone stood at the kerb within the second before an instant."""
    before = (rows[:, TIME] >= time - KERBSIDE_S) & (rows[:, TIME] <= time)
    still = standing(rows[:, SPEED], rows[:, SPEED_SIGMA]) & (rows[:, DEPTH] > -KERBSIDE_M)
    return bool((before & still).any())
