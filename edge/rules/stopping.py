"""The lowest speed within some samples: whether something came to a complete stop, however short.

A speed by least squares over ± 0.5 s rounds the bottom of a stop off: who brakes at 4 m/s² and sets off again
at once never falls below 1 m/s in it. So the shortest window is taken whose own error still tells standing
from rolling, and what it may have rounded off is read from how steeply the speed rises to either side::

    speed   ╲       ╱          a window of h sees the corner at ``rise / 2`` too high, rise being what its
             ╲  ·  ╱           speeds h to either side are above it; a smooth bottom by about as much
              ╲   ╱
    0  ────────╲─╱─────
"""

from __future__ import annotations

import numpy as np

from edge.rules.extremes import RIVAL_SIGMAS, of_stretch
from edge.rules.finding import Measure
from edge.rules.gate import EXACT_M
from edge.rules.samples import Floats

HALF_WINDOWS_S = (0.1, 0.2, 0.3, 0.5)
# Standing is less than half a metre a second: a window that tells a speed to this does.
KNOWN_MPS = 0.15
LEAST_SAMPLES = 3


def slowest(times: Floats, x: Floats, y: Floats, *, sigma_m: float, within: slice) -> Measure | None:
    """Return the lowest speed among the samples ``within``; None where too few lie around any of them.

    Args:
        times, x, y: (N,) of one track, half a second more to either side of ``within`` where there is.
        sigma_m: by how much positions jitter from sample to sample.
    """
    for half_s in HALF_WINDOWS_S:
        speed, error = _speeds(times, x, y, half_s=half_s, sigma_m=sigma_m)
        known = np.isfinite(speed[within])
        if not known.any() or float(known.mean()) < 0.9:
            continue
        lowest = within.start + int(np.nanargmin(speed[within]))
        if error[lowest] <= KNOWN_MPS or half_s == HALF_WINDOWS_S[-1]:
            least = Measure(float(speed[lowest]), float(error[lowest]))
            if sigma_m > EXACT_M:
                least = _least(times[within], speed[within], least, half_s)
            sides = _sides(times, speed, lowest, half_s)
            rise = max(sides - least.value, 0.0)
            # The value is 1.75 times the least less 0.75 times the mean of its two sides: it errs by all.
            noise = np.hypot(1.75 * least.sigma, 0.75 * error[lowest] / np.sqrt(2)) if rise else least.sigma
            return Measure(max(least.value - 0.75 * rise, 0.0), float(np.hypot(noise, rise / 4)))
    return None


def _least(times: Floats, speed: Floats, lowest: Measure, half_s: float) -> Measure:
    """Return the lowest of noisy speeds freed of being the lowest.

    What stands has no lower speed than none, and noise makes its speed larger, never less.
    """
    error = lowest.sigma
    if lowest.value <= RIVAL_SIGMAS * error:
        return lowest
    rivals = times[speed <= lowest.value + RIVAL_SIGMAS * error]
    # Half of the stretch counts, for off its middle the speed is higher; that one of several readings was
    # least makes it err no less.
    windows = float(rivals[-1] - rivals[0]) / (2 * half_s) / 2
    return Measure(of_stretch(lowest.value, error, windows, "slope", sign=-1.0).value, error)


def _speeds(times: Floats, x: Floats, y: Floats, *, half_s: float, sigma_m: float) -> tuple[Floats, Floats]:
    """Return the speed by least squares over ± ``half_s`` and its 1-sigma error; NaN with too few samples."""
    low = np.searchsorted(times, times - half_s - 1e-6)
    high = np.searchsorted(times, times + half_s + 1e-6, side="right")
    count = (high - low).astype(np.float64)

    def total(values: Floats) -> Floats:
        sums = np.concatenate((np.zeros(1), np.cumsum(values)))
        return np.asarray(sums[high] - sums[low])

    t, px, py = times - times[0], x - x[0], y - y[0]
    spread = total(t * t) - total(t) ** 2 / count
    enough = (count >= LEAST_SAMPLES) & (spread > 1e-9)
    safe = np.where(enough, spread, np.nan)
    vx = (total(t * px) - total(t) * total(px) / count) / safe
    vy = (total(t * py) - total(t) * total(py) / count) / safe
    return np.hypot(vx, vy), sigma_m / np.sqrt(safe)


def _sides(times: Floats, speed: Floats, at: int, half_s: float) -> float:
    """Return the mean of the speeds half a window to either side."""
    known = np.isfinite(speed)
    return float(np.interp([times[at] - half_s, times[at] + half_s], times[known], speed[known]).mean())
