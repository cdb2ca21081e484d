"""PETS View_001 recovered from point pairs: how far its road is off from its own Tsai calibration.

Somebody clicks so many marks on the road, each a pixel off, and types their metres; the ground plane is
fitted as for any site. It is held against the Tsai calibration where the people of S2L1 stand (the lower
edges of their boxes), which is where it has to be right.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.plane import robust_fit
from calibration.tsai import TsaiCamera, load_tsai
from edge.bench import pets
from edge.bench.section import Section
from edge.errors import InputError

Floats = NDArray[np.float64]

TRUTH = Path("pets2009/PETS2009-S2L1.xml")
CLICK_PX = 1.0
COUNTS = (6, 8, 12, 20, 40)
_TRIALS = 40
_SEED = 3
# The road that is clicked on: what of it lies nearer than this is seen well enough to find a mark.
_FURTHEST_M = 45.0
_WRONG_M = (3.0, -2.0)


@dataclass(frozen=True)
class Recovered:
    """Errors of many fits, metres, over all places people stood at.

    Attributes:
        median_m, p95_m, worst_m: of the distance to Tsai's place,
            the worst in the median over the fits.
        within_two_sigma: share of places within twice the stated error of the fit.
        bends: share of fits that found the lens to bend.
        named: share of fits that left out the wrong pair; NaN where none was wrong.
    """

    median_m: float
    p95_m: float
    worst_m: float
    within_two_sigma: float
    bends: float
    named: float


def measure(data: Path) -> Section:
    """Measure with a few and many pairs, and with a wrong one among them."""
    calibration, truth = data / pets.CALIBRATION, data / TRUTH
    for path in (calibration, truth):
        if not path.is_file():
            raise InputError(f"{path}: no such file, expected in the folder of data")
    camera, feet = load_tsai(calibration), feet_px(truth)
    rows, numbers = [], {}
    for count in COUNTS:
        for wrong in (False, True):
            found = recovered(camera, feet, count, wrong=wrong, trials=_TRIALS)
            name = f"{count} pairs" + (", one of them wrong" if wrong else "")
            numbers[name] = found.__dict__
            off = (f"{each:.2f}" for each in (found.median_m, found.p95_m, found.worst_m))
            named = f"{found.named:.0%}" if wrong else "–"
            rows.append((name, *off, f"{found.within_two_sigma:.0%}", named))
    return Section(
        title="PETS View_001 from point pairs, against its Tsai calibration",
        columns=("clicked, 1 px off", "median m", "95 % m", "worst m", "within 2 sigma", "wrong pair named"),
        rows=rows,
        numbers=numbers,
        remarks=(
            f"{_TRIALS} sets of pairs each, on the road up to {_FURTHEST_M:.0f} m away; errors at the "
            f"{len(feet)} places where people of S2L1 stood. The wrong pair's metres are "
            f"{np.hypot(*_WRONG_M):.1f} m off.",
        ),
    )


def feet_px(truth: Path) -> Floats:
    """Return where annotated people stood (N, 2), pixels of the calibration's image."""
    boxes = [box.attrib for box in ElementTree.parse(truth).iter("box")]
    return np.array([[float(box["xc"]), float(box["yc"]) + float(box["h"]) / 2] for box in boxes])


def recovered(camera: TsaiCamera, feet: Floats, count: int, *, wrong: bool, trials: int) -> Recovered:
    """Return how well the road is recovered from ``count`` pairs."""
    rng = np.random.default_rng(_SEED + count)
    true = camera.ground(feet) / 1000.0
    marks_px, marks = _marks(camera)
    errors, sigmas, bends, named = [], [], 0, 0
    for _ in range(trials):
        chosen = _spread(marks_px, count, rng)
        pixel = marks_px[chosen] + rng.normal(0.0, CLICK_PX, (count, 2))
        metre = marks[chosen].copy()
        bad = int(rng.integers(count))
        if wrong:
            metre[bad] += _WRONG_M
        plane = robust_fit(pixel, metre, image_size=camera.image_size, held_out=np.zeros(count, bool))
        errors.append(np.linalg.norm(plane.ground(feet) - true, axis=1))
        sigmas.append(plane.sigma_m(feet))
        bends += plane.lens.bend != 0.0
        named += [each.index for each in plane.left_out] == [bad]
    off = np.asarray(errors)
    return Recovered(
        median_m=float(np.nanmedian(off)),
        p95_m=float(np.nanquantile(off, 0.95)),
        worst_m=float(np.median(np.nanmax(off, axis=1))),
        within_two_sigma=float((off <= 2.0 * np.asarray(sigmas)).mean()),
        bends=bends / trials,
        named=named / trials if wrong else float("nan"),
    )


def _marks(camera: TsaiCamera) -> tuple[Floats, Floats]:
    """Return marks on the road, half a metre from one to the next: image pixels (N, 2) and metres (N, 2)."""
    width, height = camera.image_size
    u, v = np.meshgrid(np.arange(10.0, width, 12.0), np.arange(10.0, height, 12.0))
    pixel = np.stack([u.ravel(), v.ravel()], axis=-1)
    metre = camera.ground(pixel) / 1000.0
    away = np.linalg.norm(metre - np.asarray(camera.position_mm[:2]) / 1000.0, axis=-1)
    near = np.isfinite(away) & (away < _FURTHEST_M)
    return pixel[near], metre[near]


def _spread(pixel: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return marks as a person chooses them: all over the road, each next one far from those there are."""
    chosen = [int(rng.integers(len(pixel)))]
    for _ in range(count - 1):
        apart = np.linalg.norm(pixel[:, None] - pixel[chosen][None], axis=-1).min(axis=1)
        far = np.flatnonzero(apart >= 0.6 * apart.max())
        chosen.append(int(rng.choice(far)))
    return np.asarray(chosen)
