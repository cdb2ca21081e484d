"""A site drawn as a picture, for `nearmiss check --picture`: the image plane and the plan, and no video."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibration.lint import BOX_SIGMA_PX
from calibration.plane import Plane, plane_of
from calibration.site import Point, Site

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_ROAD, _CROSSWALK, _LINE, _BOX, _HEAD = "#8a94a3", "#1b8fb5", "#d62f4b", "#8d4cc9", "#2a9d4a"
_POINT, _HELD, _BAD = "#d98200", "#2d6f9e", "#d90429"
_PIECES = 40


def draw(site: Site, to: Path) -> None:
    """Write the picture of a site as PNG.

    Raises:
        OSError: it cannot be written.
        ValueError: matplotlib knows no such kind of file.
    """
    from matplotlib.figure import Figure

    try:
        plane = plane_of(site)
    except ValueError:
        plane = None  # `nearmiss check` says why; the plan can be drawn all the same
    figure = Figure(figsize=(14, 6) if plane else (7, 6.5), dpi=110, layout="constrained")
    figure.suptitle(f"{site.site.name or site.id}", fontsize=13, fontweight="bold")
    if plane is None:
        _plan(figure.add_subplot(), site, None)
    else:
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        shown = _image(left, site, plane)
        bar = figure.colorbar(shown, ax=left, orientation="horizontal", shrink=0.7, pad=0.02, extend="max")
        bar.set_label(
            f"error of a place, m (the site judges nothing above {site.thresholds.max_position_sigma_m:g} m)"
        )
        _plan(right, site, plane)
    figure.savefig(to, format="png")


def _image(axes: Axes, site: Site, plane: Plane) -> Any:
    width, height = plane.image_size
    u, v = np.meshgrid(np.linspace(0, width, 161), np.linspace(0, height, 121))
    sigma = plane.sigma_m(np.stack([u, v], axis=-1), BOX_SIGMA_PX)
    limit = site.thresholds.max_position_sigma_m
    shown = axes.imshow(
        sigma,
        extent=(0, width, height, 0),
        cmap="RdYlGn_r",
        vmin=0,
        vmax=2 * limit,
        alpha=0.6,
        interpolation="bilinear",
    )
    if np.nanmin(sigma) < limit < np.nanmax(sigma):
        axes.contour(u, v, np.nan_to_num(sigma, nan=1e6), levels=[limit], colors=_BAD, linewidths=1.2)
    for roadway in site.roadways:
        _seen(axes, plane, roadway.polygon, closed=True, color=_ROAD, linestyle="--")
    for box in site.boxes:
        _seen(axes, plane, box.polygon, closed=True, color=_BOX)
    for crosswalk in site.crosswalks:
        _seen(axes, plane, crosswalk.polygon, closed=True, color=_CROSSWALK, linewidth=2)
        _name(axes, plane.image(np.mean(crosswalk.polygon, axis=0)), crosswalk.id, _CROSSWALK)
    for line in site.stop_lines:
        _seen(axes, plane, line.line, closed=False, color=_LINE, linewidth=3)
        middle = (np.asarray(line.line[0]) + np.asarray(line.line[-1])) / 2
        ahead = middle + 2.5 * _direction(line.heading_deg)
        _arrow(axes, plane.image(middle), plane.image(ahead))
        _name(axes, plane.image(middle), line.id, _LINE)
    assert site.ground_plane is not None
    for head in site.signal_heads:
        _rectangle(axes, head.region_px, _HEAD, head.signal_group)
    for rectangle in site.ground_plane.osd:
        _rectangle(axes, rectangle, _ROAD, "text")
    bad = {each.index for each in plane.left_out}
    for number, pair in enumerate(site.ground_plane.points):
        colour = _BAD if number in bad else _HELD if pair.held_out else _POINT
        there = plane.image(pair.m)
        axes.plot(*pair.px, "+", color=colour, markersize=9, markeredgewidth=1.6)
        axes.plot([pair.px[0], there[0]], [pair.px[1], there[1]], color=colour, linewidth=1)
        axes.annotate(
            f"{number + 1}", pair.px, xytext=(3, 3), textcoords="offset points", fontsize=6, color=colour
        )
    axes.set(
        xlim=(0, width), ylim=(height, 0), aspect="equal", title="in the image", xlabel="px", ylabel="px"
    )
    return shown


def _plan(axes: Axes, site: Site, plane: Plane | None) -> None:
    for roadway in site.roadways:
        axes.fill(
            *np.asarray(roadway.polygon).T, facecolor=_ROAD, alpha=0.15, edgecolor=_ROAD, linestyle="--"
        )
    for box in site.boxes:
        axes.fill(*np.asarray(box.polygon).T, facecolor=_BOX, alpha=0.2, edgecolor=_BOX)
    for crosswalk in site.crosswalks:
        axes.fill(*np.asarray(crosswalk.polygon).T, facecolor=_CROSSWALK, alpha=0.25, edgecolor=_CROSSWALK)
        named = crosswalk.id + (f"\n{crosswalk.signal_group}" if crosswalk.signal_group else "")
        _name(axes, np.mean(crosswalk.polygon, axis=0), named, _CROSSWALK)
    for line in site.stop_lines:
        points = np.asarray(line.line)
        axes.plot(*points.T, color=_LINE, linewidth=3, solid_capstyle="round")
        middle = (points[0] + points[-1]) / 2
        _arrow(axes, middle, middle + 3.0 * _direction(line.heading_deg))
        named = line.id + (f" · {line.signal_group}" if line.signal_group else "")
        _name(axes, middle, named, _LINE)
    if plane is not None and site.ground_plane is not None:
        metre = np.asarray([pair.m for pair in site.ground_plane.points])
        axes.plot(*metre.T, "+", color=_POINT, markersize=6)
    axes.grid(alpha=0.3)
    axes.set(aspect="equal", title="plan, metres (x east, y north)", xlabel="x, m", ylabel="y, m")


def _seen(axes: Axes, plane: Plane, points: Sequence[Point], *, closed: bool, **style: Any) -> None:
    """Draw an outline as the camera sees it: bent by the lens, NaN behind the camera."""
    corners = np.asarray([*points, points[0]] if closed else points, np.float64)
    share = np.linspace(0, 1, _PIECES)[:, None]
    pieces = [a + share * (b - a) for a, b in itertools.pairwise(corners)]
    pixel = plane.image(np.concatenate(pieces))
    reach = 3 * max(plane.image_size)
    pixel[(np.abs(pixel) > reach).any(axis=-1)] = np.nan
    axes.plot(*pixel.T, **style)


def _direction(heading_deg: float) -> Floats:
    turn = np.radians(heading_deg)
    return np.array([np.cos(turn), np.sin(turn)])


def _arrow(axes: Axes, start: Floats, end: Floats) -> None:
    if np.isfinite([start, end]).all():
        axes.annotate(
            "",
            tuple(end),
            tuple(start),
            arrowprops={"arrowstyle": "-|>", "color": _LINE, "lw": 1.6},
            annotation_clip=True,
        )


def _name(axes: Axes, at: Floats, text: str, colour: str) -> None:
    if np.isfinite(at).all():
        axes.annotate(
            text,
            tuple(at),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            fontweight="bold",
            annotation_clip=True,
        )


def _rectangle(axes: Axes, rectangle: tuple[float, float, float, float], colour: str, text: str) -> None:
    left, top, right, bottom = rectangle
    axes.fill(
        [left, right, right, left], [top, top, bottom, bottom], facecolor=colour, alpha=0.3, edgecolor=colour
    )
    _name(axes, np.array([left, bottom]), text, colour)
