"""The site seen from above, as SVG: its places, the paths of a recording, and where events happened."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from broker.wire import RoadUser
from calibration.site import Point, Site

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Path = tuple[RoadUser, Sequence[Point]]
Mark = tuple[int, Point, bool]

# The same colours as the player's glyphs (broker/player/player.css).
COLOURS: dict[RoadUser, str] = {
    "pedestrian": "#cf440e",
    "bicycle": "#29863b",
    "motorcycle": "#a61e7a",
    "car": "#1c64d1",
    "bus": "#0b7285",
    "truck": "#6741d9",
}
_ROAD, _KERB, _STRIPE, _LINE, _INK = "#e7e9ec", "#c3c8ce", "#ffffff", "#c92a2a", "#30363d"
_MAX_PATHS = 600
_MARGIN_M = 4.0
# Around crosswalks and stop lines: far enough to see who comes, near enough to tell lanes apart.
_AROUND_M = 14.0


def site_map(site: Site, *, paths: Sequence[Path], marks: Sequence[Mark]) -> str:
    """Return an SVG element, north up, equal aspect, with scale bar and legend.

    Args:
        paths: kind and polyline in metres; where there are more than 600, an even choice of them.
        marks: number, place in metres, and whether it occurred (else undecidable), of each event.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    left, bottom, right, top = _window(site, paths, marks)
    width = 6.6
    height = min(max(width * (top - bottom) / (right - left), 3.2), 6.6)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nearmiss", "font.size": 8.5}):
        figure = Figure(figsize=(width, height))
        figure.patch.set_alpha(0.0)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        # The axes fill the figure: a window of its shape has equal scales on both.
        spare_x = max((top - bottom) * width / height - (right - left), 0.0) / 2
        spare_y = max((right - left) * height / width - (top - bottom), 0.0) / 2
        axes.set_xlim(left - spare_x, right + spare_x)
        axes.set_ylim(bottom - spare_y, top + spare_y)
        _draw_places(axes, site)
        _draw_paths(axes, paths)
        _draw_marks(axes, marks, window=(left, bottom, right, top))
        _draw_furniture(axes, figure_width_m=right - left + 2 * spare_x)
        target = io.StringIO()
        FigureCanvasSVG(figure)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    drawing = target.getvalue()
    return drawing[drawing.index("<svg") :]


def _window(site: Site, paths: Sequence[Path], marks: Sequence[Mark]) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top in metres: where something is or happened, not where roads end."""
    near = [point for line in site.stop_lines for point in line.line]
    near += [point for crosswalk in site.crosswalks for point in crosswalk.polygon]
    margin = _AROUND_M if near else _MARGIN_M
    if not near:
        near = [place for _, place, _ in marks]
        walked = [point for _, path in paths for point in path]
        if len(walked) >= 20:
            low, high = np.percentile(np.asarray(walked), [2, 98], axis=0)
            near += [(float(low[0]), float(low[1])), (float(high[0]), float(high[1]))]
        else:
            near += walked
    near = near or [point for roadway in site.roadways for point in roadway.polygon] or [(0.0, 0.0)]
    x, y = zip(*near, strict=True)
    middle, half = (min(x) + max(x)) / 2, max((max(x) - min(x)) / 2, 8.0) + margin
    level, tall = (min(y) + max(y)) / 2, max((max(y) - min(y)) / 2, 4.0) + margin
    return (middle - half, level - tall, middle + half, level + tall)


def _draw_places(axes: Axes, site: Site) -> None:
    for roadway in site.roadways:
        axes.fill(*zip(*roadway.polygon, strict=True), fc=_ROAD, ec=_KERB, lw=1.0, zorder=1)
    for crosswalk in site.crosswalks:
        corners = np.asarray(crosswalk.polygon)
        axes.fill(*corners.T, fc=_ROAD, ec="#868e96", lw=0.8, zorder=2)
        for stripe in _stripes(corners):
            axes.fill(*stripe.T, fc=_STRIPE, ec="none", zorder=2)
        axes.annotate(
            crosswalk.id,
            corners.mean(axis=0),
            ha="center",
            va="center",
            color=_INK,
            zorder=6,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75},
        )
    for line in site.stop_lines:
        points = np.asarray(line.line)
        axes.plot(*points.T, color=_LINE, lw=2.4, solid_capstyle="butt", zorder=3)
        heading = math.radians(line.heading_deg)
        back = points.mean(axis=0) - 2.0 * np.array([math.cos(heading), math.sin(heading)])
        axes.annotate(line.id, back, ha="center", va="center", color=_LINE, weight="bold", zorder=6)


def _stripes(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return stripes over the longer side of a crosswalk of four corners; none of another shape."""
    if len(corners) != 4:
        return []
    a, b, c, d = corners
    if math.dist(a, b) + math.dist(c, d) < math.dist(b, c) + math.dist(d, a):
        a, b, c, d = b, c, d, a
    count = max(round((math.dist(a, b) + math.dist(c, d)) / 2), 2)
    shares = [((n + 0.25) / count, (n + 0.75) / count) for n in range(count)]
    return [
        np.stack([a + low * (b - a), a + high * (b - a), d + high * (c - d), d + low * (c - d)])
        for low, high in shares
    ]


def _draw_paths(axes: Axes, paths: Sequence[Path]) -> None:
    from matplotlib.collections import LineCollection

    every = max(1, math.ceil(len(paths) / _MAX_PATHS))
    shown = [path for path in paths[::every] if len(path[1]) >= 2]
    for kind, colour in COLOURS.items():
        lines = [np.asarray(points) for each, points in shown if each == kind]
        if lines:
            collection = LineCollection(
                lines, colors=colour, linewidths=1.1, alpha=0.55, zorder=4, label=kind
            )
            axes.add_collection(collection, autolim=False)
            ends = np.asarray([line[-1] for line in lines])
            axes.scatter(ends[:, 0], ends[:, 1], s=6, color=colour, alpha=0.8, zorder=4, linewidths=0)


def _draw_marks(axes: Axes, marks: Sequence[Mark], *, window: tuple[float, float, float, float]) -> None:
    left, bottom, right, top = window
    inset = 0.025 * (right - left)
    for number, (far_x, far_y), occurred in marks:
        # What happened farther out is marked at the edge it lies beyond.
        x = min(max(far_x, left + inset), right - inset)
        y = min(max(far_y, bottom + inset), top - inset)
        axes.annotate(
            str(number),
            (x, y),
            ha="center",
            va="center",
            zorder=8,
            fontsize=8,
            weight="bold",
            color="white" if occurred else _LINE,
            bbox={
                "boxstyle": "circle,pad=0.28",
                "fc": _LINE if occurred else "white",
                "ec": _LINE,
                "lw": 1.2,
            },
        )


def _draw_furniture(axes: Axes, *, figure_width_m: float) -> None:
    from matplotlib.lines import Line2D

    length = max(n for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= max(figure_width_m / 5, 1))
    share = length / figure_width_m
    axes.plot(
        [0.03, 0.03 + share],
        [0.045, 0.045],
        transform=axes.transAxes,
        color=_INK,
        lw=3,
        solid_capstyle="butt",
        zorder=9,
    )
    axes.text(
        0.03 + share / 2, 0.06, f"{length} m", transform=axes.transAxes, ha="center", color=_INK, zorder=9
    )
    axes.annotate(
        "N",
        xy=(0.965, 0.975),
        xytext=(0.965, 0.875),
        xycoords="axes fraction",
        ha="center",
        va="center",
        weight="bold",
        color=_INK,
        zorder=9,
        arrowprops={"arrowstyle": "-|>", "color": _INK, "lw": 1.4},
    )
    labels = [str(collection.get_label()) for collection in axes.collections]
    kinds = [
        Line2D([], [], color=colour, lw=2, label=kind) for kind, colour in COLOURS.items() if kind in labels
    ]
    if kinds:
        axes.legend(handles=kinds, loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
