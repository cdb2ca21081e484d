"""What is published, as pictures: the site's plan in the colours of its rates, trends, before and after.

SVG by matplotlib, text as text, the same bytes for the same numbers. Drawn from publications alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from broker.collector.publication.comparing import Change
from broker.collector.publication.periods import label
from broker.collector.publication.places import JUNCTION, Plan
from broker.published import PER, Cell, Publication

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROAD, _KERB, _INK, _FAINT, _HIDDEN = "#eceef1", "#c3c8ce", "#1f2933", "#5b6774", "#d5dae0"
_COLOURS = ("#0b5cad", "#c2410c", "#15803d", "#7e22ce", "#b45309", "#0e7490", "#be123c", "#4d7c0f")
_AROUND_M = 12.0


def heat_map(plan: Plan, said: Publication) -> str:
    """Return the site from above, each place in the colour of its rate, or of its count where no rate is.

    Hidden places are hatched. Where the publication tells of road users apart, they are not drawn.
    """
    cells = {cell.place: cell for cell in said.cells if cell.place and cell.road_user is None}
    values = {name: _value(cell) for name, cell in cells.items()}
    by_rate = any(cell.rate is not None for cell in cells.values())
    shown = [rate if by_rate else count for rate, count in values.values()]
    top = max((value for value in shown if value is not None), default=1.0)

    def draw(axes: Any) -> None:
        _draw_roads(axes, plan)
        for place in plan.places:
            if place.id in cells:
                rate, count = values[place.id]
                value = rate if by_rate else count
                _draw_place(axes, place.kind, place.outline_m, cells[place.id], value, top, place.id)
        if JUNCTION in cells:
            rate, count = values[JUNCTION]
            _draw_junction(axes, plan, cells[JUNCTION], rate if by_rate else count, top)
        _frame(axes, plan)

    width, height = _size(plan)
    return _svg(draw, width=width, height=height, axes_off=True)


def trend(said: Sequence[Publication]) -> str:
    """Return a line a place over the periods, with 95 % intervals; hidden ones stand hatched at the foot."""
    names = list(dict.fromkeys((cell.place, cell.road_user) for each in said for cell in each.cells))
    by_rate = any(cell.rate is not None for each in said for cell in each.cells)

    def draw(axes: Any) -> None:
        from matplotlib.transforms import blended_transform_factory

        foot = blended_transform_factory(axes.transData, axes.transAxes)
        few = 0
        for number, name in enumerate(names):
            colour = _COLOURS[number % len(_COLOURS)]
            shift = 0.06 * (number - (len(names) - 1) / 2)
            points = [(at + shift, *_interval(_named(each, name), by_rate)) for at, each in enumerate(said)]
            if not all(math.isnan(value) for _, value, _, _ in points):
                x, value, low, high = zip(*points, strict=True)
                below = [v - least for v, least in zip(value, low, strict=True)]
                above = [most - v for v, most in zip(value, high, strict=True)]
                axes.errorbar(
                    x, value, yerr=(below, above), color=colour, marker="o", ms=4.5, lw=1.3, capsize=2.5,
                    elinewidth=0.9, label=_name(*name),
                )  # fmt: skip
            else:
                axes.plot([], [], color=colour, marker="o", ms=4.5, lw=1.3, label=f"{_name(*name)} (hidden)")
            for at, each in enumerate(said):
                cell = _named(each, name)
                if cell is not None and not isinstance(cell.confirmed, int):
                    few += 1
                    place = {"transform": foot, "marker": "s", "ms": 5, "mfc": "white", "mec": colour}
                    axes.plot([at + shift], [0.02], **place)
        axes.set_xticks(range(len(said)), [label(each.period).replace(" to ", "\nto ") for each in said])
        axes.set_xlim(-0.5, len(said) - 0.5)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"per {PER:,} counted" if by_rate else "confirmed")
        axes.grid(axis="y", color=_KERB, lw=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        if few:
            axes.plot([], [], ls="", marker="s", mfc="white", mec=_FAINT, label="fewer than 10: hidden")
        axes.legend(
            frameon=False, fontsize=8, ncols=1, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0
        )

    return _svg(draw, width=7.2, height=2.9)


def before_and_after(changes: Sequence[Change]) -> str:
    """Return the ratio of the rates after and before of each place, with 95 % intervals, on a log scale."""

    def draw(axes: Any) -> None:
        low = min(0.5, *(max(each.low, 0.05) for each in changes))
        high = max(2.0, *(min(each.high, 20.0) for each in changes))
        axes.axvline(1.0, color=_FAINT, lw=1, ls=(0, (3, 3)))
        for row, each in enumerate(changes):
            sure = each.high < 1 or each.low > 1
            colour = ("#15803d" if each.high < 1 else "#be123c") if sure else _FAINT
            ends = [max(each.low, low / 1.05), min(each.high, high * 1.05)]
            axes.plot(ends, [row, row], color=colour, lw=2, solid_capstyle="butt")
            axes.plot([each.ratio], [row], marker="o", ms=6, color=colour)
        axes.set_yticks(range(len(changes)), [_name(each.place, each.road_user) for each in changes])
        axes.set_ylim(len(changes) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.set_xlim(low / 1.1, high * 1.1)
        ticks = [tick for tick in (0.1, 0.2, 0.25, 0.5, 1, 2, 4, 5, 10) if low / 1.1 <= tick <= high * 1.1]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("rate after ÷ rate before")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return _svg(draw, width=5.6, height=0.75 + 0.34 * len(changes))


def _value(cell: Cell) -> tuple[float | None, float | None]:
    count = float(cell.confirmed) if isinstance(cell.confirmed, int) else None
    return (cell.rate.value if cell.rate else None), count


def _named(said: Publication, name: tuple[str | None, str | None]) -> Cell | None:
    return next((cell for cell in said.cells if (cell.place, cell.road_user) == name), None)


def _interval(cell: Cell | None, by_rate: bool) -> tuple[float, float, float]:
    """Return value, lower and upper end; NaN where there is none, so that the line breaks off there."""
    from broker.collector.publication.figures import poisson_interval

    if cell is not None and by_rate and cell.rate is not None:
        return cell.rate.value, cell.rate.low, cell.rate.high
    if cell is None or by_rate or not isinstance(cell.confirmed, int):
        return math.nan, math.nan, math.nan
    return (float(cell.confirmed), *poisson_interval(cell.confirmed))


def _name(place: str | None, road_user: str | None) -> str:
    return f"{place or 'all places'}{', ' + road_user if road_user else ''}"


def _colour(value: float | None, top: float) -> Any:
    import matplotlib

    # From a yellow that still shows on white to a red that still shows black print beside it.
    scale = matplotlib.colormaps["YlOrRd"]
    return _HIDDEN if value is None else scale(0.12 + 0.75 * min(value / top, 1.0))


def _text_on(value: float | None, top: float) -> str:
    return "white" if value is not None and value / top > 0.75 else _INK


def _says(cell: Cell) -> str:
    if cell.rate is not None:
        return f"{cell.rate.value:.3g}"
    return str(cell.confirmed)


def _draw_roads(axes: Axes, plan: Plan) -> None:
    for place in plan.places:
        if place.kind == "roadway":
            axes.fill(*zip(*place.outline_m, strict=True), fc=_ROAD, ec=_KERB, lw=0.8, zorder=1)
    for place in plan.places:
        if place.kind == "crosswalk":
            axes.fill(*zip(*place.outline_m, strict=True), fc="white", ec=_KERB, lw=0.8, zorder=2)
        if place.kind == "stop_line":
            axes.plot(*zip(*place.outline_m, strict=True), color=_KERB, lw=2.5, zorder=2)


def _draw_place(
    axes: Axes,
    kind: str,
    outline: Sequence[tuple[float, float]],
    cell: Cell,
    value: float | None,
    top: float,
    name: str,
) -> None:
    colour, hidden = _colour(value, top), not isinstance(cell.confirmed, int)
    x, y = zip(*outline, strict=True)
    middle = (sum(x) / len(x), sum(y) / len(y))
    if kind == "stop_line":
        axes.plot(x, y, color=_INK, lw=8.5, solid_capstyle="butt", zorder=3)
        axes.plot(x, y, color=colour, lw=7, solid_capstyle="butt", zorder=4)
    else:
        axes.fill(x, y, fc=colour, ec=_INK, lw=0.9, zorder=3, hatch="////" if hidden else None)
    axes.annotate(
        f"{name}  {_says(cell)}",
        middle,
        xytext=_beside(middle) if kind == "stop_line" else (0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=8.5,
        weight="bold",
        color=_INK,
        zorder=8,
        bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": _KERB, "lw": 0.6, "alpha": 0.92},
    )


def _beside(middle: tuple[float, float]) -> tuple[float, float]:
    """Return where a stop line's label stands: away from the middle of the site."""
    far = math.hypot(*middle) or 1.0
    return 20 * middle[0] / far, 16 * middle[1] / far


def _draw_junction(axes: Axes, plan: Plan, cell: Cell, value: float | None, top: float) -> None:
    from matplotlib.patches import Circle

    x, y = _middle(plan)
    hidden = not isinstance(cell.confirmed, int)
    behind = {"fc": "white", "ec": "none", "alpha": 0.9, "pad": 1} if hidden else None
    disc = Circle(
        (x, y), 3.2, fc=_colour(value, top), ec=_INK, lw=0.9, zorder=5, hatch="////" if hidden else None
    )
    axes.add_patch(disc)
    axes.annotate(
        _says(cell), (x, y), ha="center", va="center", fontsize=8.5, weight="bold", zorder=8,
        color=_text_on(value, top), bbox=behind,
    )  # fmt: skip


def _middle(plan: Plan) -> tuple[float, float]:
    left, bottom, right, top = _window(plan)
    return (left + right) / 2, (bottom + top) / 2


def _window(plan: Plan) -> tuple[float, float, float, float]:
    near = [point for place in plan.places if place.kind != "roadway" for point in place.outline_m]
    near = near or [point for place in plan.places for point in place.outline_m] or [(0.0, 0.0)]
    x, y = zip(*near, strict=True)
    return min(x) - _AROUND_M, min(y) - _AROUND_M, max(x) + _AROUND_M, max(y) + _AROUND_M


def _size(plan: Plan) -> tuple[float, float]:
    left, bottom, right, top = _window(plan)
    width = 4.6
    return width, min(max(width * (top - bottom) / (right - left), 2.2), 5.2)


def _frame(axes: Axes, plan: Plan) -> None:
    left, bottom, right, top = _window(plan)
    width, height = _size(plan)
    # The axes fill the picture: a window of its shape has equal scales on both.
    spare_x = max((top - bottom) * width / height - (right - left), 0.0) / 2
    spare_y = max((right - left) * height / width - (top - bottom), 0.0) / 2
    axes.set_xlim(left - spare_x, right + spare_x)
    axes.set_ylim(bottom - spare_y, top + spare_y)
    axes.annotate(
        "N", xy=(0.95, 0.97), xytext=(0.95, 0.88), xycoords="axes fraction", ha="center", va="center",
        weight="bold", color=_INK, arrowprops={"arrowstyle": "-|>", "color": _INK, "lw": 1.2},
    )  # fmt: skip


def _svg(draw: Callable[[Any], None], *, width: float, height: float, axes_off: bool = False) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": "nearmiss", "font.size": 8.5, "hatch.color": _FAINT}
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout=None if axes_off else "constrained")
        figure.patch.set_alpha(0.0)
        if axes_off:
            axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
            axes.set_axis_off()
        else:
            axes = figure.subplots()
            axes.patch.set_alpha(0.0)
        draw(axes)
        target = io.StringIO()
        FigureCanvasSVG(figure)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    drawing = target.getvalue()
    return drawing[drawing.index("<svg") :]
