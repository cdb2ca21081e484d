"""How large road users are, and how they move: what a box in the image is fitted with.

Sources: cars, mean of new cars in the EU (ICCT, European Vehicle Market Statistics Pocketbook: 4.4 m x 1.8 m
x 1.5 m); buses and trucks, Directive 96/53/EC (width at most 2.55 m, rigid vehicles at most 12 m); riders,
Design Manual for Bicycle Traffic (CROW 2016); heights, NCD Risk Factor Collaboration, eLife 5 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.scene import Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shape:
    """A solid that stands for one kind of road user.

    Attributes:
        size_m, size_sigma_m: (3,) length, width, height of the kind: mean and spread.
        size_lasts_s: (3,) how long what was learnt of each holds: a stride opens and closes, and the solid is
            but a likeness, so that no size is ever known for good.
        misfit: error of a box's edges, as a share of the box, for the same reason.
        footprint_m: length and width to report; None where those fitted to the boxes are.
        heading_sigma: how far off a heading that fits the box may be, radians; 0 where the box tells nothing
            of it and only movement does: of all that is not much longer than wide.
        points: (K, 3) the solid's corners as shares of length (-0.5..0.5), width and height (0..1).
        acceleration_mps2: 1-sigma of what it does unforeseen.
        rope_m: the way after which a change of direction is believed.
        fastest_mps: spread of the speed it may come into view with.
    """

    size_m: Floats
    size_sigma_m: Floats
    size_lasts_s: Floats
    misfit: float
    heading_sigma: float
    footprint_m: tuple[float, float] | None
    points: Floats
    acceleration_mps2: float
    rope_m: float
    fastest_mps: float


def _levels(*levels: tuple[float, float, float]) -> Floats:
    """Return the corners of rectangles: share of length, of width, and of the height they lie at."""
    return np.array(
        [
            [along * a, across * b, up]
            for along, across, up in levels
            for a in (-0.5, 0.5)
            for b in (-0.5, 0.5)
        ]
    )


# The wheels touch the road well inside the bumpers, whose corners are rounded; the roof is shorter and
# narrower than the body. Checked with cars of known length: with a plain box their place is some 0.3 m off,
# and their heading 20 degrees.
_CAR = _levels((0.6, 0.92, 0.0), (0.9, 0.97, 0.17), (1.0, 0.7, 0.22), (0.93, 0.92, 0.56), (0.44, 0.62, 1.0))
_BOX = _levels((0.7, 0.95, 0.0), (0.98, 1.0, 0.15), (1.0, 0.85, 0.15), (0.98, 0.98, 1.0))
_PERSON = _levels((0.6, 0.5, 0.0), (1.0, 1.0, 0.45), (0.5, 1.0, 0.8), (0.3, 0.35, 1.0))
_RIDER = _levels((0.65, 0.1, 0.0), (1.0, 0.3, 0.2), (0.6, 1.0, 0.65), (0.1, 0.3, 1.0))


def _shape(
    size: tuple[float, float, float],
    sigma: tuple[float, float, float],
    points: Floats,
    *,
    lasts: tuple[float, float, float] = (4.0, 4.0, 4.0),
    misfit: float = 0.03,
    heading_sigma: float = 0.0,
    footprint: tuple[float, float] | None = None,
    acceleration: float,
    rope: float,
    fastest: float,
) -> Shape:
    return Shape(
        np.array(size),
        np.array(sigma),
        np.array(lasts),
        misfit,
        heading_sigma,
        footprint,
        points,
        acceleration,
        rope,
        fastest,
    )


SHAPES: Final[dict[Kind, Shape]] = {
    "pedestrian": _shape(
        (0.55, 0.5, 1.72),
        (0.15, 0.06, 0.10),
        _PERSON,
        lasts=(0.4, 1.0, 6.0),
        misfit=0.02,
        footprint=(0.5, 0.5),
        acceleration=1.5,
        rope=0.5,
        fastest=2.0,
    ),
    "bicycle": _shape(
        (1.75, 0.6, 1.72),
        (0.10, 0.06, 0.12),
        _RIDER,
        footprint=(1.8, 0.6),
        acceleration=2.0,
        rope=0.8,
        fastest=6.0,
    ),
    "motorcycle": _shape(
        (2.1, 0.8, 1.55),
        (0.15, 0.08, 0.12),
        _RIDER,
        footprint=(2.1, 0.8),
        acceleration=4.0,
        rope=1.0,
        fastest=12.0,
    ),
    "car": _shape((4.4, 1.8, 1.5), (0.35, 0.08, 0.12), _CAR, acceleration=4.0, rope=1.3, fastest=12.0),
    "bus": _shape(
        (11.5, 2.5, 3.1),
        (1.5, 0.08, 0.2),
        _BOX,
        lasts=(15.0, 15.0, 15.0),
        misfit=0.02,
        heading_sigma=0.2,
        acceleration=3.0,
        rope=4.0,
        fastest=12.0,
    ),
    "truck": _shape(
        (7.5, 2.4, 3.0),
        (1.8, 0.2, 0.5),
        _BOX,
        lasts=(15.0, 15.0, 15.0),
        misfit=0.02,
        heading_sigma=0.2,
        acceleration=3.0,
        rope=2.5,
        fastest=12.0,
    ),
}

POINTS: Final[int] = max(len(shape.points) for shape in SHAPES.values())


def padded(points: Floats) -> Floats:
    """Return (POINTS, 3): the last corner repeated, so that every kind has as many."""
    return np.concatenate([points, np.repeat(points[-1:], POINTS - len(points), axis=0)])
