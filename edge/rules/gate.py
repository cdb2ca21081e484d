"""A gate: when something crosses a threshold for good, not merely touches it.

The same machine serves a vehicle's front at a stop line and a pedestrian at a kerb. ``f`` is metres beyond
the threshold::

    f   ────────────────────────── real_m  : from here on the crossing is a fact
        ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒           in this band nothing is decided: who turns back has not
    0   ══════════════════════════ line      crossed, who stands in it crosses when setting off again
        ──────────────────────────-back_m  : who is this far back may cross again
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.rules.samples import Floats

# Slower than this one stands: a waiting car drifts, a waiting person shifts from foot to foot. Who creeps on
# does not wait: a person in a crowd crosses the kerb at 0.2 m/s (test_who_creeps_over_has_not_stood).
STANDING_MPS = 0.15
# The half window in which a noisy crossing instant is fitted.
WINDOW_S = 0.5
# What a road user's speed may change within one sampling interval.
ACCELERATION_MPS2 = 3.0
# A crossing hidden in a longer gap may be another road user's.
GAP_S = 1.0
# Who stood has set off once it is this far from where it stood.
MOVED_M = 0.1
# Slower for less than this is a hesitation, or noise; longer is standing.
STOOD_S = 0.5
# How often a fit's window follows its zero.
RECENTRED = 4
# A standing start is gradual: when it began is known no better.
SET_OFF_SIGMA_S = 0.2
# A front or a toe this far over the threshold only touches it: who waits there has not crossed.
TOUCH_M = 0.03
# Positions no better known than this gain nothing from a fit over many.
EXACT_M = 0.02


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crossing confirmed.

    Attributes:
        before, after: the samples around it.
        stood: the last instant at which it stood in the band; None where it went through without a stop. Who
            stood before the threshold and sets off slowly does not stand in the band.
        confirmed: when it became a fact.
    """

    before: float
    after: float
    stood: float | None
    confirmed: float


class Gate:
    """The state of one track at one threshold."""

    __slots__ = ("after", "back_m", "before", "last", "real_m", "side", "still_since", "stood")

    def __init__(self, *, real_m: float, back_m: float) -> None:
        self.real_m, self.back_m = real_m, back_m
        self.side: Literal["unknown", "before", "band", "beyond"] = "unknown"
        self.last = math.nan
        self.before = self.after = math.nan
        self.stood: float | None = None
        self.still_since = math.nan

    def feed(
        self, time: float, f: float, standing: bool, sigma_m: float, *, away: bool = False
    ) -> Crossing | None:
        """Take one sample; return the crossing it makes a fact.

        Args:
            away: it was seen elsewhere since the last sample. Who passed beside the threshold and comes back
                behind it has not crossed it.
        """
        crossing = None
        if away and time - self.last > GAP_S:
            self.side, self.stood = "unknown", None
        if not standing:
            self.still_since = math.nan
        elif math.isnan(self.still_since):
            self.still_since = time
        if self.side == "before":
            if f >= TOUCH_M:
                self.side, self.stood = "band", None
                self.before, self.after = self.last, time
        elif self.side == "unknown":
            # Born within its own error of the line it may have crossed already: not judged.
            self.side = "before" if f < -2.0 * sigma_m else "beyond"
        elif self.side == "beyond" and f < -max(self.back_m, 2.0 * sigma_m):
            self.side = "before"
        if self.side == "band":
            if f < 0:
                self.side = "before"
            elif f >= self.real_m + 2.0 * sigma_m:
                crossing = Crossing(self.before, self.after, self.stood, time)
                self.side = "beyond"
            elif standing and time - max(self.still_since, self.after) >= STOOD_S - 1e-6:
                self.stood = time
        self.last = time
        return crossing

    def quiet(self, times: Floats, f: Floats, standing: NDArray[np.bool_], stops: NDArray[np.bool_]) -> int:
        """Take all samples before the first that may change the side; return how many these are.

        Who comes up to a threshold or waits before it, as most do most of the time, changes nothing. The
        first one that ``stops`` is not taken either.
        """
        if self.side != "before":
            return 0
        changes = (f >= TOUCH_M) | stops
        count = int(changes.argmax()) if changes.any() else len(f)
        if count:
            moved = np.flatnonzero(~standing[:count])
            begun = int(moved[-1]) + 1 if len(moved) else 0
            if begun == count:
                self.still_since = math.nan
            elif begun or math.isnan(self.still_since):
                self.still_since = float(times[begun])
            self.last = float(times[count - 1])
        return count

    def feed_all(
        self,
        times: Floats,
        f: Floats,
        standing: NDArray[np.bool_],
        sigma_m: Floats,
        away: NDArray[np.bool_],
    ) -> Iterator[Crossing]:
        """Take samples in order of time, as ``feed``; return the crossings they make facts."""
        columns = (times.tolist(), f.tolist(), standing.tolist(), sigma_m.tolist(), away.tolist())
        at = 0
        while at < len(times):
            passed = self.quiet(times[at:], f[at:], standing[at:], away[at:])
            if passed:
                at += passed
                continue
            *sample, elsewhere = (column[at] for column in columns)
            crossing = self.feed(*sample, away=elsewhere)
            at += 1
            if crossing is not None:
                yield crossing


@dataclass(frozen=True, slots=True)
class Instant:
    """When a crossing was, how sure that is, and how fast it was across the threshold.

    Attributes:
        set_off: it stood across the threshold and went on from there.
        gap: True where the samples around it are too far apart to be sure it is one and the same track.
    """

    time: float
    sigma_s: float
    speed_mps: float
    speed_sigma_mps: float
    gap: bool
    set_off: bool = False


def crossing_instant(
    crossing: Crossing, times: Floats, f: Floats, sigma_m: Floats, time_sigma_s: float
) -> Instant:
    """Return the instant at which ``f`` passed zero.

    Exact positions are interpolated between the two samples around it; noisy ones are fitted with a parabola
    over ± 0.5 s. Noise that shows from sample to sample is averaged by the fit; the part of ``sigma_m`` that
    does not show as jitter is taken as one error common to all samples, which no fit can lessen.

    Args:
        times, f, sigma_m: samples around the crossing; ``sigma_m`` is NaN where unknown, then the jitter
            itself tells it.
    """
    centre = (crossing.before + crossing.after) / 2
    gap = crossing.after - crossing.before > GAP_S
    jitter, common = noise_split(times, f, sigma_m)
    low, high = np.searchsorted(times, [crossing.before, crossing.after])
    low, high = int(low), min(int(high), len(times) - 1)
    interval = max(float(times[high] - times[low]), 1e-3)
    rise = float(f[high] - f[low])
    # Below zero where the sample before touched the line already.
    share = min(max(-float(f[low]) / rise, -1.0), 1.0) if rise > 0 else 0.5
    time, speed = float(times[low]) + share * interval, max(rise / interval, 0.05)
    # A curve between two samples bends away from the chord by at most a·dt²/8.
    bend = ACCELERATION_MPS2 * interval**2 / 8
    noise = math.hypot(common, jitter * math.hypot(1 - share, share))
    speed_sigma = jitter * math.sqrt(2) / interval
    if jitter > EXACT_M:
        # The rise between two noisy samples is mostly noise: the speed is that of the seconds around.
        speed = max(float(np.polynomial.polynomial.polyfit(times - centre, f, 1)[1]), 0.05)
        speed_sigma, noise = math.nan, math.hypot(common, jitter)
    fit = _fit(times, f, centre) if jitter > EXACT_M else None
    if fit is not None:
        time, speed, bend = fit.time, max(fit.speed_mps, 0.05), 0.0
        noise = math.hypot(common, jitter * fit.position_factor)
        speed_sigma = jitter * fit.speed_factor
    else:
        bend = max(bend, abs(_later(times, f, low, high) - time) * speed)
    sigma = math.hypot(time_sigma_s, noise / speed, bend / speed / math.sqrt(3))
    return Instant(time, sigma, speed, speed_sigma, gap)


def _later(times: Floats, f: Floats, low: int, high: int) -> float:
    """Return when it crossed if it went all the way at the speed it has afterwards.

    Who stood at the threshold and sets off between two samples, some lost between them, crosses any time from
    the chord's crossing to this.
    """
    if high + 1 >= len(times):
        return float(times[high])
    speed = float(f[high + 1] - f[high]) / max(float(times[high + 1] - times[high]), 1e-3)
    later = float(times[high]) - float(f[high]) / max(speed, 0.05)
    return min(max(later, float(times[low])), float(times[high]))


def set_off(
    crossing: Crossing, times: Floats, f: Floats, sigma_m: Floats, time_sigma_s: float
) -> Instant | None:
    """Return when a road user that stood across the threshold went on; None where it never stood.

    The instant is when it left the place where it stood.
    """
    if crossing.stood is None:
        return None
    stood = min(int(np.searchsorted(times, crossing.stood)), len(times) - 1)
    last = max(int(np.searchsorted(times, crossing.confirmed, side="right")), stood + 1)
    moved = max(MOVED_M, 2.0 * math.hypot(*noise_split(times, f, sigma_m)))
    left = stood + int(np.flatnonzero(f[stood:last] <= f[stood] + moved)[-1])
    end = min(last, len(times)) - 1
    step = float(times[min(left + 1, end)] - times[left])
    speed = float(f[end] - f[stood]) / max(float(times[end] - times[stood]), 0.05)
    return Instant(
        time=float(times[left]),
        sigma_s=math.hypot(time_sigma_s, step, SET_OFF_SIGMA_S),
        speed_mps=max(speed, 0.05),
        speed_sigma_mps=math.nan,
        gap=step > GAP_S,
        set_off=True,
    )


def standing(speed_mps: Floats, speed_sigma_mps: Floats) -> NDArray[np.bool_]:
    """Return where something stands, as far as its speed is known."""
    return np.asarray(speed_mps < np.maximum(STANDING_MPS, 2.0 * speed_sigma_mps))


def noise_split(times: Floats, f: Floats, sigma_m: Floats) -> tuple[float, float]:
    """Return the jitter from sample to sample and the error common to neighbours, 1 sigma, metres.

    The jitter shows as the distance of each sample from the chord of its neighbours; its median is not
    moved by a single outlier.
    """
    known = sigma_m[np.isfinite(sigma_m)]
    stated = math.sqrt(float(np.mean(known**2))) if len(known) else math.nan
    shown = math.nan
    if len(times) >= 8:
        before, after = np.diff(times)[:-1], np.diff(times)[1:]
        share = before / (before + after)
        off = f[1:-1] - (1 - share) * f[:-2] - share * f[2:]
        spread = 1 + share**2 + (1 - share) ** 2
        shown = math.sqrt(float(np.partition(off**2 / spread, len(off) // 2)[len(off) // 2]) / 0.455)
    if math.isnan(stated):
        return (max(shown, EXACT_M / 2) if not math.isnan(shown) else 0.05), 0.0
    stated = max(stated, EXACT_M / 2)
    if math.isnan(shown) or shown**2 > 0.3 * stated**2:
        return stated, 0.0
    return shown, math.sqrt(stated**2 - shown**2)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A parabola's zero; the factors turn the jitter of one sample into the error at that zero."""

    time: float
    speed_mps: float
    position_factor: float
    speed_factor: float


def _fit(times: Floats, f: Floats, centre: float) -> _Fit | None:
    """Return where a curve through the samples around rises through zero; None where it does not.

    Noise may have put the bracket beside the crossing: a line through the second before and after finds
    about where it was, then a parabola through half a second each way follows its own zero.
    """
    found = _polynomial(times, f, centre, degree=1, half_s=2 * WINDOW_S)
    if found is None:
        return None
    for _ in range(RECENTRED):
        closer = _polynomial(times, f, found.time, degree=2, half_s=WINDOW_S)
        if closer is None:
            break
        moved = abs(closer.time - found.time)
        found = closer
        if moved < 0.2 * WINDOW_S:
            break
    return found


def _polynomial(times: Floats, f: Floats, centre: float, *, degree: int, half_s: float) -> _Fit | None:
    window = (times >= centre - half_s - 1e-6) & (times <= centre + half_s + 1e-6)
    t, y = times[window] - centre, f[window]
    if len(t) < 6 or t[0] > -0.15 or t[-1] < 0.15:
        return None
    design = np.stack([t**power for power in range(degree + 1)], axis=-1)
    inverse = np.linalg.inv(design.T @ design)
    a, b, *rest = (inverse @ design.T @ y).tolist()
    c = rest[0] if rest else 0.0
    root = _rising_root(a, b, c)
    if root is None or abs(root) > half_s:
        return None
    gradient = np.array([1.0, root, root * root])[: degree + 1]
    slope = np.array([0.0, 1.0, 2 * root])[: degree + 1]
    return _Fit(
        time=centre + root,
        speed_mps=b + 2 * c * root,
        position_factor=math.sqrt(gradient @ inverse @ gradient),
        speed_factor=math.sqrt(slope @ inverse @ slope),
    )


def _rising_root(a: float, b: float, c: float) -> float | None:
    """Return the root of a + b·t + c·t² at which it rises."""
    if abs(c) < 1e-9:
        return -a / b if b > 1e-9 else None
    inside = b * b - 4 * a * c
    # Of the two roots the rising one: its slope b + 2·c·t is +√inside.
    return (-b + math.sqrt(inside)) / (2 * c) if inside >= 0 else None
