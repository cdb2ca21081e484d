"""A street with one signal head as a camera records it: light, exposure, noise, what is in the way."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.lamps.heads import LENS, LIGHT, SIZE, Floats, Head, glow, mask

Image = NDArray[np.uint8]


def _always(value: float) -> Callable[[float], float]:
    return lambda _time: value


ONE, NOTHING = _always(1.0), _always(0.0)


@dataclass(frozen=True)
class Light:
    """How bright the day is and how bright lamps are; linear, 1 is white paper at noon.

    Attributes:
        day: what falls on everything.
        lamp: of a lit lamp.
        exposure: what the camera makes of it, so that 1 is white.
        glare: share of a lamp's light that the lens spreads far around.
        noise: of the sensor, at exposure 1.
    """

    day: float = 1.0
    lamp: float = 2.0
    exposure: float = 0.8
    glare: float = 0.02
    noise: float = 0.004


DAY = Light()
DUSK = Light(day=0.06, lamp=1.2, exposure=6.0, glare=0.04, noise=0.012)
NIGHT = Light(day=0.004, lamp=1.0, exposure=14.0, glare=0.07, noise=0.02)


@dataclass(frozen=True)
class Weather:
    """What changes from frame to frame; each a function of time, seconds.

    Attributes:
        gain: on top of the exposure: clouds, another AGC step.
        veil: light scattered over the whole head by low sun, of white.
        sun: light of low sun that falls on the head itself, times the day's.
        truck: columns from, to that something covers, and down to which row; None where nothing does.
        shake: of the camera, pixels right and down.
        lit: how much of a frame's exposure a lamp shines for, 0 to 1 (LEDs on mains).
    """

    gain: Callable[[float], float] = ONE
    veil: Callable[[float], float] = NOTHING
    sun: Callable[[float], float] = NOTHING
    truck: Callable[[float], tuple[float, float, float, float] | None] = lambda _time: None
    shake: Callable[[int], tuple[float, float]] = lambda _frame: (0.0, 0.0)
    lit: Callable[[float], float] = ONE


PLAIN = Weather()


class Street:
    """Draws frames of one head."""

    def __init__(
        self,
        head: Head,
        light: Light = DAY,
        weather: Weather | None = None,
        *,
        seed: int = 0,
        quality: int | None = None,
    ) -> None:
        """Take a head and its surroundings; ``quality`` is that of JPEG, None for no compression."""
        self._head, self._light, self._weather = head, light, weather or PLAIN
        self._chance = np.random.default_rng(seed)
        self._quality = quality
        self._matter = _matter(head, self._chance)
        self._lenses = sum(
            (mask(lamp)[:, :, None] * np.array(LENS[lamp.light], np.float32) for lamp in head.lamps.values()),
            np.zeros(1, np.float32),
        )
        self._glows: dict[tuple[str, int], Floats] = {}
        rows = np.arange(SIZE[1])[:, None]
        self._truck_paint = (0.25 + 0.1 * np.sin(rows / 3.0)).astype(np.float32)

    def picture(self, lit: Mapping[str, int], frame: int, time: float) -> Image:
        """Return one frame (H, W, 3), BGR, with the lamps named lit; a countdown shows its number."""
        light, weather = self._light, self._weather
        here = light.day * (1 + weather.sun(time) * self._sunlit())
        scene = (self._matter + self._lenses) * here
        for name, number in lit.items():
            scene = scene + light.lamp * weather.lit(time) * self._glow(name, number)
        scene = _moved(scene, weather.shake(frame))
        truck = weather.truck(time)
        if truck is not None:
            left, top, right, bottom = (round(value) for value in truck)
            left, top = max(left, 0), max(top, 0)
            if right > left and bottom > top:
                scene[top:bottom, left:right] = (self._truck_paint[top:bottom] * light.day)[:, :, None]
                # Its own lamps shine red at its end and amber on its side.
                for x, y, name in ((left + 3, bottom - 8, "red"), ((left + right) // 2, top + 6, "amber")):
                    cv2.circle(scene, (x, y), 4, [float(each) * light.lamp for each in LIGHT[name]], -1)
        exposed = light.exposure * weather.gain(time) * scene + weather.veil(time)
        return self._recorded(exposed.astype(np.float32))

    def _sunlit(self) -> Floats:
        left, top, right, bottom = (round(value) for value in self._head.region)
        lit = np.zeros((SIZE[1], SIZE[0], 1), np.float32)
        lit[top:bottom, left:right] = 1.0
        return lit

    def _glow(self, name: str, number: int) -> Floats:
        key = (name, number)
        if key not in self._glows:
            lamp = self._head.lamps[name]
            layer = mask(lamp, number=number)[:, :, None] * np.array(LIGHT[lamp.light], np.float32)
            self._glows[key] = glow(layer, blur_px=0.7, glare=self._light.glare)
        return self._glows[key]

    def _recorded(self, exposed: Floats) -> Image:
        light = self._light
        shot = np.sqrt(np.maximum(exposed, 0.0) + 1e-3)
        noisy = exposed + light.noise * shot * self._chance.standard_normal(exposed.shape, np.float32)
        # A shoulder before white, as every camera has, then the display's gamma.
        soft = np.where(noisy > 0.8, 0.8 + 0.2 * np.tanh((noisy - 0.8) / 0.2), noisy)
        image = (255 * np.clip(soft, 0.0, 1.0) ** (1 / 2.2) + 0.5).astype(np.uint8)
        if self._quality is None:
            return image
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _matter(head: Head, chance: np.random.Generator) -> Floats:
    """Return what the street throws back of the light on it: houses, leaves, sky, and the black housing."""
    width, height = SIZE
    grey = chance.uniform(0.1, 0.6, (height // 12 + 1, width // 12 + 1, 1))
    tint = chance.uniform(0.8, 1.2, (height // 12 + 1, width // 12 + 1, 3))
    scene = cv2.resize((grey * tint).astype(np.float32), SIZE, interpolation=cv2.INTER_LINEAR)
    scene *= chance.uniform(0.85, 1.15, (height, width, 1)).astype(np.float32)
    left, top, right, bottom = (round(value) for value in head.region)
    below = round(max(lamp.y + 1.3 * lamp.radius for lamp in head.lamps.values()))
    scene[top - 2 : max(bottom, below) + 2, left - 2 : right + 2] = 0.03
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), 0.7), np.float32)


def _moved(scene: Floats, by: tuple[float, float]) -> Floats:
    if by == (0.0, 0.0):
        return scene.copy()
    shift = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)
    return np.asarray(cv2.warpAffine(scene, shift, SIZE, borderMode=cv2.BORDER_REPLICATE), np.float32)


def through_h264(images: list[Image], *, rate: int, crf: int) -> Iterator[Image]:
    """Yield frames as they come back from H.264."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = SIZE[0], SIZE[1], "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
