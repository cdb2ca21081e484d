"""Which kind of road user a blob is, by its size in metres and its speed.

Weak perspective: at one place of the road a solid of length L, width W and height H, turned by phi against
the line of sight, looks (L sin phi + W cos phi) wide, and as tall as its foreshortened height and the depth
L cos phi + W sin phi of the road it hides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detections import KINDS, Kind
from models.view import Here

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Build:
    """What a kind measures and how it moves.

    Attributes:
        length_m, width_m, height_m: of the kind's mean; ``spread`` the share by which blobs differ.
        usual_mps: speeds within these cost nothing; every ``speed_scale_mps`` beyond counts as a sigma.
        rarity: how much more evidence it takes than for the common kinds, log units.
    """

    length_m: float
    width_m: float
    height_m: float
    spread: float
    usual_mps: tuple[float, float]
    speed_scale_mps: float
    rarity: float


# Lengths, widths, heights: means of the fleet (ICCT pocketbook; Directive 96/53/EC for heavy vehicles).
# Walking 0.9-2.0 m/s, runners to 4 (HCM 6); cycling 2.5-8 m/s (CROW, Design Manual for Bicycle Traffic).
BUILDS: Mapping[Kind, Build] = {
    "pedestrian": Build(0.55, 0.5, 1.70, 0.16, (0.0, 2.3), 0.5, 0.0),
    "bicycle": Build(1.75, 0.55, 1.72, 0.14, (2.4, 8.5), 0.7, 0.3),
    "motorcycle": Build(2.1, 0.75, 1.55, 0.14, (4.0, 40.0), 1.2, 2.5),
    "car": Build(4.4, 1.8, 1.5, 0.16, (0.0, 40.0), 1.0, 0.0),
    "bus": Build(11.5, 2.5, 3.1, 0.18, (0.0, 25.0), 2.0, 0.5),
    "truck": Build(7.2, 2.4, 3.1, 0.18, (0.0, 25.0), 2.0, 0.5),
}
_TURNS_DEG = (0.0, 30.0, 60.0, 90.0)
SPEED_KNOWN_MPS = 1.0


def misfits(
    width_px: float,
    height_px: float,
    here: Here,
    *,
    speed_mps: float = math.nan,
    heading_deg: float = math.nan,
    cut: bool = False,
) -> Floats:
    """Return how ill a blob fits each of ``KINDS``, squared sigmas.

    Args:
        width_px, height_px: of the blob's box.
        here: the view at its foot.
        speed_mps: over the ground; NaN where not known yet.
        heading_deg: direction of its movement; used where it is faster than a crawl.
        cut: the image ends within it: it is at least so large.
    """
    moves = speed_mps > SPEED_KNOWN_MPS
    turns = (heading_deg - here.sight_deg,) if moves else _TURNS_DEG
    return np.array(
        [_misfit(BUILDS[kind], width_px, height_px, here, speed_mps, turns, cut) for kind in KINDS]
    )


def _misfit(
    build: Build,
    width_px: float,
    height_px: float,
    here: Here,
    speed_mps: float,
    turns: tuple[float, ...],
    cut: bool,
) -> float:
    best = math.inf
    for turn in turns:
        sin, cos = abs(math.sin(math.radians(turn))), abs(math.cos(math.radians(turn)))
        wide = here.px_per_m * (build.length_m * sin + build.width_m * cos)
        tall = here.height_px(build.height_m, build.length_m * cos + build.width_m * sin)
        # A pixel of blur on either side counts for much in what is small.
        across = math.log((width_px + 1.0) / (wide + 2.0)) / math.hypot(build.spread, 1.5 / wide)
        up = math.log((height_px + 1.0) / (tall + 2.0)) / math.hypot(build.spread, 1.5 / tall)
        if cut:
            across, up = max(across, 0.0), max(up, 0.0)
        best = min(best, across**2 + up**2)
    if not math.isnan(speed_mps):
        low, high = build.usual_mps
        best += (max(low - speed_mps, speed_mps - high, 0.0) / build.speed_scale_mps) ** 2
    return best + build.rarity


def person_px(here: Here) -> tuple[float, float]:
    """Return width and height of a pedestrian in pixels."""
    build = BUILDS["pedestrian"]
    return here.px_per_m * build.width_m, here.height_px(build.height_m, build.length_m)
