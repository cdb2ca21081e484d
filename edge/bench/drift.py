"""How small a move of the camera is noticed, and how often one is claimed where there was none.

Real recordings of cameras that stood still, moved and lit anew by arithmetic. The structure comes from
another stretch than the looks: STRUDL's from one clip and the looks from the other, PETS' from the first
half. No box masks the road users, which a detector's boxes would: the numbers are on the safe side.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.drift import Movement, Structure, ground_points, movement, shift_m, structure_of
from calibration.plane import Plane
from edge.bench import pets
from edge.bench.section import Section
from edge.camera_watch import EVERY_S, LOOKS, CameraWatch
from edge.errors import InputError
from edge.sources.file import open_video
from edge.still import StillBuilder

if TYPE_CHECKING:
    from edge.frame import Frame

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

STRUDL = (Path("video/strudl_vid0.mp4"), Path("video/strudl_vid1.mp4"))
STRUDL_SITE = Path(__file__).resolve().parents[2] / "examples" / "strudl" / "site.toml"
_NOBODY = np.empty((0, 4), np.float32)
_SEED = 5
# From the least anybody would mind to what nobody could miss.
SHIFTS_PX = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 40.0, 80.0, 120.0, 200.0)
TURNS_DEG = (0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 8.0, 11.0, 15.0)
ZOOMS = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.05, 0.1, 0.15)
_DIRECTIONS = 6
# How a picture that nobody moved may look; a look a second each.
_STILL_LOOKS = 400


@dataclass(frozen=True, eq=False)
class Street:
    """One recorded camera: the structure of one stretch, the images of another."""

    name: str
    structure: Structure
    plane: Plane | None
    images: tuple[Picture, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.structure.image_size


def measure(data: Path) -> Section:
    """Measure on the STRUDL clips and on PETS S2L1."""
    threads = cv2.getNumThreads()
    told = logging.getLogger("edge.camera_watch")
    cv2.setNumThreads(1)
    told.setLevel(logging.ERROR)  # thousands of moves, each with its line
    try:
        return section([strudl(data), pets_street(data)], trials=_DIRECTIONS, looks=_STILL_LOOKS)
    finally:
        told.setLevel(logging.NOTSET)
        cv2.setNumThreads(threads)


def section(streets: Sequence[Street], *, trials: int, looks: int) -> Section:
    """Return what is noticed on streets: ``trials`` moves of each size, ``looks`` at each unmoved light."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, object] = {}
    for street in streets:
        told: dict[str, object] = {}
        for light in ("as recorded", "dusk", "rain"):
            for kind, sizes in MOVES.items():
                least, most, off_px = noticed(street, kind, sizes, LIGHTS[light], trials=trials)
                told[f"{kind}, {light}"] = {"smallest_noticed": least, "largest": most, "error_px": off_px}
                rows.append(
                    (
                        f"{street.name}, {light}: {kind}",
                        _size(street, kind, least),
                        _words(kind, most),
                        f"{off_px:.2f}",
                    )
                )
        numbers[street.name] = told
    alarms, doubts, seen, blind = 0, 0, 0, 0
    for street, (name, lit) in itertools.product(streets, LIGHTS.items()):
        found = unmoved(street, lit, looks=looks)
        numbers[f"{street.name}, unmoved, {name}"] = found.__dict__
        alarms, doubts, seen, blind = (
            alarms + found.alarms,
            doubts + found.doubts,
            seen + found.looks,
            blind + found.blind,
        )
    hours = seen * EVERY_S / 3600.0
    # Where k alarms were seen the true number is below this with 95 % (Poisson; 3 where none was).
    most = _poisson_most(alarms) / hours
    numbers["unmoved"] = {
        "looks": seen,
        "hours": hours,
        "alarms": alarms,
        "alarms_per_hour": alarms / hours,
        "alarms_per_hour_95": most,
        "doubted_looks": doubts,
        "looks_that_told_nothing": blind,
    }
    return Section(
        title="A moved camera: the smallest move that is always noticed",
        columns=("camera, light: move", "always noticed from", "up to", "told to, px"),
        rows=rows,
        numbers=numbers,
        remarks=(
            f"Unmoved, {len(LIGHTS)} lights, {seen} looks ({hours:.1f} h at a look a second): {alarms} false "
            f"alarms, fewer than {most:.1f} an hour with 95 %; {doubts} looks doubted for a second, {blind} "
            "told nothing (too dark).",
            f"Each size was tried {trials} times, {LOOKS} looks each, with no road user masked. "
            "In brackets: by how much the road is off in the median, image pixels and metres.",
        ),
    )


# ------------------------------------------------------------------------------------------------- streets


def strudl(data: Path) -> Street:
    """Return the STRUDL camera: structure of its first clip, images of its second.

    Raises:
        InputError: a clip is not in the folder of data.
    """
    from calibration.plane import plane_of
    from calibration.site import load_site

    first, second = (_there(data / clip) for clip in STRUDL)
    images = tuple(frame.image for frame in _frames(second))
    return Street("STRUDL", _structure(list(_frames(first)), first), plane_of(load_site(STRUDL_SITE)), images)


def pets_street(data: Path) -> Street:
    """Return the PETS camera: structure of the first half of S2L1, images of the second, two a second.

    Raises:
        InputError: the clip or its calibration is not in the folder of data.
    """
    import tempfile

    from calibration.plane import plane_of
    from calibration.site import load_site

    video = pets.video(data)
    with tempfile.TemporaryDirectory() as folder:
        plane = plane_of(load_site(pets.write_site(Path(folder) / "site.toml", data)))
    frames = list(_frames(video))
    half = len(frames) // 2
    images = tuple(frame.image for frame in frames[half::5])
    return Street("PETS S2L1", _structure(frames[:half], video), plane, images)


def _structure(frames: Sequence[Frame], video: Path) -> Structure:
    with open_video(video) as source:
        builder = StillBuilder(source, None)
    for frame in frames:
        if not builder.ingest(frame):
            break
    still = builder.still()
    return structure_of(still.picture, still.known)


def _frames(video: Path) -> Iterator[Frame]:
    with open_video(video) as source:
        yield from source


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected in the folder of data")
    return path


# --------------------------------------------------------------------------------------------------- moves


def _shifted(size_px: float, trial: int, image_size: tuple[int, int]) -> Floats:
    angle = 2.0 * math.pi * (trial + 0.3) / _DIRECTIONS
    return np.array([[1.0, 0.0, size_px * math.cos(angle)], [0.0, 1.0, size_px * math.sin(angle)]])


def _turned(deg: float, trial: int, image_size: tuple[int, int]) -> Floats:
    centre = (image_size[0] / 2, image_size[1] / 2)
    return np.asarray(cv2.getRotationMatrix2D(centre, deg if trial % 2 else -deg, 1.0), np.float64)


def _zoomed(share: float, trial: int, image_size: tuple[int, int]) -> Floats:
    centre = (image_size[0] / 2, image_size[1] / 2)
    zoom = 1.0 + (share if trial % 2 else -share)
    return np.asarray(cv2.getRotationMatrix2D(centre, 0.0, zoom), np.float64)


Move = Callable[[float, int, tuple[int, int]], Floats]
MOVES: Mapping[str, Sequence[float]] = {"shift": SHIFTS_PX, "turn": TURNS_DEG, "zoom": ZOOMS}
_MATRIX: Mapping[str, Move] = {"shift": _shifted, "turn": _turned, "zoom": _zoomed}


# -------------------------------------------------------------------------------------------------- lights


def _noisy(image: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    return image + rng.normal(0.0, sigma, image.shape)


def _rainy(image: Floats, rng: np.random.Generator) -> Floats:
    """Return an image seen through rain: streaks, a wet lens, less contrast."""
    height, width = image.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    for x, y in zip(rng.integers(0, width, 500), rng.integers(0, height, 500), strict=True):
        cv2.line(streaks, (int(x), int(y)), (int(x) + 2, int(y) + 14), 1.0, 1)
    wet = cv2.GaussianBlur(image, (0, 0), 1.2) * 0.75 + 40.0
    return _noisy(np.asarray(wet + 60.0 * cv2.GaussianBlur(streaks, (0, 0), 0.8)[..., None]), 3.0, rng)


def _parked(image: Floats, rng: np.random.Generator) -> Floats:
    """Return an image in which eight vehicles stand that were not there."""
    height, width = image.shape[:2]
    parked = image.copy()
    for _ in range(8):
        w, h = int(width * 0.12), int(height * 0.1)
        x, y = int(rng.integers(0, width - w)), int(rng.integers(height // 4, height - h))
        parked[y : y + h, x : x + w] = rng.integers(20, 220, 3)
        parked[y : y + h // 2, x + w // 6 : x + w - w // 6] = rng.integers(20, 90, 3)
    return parked


def _shaded(image: Floats, rng: np.random.Generator) -> Floats:
    """Return an image over which the shadows of houses and trees have fallen."""
    height, width = image.shape[:2]
    shade = np.ones((height, width), np.float32)
    for _ in range(6):
        corners = rng.integers(0, (width, height), 2) + rng.integers(-width // 5, width // 5, (5, 2))
        cv2.fillConvexPoly(shade, cv2.convexHull(corners.astype(np.int32)), 0.5)
    return np.asarray(image * cv2.GaussianBlur(shade, (0, 0), 1.0)[..., None])


Light = Callable[[Floats, np.random.Generator], Floats]
LIGHTS: Mapping[str, Light] = {
    "as recorded": lambda image, rng: image,
    "dusk": lambda image, rng: _noisy(image * 0.35, 3.0, rng),
    "night": lambda image, rng: _noisy(image * 0.1, 2.0, rng),
    "overexposed": lambda image, rng: image * 1.8,
    "gamma 0.5": lambda image, rng: 255.0 * np.sqrt(image / 255.0),
    "haze": lambda image, rng: _noisy(image * 0.4 + 120.0, 2.0, rng),
    "rain": _rainy,
    "parked vehicles": _parked,
    "shadows": _shaded,
}


def _lit(image: Picture, light: Light, seed: int) -> Picture:
    lit = light(image.astype(np.float32), np.random.default_rng(seed))
    return np.clip(lit, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------ measures


def noticed(
    street: Street, kind: str, sizes: Sequence[float], light: Light, *, trials: int
) -> tuple[float, float, float]:
    """Return from and up to which size every move was noticed (NaN: none was), and the error told.

    A move is noticed where the watch says ``moved`` after its looks. The error is that of the shift told, in
    the median over the moves that were noticed, image pixels. What moved further is another scene, which is
    told later.
    """
    run: list[float] = []
    best: list[float] = []
    errors: list[float] = []
    for size in sizes:
        told = [
            _trial(street, _MATRIX[kind](size, trial, street.size), light, trial) for trial in range(trials)
        ]
        run = [*run, size] if all(state == "moved" for state, _ in told) else []
        best = max(best, run, key=len)
        errors += [off for state, off in told if state == "moved" and math.isfinite(off)]
    if not best:
        return math.nan, math.nan, math.nan
    return best[0], best[-1], float(np.median(errors))


def _trial(street: Street, matrix: Floats, light: Light, trial: int) -> tuple[str, float]:
    watch = CameraWatch(street.structure, plane=street.plane, image_size=street.size)
    points = ground_points(street.plane, street.size)
    # A move shows more of the street at one side: there a real camera sees what no recording has.
    for look in range(LOOKS):
        image = street.images[(trial * len(street.images) // _DIRECTIONS + look) % len(street.images)]
        moved = cv2.warpAffine(
            image, matrix, street.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        watch.trusted(
            _lit(np.asarray(moved, np.uint8), light, _SEED + trial * LOOKS + look), _NOBODY, look * EVERY_S
        )
    true_px = float(np.median(np.linalg.norm(points @ matrix[:, :2].T + matrix[:, 2] - points, axis=1)))
    return watch.state, math.nan if watch.shift is None else abs(watch.shift.px - true_px)


@dataclass(frozen=True)
class Unmoved:
    """What was said of a camera that stood still."""

    looks: int
    alarms: int
    doubts: int
    blind: int


def unmoved(street: Street, light: Light, *, looks: int) -> Unmoved:
    """Return how often a camera that stood still was taken for moved; ``looks`` at a second each."""
    watch = CameraWatch(street.structure, plane=street.plane, image_size=street.size)
    doubts = blind = 0
    for look in range(looks):
        image = _lit(street.images[look % len(street.images)], light, _SEED + look)
        doubts += not watch.trusted(image, _NOBODY, look * EVERY_S)
        blind += look < len(street.images) and movement(street.structure, image) is None
    return Unmoved(looks, len(watch.moves), doubts, blind)


def _poisson_most(count: int) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(0.05, 2 * (count + 1))) / 2.0


def _size(street: Street, kind: str, size: float) -> str:
    """Return a size in words, and by how much the road is off by it: in the median, pixels and metres."""
    if math.isnan(size):
        return "never"
    matrix = _MATRIX[kind](size, 1, street.size)
    points = ground_points(street.plane, street.size)
    found = Movement(matrix, 0, 0)
    off_m = math.nan if street.plane is None else shift_m(street.plane, found, points)
    return f"{_words(kind, size)} ({found.shift_px(points):.1f} px, {off_m:.2f} m)"


def _words(kind: str, size: float) -> str:
    if math.isnan(size):
        return "–"
    return {"shift": f"{size:g} px", "turn": f"{size:g}°", "zoom": f"{100 * size:g} %"}[kind]
