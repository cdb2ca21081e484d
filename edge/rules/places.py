"""A site as the rules see it: stop lines as coordinates, the carriageway as one shape with kerbs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from calibration.geometry import distance_to_polygon
from calibration.site import Crosswalk, Site, StopLine

Floats = NDArray[np.float64]

# Polygons drawn by hand meet a few centimetres apart: such a seam is no kerb.
SEAM_M = 0.1
# Vehicles are followed from this far before a stop line to this far beyond it.
APPROACH_M = 25.0
BEYOND_M = 12.0
BESIDE_M = 3.0


@dataclass(frozen=True, eq=False)
class LineFrame:
    """One stop line in the coordinates of its traffic: metres beyond the line, metres across the lane.

    ::

              heading
                 ↑      beyond > 0
        ─────────┼───── the line (may be skewed, or have corners)
                 │      beyond < 0
        across ──┴──→   from ``left`` to ``right``
    """

    line: StopLine
    index: int
    ahead: Floats
    across: Floats
    knots_across: Floats
    knots_ahead: Floats

    @classmethod
    def of(cls, line: StopLine, index: int) -> LineFrame:
        angle = math.radians(line.heading_deg)
        ahead = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([ahead[1], -ahead[0]])
        points = np.asarray(line.line, dtype=np.float64)
        order = np.argsort(points @ across, kind="stable")
        return cls(line, index, ahead, across, (points @ across)[order], (points @ ahead)[order])

    def beyond_m(self, x: Floats, y: Floats) -> Floats:
        """Return how far points lie beyond the line, along the direction of travel; negative before it."""
        lateral = x * self.across[0] + y * self.across[1]
        here: Floats = x * self.ahead[0] + y * self.ahead[1]
        if len(self.knots_across) == 2:
            (left, right), (start, end) = self.knots_across.tolist(), self.knots_ahead.tolist()
            slope = (end - start) / (right - left) if right - left > 0.01 else 0.0
            return np.asarray(here - (start + (np.clip(lateral, left, right) - left) * slope))
        return np.asarray(here - np.interp(lateral, self.knots_across, self.knots_ahead))

    def beside_m(self, x: Floats, y: Floats) -> Floats:
        """Return how far points lie beside the ends of the line, across the lane; negative within them."""
        lateral = x * self.across[0] + y * self.across[1]
        return np.asarray(np.maximum(self.knots_across[0] - lateral, lateral - self.knots_across[-1]))


@dataclass(frozen=True, eq=False)
class Carriageway:
    """The union of all roadways: where a pedestrian is on the road, and its kerbs.

    ``shape`` is a shapely geometry, ``kerbs`` its boundary rings. ``real_start_m`` is how far from the kerb
    a start is real: the site's ``step_back_m``, less where the road is narrower than that.
    """

    shape: Any
    kerbs: tuple[Any, ...]
    segments: Any
    real_start_m: float
    has_roadways: bool

    @classmethod
    def of(cls, site: Site) -> Carriageway | None:
        """Return the carriageway; that of the crosswalks where no roadway is drawn; None without either."""
        drawn = [road.polygon for road in site.roadways] or [walk.polygon for walk in site.crosswalks]
        if not drawn:
            return None
        solid = [shapely.make_valid(shapely.Polygon(corners)) for corners in drawn]
        half = SEAM_M / 2
        merged = shapely.union_all([shape.buffer(half, join_style="mitre") for shape in solid])
        shape = merged.buffer(-half, join_style="mitre")
        pieces = [piece for piece in shapely.get_parts(shape).tolist() if piece.area > 0]
        rings = [ring for piece in pieces for ring in (piece.exterior, *piece.interiors)]
        inner = min(
            (shapely.maximum_inscribed_circle(piece, tolerance=0.1).length for piece in pieces), default=1.0
        )
        shapely.prepare(shape)
        return cls(
            shape=shape,
            kerbs=tuple(rings),
            segments=shapely.boundary(shape),
            real_start_m=min(site.thresholds.step_back_m, 0.6 * inner),
            has_roadways=bool(site.roadways),
        )

    def depth_m(self, x: Floats, y: Floats) -> Floats:
        """Return how far points are from the nearest kerb: positive on the road, negative beside it."""
        if not len(x):
            return np.zeros(0)
        away = shapely.distance(shapely.points(x, y), self.segments)
        return np.asarray(np.where(shapely.contains_xy(self.shape, x, y), away, -away))

    def opposite_kerbs(self, start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Return whether two points of the kerb lie across a road from each other.

        Two kerbs are across from each other where their outward directions oppose, where they are
        different rings (a refuge island), or where the way along the kerb is much longer than across: round
        a street corner it is at most √2 times as long::

            ──────────┐ a      a → b: same block, way along the kerb ≤ √2 · |ab|
                      │        a → c: a crossing
              c ───   └─────
        """
        first, second = self._ring(start), self._ring(end)
        if first is not second:
            return True
        straight = math.dist(start, end)
        if straight < 0.5:
            return False
        outward = [self._outward(first, point) for point in (start, end)]
        opposing = float(outward[0] @ outward[1])
        if opposing < math.cos(math.radians(135)):
            return True
        along = [first.project(shapely.Point(point)) for point in (start, end)]
        between = abs(along[0] - along[1])
        return bool(min(between, first.length - between) > 1.6 * straight)

    def _ring(self, point: tuple[float, float]) -> Any:
        return min(self.kerbs, key=lambda ring: ring.distance(shapely.Point(point)))

    def _outward(self, ring: Any, point: tuple[float, float]) -> Floats:
        # The tangent over half a metre of kerb, turned to the side that is not road.
        at = ring.project(shapely.Point(point))
        ends = [ring.interpolate((at + step) % ring.length) for step in (-0.25, 0.25)]
        tangent = np.array([ends[1].x - ends[0].x, ends[1].y - ends[0].y])
        normal = np.array([-tangent[1], tangent[0]]) / max(float(np.hypot(*tangent)), 1e-9)
        here = ring.interpolate(at)
        probe = shapely.Point(here.x + 0.05 * normal[0], here.y + 0.05 * normal[1])
        return -normal if self.shape.contains(probe) else normal


def _prepared(polygons: Sequence[Sequence[tuple[float, float]]]) -> Any:
    shapes = np.array([shapely.make_valid(shapely.Polygon(corners)) for corners in polygons], dtype=object)
    shapely.prepare(shapes)
    return shapes


@dataclass(frozen=True, eq=False)
class Places:
    """Everything the rules look up about a site, computed once."""

    site: Site
    lines: tuple[LineFrame, ...]
    carriageway: Carriageway | None
    crosswalks: tuple[Crosswalk, ...]
    walk_shapes: Any
    all_walks: Any

    @classmethod
    def of(cls, site: Site) -> Places:
        walks = _prepared([walk.polygon for walk in site.crosswalks])
        together = shapely.union_all(walks)
        shapely.prepare(together)
        return cls(
            site=site,
            lines=tuple(LineFrame.of(line, index) for index, line in enumerate(site.stop_lines)),
            carriageway=Carriageway.of(site),
            crosswalks=site.crosswalks,
            walk_shapes=walks,
            all_walks=together,
        )

    def off_crosswalks_m(self, x: Floats, y: Floats) -> Floats:
        """Return the distances (N, C) of points to every crosswalk; 0 within it."""
        if not self.crosswalks:
            return np.full((len(x), 1), np.inf)
        return np.asarray(shapely.distance(shapely.points(x, y)[:, None], self.walk_shapes[None, :]))

    def off_nearest_m(self, x: Floats, y: Floats) -> Floats:
        """Return the distance (N,) of points to the nearest crosswalk; 0 within one, where most are."""
        off = np.zeros(len(x))
        outside = ~shapely.intersects_xy(self.all_walks, x, y)
        if outside.any():
            off[outside] = self.off_crosswalks_m(x[outside], y[outside]).min(axis=-1)
        return off

    def nearest_crosswalk(self, x: float, y: float) -> Crosswalk | None:
        if not self.crosswalks:
            return None
        off = self.off_crosswalks_m(np.array([x]), np.array([y]))[0]
        return self.crosswalks[int(off.argmin())]

    def place_at(self, x: float, y: float, *, margin_m: float) -> str:
        """Return the crosswalk a point is on or no more than a margin beside, or ``junction``."""
        off = self.off_crosswalks_m(np.array([x]), np.array([y]))[0]
        nearest = int(off.argmin())
        return self.crosswalks[nearest].id if off[nearest] <= margin_m else "junction"

    def road_at(self, x: float, y: float) -> str:
        """Return the nearest roadway's id, or ``roadway-N`` counted from 1."""
        roads = self.site.roadways
        off = [float(distance_to_polygon(np.array([x, y]), road.polygon)) for road in roads]
        index = int(np.argmin(off))
        return roads[index].id or f"roadway-{index + 1}"
