"""What is wrong, or doubtful, with a site beyond the form of its file.

Mistakes make a verdict wrong; warnings name what will be judged badly or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon as Shape
from shapely.validation import explain_validity

from calibration.plane import Plane, plane_of
from calibration.site import (
    Box,
    Crosswalk,
    GroundPlane,
    PixelRectangle,
    Point,
    Roadway,
    Site,
    SiteError,
    StopLine,
    load_site,
)

# Traffic crosses a stop line at about a right angle, skewed junctions included; nearer than this to the
# line's own direction, the heading is wrong.
PARALLEL_DEG = 30.0
SKEWED_DEG = 60.0
# A junction lies this far before its stop lines, at least in part.
OUTWARD_M = 6.0
# Errors of the ground plane worth a word: rules judge to half a metre.
GOOD_FIT_M = 0.5
# What a detector's box moves by from frame to frame, where it is good.
BOX_SIGMA_PX = 2.0
# Points in a strip narrower than this share of its length say little about metres across it.
NARROW_SHARE = 0.06
# A tape measure between marks of the road is good to a few hundredths.
LENGTH_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Doubts:
    """One line each: place, what came, what was expected."""

    mistakes: tuple[str, ...]
    warnings: tuple[str, ...]


def lint(site: Site) -> Doubts:
    """Return every mistake and every warning about a site that has been read."""
    mistakes = shape_mistakes(site)
    warnings = [
        *_headings(site, PARALLEL_DEG, SKEWED_DEG),
        *_outward(site),
        *_signals(site),
        *_sourceless(site),
        *_places(site),
    ]
    if site.ground_plane is not None:
        mistakes += _rectangles(site, site.ground_plane)
        warnings += _off_image(site, site.ground_plane)
        try:
            plane = plane_of(site)
        except ValueError as error:
            mistakes.append(f"ground_plane.points: {error}; expected pairs spread over the road")
        else:
            assert plane is not None
            warnings += [*_fit(plane, site.ground_plane), *_strip(site.ground_plane)]
            warnings += [*_lengths(plane, site.ground_plane), *_seen(site, plane)]
    return Doubts(tuple(mistakes), tuple(warnings))


def shape_mistakes(site: Site) -> list[str]:
    """Return what no rule can make sense of: outlines that cross themselves, lines along their own travel."""
    return [*_polygons(site), *_closed(site), *_headings(site, 0.0, PARALLEL_DEG)]


def load_sound_site(path: Path) -> Site:
    """Read a site file by which one may judge.

    Raises:
        SiteError: with one line per mistake, those of its shapes too.
    """
    site = load_site(path)
    mistakes = shape_mistakes(site)
    if mistakes:
        raise SiteError(f"{path}: {mistake}" for mistake in mistakes)
    return site


def _named(site: Site) -> Iterator[tuple[str, Crosswalk | Roadway | Box]]:
    for crosswalk in site.crosswalks:
        yield f"crosswalks.{crosswalk.id}", crosswalk
    for number, roadway in enumerate(site.roadways):
        yield f"roadways.{roadway.id or number}", roadway
    for box in site.boxes:
        yield f"boxes.{box.id}", box


def _polygons(site: Site) -> Iterator[str]:
    for place, zone in _named(site):
        shape = Shape(zone.polygon)
        if not shape.is_valid:
            yield f"{place}: polygon: {_crossing(shape)}, expected its corners in order round it"
        elif shape.area < 0.1:
            yield f"{place}: polygon: covers {shape.area:.2f} m², expected a place one can stand on"


def _crossing(shape: Shape) -> str:
    reason = str(explain_validity(shape))
    where = reason.partition("[")[2].rstrip("]").split()
    if reason.startswith("Self-intersection") and len(where) == 2:
        return f"its edges cross each other at [{float(where[0]):g}, {float(where[1]):g}]"
    return reason.lower()


def _closed(site: Site) -> Iterator[str]:
    for line in site.stop_lines:
        if math.isnan(_angle_deg(line)):
            yield f"stop_lines.{line.id}: line: begins and ends at the same point"


def _headings(site: Site, from_deg: float, to_deg: float) -> Iterator[str]:
    """Return the stop lines whose heading makes such an angle with them."""
    for line in site.stop_lines:
        angle = _angle_deg(line)
        if from_deg <= angle < to_deg:
            yield (
                f"stop_lines.{line.id}: heading_deg {line.heading_deg:g} lies {angle:.0f}° from the line's "
                "own direction, expected about 90° (it is the direction of travel over it)"
            )


def _outward(site: Site) -> Iterator[str]:
    """Return the stop lines whose travel leads away from everything else: probably turned round."""
    middles = {line.id: np.mean(line.line, axis=0) for line in site.stop_lines}
    outlines = [crosswalk.polygon for crosswalk in site.crosswalks] + [box.polygon for box in site.boxes]
    others = [np.mean(outline, axis=0) for outline in outlines]
    for line in site.stop_lines:
        rest = [*others, *(middle for name, middle in middles.items() if name != line.id)]
        if len(rest) < 2 or math.isnan(_angle_deg(line)):
            continue
        heading = math.radians(line.heading_deg)
        ahead = (np.asarray(rest) - middles[line.id]) @ np.array([math.cos(heading), math.sin(heading)])
        # The line of the next lane may lie a little ahead; nearly all that is metres behind is a doubt.
        if (ahead > 0).mean() <= 0.25 and ahead.min() < -OUTWARD_M:
            turned = (line.heading_deg + 360.0) % 360.0 - 180.0
            yield (
                f"stop_lines.{line.id}: heading_deg {line.heading_deg:g} leads away from the crosswalks and "
                f"the other stop lines; expected into the junction, such as {turned:g}"
            )


def _angle_deg(line: StopLine) -> float:
    """Return the angle between a line and the travel over it, 0..90 degrees; NaN for a closed line."""
    (x0, y0), (x1, y1) = line.line[0], line.line[-1]
    if (x0, y0) == (x1, y1):
        return math.nan
    turn = (math.degrees(math.atan2(y1 - y0, x1 - x0)) - line.heading_deg) % 180.0
    return min(turn, 180.0 - turn)


def _signals(site: Site) -> Iterator[str]:
    for line in site.stop_lines:
        if line.signal_group is None:
            yield (
                f"stop_lines.{line.id}: no signal_group: entries over it are counted, never judged; "
                "name its group"
            )
    for crosswalk in site.crosswalks:
        if crosswalk.signal_group is None:
            yield (
                f"crosswalks.{crosswalk.id}: no signal_group: it is taken for an unsignalised crosswalk; "
                "name its group if it has one"
            )
    for number, head in enumerate(site.signal_heads):
        if head.signal_group not in site.signal_groups:
            known = ", ".join(sorted(site.signal_groups)) or "none"
            yield (
                f"signal_heads.{number}: signal_group {head.signal_group!r} is not one of {known}: "
                "give it to a stop line or crosswalk, or correct it"
            )


def _sourceless(site: Site) -> Iterator[str]:
    """Return the signal groups no source of the site tells, where it names any: a feed tells all."""
    told = {row.signal_group for row in site.controller_phases}
    told |= {row.signal_group for row in site.spat_groups}
    told |= {group.signal_group for group in site.signal_plan.groups} if site.signal_plan else set()
    told |= {head.signal_group for head in site.signal_heads if head.read}
    if not told or site.signal_feed is not None:
        return
    for group in sorted(site.signal_groups - told):
        yield (
            f"signal group {group!r}: no source tells its state (controller_phases, spat_groups, "
            "signal_plan, a signal head with read = true), others have one: add it, or give --signals"
        )


def _places(site: Site) -> Iterator[str]:
    if site.crosswalks and not site.roadways:
        yield "roadways: none: without the carriageway no pedestrian is judged"
    roads = [Shape(roadway.polygon).buffer(0) for roadway in site.roadways]
    for crosswalk in site.crosswalks if roads else ():
        shape = Shape(crosswalk.polygon).buffer(0)
        if not any(shape.intersects(road) for road in roads):
            yield f"crosswalks.{crosswalk.id}: lies on no roadway: draw the one under it from kerb to kerb"


def _rectangles(site: Site, ground: GroundPlane) -> Iterator[str]:
    named = [(f"ground_plane.osd.{number}", rectangle) for number, rectangle in enumerate(ground.osd)]
    named += [
        (f"signal_heads.{number}: region_px", head.region_px) for number, head in enumerate(site.signal_heads)
    ]
    for place, (left, top, right, bottom) in named:
        if right <= left or bottom <= top:
            yield (
                f"{place}: [{left:g}, {top:g}, {right:g}, {bottom:g}] has no area, "
                "expected [left, top, right, bottom]"
            )


def _off_image(site: Site, ground: GroundPlane) -> Iterator[str]:
    width, height = ground.image_size

    def inside(x: float, y: float) -> bool:
        return 0 <= x <= width and 0 <= y <= height

    def whole(rectangle: PixelRectangle) -> bool:
        return inside(*rectangle[:2]) and inside(*rectangle[2:])

    for number, pair in enumerate(ground.points):
        if not inside(*pair.px):
            yield f"ground_plane.points.{number}: px [{pair.px[0]:g}, {pair.px[1]:g}] lies outside the image"
    for number, rectangle in enumerate(ground.osd):
        if not whole(rectangle):
            yield f"ground_plane.osd.{number}: reaches outside the image"
    for number, head in enumerate(site.signal_heads):
        if not whole(head.region_px):
            yield f"signal_heads.{number}: region_px reaches outside the image"


def _fit(plane: Plane, ground: GroundPlane) -> Iterator[str]:
    fitted = sum(not pair.held_out for pair in ground.points)
    if fitted == 4:
        yield "ground_plane.points: four points fit any plane: their error is not known, give more"
    for bad in plane.left_out:
        yield (
            f"ground_plane.points.{bad.index}: lies {bad.error_px:.0f} px from where the others put it, "
            f"which agree to {bad.others_px:.1f} px: it is left out; correct its px or m, or delete it"
        )
    for what, errors in (
        ("left out one at a time", plane.fit_error_m),
        ("held out", plane.held_out_error_m),
    ):
        known = errors[np.isfinite(errors)]
        if len(known) and float(known.max()) > GOOD_FIT_M:
            yield (
                f"ground_plane.points: {what}, a point is off by up to {float(known.max()):.2f} m, "
                f"expected less than {GOOD_FIT_M:g} m"
            )


def _strip(ground: GroundPlane) -> Iterator[str]:
    metres = np.asarray([pair.m for pair in ground.points if not pair.held_out], np.float64)
    long, wide = np.linalg.svd(metres - metres.mean(axis=0), compute_uv=False) / math.sqrt(len(metres))
    if wide < NARROW_SHARE * long:
        yield (
            f"ground_plane.points: nearly on one line ({4 * long:.0f} m by {4 * wide:.1f} m): across it "
            "metres are hardly known; add points to the side"
        )


def _lengths(plane: Plane, ground: GroundPlane) -> Iterator[str]:
    for number, known in enumerate(ground.lengths):
        ends = plane.ground(known.px)
        if not np.isfinite(ends).all():
            yield f"ground_plane.lengths.{number}: an end lies beyond the horizon"
            continue
        measured = float(np.linalg.norm(ends[1] - ends[0]))
        error = float(np.hypot(*plane.sigma_m(known.px, 1.0)))
        if abs(measured - known.length_m) > max(3 * error, LENGTH_SHARE * known.length_m):
            yield (
                f"ground_plane.lengths.{number}: measures {measured:.2f} ± {error:.2f} m on the plane, "
                f"length_m says {known.length_m:g}"
            )


def _seen(site: Site, plane: Plane) -> Iterator[str]:
    for line in site.stop_lines:
        yield from _corners(f"stop_lines.{line.id}", line.line, site, plane)
    for crosswalk in site.crosswalks:
        yield from _corners(f"crosswalks.{crosswalk.id}", crosswalk.polygon, site, plane)
    for box in site.boxes:
        yield from _corners(f"boxes.{box.id}", box.polygon, site, plane)
    for number, roadway in enumerate(site.roadways):
        # A roadway may well run on beyond the picture; where none of it is seen, it is drawn wrongly.
        corners = roadway.polygon
        if not Shape(_view(plane)).intersects(Shape(corners).buffer(0)):
            yield f"roadways.{roadway.id or number}: no part of it lies in the image"


def _corners(place: str, points: Iterable[Point], site: Site, plane: Plane) -> Iterator[str]:
    corner = np.asarray(list(points), dtype=np.float64)
    pixel = plane.image(corner)
    width, height = plane.image_size
    behind = np.isnan(pixel).any(axis=-1)
    outside = ~behind & ~((pixel >= 0) & (pixel <= (width, height))).all(axis=-1)
    if behind.any():
        yield (
            f"{place}: {behind.sum()} of {len(corner)} corners lie beyond the horizon, "
            "expected on the road the camera sees"
        )
    if outside.any():
        yield (
            f"{place}: {outside.sum()} of {len(corner)} corners lie outside the image: "
            "what happens there is not seen"
        )
    seen = pixel[~behind & ~outside]
    if len(seen):
        sigma = float(np.max(plane.sigma_m(seen, BOX_SIGMA_PX)))
        limit = site.thresholds.max_position_sigma_m
        if sigma > limit:
            yield (
                f"{place}: positions there are known to ± {sigma:.2f} m only, more than "
                f"thresholds.max_position_sigma_m ({limit:g}): much will be undecidable"
            )


def _view(plane: Plane) -> list[Point]:
    """Return the ground seen in the image as a polygon in metres; the part before the horizon."""
    width, height = plane.image_size
    columns = np.linspace(0.0, width, 9)
    bottom = [(float(x), float(height)) for x in columns]
    edge: list[tuple[float, float]] = []
    for x in reversed(columns):
        rows = np.linspace(0.0, height, 101)
        ground = plane.ground(np.stack([np.full_like(rows, x), rows], axis=-1))
        known = rows[np.isfinite(ground).all(axis=-1)]
        edge.append((float(x), float(known.min()) if len(known) else float(height)))
    corners = plane.ground(np.asarray([*bottom, *edge]))
    kept = corners[np.isfinite(corners).all(axis=-1)]
    # Near the horizon a pixel is kilometres: bounded, so that the polygon stays one.
    return [(float(x), float(y)) for x, y in np.clip(kept, -100_000, 100_000)]
