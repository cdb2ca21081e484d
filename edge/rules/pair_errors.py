"""What the numbers of a pair err by: places, instants and speeds of two tracks at common instants."""

from __future__ import annotations

import math

import numpy as np

from edge.rules.finding import Measure
from edge.rules.gate import EXACT_M
from edge.rules.path import HALF_S, NOISY_M
from edge.rules.samples import Floats
from edge.rules.ticks import TICK_S, TSIGMA, TSPEED_SIGMA, TVX, TVY, TX, TY, TickTrack

# How far, in sigmas, the outermost of a second's averaged positions lies out.
WIDENED = 0.6
# An instant errs by the road user's own position and by the edge of what the other swept.
EDGES = 1.3
# What stepping by tenths of a second costs.
TICK_ERROR_S = 0.003
# Slower, an instant is known no better than at this speed.
SLOWEST_MPS = 0.3
HALF_TICKS = round(HALF_S / TICK_S)


def row_at(track: TickTrack, tick: int) -> Floats:
    return np.asarray(track.rows[min(max(tick - track.start, 0), len(track.rows) - 1)])


def speed_at(track: TickTrack, tick: int, time_sigma_s: float) -> Measure:
    """Return the speed at a tick; while it changes it is known no better than the instant."""
    row = row_at(track, tick)
    before, after = row_at(track, tick - HALF_TICKS), row_at(track, tick + HALF_TICKS)
    speeds = [math.hypot(each[TVX], each[TVY]) for each in (before, row, after)]
    changes = abs(speeds[2] - speeds[0]) / (2 * HALF_S)
    return Measure(speeds[1], math.hypot(float(row[TSPEED_SIGMA]), changes * time_sigma_s))


def unbent(track: TickTrack) -> TickTrack:
    """Return a track whose averaged positions are where it was, though it braked or bent.

    The mean of positions at times t about the middle lies off it by a·mean(t²)/2 under an acceleration a,
    which shows as the change of velocity from half a second before to half a second after. Over ± h mean(t²)
    is h²/3, over few samples more. Exact positions are not averaged.
    """
    rows = track.rows
    noisy = rows[:, TSIGMA] > NOISY_M
    if not noisy.any() or len(rows) < 2:
        return track
    spread_s2 = _mean_square_s2(rows)
    index = np.arange(len(rows))
    low, high = np.maximum(index - HALF_TICKS, 0), np.minimum(index + HALF_TICKS, len(rows) - 1)
    moved = rows.copy()
    for place, velocity in ((TX, TVX), (TY, TVY)):
        acceleration = (rows[high, velocity] - rows[low, velocity]) / ((high - low) * TICK_S)
        moved[:, place] -= np.where(noisy, acceleration * spread_s2 / 2, 0.0)
    return TickTrack(track.path, track.start, moved, track.pedestrian)


def _mean_square_s2(rows: Floats) -> Floats:
    """Return mean(t²) of the samples about each row, from what their slope's error says of sum(t²).

    Of n samples evenly over ± h the sum is n (n + 1) h² / 3 (n - 1), so n is about 3 sum / h² - 2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (rows[:, TSIGMA] / rows[:, TSPEED_SIGMA]) ** 2
        count = np.maximum(3 * total / HALF_S**2 - 2, 2.0)
        return np.where(np.isfinite(total), np.minimum(total / count, HALF_S**2), HALF_S**2 / 3)


def rounding_mps(one: TickTrack, other: TickTrack, tick: int) -> float:
    """Return by how much a closing speed may be rounded off, where somebody brakes harder and harder.

    A slope by least squares over ± h errs by j·h²/10 under a jerk j, which shows as the second difference of
    the velocity over h.
    """
    before, middle, after = (
        row_at(one, tick + ticks)[[TVX, TVY]] - row_at(other, tick + ticks)[[TVX, TVY]]
        for ticks in (-HALF_TICKS, 0, HALF_TICKS)
    )
    return float(np.hypot(*(after - 2 * middle + before))) / 10


def position_sigma_m(row: Floats) -> float:
    return max(noise_m(row), EXACT_M)


def noise_m(row: Floats) -> float:
    """Return the position error: noisy positions are averaged over ± 0.5 s (``path.position_error_m``)."""
    sigma = float(row[TSIGMA])
    averaged = float(row[TSPEED_SIGMA]) * HALF_S / math.sqrt(3)
    if math.isnan(sigma):
        # Nothing tells an error: what jitter shows, where there is more than rounding.
        return averaged if averaged > EXACT_M else 0.0
    return sigma if sigma <= NOISY_M else averaged


def instant_sigma_s(row: Floats) -> float:
    """Return how well it is known when a road user reaches or leaves a place: its error over its speed."""
    return position_sigma_m(row) / max(math.hypot(row[TVX], row[TVY]), SLOWEST_MPS)


def slack_m(one: TickTrack, other: TickTrack) -> float:
    """Return by how much noise widens what two road users swept."""
    return WIDENED * math.hypot(*(noise_m(track.rows[len(track.rows) // 2]) for track in (one, other)))
