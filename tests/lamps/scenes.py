"""The family of drawn scenes: what the head shows, and what the street does to the picture meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from edge.scene import State
from tests.lamps.heads import Head, horizontal, pedestrian, small, vertical
from tests.lamps.street import DAY, DUSK, NIGHT, PLAIN, Image, Light, Street, Weather, through_h264

Lit = dict[str, int]
Programme = Callable[[float], tuple[State, Lit]]


@dataclass(frozen=True)
class Scene:
    """One drawn recording.

    Attributes:
        programme: what the group shows at a time, and which lamps shine for it.
        crf: of H.264; None for none. ``quality`` is of JPEG.
        hidden: (from, to) in which something stands before it: not knowing is right there.
    """

    name: str
    head: Head
    programme: Programme
    seconds: float
    rate_hz: float = 12.5
    light: Light = DAY
    weather: Weather = PLAIN
    crf: int | None = None
    quality: int | None = None
    hidden: tuple[float, float] | None = None

    def frames(self, seed: int) -> Iterator[tuple[float, Image, State]]:
        """Yield time, picture and the true state."""
        street = Street(self.head, self.light, self.weather, seed=seed, quality=self.quality)
        # A frame is taken at some instant of its interval, anywhere against the programme.
        phase = float(np.random.default_rng([seed, 7]).uniform(0, 1 / self.rate_hz))
        times = [phase + frame / self.rate_hz for frame in range(round(self.seconds * self.rate_hz))]
        shown = [self.programme(time) for time in times]
        drawn = (
            street.picture(lit, frame, time)
            for frame, (time, (_, lit)) in enumerate(zip(times, shown, strict=True))
        )
        pictures = (
            drawn if self.crf is None else through_h264(list(drawn), rate=round(self.rate_hz), crf=self.crf)
        )
        for time, picture, (state, _) in zip(times, pictures, shown, strict=True):
            yield time, picture, state


def cycle(*parts: tuple[float, State, Lit]) -> Programme:
    """Show parts in turn, each (seconds, state, lamps)."""

    def at(time: float) -> tuple[State, Lit]:
        left = time % sum(seconds for seconds, _, _ in parts)
        for seconds, state, lit in parts:
            if left < seconds:
                return state, lit
            left -= seconds
        raise AssertionError

    return at


def flashing(lamp: str, state: State, *, per_minute: float = 55.0, lit: float = 0.5) -> Programme:
    period = 60.0 / per_minute
    return lambda time: (state, {lamp: 0} if time % period < lit * period else {})


RED, AMBER, GREEN = {"red": 0}, {"amber": 0}, {"green": 0}
US = cycle((9.0, "red", RED), (8.0, "green", GREEN), (3.5, "amber", AMBER))
EU = cycle((8.0, "red", RED), (1.5, "red_amber", RED | AMBER), (7.0, "green", GREEN), (3.0, "amber", AMBER))


def crossing(*, digits: bool = False) -> Programme:
    """Walk, flashing clearance (with a countdown), don't walk."""

    def at(time: float) -> tuple[State, Lit]:
        left = time % 24.0
        if left < 7.0:
            return "green", {"green": 0}
        if left < 15.0:
            count = {"digits": math.ceil(15.0 - left)} if digits else {}
            return "amber", ({"red": 0} if (left - 7.0) % 1.0 < 0.5 else {}) | count
        return "red", {"red": 0}

    return at


def green_flash(time: float) -> tuple[State, Lit]:
    """As in Austria: the green flashes four times before amber; it is green all the while."""
    left = time % 22.0
    if left < 8.0:
        return "red", RED
    if left < 14.0:
        return "green", GREEN
    if left < 18.0:
        return "green", GREEN if (left - 14.0) % 1.0 >= 0.5 else {}
    return "amber", AMBER


def steps(*values: tuple[float, float]) -> Callable[[float], float]:
    """Return a function that jumps to a value at a time."""

    def at(time: float) -> float:
        return [value for start, value in values if start <= time][-1]

    return at


def hunting(time: float) -> float:
    """An AGC that swings after each headlight that passes."""
    swing = time % 6.0
    return 1.0 - 0.55 * math.exp(-swing / 0.6) * math.cos(4.0 * swing)


def passing(
    start: float, seconds: float, *, top: float = 0.0
) -> Callable[[float], tuple[float, float, float, float] | None]:
    """Return a truck that drives through the picture, from the left; ``top`` is its roof."""

    def at(time: float) -> tuple[float, float, float, float] | None:
        if not start <= time < start + seconds:
            return None
        front = (time - start) / seconds * 340.0
        return front - 200.0, top, front, 112.0

    return at


def standing(
    start: float, seconds: float, *, at: float, top: float = 0.0
) -> Callable[[float], tuple[float, float, float, float] | None]:
    """Return a truck that drives up, stands with its end at a column, and drives on."""

    def where(time: float) -> tuple[float, float, float, float] | None:
        if not start - 2 <= time < start + seconds + 3:
            return None
        end = at - 60.0 * max(0.0, start - time) + 60.0 * max(0.0, time - start - seconds)
        return end - 5.0, top, end + 200.0, 112.0

    return where


def shaking(pixels: float) -> Callable[[int], tuple[float, float]]:
    def at(frame: int) -> tuple[float, float]:
        x, y = np.random.default_rng([frame, 3]).normal(0.0, pixels / 1.7, 2)
        return float(np.clip(x, -pixels, pixels)), float(np.clip(y, -pixels, pixels))

    return at


def mains(exposure_s: float, *, hz: float = 100.2, on: float = 0.5) -> Callable[[float], float]:
    """Return how much of an exposure an LED on half-wave mains shines, at the row of the lamp."""

    def at(time: float) -> float:
        instants = time + np.linspace(0.0, exposure_s, 40, endpoint=False)
        return float(((instants * hz) % 1.0 < on).mean()) / on

    return at


def _bulb(time: float) -> float:
    """A filament glows up and down within a tenth of a second, 55 times a minute."""
    left = time % (60.0 / 55.0)
    return 1.0 - math.exp(-left / 0.05)


def _sunset(time: float) -> float:
    return max(0.0, 0.55 * math.sin(math.pi * min(max((time - 8.0) / 24.0, 0.0), 1.0)))


PEDESTRIAN_US = pedestrian(green=False)
FAMILY: tuple[Scene, ...] = (
    Scene("vertical, by day", vertical(), US, 45),
    Scene("vertical, dusk", vertical(), US, 45, light=DUSK),
    Scene("vertical, night with bloom", vertical(), US, 45, light=NIGHT),
    Scene("red and amber before green", vertical(), EU, 45),
    Scene("red and amber, night", vertical(), EU, 45, light=NIGHT),
    Scene("horizontal, by day", horizontal(), US, 45),
    Scene("horizontal, night", horizontal(), EU, 45, light=NIGHT),
    Scene("arrows, by day", vertical(shape="arrow"), US, 45),
    Scene("arrows, night", vertical(shape="arrow"), US, 45, light=NIGHT),
    Scene("flashing green before amber", vertical(), green_flash, 50),
    Scene("flashing red", vertical(), flashing("red", "flashing_red"), 20),
    Scene("flashing amber, night", vertical(), flashing("amber", "flashing_amber"), 20, light=NIGHT),
    Scene("dark", vertical(), lambda _time: ("dark", {}), 15),
    Scene("two-aspect, green man", pedestrian(), crossing(), 50),
    Scene("two-aspect, night", pedestrian(), crossing(), 50, light=NIGHT),
    Scene("hand and walk", PEDESTRIAN_US, crossing(), 50),
    Scene("hand and countdown", pedestrian(green=False, countdown=True), crossing(digits=True), 50),
    Scene(
        "countdown, night", pedestrian(green=False, countdown=True), crossing(digits=True), 50, light=NIGHT
    ),
    Scene("lamps of 6 px", small(), US, 45),
    Scene("lamps of 6 px, dusk", small(), US, 45, light=DUSK),
    Scene("lamps of 6 px, night", small(), US, 45, light=NIGHT),
    Scene("noise", vertical(), US, 45, light=replace(DUSK, noise=0.06)),
    Scene(
        "exposure jumps",
        vertical(),
        US,
        45,
        weather=Weather(gain=steps((0, 1), (5, 0.45), (13, 1.8), (22, 0.6), (30, 1.3))),
    ),
    Scene("AGC hunting, dusk", vertical(), US, 45, light=DUSK, weather=Weather(gain=hunting)),
    Scene(
        "a truck covers it", vertical(), US, 45, weather=Weather(truck=passing(11.0, 4.0)), hidden=(11, 15)
    ),
    Scene(
        "a truck at the change",
        vertical(),
        US,
        45,
        weather=Weather(truck=passing(15.5, 4.0)),
        hidden=(15, 20),
    ),
    Scene(
        "a truck covers amber and green",
        vertical(),
        US,
        45,
        weather=Weather(truck=passing(11.0, 9.0, top=40.0)),
        hidden=(11, 20),
    ),
    Scene(
        "a truck covers the green",
        vertical(),
        US,
        45,
        weather=Weather(truck=passing(11.0, 9.0, top=60.0)),
        hidden=(11, 20),
    ),
    Scene(
        "a queue of trucks",
        vertical(),
        US,
        60,
        weather=Weather(truck=lambda time: passing(0.0, 4.0)(time % 4.0) if 10 < time < 40 else None),
        hidden=(10, 40),
    ),
    Scene("low sun behind", vertical(), US, 45, weather=Weather(veil=_sunset)),
    Scene("low sun on the lenses", vertical(), US, 45, weather=Weather(sun=steps((0, 0), (6, 2.5), (26, 0)))),
    Scene(
        "sun on the lenses from the start", vertical(), US, 45, weather=Weather(sun=steps((0, 2.5), (20, 0)))
    ),
    Scene("LEDs on mains, beating", vertical(), US, 45, weather=Weather(lit=mains(0.004))),
    Scene(
        "LEDs on mains, slow beat",
        vertical(),
        US,
        60,
        rate_hz=12.5,
        weather=Weather(lit=mains(0.001, hz=100.05)),
    ),
    Scene(
        "LEDs on mains, night",
        vertical(),
        US,
        45,
        rate_hz=15.0,
        light=NIGHT,
        weather=Weather(lit=mains(0.012, hz=120.0, on=0.4)),
    ),
    Scene(
        "LEDs on mains, one frame in three",
        vertical(),
        US,
        45,
        rate_hz=15.0,
        weather=Weather(lit=mains(0.001, hz=100.0)),
    ),
    Scene(
        "LEDs on mains, 25 a second",
        vertical(),
        EU,
        45,
        rate_hz=25.0,
        weather=Weather(lit=mains(0.002, hz=100.1)),
    ),
    Scene(
        "a truck at night",
        vertical(),
        US,
        45,
        light=NIGHT,
        weather=Weather(truck=passing(11.0, 4.0)),
        hidden=(11, 15),
    ),
    Scene(
        "a truck stands before it at night",
        vertical(),
        US,
        60,
        light=NIGHT,
        weather=Weather(truck=standing(11.0, 30.0, at=66.0)),
        hidden=(10, 42),
    ),
    Scene(
        "a truck stands before it by day",
        vertical(),
        US,
        60,
        weather=Weather(truck=standing(11.0, 30.0, at=66.0)),
        hidden=(10, 42),
    ),
    Scene(
        "a bus parks before the green",
        vertical(),
        US,
        90,
        weather=Weather(truck=standing(11.0, 60.0, at=120.0, top=60.0)),
        hidden=(10, 75),
    ),
    Scene("lamps of 4 px", vertical(radius=2.0), US, 45),
    Scene("power fails", vertical(), lambda time: US(time) if time < 20 else ("dark", {}), 45),
    Scene(
        "power fails at night",
        vertical(),
        lambda time: US(time) if time < 20 else ("dark", {}),
        45,
        light=NIGHT,
    ),
    Scene(
        "a bulb's flash",
        vertical(),
        flashing("amber", "flashing_amber"),
        20,
        rate_hz=25.0,
        weather=Weather(lit=_bulb),
    ),
    Scene("camera shakes by 1 px", vertical(), US, 45, weather=Weather(shake=shaking(1.0))),
    Scene("camera shakes by 2 px", vertical(), US, 45, weather=Weather(shake=shaking(2.0))),
    Scene("6 px and shaking by 1 px", small(), US, 45, weather=Weather(shake=shaking(1.0))),
    Scene("JPEG at quality 30", vertical(), US, 45, quality=30),
    Scene("6 px, JPEG at quality 40", small(), US, 45, quality=40),
    Scene("H.264, crf 28", vertical(), US, 45, crf=28),
    Scene("6 px, H.264, crf 30, dusk", small(), EU, 45, crf=30, light=DUSK),
    Scene("night, H.264, crf 32", vertical(), US, 45, crf=32, light=NIGHT),
    Scene("5 frames a second", vertical(), US, 60, rate_hz=5.0),
    Scene("25 frames a second", vertical(), EU, 45, rate_hz=25.0),
)
