"""What the numbers of a pair err by: places, instants and speeds of two tracks at common instants."""

from __future__ import annotations

import math

import numpy as np

from edge.rules.finding import Measure
from edge.rules.gate import EXACT_M
from edge.rules.path import HALF_S, NOISY_M, TIME
from edge.rules.samples import Floats
from edge.rules.ticks import (
    TCX,
    TCY,
    TICK_S,
    TPOSITION_SIGMA,
    TSIGMA,
    TSPEED_SIGMA,
    TVX,
    TVY,
    TX,
    TY,
    TickTrack,
)

# Slower, an instant is known no better than at this speed.
SLOWEST_MPS = 0.3
HALF_TICKS = round(HALF_S / TICK_S)
# Slopes over ± h that lie h apart are correlated by -1/4: so noisy, of a slope's error, is a tenth of their
# second difference, and so much more is the variance of a slope it is taken from.
JERK_NOISE = math.sqrt(8) / 10
JERK_COST = 0.58
# Taking out what is noise would make large errors larger: a jerk is one that stands out by so many sigmas.
JERK_SIGMAS = 3.0
# The velocities that show a jerk are rounded off themselves: of what it does a third is left.
JERK_LEFT = 1 / 3
# Two more columns of tracks freed of that: the share of what jerks round off that is still in, and its size.
TLEFT, TLEFT_MPS = 14, 15


def row_at(track: TickTrack, tick: int) -> Floats:
    return np.asarray(track.rows[min(max(tick - track.start, 0), len(track.rows) - 1)])


def speed_at(track: TickTrack, tick: int, instant_sigma_s: float) -> Measure:
    """Return the speed at a tick of an unbent track; while it changes it is known no better than the instant.

    Args:
        instant_sigma_s: error of the instant among the frames. That of their clock is common to all and moves
            no speed.
    """
    row = row_at(track, tick)
    before, after = row_at(track, tick - HALF_TICKS), row_at(track, tick + HALF_TICKS)
    speeds = [math.hypot(each[TVX], each[TVY]) for each in (before, row, after)]
    changes = abs(speeds[2] - speeds[0]) / (2 * HALF_S)
    noise = float(row[TSPEED_SIGMA]) * _between(track.path.rows[:, TIME], tick * TICK_S)
    return Measure(speeds[1], math.hypot(noise, float(row[TLEFT_MPS]), changes * instant_sigma_s))


def _between(times: Floats, time: float) -> float:
    """Return how large the error of a speed interpolated between two samples is, as a share of theirs.

    Slopes over ± h that lie a little dt apart differ with a variance of 3 dt/h of theirs.
    """
    after = int(np.searchsorted(times, time))
    if not 0 < after < len(times):
        return 1.0
    step = float(times[after] - times[after - 1])
    share = (time - float(times[after - 1])) / max(step, 1e-9)
    return math.sqrt(1 - 3 * share * (1 - share) * min(step / HALF_S, 1.0))


def unbent(track: TickTrack) -> TickTrack:
    """Return a track whose averaged positions and speeds are where and what they were, braking or bending.

    Over ± h the mean of positions lies off their middle by a·mean(t²)/2 under an acceleration a, and the
    slope by least squares off the speed there by j·h²/10 under a jerk j. The acceleration shows as the change
    of velocity from half a second before to half a second after, the jerk as its second difference over h.
    What is taken out brings its own noise, and that is added to the errors: of positions always, for what a
    curve does to them is seldom less than its noise; of speeds as far as a jerk stands out of its own.
    Exact positions are not averaged.

    Source: shrinking by what stands out, James & Stein, Estimation with quadratic loss, Berkeley Symposium 4
    (1961).
    """
    rows = track.rows
    noisy = rows[:, TSIGMA] > NOISY_M
    if not noisy.any() or len(rows) < 2:
        nothing = np.zeros((len(rows), 2))
        return TickTrack(track.path, track.start, np.hstack((rows, nothing)), track.pedestrian)
    index = np.arange(len(rows))
    low, high = np.maximum(index - HALF_TICKS, 0), np.minimum(index + HALF_TICKS, len(rows) - 1)
    velocity = rows[:, (TVX, TVY)]
    moved = rows.copy()
    half_spread_s2 = _mean_square_s2(rows) / 2
    acceleration = (velocity[high] - velocity[low]) / ((high - low) * TICK_S)[:, None]
    moved[:, (TX, TY)] -= np.where(noisy, half_spread_s2, 0.0)[:, None] * acceleration
    # By how much, of a mean over ± h, the slopes over the half seconds beside it err together with it.
    shared = half_spread_s2 / HALF_S**2
    moved[:, TPOSITION_SIGMA] *= np.where(noisy, np.sqrt(1 + 1.5 * shared + 1.5 * shared**2), 1.0)
    rounded, part = _rounded_mps(rows)
    part = np.where(noisy, part, 0.0)
    moved[:, (TVX, TVY)] -= (part * rounded)[:, None] * rows[:, (TCX, TCY)]
    moved[:, TSPEED_SIGMA] *= np.sqrt(1 + JERK_COST * part)
    # Of what is not taken out, as much as noise alone would show is no jerk.
    unseen = np.maximum(rounded**2 - (JERK_NOISE * rows[:, TSPEED_SIGMA]) ** 2, 0.0)
    left = np.where(noisy, np.hypot((1 - part) * np.sqrt(unseen), JERK_LEFT * part * np.abs(rounded)), 0.0)
    moved = np.column_stack((moved, 1 - part + JERK_LEFT * part, left))
    return TickTrack(track.path, track.start, moved, track.pedestrian)


def _rounded_mps(rows: Floats) -> tuple[Floats, Floats]:
    """Return what a jerk adds to the speed (N,) along the heading, and the part of it that is no noise.

    Along the heading alone: a bend, too, changes the velocity's change along it.
    """
    rounded = np.zeros(len(rows))
    half = HALF_TICKS
    if len(rows) > 2 * half:
        before, middle, after = (
            rows[part, TVX : TVY + 1]
            for part in (slice(None, -2 * half), slice(half, -half), slice(2 * half, None))
        )
        bent = ((after - 2 * middle + before) * rows[half:-half, TCX : TCY + 1]).sum(axis=1)
        # A slope over n = 2k + 1 samples within ± h errs by j·h²/10 times (k² + k - 1/3) / k².
        k = (_samples(rows)[half:-half] - 1) / 2
        rounded[half:-half] = bent / 10 * (1 + 1 / k - 1 / (3 * k**2))
    noise = (JERK_SIGMAS * JERK_NOISE * rows[:, TSPEED_SIGMA]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return rounded, np.where(rounded**2 > noise, 1 - noise / rounded**2, 0.0)


def _mean_square_s2(rows: Floats) -> Floats:
    """Return mean(t²) of the samples about each row: of 2k + 1 within ± h it is (k + 1) h² / 3k."""
    k = (_samples(rows) - 1) / 2
    return np.asarray(np.minimum((k + 1) / (3 * k), 1.0) * HALF_S**2)


def _samples(rows: Floats) -> Floats:
    """Return how many samples lie about each row, from what the error of their mean says."""
    with np.errstate(divide="ignore", invalid="ignore"):
        count = (rows[:, TSIGMA] / rows[:, TPOSITION_SIGMA]) ** 2
    return np.asarray(np.where(np.isfinite(count), np.maximum(count, 3.0), 1e6))


def position_sigma_m(row: Floats) -> float:
    """Return the position error; where none is told, no less than ``EXACT_M``."""
    return noise_m(row) if math.isfinite(row[TSIGMA]) else max(noise_m(row), EXACT_M)


def noise_m(row: Floats) -> float:
    """Return the position error: noisy positions are averaged over ± 0.5 s (``path.POSITION_SIGMA``)."""
    averaged = float(row[TPOSITION_SIGMA])
    if math.isnan(row[TSIGMA]):
        # Nothing tells an error: what jitter shows, where there is more than rounding.
        return averaged if averaged > EXACT_M else 0.0
    return averaged


def instant_sigma_s(row: Floats) -> float:
    """Return how well it is known when a road user reaches or leaves a place: its error over its speed."""
    return position_sigma_m(row) / max(math.hypot(row[TVX], row[TVY]), SLOWEST_MPS)
