"""The plan of a site: its places as outlines in metres and, where the camera sees them, in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from shapely import transform
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from broker.drawing import Plate, Zone
from calibration.plane import Plane
from calibration.site import PixelRectangle, Point, Site

Floats = NDArray[np.float64]
Outline = tuple[tuple[float, float], ...]

# How far outside the image an outline is followed, in image widths: a roadway runs on beside the picture.
_AROUND = 1.0
# Ground nearer to the horizon than this share of the depth at the image's lower edge is not drawn.
_MIN_DEPTH = 0.02


def plate_of(
    site: Site, plane: Plane | None, *, image_size: tuple[int, int] | None, background: str | None
) -> Plate:
    """Return what clips of a site are drawn on; without ``background`` it holds no camera pixel."""
    return Plate(
        site=site.id,
        image_size=image_size,
        background=background,
        zones=zones(site, plane),
        homography=None if plane is None else _homography(plane),
        bend=0.0 if plane is None else round(plane.lens.bend, 6),
        drive_on=site.site.drive_on,
    )


def zones(site: Site, plane: Plane | None) -> tuple[Zone, ...]:
    """Return the places of a site, those drawn first first: roadways, crosswalks, stop lines, lamps."""
    found = [
        Zone(
            id=roadway.id or f"roadway.{n}",
            kind="roadway",
            group=None,
            outline_m=_rounded(roadway.polygon, 3),
            outline_px=_seen(plane, roadway.polygon, closed=True),
        )
        for n, roadway in enumerate(site.roadways, start=1)
    ]
    found += [
        Zone(
            id=crosswalk.id,
            kind="crosswalk",
            group=crosswalk.signal_group,
            outline_m=_rounded(crosswalk.polygon, 3),
            outline_px=_seen(plane, crosswalk.polygon, closed=True),
        )
        for crosswalk in site.crosswalks
    ]
    found += [
        Zone(
            id=line.id,
            kind="stop_line",
            group=line.signal_group,
            outline_m=_rounded(line.line, 3),
            outline_px=_seen(plane, line.line, closed=False),
        )
        for line in site.stop_lines
    ]
    found += [
        Zone(
            id=head.signal_group,
            kind="signal_head",
            group=head.signal_group,
            outline_m=None,
            outline_px=corners(head.region_px),
        )
        for head in site.signal_heads
    ]
    return tuple(found)


def corners(rectangle: PixelRectangle) -> Outline:
    """Return the corners of an image rectangle (left, top, right, bottom)."""
    left, top, right, bottom = rectangle
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _homography(plane: Plane) -> tuple[float, ...]:
    matrix = np.linalg.inv(plane.to_metres)
    matrix = matrix * (1000.0 / np.abs(matrix).max())
    return tuple(float(f"{number:.10g}") for number in matrix.ravel())


def _seen(plane: Plane | None, points: Sequence[Point], *, closed: bool) -> Outline | None:
    """Return the part of an outline before the camera and near the image, in pixels; None without one."""
    if plane is None:
        return None
    matrix = np.linalg.inv(plane.to_metres).astype(np.float64)
    before = _before_camera(matrix, plane, points, closed=closed)
    if len(before) < (3 if closed else 2):
        return None
    straight = plane.lens.straight(plane.image(np.asarray(before)))
    if not np.isfinite(straight).all():
        return None
    width, height = plane.image_size
    # A lens of pincushion shape shows nothing from a certain distance of the middle on.
    around = _AROUND if plane.lens.bend <= 0 else 0.05
    window = box(-around * width, -around * height, (1 + around) * width, (1 + around) * height)
    shape: BaseGeometry = Polygon(straight).buffer(0) if closed else LineString(straight)
    part = _largest(shape.intersection(window))
    if part is None:
        return None
    if plane.lens.bend:
        # Straight lines of the road are bent in the image: short pieces follow them.
        part = part.segmentize(width / 40)
    bent = _largest(transform(part, lambda points: plane.lens.bent(points)))
    if bent is None or not bent.intersects(box(0, 0, width, height)):
        return None
    # A third of a pixel is less than anybody sees, and the contract takes 200 points.
    for tolerance_px in (0.3, 1.0, 3.0):
        simple = bent.simplify(tolerance_px)
        coordinates = simple.exterior.coords[:-1] if isinstance(simple, Polygon) else simple.coords
        if 2 <= len(coordinates) <= 200:
            return _rounded([(x, y) for x, y in coordinates], 1)
    return None


def _before_camera(matrix: Floats, plane: Plane, points: Sequence[Point], *, closed: bool) -> list[Point]:
    """Clip an outline in metres at the line beyond which the ground nears the horizon."""
    width, height = plane.image_size
    near = plane.ground([width / 2, float(height)])
    at_edge = _depth(matrix, (float(near[0]), float(near[1]))) if np.isfinite(near).all() else 0.0
    # The depth falls towards the camera's foot and grows with distance in this matrix' scale, or the
    # other way round; a point is before the camera where it is positive.
    least = max(_MIN_DEPTH * at_edge, 1e-9)
    kept: list[Point] = []
    previous = points[-1] if closed else None
    for point in points:
        if previous is not None:
            start, end = _depth(matrix, previous), _depth(matrix, point)
            if (start >= least) != (end >= least):
                share = (least - start) / (end - start)
                kept.append(
                    (
                        previous[0] + share * (point[0] - previous[0]),
                        previous[1] + share * (point[1] - previous[1]),
                    )
                )
        if _depth(matrix, point) >= least:
            kept.append(point)
        previous = point
    return kept


def _depth(matrix: Floats, point: Point) -> float:
    return float(matrix[2] @ (point[0], point[1], 1.0))


def _largest(shape: BaseGeometry) -> Polygon | LineString | None:
    parts: Iterable[BaseGeometry] = getattr(shape, "geoms", [shape])
    usable = [part for part in parts if isinstance(part, Polygon | LineString) and not part.is_empty]
    return max(usable, key=lambda part: (part.area, part.length), default=None)


def _rounded(points: Iterable[Point], digits: int) -> Outline:
    return tuple((round(float(x), digits), round(float(y), digits)) for x, y in points)
