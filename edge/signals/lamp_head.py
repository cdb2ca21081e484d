"""One signal head from frame to frame: which of its lamps are lit.

No image is kept: of each lamp how much of its colour it shows lit and unlit, and how bright its
surroundings usually are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.site import SignalHead
from edge.errors import InputError
from edge.signals import lamp_light
from edge.signals.lamp_light import CEILING, LINEAR, Exposure, Floats, Mask, exposure, visible
from edge.signals.vote import Label

Colour = Callable[[Floats, Floats, Floats], Floats]

# Margin around a head's region: what is there, and the housing, tell when something stands before it.
MARGIN = 0.35
LEAST_MARGIN_PX = 6
# Linear light, of 1, that a lamp must show of its colour whose lit state was never seen, and one that was.
LEAST_CONTRAST = 0.06
LEAST_KNOWN_CONTRAST = 0.015
# Of the light of a lamp never seen lit, so much must be its own colour: on grey, noise has colours too.
LEAST_SATURATION = 0.3
# A lamp is lit above this share of what it usually shows, and surely unlit below that: what lies between is
# no lamp that was switched, but one half hidden, or LEDs that beat with the frames.
LIT_SHARE, UNLIT_SHARE = 0.5, 0.2
# A lamp counts only above this share of the brightest of its head: less is what shines over from that.
LEAST_SHARE = 0.4
# Share of the pixels around one lamp that may have changed; with more, that lamp is hidden.
MOST_CHANGED = 0.3
# As bright as this in every channel a lamp has lost its colour; the rim of its glow still has it.
WHITE = 0.75
# Noise may make a pixel so much brighter, in linear light, where all got darker.
GLOW_MORE = 0.01
# Of the pixels; a countdown that comes on beside it may light the others.
GLOW_SHARE = 0.8
# The usual look follows the light of the day this slowly; a new look that stays becomes the usual one.
LOOK_S = 60.0
NEW_LOOK_S = 20.0
LEARN_FRAMES = 50.0


@dataclass
class _Lamp:
    """One lamp: pixels of its disc, the rim around it and its surroundings; its colour lit and unlit."""

    name: Label
    disc: Mask
    rim: Mask
    near: Mask  # of the pixels around the lamps, those nearest to this one
    colour: Colour
    off: float | None = None
    on: float | None = None

    def strength(self, light: Floats, housing: Floats) -> float:
        """Return how much more of its own colour the lamp shows than the housing (3,).

        That of the brightest third of its pixels; a veil or the tint of a wall is on both and does not count.
        """
        disc = light[self.disc]
        shown = float(_brightest(self.colour(*disc.T)).mean())
        if self.whiteness(light) > WHITE and self.rim.any():
            shown = max(shown, float(_brightest(self.colour(*light[self.rim].T)).mean()))
        return shown - max(0.0, float(self.colour(*housing[:, None])[0]))

    def whiteness(self, light: Floats) -> float:
        return float(_brightest(light[self.disc].min(axis=1)).mean())

    def brightness(self, light: Floats) -> float:
        return float(_brightest(light[self.disc].max(axis=1)).mean())

    def learn(self, strength: float, *, lit: bool) -> None:
        known = self.on if lit else self.off
        learnt = strength if known is None else known + (strength - known) / LEARN_FRAMES
        if lit:
            self.on = learnt
        else:
            self.off = learnt

    def usual(self, seen: Exposure) -> float | None:
        """Return what it would show lit in a picture exposed like this, above what it shows unlit."""
        if self.on is None:
            return None
        contrast = seen.gain * (self.on - (self.off or 0.0))
        return max(min(contrast, CEILING - seen.veil), 2 * LEAST_KNOWN_CONTRAST)


class Head:
    """One signal head."""

    def __init__(self, head: SignalHead) -> None:
        self._head = head
        self._box: tuple[int, int, int, int] | None = None
        self._lamps: tuple[_Lamp, ...] = ()
        self._around: Mask = np.zeros((0, 0), bool)
        self._housing: Mask = self._around
        self._look: Floats | None = None  # usual light of the pixels `_around` the lamps, darkest channel
        self._other: Floats | None = None  # another look, and since when it stays
        self._other_since = 0.0
        self._last = 0.0
        self._glowing = False  # whether a lamp shone so white that its glow is on all around it
        self._renewed = False  # after a new look nobody knows that a lamp is there at all, until one is lit

    def label(self, image: NDArray[np.uint8], time: float) -> Label:
        """Return what the head seems to show in one frame."""
        if self._box is None:
            self._lay_out(image)
        assert self._box is not None
        left, top, right, bottom = self._box
        if right > image.shape[1] or bottom > image.shape[0]:
            raise InputError(f"signal head {self._head.signal_group}: a frame is smaller than those before")
        light = LINEAR[image[top:bottom, left:right]]
        seen = self._exposure(light[self._around].min(axis=1), time)
        if seen is None:
            return "unsure"
        label = self._judged(light, seen)
        if label == "none" and (self._renewed or self._look is None or not visible(self._look)):
            return "black"
        if label not in ("unsure", "none", "dim"):
            self._renewed = False
            self._glowing = any(lamp.name == label and lamp.whiteness(light) > WHITE for lamp in self._lamps)
        return label

    def _judged(self, light: Floats, seen: Exposure) -> Label:
        housing = np.median(light[self._housing], axis=0) if self._housing.any() else np.zeros(3)
        strength = {lamp.name: lamp.strength(light, housing) for lamp in self._lamps}
        contrast = {lamp.name: strength[lamp.name] - seen.gain * (lamp.off or 0.0) for lamp in self._lamps}
        hidden = {lamp.name for lamp in self._lamps if seen.changed[lamp.near].mean() > MOST_CHANGED}
        most = max(contrast.values())
        lit, dim = set(), set()
        for lamp in self._lamps:
            usual, shown = lamp.usual(seen), contrast[lamp.name]
            if usual is None:
                least = max(LEAST_CONTRAST, LEAST_SATURATION * (lamp.brightness(light) - seen.veil))
            else:
                least = max(LEAST_KNOWN_CONTRAST, LIT_SHARE * usual)
            unlit = least if usual is None else UNLIT_SHARE * usual
            # What is white in a channel shines by itself, however little colour is left of it.
            share = 0.0 if lamp.brightness(light) > CEILING else LEAST_SHARE * most
            if shown >= max(least, share):
                lit.add(lamp.name)
            elif shown > max(unlit, share) or share == 0.0:
                dim.add(lamp.name)
        label = _LABELS.get(frozenset(lit), "unsure")
        if hidden & lit or (hidden and not _sure_without(label, hidden)):
            return "unsure"
        if not lit:
            return "dim" if dim else "none"
        if label != "unsure":
            for lamp in self._lamps:
                if lamp.name not in hidden:
                    lamp.learn(strength[lamp.name] / seen.gain, lit=lamp.name in lit)
        return label

    def _exposure(self, around: Floats, time: float) -> Exposure | None:
        """Return the exposure against the usual look; None while something hides the head."""
        elapsed_s, self._last = max(0.0, time - self._last), time
        if self._look is None:
            self._look = around
            return Exposure(1.0, 0.0, np.zeros(len(around), bool))
        if self._glowing and not visible(around) and (around <= self._look + GLOW_MORE).mean() > GLOW_SHARE:
            self._look = around  # at night: the glow of a white lamp went out, and nothing else is to be seen
        dark = not visible(self._look)
        seen = exposure(around, self._look) if not dark else Exposure(1.0, 0.0, np.zeros(len(around), bool))
        if seen is not None:
            self._other = None
            share = np.where(seen.changed, 0.0, min(1.0, elapsed_s / LOOK_S))
            self._look = self._look + share * (around - self._look)
            return seen
        if self._other is None or exposure(around, self._other) is None:
            self._other, self._other_since = around, time
        elif time - self._other_since >= NEW_LOOK_S:
            # It was no truck: the camera was turned, or the sun came round. What was learnt is void.
            self._look, self._other, self._renewed = around, None, True
            for lamp in self._lamps:
                lamp.off = lamp.on = None
        return None

    def _lay_out(self, image: NDArray[np.uint8]) -> None:
        left, top, right, bottom = self._head.region_px
        height, width = image.shape[:2]
        if left < 0 or top < 0 or right > width or bottom > height:
            raise InputError(
                f"signal head {self._head.signal_group}: region_px {left:g}, {top:g}, {right:g}, {bottom:g} "
                f"lies outside the image of {width} x {height} pixels"
            )
        margin_x = max(LEAST_MARGIN_PX, MARGIN * (right - left))
        margin_y = max(LEAST_MARGIN_PX, MARGIN * (bottom - top))
        box = (
            int(max(0, left - margin_x)),
            int(max(0, top - margin_y)),
            int(min(width, np.ceil(right + margin_x))),
            int(min(height, np.ceil(bottom + margin_y))),
        )
        ys, xs = np.mgrid[box[1] : box[3], box[0] : box[2]]
        centres, radius = _lamp_centres(self._head)
        distances = [np.hypot(xs + 0.5 - x, ys + 0.5 - y) for _, _, (x, y) in centres]
        nearest = np.argmin(distances, axis=0)
        distance = np.min(distances, axis=0)
        around = distance > 1.4 * radius
        inside = (xs + 0.5 > left) & (xs + 0.5 < right) & (ys + 0.5 > top) & (ys + 0.5 < bottom)
        lamps = []
        for index, (name, colour, _) in enumerate(centres):
            own = distances[index]
            disc = own <= max(radius, own.min() + 1e-9)
            rim = (own > radius) & (own <= 1.6 * radius) & (nearest == index)
            lamps.append(_Lamp(name, disc, rim, nearest[around] == index, colour))
        self._box, self._lamps, self._around = box, tuple(lamps), around
        self._housing = inside & (distance > 1.25 * radius)


def _sure_without(label: Label, hidden: set[Label]) -> bool:
    """Whether a label stands though some lamps are hidden: green alone is never shown with another."""
    if label == "red":
        return "amber" not in hidden
    return label == "green"


def _brightest(values: Floats) -> Floats:
    """Return the largest third of some values: figures and arrows fill no more of their lens."""
    ordered = np.sort(values)
    return np.asarray(ordered[(2 * len(ordered)) // 3 :])


def _lamp_centres(head: SignalHead) -> tuple[list[tuple[Label, Colour, tuple[float, float]]], float]:
    """Return name, colour and centre of each lamp, and their radius, in pixels."""
    left, top, right, bottom = head.region_px
    pedestrian = head.aspects == "pedestrian"
    names: tuple[Label, ...] = ("red", "green") if pedestrian else ("red", "amber", "green")
    given: dict[Label, tuple[float, float] | None] = {
        "red": head.red_px,
        "amber": head.amber_px,
        "green": head.green_px,
    }
    colours: dict[Label, Colour] = {
        "red": lamp_light.red,
        "amber": lamp_light.amber,
        "green": lamp_light.walk if pedestrian else lamp_light.green,
    }
    step = 1.0 / len(names)
    lamps: list[tuple[Label, Colour, tuple[float, float]]] = []
    for index, name in enumerate(names):
        share = (index + 0.5) * step
        if head.orientation == "vertical":
            even = ((left + right) / 2, top + share * (bottom - top))
        else:
            even = (left + share * (right - left), (top + bottom) / 2)
        lamps.append((name, colours[name], given[name] or even))
    long, across = (
        (bottom - top, right - left) if head.orientation == "vertical" else (right - left, bottom - top)
    )
    return lamps, head.radius_px or max(1.0, 0.35 * min(long * step, across))


_LABELS: dict[frozenset[Label], Label] = {
    frozenset(): "none",
    frozenset({"red"}): "red",
    frozenset({"amber"}): "amber",
    frozenset({"green"}): "green",
    frozenset({"red", "amber"}): "red_amber",
}
