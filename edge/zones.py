"""Where in the picture something can matter to a rule: the road, the crosswalks, and a few steps beside them.

A mask at the quarter of the size that motion is looked at in. It is blind to nothing that stands in a zone: a
road user is seen up to its height above where it stands.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from calibration.plane import Plane
from calibration.site import Site
from edge.capping import scale_map
from edge.motion_support import quarter

Bools = NDArray[np.bool_]

# Beside the road: who steps over the kerb in the next two seconds is still here.
BESIDE_M = 3.0
# Before a stop line the approach is watched this far, to either side of the lane.
APPROACH_M, LANE_M = 25.0, 3.0
# A person's height; of a lorry the lower part is enough to see that it moves.
HEIGHT_M = 2.0
# Beyond this nobody can be placed well enough to be judged.
FARTHEST_M = 200.0


def zone_mask(site: Site, plane: Plane | None, image_size: tuple[int, int]) -> Bools:
    """Return where (H/4, W/4) motion counts: everywhere, where no ground plane tells where that is."""
    columns, rows = quarter(image_size)
    if plane is None:
        return np.ones((rows, columns), np.bool_)
    u, v = np.meshgrid((np.arange(columns) + 0.5) * 4, (np.arange(rows) + 0.5) * 4)
    ground = plane.ground(np.stack([u, v], axis=-1))
    known: Bools = np.asarray(np.isfinite(ground).all(axis=-1))
    zone = _zone(site)
    if zone is None:
        near = (np.abs(np.where(known[..., None], ground, np.inf)) < FARTHEST_M).all(axis=-1)
        stands = np.asarray(known & near)
    else:
        shapely.prepare(zone)
        stands = np.zeros((rows, columns), np.bool_)
        stands[known] = shapely.contains_xy(zone, ground[known])
    return _with_height(stands, plane)


def _zone(site: Site) -> shapely.Geometry | None:
    """Return the union of all places of a site, with a margin, in metres; None where it has none."""
    polygons = [road.polygon for road in site.roadways] + [walk.polygon for walk in site.crosswalks]
    shapes = [shapely.make_valid(shapely.Polygon(corners)).buffer(BESIDE_M) for corners in polygons]
    for line in site.stop_lines:
        across = shapely.LineString(line.line).buffer(LANE_M)
        angle = np.deg2rad(line.heading_deg)
        back = shapely.affinity.translate(across, -APPROACH_M * np.cos(angle), -APPROACH_M * np.sin(angle))
        shapes.append(shapely.union(across, back).convex_hull)
    return shapely.union_all(shapes) if shapes else None


def _with_height(stands: Bools, plane: Plane) -> Bools:
    """Return the mask with all that a road user who stands in it may cover."""
    scale = np.repeat(np.repeat(scale_map(plane), 2, axis=0), 2, axis=1)[: stands.shape[0], : stands.shape[1]]
    seen = stands.copy()
    for row in range(stands.shape[0]):
        here = stands[row]
        if here.any():
            tall = int(np.ceil(HEIGHT_M * float(scale[row][here].max()) / 4))
            seen[max(row - tall, 0) : row] |= here
    return seen
