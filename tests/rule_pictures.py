"""The edge cases of every rule as pictures, drawn from the very tables the tests run.

``python -m tests.rule_pictures`` writes docs/rules/<rule>.svg. The verdict under each picture is what the
engine says of it, not what the table expects (the tests see to it that these agree).
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.geometry import footprint
from calibration.site import Site
from edge.rules.finding import Finding
from edge.rules.places import LineFrame
from tests.edge import test_rules_near_miss as near
from tests.edge import test_rules_others as others
from tests.edge import test_rules_pedestrians as on_foot
from tests.edge import test_rules_red_light as red
from tests.scenes import SIZES, ListSignals, Movement, cross_site, drive, judged, profile, scenes

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "rules"
LAMP_COLOURS = {"red": "#f3b6b0", "amber": "#f8e2a0", "green": "#cfe8cf", "red_amber": "#f5c9a0"}
VERDICT_COLOURS = {"occurred": "#b3261e", "undecidable": "#b26a00", "nothing": "#4a7c4a"}
COLUMNS = 3


@dataclass(frozen=True)
class Case:
    """One small picture: a plan with footprints, or the front's way over time."""

    title: str
    movements: tuple[Movement, ...]
    site: Site
    signals: ListSignals
    plan: bool = True
    view: tuple[float, float, float, float] | None = None
    step_s: float = 0.5
    findings: Sequence[Finding] = field(default=())


def _cases(table: Iterable[Any], build: Any) -> list[Case]:
    return [build(str(param.id), *param.values) for param in table]


def _pages() -> dict[str, tuple[str, list[Case]]]:
    """Return per page the rules it is about and its cases."""
    stop = {"site": red.SITE, "signals": red.RED}
    waiting = _cases(
        red.WAITING, lambda name, ways, _: Case(name, (profile(ways=ways, **red.A),), plan=False, **stop)
    )
    light = _cases(red.LIGHT, lambda name, at, _: Case(name, (drive(time=at, **red.A),), plan=False, **stop))
    direction = _cases(
        red.DIRECTION, lambda name, move, _: Case(name, (move,), view=(-12, -26, 14, 2), **stop)
    )
    turning = _cases(
        red.RIGHT_ON_RED,
        lambda name, law, move, _: Case(
            name, (move,), cross_site(right_on_red=law), red.RED, view=(-16, -28, 20, 8), step_s=1.0
        ),
    )
    crossing = _cases(
        on_foot.REAL_STARTS,
        lambda name, move, _: Case(name, (move,), on_foot.SITE, on_foot.LAMP, plan=False),
    )
    outside = _cases(
        on_foot.OUTSIDE_CASES,
        lambda name, move, _: Case(name, (move,), on_foot.SITE, on_foot.LAMP, view=(-16, -34, 22, 14)),
    )
    clear = _cases(
        near.NO_CONFLICT,
        lambda name, moves: Case(name, moves, near.SITE, near.NONE, view=(-22, -18, 22, 18), step_s=0.7),
    )
    conflict = [
        Case(
            f"PET {pet} s", near.crossing_pair(pet), near.SITE, near.NONE, view=(-16, -16, 16, 16), step_s=0.7
        )
        for pet in (0.3, 1.2, 1.7)
    ]
    against = drive(at=(3.5, -13), time=100, heading_deg=-90)
    wrong = [
        Case("up the wrong side", (against,), **stop, view=(-10, -30, 14, 4)),
        *_cases(
            others.NO_WRONG_WAY,
            lambda name, move: Case(name, (move,), red.SITE, red.RED, view=(-10, -30, 14, 4)),
        ),
    ]  # fmt: skip
    blocking = _cases(
        others.BLOCKING,
        lambda name, moves, _: Case(
            name, moves, others.BOXED, others.LIGHT, view=(-12, -24, 16, 18), step_s=2.0
        ),
    )
    yielding = _cases(
        others.YIELDING,
        lambda name, moves, lamp, _: Case(name, moves, others.SITE, lamp, view=(-14, -22, 14, 4), step_s=0.7),
    )
    return {
        "red_light_entry": ("red_light_entry amber_entry", waiting + light[2:6] + direction[3:6]),
        "amber_entry": ("amber_entry red_light_entry", light),
        "right_on_red_without_stop": ("right_on_red_without_stop red_light_entry", turning),
        "pedestrian_signal": ("pedestrian_against_signal pedestrian_late_start", crossing),
        "crossing_outside_crosswalk": ("crossing_outside_crosswalk", outside),
        "near_miss": ("near_miss", conflict + clear),
        "wrong_way": ("wrong_way", wrong),
        "blocking_box": ("blocking_box", blocking),
        "failure_to_yield": ("failure_to_yield", yielding),
    }


def drawn(rules: str, cases: Sequence[Case]) -> str:
    """Return one page's cases as an SVG that is the same each time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = math.ceil(len(cases) / COLUMNS)
    settings: Any = {"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 7}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9.6, 2.5 * rows), layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for axes, case in zip(grid.flat, cases, strict=False):
            findings = [
                each for each in judged(case.site, scenes(case.movements, case.signals)) if each.rule in rules
            ]
            (_plan if case.plan else _over_time)(axes, case, findings)
            axes.set_title(case.title, fontsize=8)
            said = "\n".join(f"{each.rule}: {each.outcome}" for each in findings) or "nothing"
            colour = VERDICT_COLOURS[findings[0].outcome if findings else "nothing"]
            axes.set_xlabel(said.replace("_", " "), color=colour, fontsize=7)
        for axes in list(grid.flat)[len(cases) :]:
            axes.set_axis_off()
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    # A tenth of a point is finer than any screen shows.
    return _rounded(target.getvalue())


def _rounded(svg: str) -> str:
    import re

    return re.sub(r"(\d+\.\d)\d+", r"\1", svg)


def _over_time(axes: Any, case: Case, findings: Sequence[Finding]) -> None:
    """Draw metres beyond the stop line (or the kerb at x = -7) over time, on the colour of the light."""
    (movement,) = case.movements
    walking = movement.kind == "pedestrian"
    frame = LineFrame.of(case.site.stop_lines[0], 0)
    times = [movement.start + n / 10 for n in range(int((movement.end - movement.start) * 10) + 1)]
    beyond = []
    for now in times:
        x, y, heading = movement.pose(now)
        half = 0.0 if walking else SIZES[movement.kind][0] / 2
        angle = math.radians(heading) if not math.isnan(heading) else 0.0
        tip = (x + half * math.cos(angle), y + half * math.sin(angle))
        beyond.append(x + 7.0 if walking else float(frame.beyond_m(*tip)))  # type: ignore[arg-type]
    shown = [(now, far) for now, far in zip(times, beyond, strict=True) if -4 <= far <= 6]
    start, end = (shown[0][0] - 2, shown[-1][0] + 2) if shown else (movement.start, movement.end)
    changes = case.signals.groups["P" if walking else "A"]
    for (at, state), after in zip(changes, [*(time for time, _ in changes[1:]), math.inf], strict=True):
        if after > start and at < end:
            axes.axvspan(max(at, start), min(after, end), color=LAMP_COLOURS.get(state, "0.9"), linewidth=0)
    axes.axhline(0, color="black", linewidth=1)
    axes.axhline(1, color="black", linewidth=0.5, linestyle=":")
    axes.plot(times, beyond, color="#1b3b6f", linewidth=1.2)
    for finding in findings:
        axes.plot(finding.time, 0, "o", color=VERDICT_COLOURS[finding.outcome], markersize=4)
    axes.set_xlim(start, end)
    axes.set_ylim(-4, 6)
    axes.set_ylabel("m beyond the kerb" if walking else "m beyond the line")


def _plan(axes: Any, case: Case, findings: Sequence[Finding]) -> None:
    """Draw the site from above and the footprints every so often, paler before."""
    for road in case.site.roadways:
        axes.fill(*zip(*road.polygon, strict=True), color="#e4e4e4", linewidth=0)
    for walk in case.site.crosswalks:
        axes.fill(
            *zip(*walk.polygon, strict=True), facecolor="#ffffff", edgecolor="0.6", hatch="||", linewidth=0.3
        )
    for box in case.site.boxes:
        axes.fill(*zip(*box.polygon, strict=True), fill=False, edgecolor="#c9a227", linewidth=0.8)
    for line in case.site.stop_lines:
        axes.plot(*zip(*line.line, strict=True), color="black", linewidth=1.5)
    for number, movement in enumerate(case.movements):
        colour = ("#1b3b6f", "#8a4b08", "#2f6b2f")[number % 3]
        length, width = SIZES[movement.kind]
        count = int((movement.end - movement.start) / case.step_s) + 1
        last = None
        for index in range(count):
            x, y, heading = movement.pose(movement.start + index * case.step_s)
            if last == (round(x, 1), round(y, 1)):
                continue
            last = (round(x, 1), round(y, 1))
            corners = footprint(x, y, 0.0 if math.isnan(heading) else heading, length, width)
            axes.fill(
                *corners.T,
                facecolor="none",
                edgecolor=colour,
                linewidth=0.6,
                alpha=0.35 + 0.6 * index / count,
            )
    for finding in findings:
        axes.plot(finding.x, finding.y, "o", color=VERDICT_COLOURS[finding.outcome], markersize=4)
    if case.view is not None:
        axes.set_xlim(case.view[0], case.view[2])
        axes.set_ylim(case.view[1], case.view[3])
    axes.set_aspect("equal")
    axes.tick_params(labelsize=5)


if __name__ == "__main__":
    for name, (about, shown) in _pages().items():
        path = FOLDER / f"{name}.svg"
        path.write_text(drawn(about, shown))
        sys.stdout.write(f"{path.name}: {len(shown)} cases, {path.stat().st_size / 1024:.0f} kB\n")
