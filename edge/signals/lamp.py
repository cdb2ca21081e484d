"""Signal states read from the lamps themselves, as the camera sees them.

The only source of signals that is given pixels, where detector and redactor are given them. It keeps no
image: of each head a few numbers per lamp, and how bright the housing around the lamps usually is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.site import SignalHead, Site
from edge.errors import InputError
from edge.frame import Frame, Gap, Source
from edge.signals.history import LiveHistory
from edge.signals.vote import SILENCE_S, Label, Vote

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Blue, green, red of pixels → how much of a lamp's colour each shows.
Colour = Callable[[Floats, Floats, Floats], Floats]

# Margin around a head's region: what is there, and the housing, tell when something stands before it.
MARGIN = 0.35
LEAST_MARGIN_PX = 6
# Contrast, of 255, that a lamp must show whose own off-state was never seen. A dark lens shows about 0; one
# in low sun up to 50, until its off-state is learnt.
LEAST_CONTRAST = 40.0
LEAST_KNOWN_CONTRAST = 16.0
# A lamp counts only above this share of the brightest of its head: less is what shines over from that.
LEAST_SHARE = 0.4
# Share of the pixels around the lamps that may differ from their usual brightness, by how much of 255.
MOST_CHANGED = 0.25
CHANGED = 28.0
# Exposure control changes the brightness of everything by one factor; beyond these the view has changed.
LEAST_GAIN, MOST_GAIN = 0.25, 4.0
# The usual look follows the light of the day this slowly; a new look that stays becomes the usual one.
LOOK_S = 60.0
NEW_LOOK_S = 20.0
LEARN_FRAMES = 50.0


class LampReader:
    """Reads the signal heads of a site marked ``read``; ``history`` satisfies ``edge.scene.Signals``."""

    def __init__(self, site: Site) -> None:
        self.history = LiveHistory(stale_after_s=SILENCE_S)
        self._heads: dict[str, list[_Head]] = {}
        self._votes: dict[str, Vote] = {}
        for head in site.signal_heads:
            if not head.read:
                continue
            group = head.signal_group
            self._heads.setdefault(group, []).append(_Head(head))
            self._votes.setdefault(group, Vote(group, self.history, aspects=head.aspects))

    @property
    def groups(self) -> frozenset[str]:
        """The groups with a head in view."""
        return frozenset(self._heads)

    def observe(self, image: NDArray[np.uint8], time: float) -> None:
        """Read one frame (H, W, 3), uint8, BGR, captured at ``time``; frames come in order.

        Raises:
            InputError: a head's region lies outside the image.
        """
        for group, heads in self._heads.items():
            self._votes[group].note(_together([head.label(image, time) for head in heads]), time)


class ReadOnTheWay:
    """A source whose frames pass the lamp reader before they go on."""

    def __init__(self, source: Source, reader: LampReader) -> None:
        self._source = source
        self._reader = reader

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self._reader.observe(frame.image, frame.time)
            yield frame

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self._source.gaps


def _together(labels: Sequence[Label]) -> Label:
    """Return what several heads of one group show; heads that contradict each other show nothing."""
    sure = {label for label in labels if label != "unsure"}
    return sure.pop() if len(sure) == 1 else "unsure"


def _red(blue: Floats, green: Floats, red: Floats) -> Floats:
    return red - np.maximum(green, 0.8 * blue)


def _amber(blue: Floats, green: Floats, red: Floats) -> Floats:
    # Red alone is no amber, however bright: what shines over from the red lamp has hardly any green.
    return np.minimum(red, 1.6 * green) - blue


def _green(blue: Floats, green: Floats, red: Floats) -> Floats:
    return green - red


def _walk(blue: Floats, green: Floats, red: Floats) -> Floats:
    # White or green; the orange hand, which may be in the same place, has hardly any blue.
    return np.minimum(green, blue)


@dataclass
class _Lamp:
    """One lamp: its pixels in the head's patch, and its strength off and on, as at gain 1."""

    name: Label
    mask: Mask
    colour: Colour
    off: float | None = None
    on: float | None = None

    def strength(self, patch: Floats) -> float:
        """Return how much of its own colour the lamp shows: the mean of the brighter half of its pixels."""
        pixels = patch[self.mask]
        shown = np.sort(self.colour(pixels[:, 0], pixels[:, 1], pixels[:, 2]))
        return float(shown[len(shown) // 2 :].mean())

    def learn(self, strength: float, *, lit: bool) -> None:
        known = self.on if lit else self.off
        learnt = strength if known is None else known + (strength - known) / LEARN_FRAMES
        if lit:
            self.on = learnt
        else:
            self.off = learnt

    def threshold(self, gain: float) -> float:
        if self.off is None or self.on is None:
            return LEAST_CONTRAST
        return max(LEAST_KNOWN_CONTRAST, 0.5 * (self.on - self.off) * min(gain, 1.0))


class _Head:
    """One signal head, from frame to frame."""

    def __init__(self, head: SignalHead) -> None:
        self._head = head
        self._box: tuple[int, int, int, int] | None = None
        self._lamps: tuple[_Lamp, ...] = ()
        self._around: Mask = np.zeros((0, 0), bool)
        self._look: Floats | None = None  # usual brightness of the pixels `_around` the lamps
        self._other: Floats | None = None  # another look, and since when it stays
        self._other_since = 0.0
        self._last = 0.0

    def label(self, image: NDArray[np.uint8], time: float) -> Label:
        """Return what the head seems to show in one frame."""
        if self._box is None:
            self._lay_out(image)
        assert self._box is not None
        left, top, right, bottom = self._box
        if right > image.shape[1] or bottom > image.shape[0]:
            raise InputError(f"signal head {self._head.signal_group}: a frame is smaller than those before")
        patch = image[top:bottom, left:right].astype(np.float64)
        gain = self._gain(patch[self._around].mean(axis=1), time)
        if gain is None:
            return "unsure"
        strength = {lamp.name: lamp.strength(patch) / gain for lamp in self._lamps}
        contrast = {lamp.name: gain * (strength[lamp.name] - (lamp.off or 0.0)) for lamp in self._lamps}
        most = max(contrast.values())
        lit = frozenset(
            lamp.name
            for lamp in self._lamps
            if contrast[lamp.name] >= max(lamp.threshold(gain), LEAST_SHARE * most)
        )
        label = _LABELS.get(lit, "unsure")
        if label not in ("unsure", "none"):
            for lamp in self._lamps:
                lamp.learn(strength[lamp.name], lit=lamp.name in lit)
        return label

    def _gain(self, seen: Floats, time: float) -> float | None:
        """Return the exposure against the usual look; None while something hides the head."""
        elapsed_s, self._last = max(0.0, time - self._last), time
        if self._look is None:
            self._look = seen
            return 1.0
        gain = _fitting_gain(seen, self._look)
        if gain is not None:
            self._other = None
            share = min(1.0, elapsed_s / LOOK_S)
            self._look = self._look + share * (seen - self._look)
            return gain
        if self._other is None or _fitting_gain(seen, self._other) is None:
            self._other, self._other_since = seen, time
        elif time - self._other_since >= NEW_LOOK_S:
            # It was no truck: the camera was turned, or the sun came round. What was learnt is void.
            self._look, self._other = seen, None
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
        lamps, around = [], np.ones(xs.shape, bool)
        for name, colour, (x, y) in centres:
            distance = np.hypot(xs + 0.5 - x, ys + 0.5 - y)
            lamps.append(_Lamp(name, distance <= max(radius, distance.min() + 1e-9), colour))
            around &= distance > 1.7 * radius
        self._box, self._lamps, self._around = box, tuple(lamps), around


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
    colours: dict[Label, Colour] = {"red": _red, "amber": _amber, "green": _walk if pedestrian else _green}
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


def _fitting_gain(seen: Floats, look: Floats) -> float | None:
    """Return the factor by which all is brighter than its usual look; None where it is not the same thing."""
    usable = (look > 12) & (look < 240) & (seen < 250)
    gain = float(np.median(seen[usable] / look[usable])) if usable.sum() >= 8 else 1.0
    if not LEAST_GAIN <= gain <= MOST_GAIN:
        return None
    expected = np.minimum(gain * look, 255.0)
    changed = float((np.abs(seen - expected) > CHANGED).mean()) if len(seen) else 0.0
    return gain if changed <= MOST_CHANGED else None
