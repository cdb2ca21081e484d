"""What is around a signal head, and how much its exposure and the light on it differ from the usual.

In linear light: there exposure multiplies, and what low sun scatters over the picture adds. Pixels are taken
by their darkest channel, in which the glow of a coloured lamp hardly shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Video is written with about this gamma, whatever the standard says in detail.
GAMMA = 2.2
LINEAR: Floats = (np.arange(256) / 255.0) ** GAMMA
# Nothing is brighter than white; cameras bend the curve a little before it.
CEILING = 0.95
# A pixel has changed if it differs by so much of 255 from what exposure and veil make of its usual look.
CHANGED = 28.0
# Exposure control changes the brightness of all by one factor; beyond these the view has changed.
LEAST_GAIN, MOST_GAIN = 0.2, 5.0
MOST_VEIL = 0.8
# At least this share of the pixels around must be as usual, else something stands before the head.
LEAST_UNCHANGED = 0.6
# Around a head in the dark nothing is brighter than this (of 255): who stands before it is not to be seen.
DARK_LOOK = 60.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a picture differs from the usual look: ``gain * usual + veil``; which pixels do not fit (N,)."""

    gain: float
    veil: float
    changed: Mask


def exposure(seen: Floats, look: Floats) -> Exposure | None:
    """Return how pixels (N,) differ from their usual look; None where they are not the same thing.

    Fitted by least squares on the pixels that fit, from two first guesses, since a truck may cover some.
    """
    best: Exposure | None = None
    shown = _shown(seen)
    usable = (shown < 250.0) & (_shown(look) < 250.0)
    if usable.sum() < 8:
        return None
    for gain, veil in (
        (float(np.median(seen[usable]) / max(np.median(look[usable]), 1e-4)), 0.0),
        (1.0, 0.0),
    ):
        fits = usable
        for _ in range(3):
            expected = _shown(gain * look + veil)
            fits = usable & (np.abs(shown - expected) <= 1.5 * CHANGED)
            if fits.sum() < 0.4 * usable.sum():
                break
            gain, veil = _line(look[fits], seen[fits])
        changed = np.abs(shown - _shown(gain * look + veil)) > CHANGED
        if best is None or changed.sum() < best.changed.sum():
            best = Exposure(gain, veil, changed)
    assert best is not None
    sound = LEAST_GAIN <= best.gain <= MOST_GAIN and best.veil <= MOST_VEIL
    return best if sound and best.changed.mean() <= 1 - LEAST_UNCHANGED else None


def _line(look: Floats, seen: Floats) -> tuple[float, float]:
    """Return gain and veil of a straight line through pixels; the veil is never negative."""
    spread = look - look.mean()
    variance = float((spread**2).mean())
    # Where all is equally bright, gain and veil are one: it is taken for gain.
    if variance < 1e-5:
        return float(seen.mean() / max(look.mean(), 1e-4)), 0.0
    gain = float((spread * seen).mean()) / variance
    veil = float(seen.mean() - gain * look.mean())
    if veil < 0.005:
        return float((look * seen).sum() / max((look * look).sum(), 1e-9)), 0.0
    return gain, veil


def _shown(light: Floats) -> Floats:
    """Return light as a picture shows it, 0 to 255."""
    return np.asarray(255.0 * np.clip(light, 0.0, 1.0) ** (1 / GAMMA))


def visible(look: Floats) -> bool:
    """Whether surroundings are bright enough to tell that something stands before them."""
    return float(np.percentile(_shown(look), 90)) > DARK_LOOK


# ---------------------------------------------------------------------------- how much of a lamp's colour
# Blue, green, red of pixels in linear light → how much of a lamp's colour each shows.


def red(blue: Floats, green: Floats, red_: Floats) -> Floats:
    return red_ - np.maximum(green, blue)


def amber(blue: Floats, green: Floats, red_: Floats) -> Floats:
    # Red alone is no amber, however bright: what shines over from the red lamp has hardly any green.
    return np.minimum(red_ - blue, 2.0 * (green - blue))


def green(blue: Floats, green_: Floats, red_: Floats) -> Floats:
    return green_ - red_


def walk(blue: Floats, green_: Floats, red_: Floats) -> Floats:
    # White or green; the orange hand, which may be in the same place, has hardly any blue.
    return np.minimum(green_, blue)
