"""Everybody's movements as SUMO has them, step by step, with their outlines as shapely polygons."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OFF_ROAD = -1.0
LEAP_MPS = 5.0


@dataclass
class Moves:
    """One road user: a row a step of time, centre x and y, heading (radians), speed, and ``out_m``.

    ``out_m`` is a pedestrian's distance from the nearer kerb of the crossing it is on, in SUMO's positions
    along it; ``OFF_ROAD`` elsewhere.
    """

    name: str
    kind: str
    length_m: float
    width_m: float
    steps: list[tuple[float, float, float, float, float, float]] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)

    def table(self) -> Trip:
        rows = np.array(self.steps)
        return Trip(self.name, self.kind, self.length_m, self.width_m, *rows.T, edges=self.edges)


@dataclass
class Trip:
    """The same as arrays (N,)."""

    name: str
    kind: str
    length_m: float
    width_m: float
    time: Floats
    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    out_m: Floats
    edges: list[str]

    @property
    def walks(self) -> bool:
        return self.kind == "pedestrian"

    def outlines(self) -> NDArray[Any]:
        return outlines(self.x, self.y, self.heading, self.length_m, self.width_m)

    def part(self, keep: NDArray[np.bool_]) -> Trip:
        columns = (getattr(self, name)[keep] for name in ("time", "x", "y", "heading", "speed", "out_m"))
        edges = list(itertools.compress(self.edges, keep))
        return Trip(self.name, self.kind, self.length_m, self.width_m, *columns, edges=edges)

    def leaps(self, time: float, around_s: float) -> bool:
        """Return whether SUMO moved it at once, faster than 5 m/s on foot, about an instant."""
        if not self.walks:
            return False
        pace = np.hypot(np.diff(self.x), np.diff(self.y)) / np.maximum(np.diff(self.time), 1e-6)
        return bool((np.abs(self.time[1:][pace > LEAP_MPS] - time) <= around_s).any())

    def front(self) -> tuple[Floats, Floats]:
        half = self.length_m / 2
        return self.x + half * np.cos(self.heading), self.y + half * np.sin(self.heading)

    def at(self, time: float) -> int:
        return int(np.argmin(np.abs(self.time - time)))

    def faces(self, index: int) -> tuple[float, float]:
        return math.cos(self.heading[index]), math.sin(self.heading[index])


def outlines(x: Floats, y: Floats, heading: Floats, length_m: float, width_m: float) -> NDArray[Any]:
    """Return rectangles about centres, of whatever shape the arrays are."""
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * length_m / 2
    aside = np.stack([-np.sin(heading), np.cos(heading)], axis=-1) * width_m / 2
    centre = np.stack([x, y], axis=-1)
    corners = [centre + a * ahead + b * aside for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    return np.asarray(shapely.polygons(np.stack(corners, axis=-2)))
