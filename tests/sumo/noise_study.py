"""How precision and recall fall, and undecidable rises instead, as tracks and clocks get worse.

``python -m tests.sumo.noise_study`` simulates two junctions, degrades tracks and signals step by step, writes
docs/rules/noise.svg and prints the table of docs/rules/README.md.
"""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from broker.wire import LocalEvent
from calibration.site import load_site
from edge.evaluate import ALL, evaluate, load_both
from edge.judge import judged, numbered, write_events
from edge.signals.lines import Problems
from edge.signals.sources import sources_of
from edge.tracks import TracksFile
from tests.sumo.junctions import FOUR_LEG, LEFT_HAND, Junction
from tests.sumo.noise import Noise, degraded
from tests.sumo.world import World, simulate

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "rules" / "noise.svg"
SEED, MINUTES = 4407, 8.0
RULES = frozenset({"red_light_entry", "amber_entry", "pedestrian_against_signal", "pedestrian_late_start"})
# What is made worse, by which steps; the rest stays perfect. A clock's error is stated as its sigma.
SERIES: dict[str, list[tuple[float, Noise]]] = {
    "jitter, m": [(each, Noise(sigma_m=each)) for each in (0.0, 0.1, 0.2, 0.3, 0.5)],
    "rows lost": [(each, Noise(dropped=each)) for each in (0.0, 0.1, 0.3, 0.5, 0.7)],
    "id swaps per 1000 rows": [(each, Noise(swaps_per_1000_rows=each)) for each in (0.0, 1.0, 5.0, 20.0)],
    "clock off, stated, s": [
        (each, Noise(clock_offset_s=each, signal_sigma_s=each)) for each in (0.0, 0.1, 0.3, 0.6, 1.0)
    ],
    "clock off, not stated, s": [(each, Noise(clock_offset_s=each)) for each in (0.0, 0.1, 0.3, 0.6, 1.0)],
}


@dataclass(frozen=True)
class Point:
    """One degree of one kind of noise; shares of true events, of all rules together."""

    level: float
    precision: float
    recall: float
    undecidable: float
    truths: int


def events_of(world: World, tracks: Path, signals: Path, out: Path) -> Path:
    """Judge tracks and keep the events of the rules whose truth SUMO knows."""
    site = load_site(world.site)
    told = sources_of(site, signals, start_time=0.0, lamps=False).signals
    found = numbered(judged(TracksFile(tracks, Problems(tracks), start_time=0.0), site, told), site=site.id)
    write_events(out, [event for event in found if event.rule in RULES])
    return out


def measured(worlds: list[World], noise: Noise, folder: Path, *, level: float) -> Point:
    found: list[LocalEvent] = []
    truth: list[LocalEvent] = []
    for number, world in enumerate(worlds):
        here = folder / f"{number}"
        tracks, signals = degraded(world, noise, here, seed=SEED + number)
        some, true = load_both(events_of(world, tracks, signals, here / "events.jsonl"), world.truth)
        found += some
        truth += [event for event in true if event.rule in RULES]
    score = evaluate(found, truth).scores[ALL]
    tally = score.tally
    truths = tally.hits + tally.misses + tally.undecidable_truths
    claimed = max(tally.hits + tally.false_alarms, 1)
    return Point(
        level=level,
        precision=tally.hits / claimed,
        recall=tally.hits / max(tally.hits + tally.misses, 1),
        undecidable=tally.undecidable_truths / max(truths, 1),
        truths=truths,
    )


def study(
    folder: Path, *, junctions: tuple[Junction, ...] = (FOUR_LEG, LEFT_HAND), minutes: float = MINUTES
) -> dict[str, list[Point]]:
    worlds = [simulate(each, folder / each.name, seed=SEED, minutes=minutes) for each in junctions]
    return {
        name: [measured(worlds, noise, folder / "noisy", level=level) for level, noise in levels]
        for name, levels in SERIES.items()
    }


def table(series: dict[str, list[Point]]) -> str:
    rows = [
        "| made worse | by | precision | recall of what was decided | undecidable |",
        "|---|---|---|---|---|",
    ]
    for name, points in series.items():
        for point in points:
            rows.append(
                f"| {name} | {point.level:g} | {point.precision:.2f} | {point.recall:.2f} "
                f"| {point.undecidable:.0%} |"
            )
    return "\n".join(rows)


def picture(series: dict[str, list[Point]]) -> str:
    """Return an SVG: one panel per kind of noise."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(9.6, 5.2), layout="constrained")
        grid = figure.subplots(2, 3, sharey=True).flat
        for axes, (name, points) in zip(grid, series.items(), strict=False):
            levels = [point.level for point in points]
            axes.plot(levels, [point.precision for point in points], "o-", color="#1b3b6f", label="precision")
            axes.plot(
                levels,
                [point.recall for point in points],
                "s-",
                color="#2f6b2f",
                label="recall of the decided",
            )
            axes.fill_between(
                levels, [point.undecidable for point in points], color="#f0c987", label="undecidable"
            )
            axes.set_xlabel(name)
            axes.set_ylim(0, 1.03)
            axes.grid(color="0.9", linewidth=0.6)
        last = figure.axes[-1]
        last.set_axis_off()
        last.legend(*figure.axes[0].get_legend_handles_labels(), loc="center")
        figure.axes[0].set_ylabel("share of true events")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder_name:
        found_series = study(Path(folder_name))
    PICTURE.write_text(picture(found_series))
    sys.stdout.write(table(found_series) + "\n")
