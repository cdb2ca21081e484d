"""Signal heads as light: what each lamp adds to a picture, in linear light, before any camera.

Light adds up, so a picture is the street plus each lit lamp. Lamps are drawn four times finer and averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Shape = Literal["disc", "arrow", "man", "hand", "digits"]
SIZE = (128, 112)  # width, height of a picture
FINE = 4
# Linear light of LEDs in blue, green, red, brightest 1: narrow bands, so a channel or two hardly see them.
LIGHT: dict[str, tuple[float, float, float]] = {
    "red": (0.02, 0.03, 1.0),
    "amber": (0.02, 0.35, 1.0),
    "green": (0.55, 1.0, 0.08),
    "walk": (0.80, 1.0, 0.95),
    "orange": (0.03, 0.22, 1.0),
}
# What an unlit lens throws back of the light that falls on it.
LENS: dict[str, tuple[float, float, float]] = {
    "red": (0.015, 0.015, 0.07),
    "amber": (0.015, 0.05, 0.08),
    "green": (0.04, 0.06, 0.02),
    "walk": (0.05, 0.05, 0.05),
    "orange": (0.02, 0.03, 0.06),
}


@dataclass(frozen=True)
class Lamp:
    """One lamp: where it is (pixels), how large, and what it shows."""

    light: str
    x: float
    y: float
    radius: float
    shape: Shape = "disc"


@dataclass(frozen=True)
class Head:
    """A signal head as drawn, and as its site file describes it.

    Attributes:
        lamps: by the name of what each shows; ``digits`` is a countdown.
        region: of the housing, left, top, right, bottom.
        settings: more keys of ``[[signal_heads]]``.
    """

    lamps: dict[str, Lamp]
    region: tuple[float, float, float, float]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        """The head as a site file has it."""
        return {"signal_group": "N", "region_px": list(self.region), "read": True, **self.settings}


def vertical(*, radius: float = 7.0, shape: Shape = "disc") -> Head:
    """Red on top, amber, green."""
    step, x, top = 2.6 * radius, 63.3, 24.0
    lamps = {
        name: Lamp(name, x, top + (index + 0.5) * step, radius, shape)
        for index, name in enumerate(("red", "amber", "green"))
    }
    return Head(lamps, (x - step / 2, top, x + step / 2, top + 3 * step))


def horizontal(*, radius: float = 7.0) -> Head:
    """Red on the left, amber, green."""
    step, left, y = 2.6 * radius, 34.6, 50.2
    lamps = {
        name: Lamp(name, left + (index + 0.5) * step, y, radius)
        for index, name in enumerate(("red", "amber", "green"))
    }
    region = (left, y - step / 2, left + 3 * step, y + step / 2)
    return Head(lamps, region, {"orientation": "horizontal"})


def pedestrian(*, radius: float = 7.0, countdown: bool = False, green: bool = True) -> Head:
    """A red or orange figure above a green or white one, perhaps a countdown below."""
    step, x, top = 2.6 * radius, 63.3, 24.0
    lamps = {
        "red": Lamp("red" if green else "orange", x, top + 0.5 * step, radius, "man" if green else "hand"),
        "green": Lamp("green" if green else "walk", x, top + 1.5 * step, radius, "man"),
    }
    if countdown:
        lamps["digits"] = Lamp("orange", x, top + 2.5 * step, radius, "digits")
    return Head(lamps, (x - step / 2, top, x + step / 2, top + 2 * step), {"aspects": "pedestrian"})


def small() -> Head:
    """Lamps six pixels across, as far heads have."""
    return vertical(radius=3.0)


_SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def _digit(canvas: Floats, left: float, top: float, size: float, number: int) -> None:
    w, h, t = 0.5 * size, size, max(1, round(0.12 * size))
    ends = {
        "a": ((0, 0), (w, 0)), "b": ((w, 0), (w, h / 2)), "c": ((w, h / 2), (w, h)), "d": ((0, h), (w, h)),
        "e": ((0, h / 2), (0, h)), "f": ((0, 0), (0, h / 2)), "g": ((0, h / 2), (w, h / 2)),
    }  # fmt: skip
    for name in _SEGMENTS[number]:
        (x0, y0), (x1, y1) = ends[name]
        cv2.line(canvas, (round(left + x0), round(top + y0)), (round(left + x1), round(top + y1)), (1.0,), t)


def mask(lamp: Lamp, *, number: int = 0) -> Floats:
    """Return how much of each pixel (H, W) a lamp's figure covers, 0 to 1."""
    width, height = SIZE
    canvas = np.zeros((height * FINE, width * FINE), np.float32)
    x, y, r = lamp.x * FINE, lamp.y * FINE, lamp.radius * FINE

    def polygon(*points: tuple[float, float]) -> None:
        corners = np.round([(x + r * px, y + r * py) for px, py in points]).astype(np.int32)
        cv2.fillPoly(canvas, [corners], (1.0,))

    match lamp.shape:
        case "disc":
            cv2.circle(canvas, (round(x), round(y)), round(r), (1.0,), -1)
        case "arrow":
            polygon(
                (-0.9, 0),
                (-0.1, -0.75),
                (-0.1, -0.28),
                (0.85, -0.28),
                (0.85, 0.28),
                (-0.1, 0.28),
                (-0.1, 0.75),
            )
        case "man":
            cv2.circle(canvas, (round(x), round(y - 0.62 * r)), round(0.22 * r), (1.0,), -1)
            polygon(
                (-0.34, -0.36),
                (0.34, -0.36),
                (0.34, 0.3),
                (0.22, 0.3),
                (0.22, 0.95),
                (-0.22, 0.95),
                (-0.22, 0.3),
                (-0.34, 0.3),
            )
        case "hand":
            polygon((-0.55, -0.1), (-0.45, -0.7), (0.5, -0.8), (0.55, 0.5), (0.2, 0.9), (-0.25, 0.9))
        case "digits":
            _digit(canvas, x - 0.75 * r, y - 0.6 * r, 1.2 * r, number // 10)
            _digit(canvas, x + 0.15 * r, y - 0.6 * r, 1.2 * r, number % 10)
    return np.asarray(cv2.resize(canvas, SIZE, interpolation=cv2.INTER_AREA), np.float32)


def glow(layer: Floats, *, blur_px: float, glare: float) -> Floats:
    """Return light as a lens spreads it: a little blur, and a share far around (bloom)."""
    near = cv2.GaussianBlur(layer, (0, 0), blur_px)
    far = cv2.GaussianBlur(layer, (0, 0), 5.0) + cv2.GaussianBlur(layer, (0, 0), 14.0)
    return np.asarray((1 - glare) * near + glare * far, np.float32)
