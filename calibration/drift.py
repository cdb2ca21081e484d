"""Whether a camera still looks where it looked when its ground plane was fitted.

What is compared is the scene's static structure: the directions of edges, without their strength or sign, at
a quarter of the image or less. Directions outlast dusk, exposure and wet roads. The picture is compared tile
by tile, and the movement most tiles agree on is that of the camera: a bus or a parked car spoils some tiles,
never most.

Source: orientation correlation, Fitch, Kadyrov, Christmas & Kittler, BMVC 2002; Fischler & Bolles, "Random
sample consensus", CACM 24 (1981).
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import fft

from calibration.plane import Plane
from calibration.site import SiteError

Picture = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex64]

# The structure is no wider than this: coarser than a plate, and without any grey value.
WIDEST_PX = 320
DIRECTIONS = 16
# Grey levels between neighbouring pixels, after smoothing: above the noise of a street camera at dusk.
_LEAST_EDGE = 3.0
_TILE_PX, _STEP_PX = 64, 32
# A tile tells its shift where it has so many edge pixels; and its peak stands so far above the rest.
_EDGES_A_TILE = 60
_PEAK_SIGMAS = 6.0
_PEAK = 0.12
# Tiles that agree to so many structure pixels have moved together.
_AGREE_PX = 0.8
_LEAST_AGREEING = 5
_AGREEING_SHARE = 0.3
# Of the edges there were, so many have to be seen again before "all is different" means the camera.
_EDGES_LEFT = 0.6
# With fewer than so many nothing would be found by looking longer.
_FEWEST_EDGES = 0.15
# Where tiles are looked for: zoom and degrees about the middle. A tile finds its like where that is turned
# by a few degrees at most; what was knocked further is found from another start.
_STARTS = ((1.0, 0.0), (1.07, 0.0), (0.93, 0.0), (1.0, 4.0), (1.0, -4.0), (1.0, 8.0), (1.0, -8.0))


@dataclass(frozen=True, eq=False)
class Structure:
    """The static structure of a scene.

    Attributes:
        image_size: width, height of the image it was made from, pixels.
        directions: (H, W) uint8, 0 where there is no edge or nobody knows, else 1 + the edge's direction in
            steps of 180 / 16 degrees.
    """

    image_size: tuple[int, int]
    directions: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Movement:
    """How the image moved since the structure was made.

    Attributes:
        matrix: (2, 3) image pixels then to image pixels now; None where the picture is of another scene.
        tiles, agreeing: how many tiles told a shift, and how many of them this one.
    """

    matrix: Floats | None
    tiles: int
    agreeing: int

    def shift_px(self, points_px: Floats) -> float:
        """Return by how much image points (N, 2) moved in the median; inf where nothing is found again."""
        if self.matrix is None:
            return math.inf
        moved = points_px @ self.matrix[:, :2].T + self.matrix[:, 2]
        return float(np.median(np.linalg.norm(moved - points_px, axis=1)))


def structure_of(image: Picture, known: Bools | None = None) -> Structure:
    """Return the structure of an image (H, W, 3) BGR; ``known`` (H, W) is where the empty scene is seen."""
    import cv2

    height, width = image.shape[:2]
    field = _edges(_small(image))
    if known is not None:
        size = (field.shape[1], field.shape[0])
        seen = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        # The border of a mask is an edge of the mask, not of the street.
        field[cv2.erode(seen, np.ones((5, 5), np.uint8)) == 0] = 0
    return Structure((width, height), _coded(field))


def movement(structure: Structure, image: Picture, hidden: Bools | None = None) -> Movement | None:
    """Return how the camera moved; None where the image tells too little (night, fog, a covered lens).

    Args:
        hidden: (H, W), or smaller in the same shape: where road users are, which is not looked at.

    Raises:
        ValueError: an image of another size.
    """
    height, width = image.shape[:2]
    if (width, height) != structure.image_size:
        raise ValueError(f"an image of {width} x {height} px, the structure is of {structure.image_size}")
    then, small = _decoded(structure.directions), _small(image)
    seen = np.ones(small.shape, np.float32) if hidden is None else 1.0 - _hidden(hidden, small.shape)
    now = _edges(small) * seen
    most = 0
    for zoom, turn_deg in _STARTS:
        matrix, tiles, agreeing = _followed(then, small, seen, _about_the_middle(zoom, turn_deg, small.shape))
        if agreeing:
            break
        most = max(most, tiles)
        if not _edges_left(then, now, _FEWEST_EDGES):
            return None
    else:
        return Movement(None, most, 0) if _edges_left(then, now, _EDGES_LEFT) else None
    scale = np.array([width / small.shape[1], height / small.shape[0]])
    whole = np.empty((2, 3))
    whole[:, :2] = matrix[:, :2] * scale[:, None] / scale[None, :]
    # A structure pixel's centre is the middle of the pixels it averages.
    whole[:, 2] = scale * (matrix[:, 2] + 0.5) - 0.5 * whole[:, :2] @ scale
    return Movement(whole, tiles, agreeing)


def shift_m(plane: Plane, found: Movement, points_px: Floats) -> float:
    """Return by how many metres on the road image points are off in the median; NaN where unknown."""
    if found.matrix is None:
        return math.nan
    moved = points_px @ found.matrix[:, :2].T + found.matrix[:, 2]
    off = np.linalg.norm(plane.ground(moved) - plane.ground(points_px), axis=1)
    return float(np.median(off[np.isfinite(off)])) if np.isfinite(off).any() else math.nan


def ground_points(plane: Plane | None, image_size: tuple[int, int]) -> Floats:
    """Return image points (N, 2) on the road near enough to be judged, where a shift is told."""
    width, height = image_size
    u, v = np.meshgrid(np.linspace(0.05, 0.95, 10) * width, np.linspace(0.05, 0.95, 10) * height)
    points = np.stack([u.ravel(), v.ravel()], axis=1)
    if plane is None:
        return points
    near = plane.sigma_m(points, 2.0) < 1.0
    return points[near] if near.any() else points


# -------------------------------------------------------------------------------------------- on the disk


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    v: Literal[1]
    image_size: tuple[Annotated[int, Field(gt=0, le=20_000)], Annotated[int, Field(gt=0, le=20_000)]]
    size: tuple[Annotated[int, Field(gt=0, le=WIDEST_PX)], Annotated[int, Field(gt=0, le=20_000)]]
    directions: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=]*$", max_length=2_000_000)]


def structure_file(site: Path) -> Path:
    """Return where the structure of a site's camera is kept: beside its site file."""
    return site.resolve().with_name(site.stem + ".structure.json")


def structure_text(structure: Structure) -> str:
    """Return a structure as JSON."""
    rows, columns = structure.directions.shape
    packed = base64.b64encode(zlib.compress(structure.directions.tobytes(), 9)).decode()
    return json.dumps(
        {"v": 1, "image_size": structure.image_size, "size": (columns, rows), "directions": packed}
    )


def load_structure(path: Path) -> Structure | None:
    """Read a structure; None where there is no such file.

    Raises:
        SiteError: it is there and cannot be used.
    """
    try:
        record = _Record.model_validate_json(path.read_bytes())
        columns, rows = record.size
        limit = columns * rows
        raw = zlib.decompressobj().decompress(base64.b64decode(record.directions), limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SiteError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    except (ValidationError, ValueError, zlib.error) as error:
        raise SiteError([f"{path}: no structure of a scene as `nearmiss calibrate` writes it"]) from error
    directions = np.frombuffer(raw, np.uint8)
    if len(directions) != limit or directions.max(initial=0) > DIRECTIONS:
        raise SiteError([f"{path}: no structure of a scene as `nearmiss calibrate` writes it"])
    return Structure(record.image_size, directions.reshape(rows, columns))


# ------------------------------------------------------------------------------------------------- edges


def _small(image: Picture) -> NDArray[np.float32]:
    import cv2

    height, width = image.shape[:2]
    shrink = -(-width // WIDEST_PX)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    size = (max(width // shrink, 1), max(height // shrink, 1))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _edges(grey: NDArray[np.float32]) -> Complexes:
    """Return the edges of a grey picture: unit numbers of twice their angle, fainter where weak."""
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) / 8
    strength2 = across**2 + down**2
    strong = strength2 > _LEAST_EDGE**2
    doubled = (across + 1j * down) ** 2
    return np.where(strong, doubled / np.maximum(strength2, 1e-6), 0).astype(np.complex64)


def _coded(field: Complexes) -> NDArray[np.uint8]:
    steps = np.round(np.angle(field) / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    return np.where(np.abs(field) > 0, steps + 1, 0).astype(np.uint8)


def _decoded(directions: NDArray[np.uint8]) -> Complexes:
    angle = (directions.astype(np.float32) - 1) * (2 * np.pi / DIRECTIONS)
    return np.where(directions > 0, np.exp(1j * angle), 0).astype(np.complex64)


def _hidden(hidden: Bools, shape: tuple[int, ...]) -> NDArray[np.float32]:
    import cv2

    wide = cv2.resize(hidden.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.dilate(wide, np.ones((5, 5), np.uint8)), np.float32)


def _warped(picture: NDArray[np.float32], matrix: Floats) -> NDArray[np.float32]:
    """Return a picture of now as it would have looked then."""
    import cv2

    size = (picture.shape[1], picture.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


# ------------------------------------------------------------------------------------------------ shifts


def _followed(
    then: Complexes, small: NDArray[np.float32], seen: NDArray[np.float32], start: Floats
) -> tuple[Floats, int, int]:
    """Return the movement then to now from a start, how many tiles told one, and how many agree on it."""
    shift = np.eye(3)[:2]
    back = _warped(small, start), _warped(seen, start)
    shift[:, 2] = _whole_shift(then, _edges(back[0]) * back[1])
    matrix = _composed(start, shift)
    tiles = agreeing = 0
    corners = np.array([[0.0, 0.0], [small.shape[1], 0.0], [0.0, small.shape[0]]])
    for _ in range(3):
        back = _warped(small, matrix), _warped(seen, matrix)
        centres, shifts = _tile_shifts(then, _edges(back[0]) * back[1])
        found = _agreement(centres, shifts)
        tiles = len(centres)
        if found is None:
            return matrix, tiles, 0
        step, agreeing = found
        matrix = _composed(matrix, step)
        if np.abs(corners @ step[:, :2].T + step[:, 2] - corners).max() < 0.05:
            break
    return matrix, tiles, agreeing


def _about_the_middle(zoom: float, turn_deg: float, shape: tuple[int, ...]) -> Floats:
    import cv2

    return np.asarray(cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), turn_deg, zoom), np.float64)


def _whole_shift(then: Complexes, now: Complexes) -> Floats:
    """Return the shift of the whole picture, to a pixel; zero where none stands out."""
    surface = fft.ifft2(fft.fft2(now) * np.conj(fft.fft2(then))).real
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    height, width = surface.shape
    shift = np.array([(column + width // 2) % width - width // 2, (row + height // 2) % height - height // 2])
    stands_out = surface.max() - surface.mean() > _PEAK_SIGMAS * surface.std()
    # Beyond a third of the picture the shift of a repeating pattern is as likely.
    far = abs(shift[0]) > width / 3 or abs(shift[1]) > height / 3
    return np.zeros(2) if far or not stands_out else shift.astype(np.float64)


def _tile_shifts(then: Complexes, now: Complexes) -> tuple[Floats, Floats]:
    """Return centres (N, 2) and shifts (N, 2) of the tiles that tell one."""
    before, after = _tiles(then), _tiles(now)
    window = np.outer(np.hanning(_TILE_PX), np.hanning(_TILE_PX)).astype(np.float32)
    enough = (np.abs(before[1]) > 0).sum(axis=(1, 2)) >= _EDGES_A_TILE
    enough &= (np.abs(after[1]) > 0).sum(axis=(1, 2)) >= _EDGES_A_TILE
    centres, first, second = before[0][enough], before[1][enough] * window, after[1][enough] * window
    if not len(centres):
        return np.empty((0, 2)), np.empty((0, 2))
    surface = fft.ifft2(fft.fft2(second) * np.conj(fft.fft2(first))).real
    surface = fft.fftshift(surface, axes=(1, 2))
    power = np.sqrt((np.abs(first) ** 2).sum(axis=(1, 2)) * (np.abs(second) ** 2).sum(axis=(1, 2)))
    surface /= np.maximum(power, 1e-6)[:, None, None]
    kept, shifts = [], []
    for index, each in enumerate(surface):
        row, column = np.unravel_index(int(each.argmax()), each.shape)
        if not (0 < row < _TILE_PX - 1 and 0 < column < _TILE_PX - 1):
            continue
        peak = float(each[row, column])
        if peak < _PEAK or peak - float(each.mean()) < _PEAK_SIGMAS * float(each.std()):
            continue
        dx = _vertex(each[row, column - 1], peak, each[row, column + 1])
        dy = _vertex(each[row - 1, column], peak, each[row + 1, column])
        kept.append(index)
        shifts.append((column + dx - _TILE_PX // 2, row + dy - _TILE_PX // 2))
    return centres[kept], np.asarray(shifts, np.float64).reshape(-1, 2)


def _tiles(field: Complexes) -> tuple[Floats, Complexes]:
    """Return centres (N, 2) and contents (N, 64, 64) of overlapping tiles."""
    height, width = field.shape
    corners = [
        (left, top)
        for top in range(0, max(height - _TILE_PX, 0) + 1, _STEP_PX)
        for left in range(0, max(width - _TILE_PX, 0) + 1, _STEP_PX)
        if top + _TILE_PX <= height and left + _TILE_PX <= width
    ]
    if not corners:
        return np.empty((0, 2)), np.empty((0, _TILE_PX, _TILE_PX), np.complex64)
    contents = np.stack([field[top : top + _TILE_PX, left : left + _TILE_PX] for left, top in corners])
    return np.asarray(corners, np.float64) + _TILE_PX / 2, contents


def _vertex(before: Any, peak: float, after: Any) -> float:
    """Return where a parabola through three neighbours has its top, -0.5..0.5 from the middle one."""
    curve = float(before) - 2 * peak + float(after)
    return 0.0 if curve >= 0 else max(-0.5, min(0.5, (float(before) - float(after)) / (2 * curve)))


def _agreement(centres: Floats, shifts: Floats) -> tuple[Floats, int] | None:
    """Return the similarity (2, 3) that most tiles moved by and how many; None where too few agree."""
    count = len(centres)
    if count < _LEAST_AGREEING:
        return None
    to = centres + shifts
    first, second = np.triu_indices(count, 1)
    apart = np.linalg.norm(centres[first] - centres[second], axis=1) > _TILE_PX
    first, second = first[apart], second[apart]
    here = centres[:, 0] + 1j * centres[:, 1]
    there = to[:, 0] + 1j * to[:, 1]
    # Every two tiles make a similarity z -> a z + b; the one most others agree with is the camera's.
    a = (there[second] - there[first]) / (here[second] - here[first])
    b = there[first] - a * here[first]
    plain = np.abs(np.abs(a) - 1) < 0.2
    if not plain.any():
        return None
    a, b = a[plain], b[plain]
    agreeing = np.abs(a[:, None] * here + b[:, None] - there) < _AGREE_PX
    best = agreeing[int(agreeing.sum(axis=1).argmax())]
    inliers = int(best.sum())
    if inliers < max(_LEAST_AGREEING, _AGREEING_SHARE * count):
        return None
    origin = here[best].mean()
    spread = here[best] - origin
    goal = there[best]
    turn = complex((np.conj(spread) * (goal - goal.mean())).sum() / (np.abs(spread) ** 2).sum())
    offset = complex(goal.mean() - turn * origin)
    matrix = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
    return matrix, inliers


def _composed(outer: Floats, inner: Floats) -> Floats:
    whole = np.vstack([outer, [0, 0, 1]]) @ np.vstack([inner, [0, 0, 1]])
    return np.asarray(whole[:2])


def _edges_left(then: Complexes, now: Complexes, share: float) -> bool:
    """Return whether so many of the edges there were are there still: else nothing can be made out."""
    return float((np.abs(now) > 0).sum()) >= share * max(float((np.abs(then) > 0).sum()), 1.0)
