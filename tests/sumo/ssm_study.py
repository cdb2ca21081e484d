"""PET and TTC of ours beside those of SUMO's SSM device, pair by pair, with what explains each difference.

``python -m tests.sumo.ssm_study`` simulates eight junctions, prints every pair and the summary of
docs/rules/near_miss.md, and draws docs/rules/ssm.svg.
"""

from __future__ import annotations

import io
import math
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.sumo.junctions import JUNCTIONS
from tests.sumo.ssm_pairs import CROSS, OBLIQUE, PET_S, TTC_S, Compared, PetPair, TtcPair, compared
from tests.sumo.world import simulate

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "rules" / "ssm.svg"
SEED, MINUTES = 4519, 8.0


def study(folder: Path, *, minutes: float = MINUTES, seed: int = SEED) -> list[Compared]:
    return [
        compared(each, simulate(each, folder / each.name, seed=seed, minutes=minutes, ssm=True))
        for each in (CROSS, OBLIQUE, *JUNCTIONS)
    ]


def tables(parts: list[Compared]) -> str:
    """Return every pair, then the summary."""
    pets = [pair for part in parts for pair in part.pets]
    ttcs = [pair for part in parts for pair in part.ttcs]
    rows = [
        "| junction | pair | PET: SSM | its definition on our tracks | at the crossing | bands | angle "
        "| ours | ours - SSM |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {each.junction} | {each.pair[0]} {each.kinds[0]}, {each.pair[1]} {each.kinds[1]} "
        f"| {each.device_s:.2f} | {each.defined_s:.2f} | {each.at_crossing_s:.2f} | {each.bands_s:.2f} "
        f"| {each.angle_deg:.0f} "
        f"| {each.why if each.ours_s is None else f'{each.ours_s:.2f}'} "
        f"| {'' if each.ours_s is None else f'{each.ours_s - each.device_s:+.2f}'} |"
        for each in pets
    ]
    rows += [
        "",
        "| junction | pair | encounter | TTC: SSM | its definition on our tracks | footprints then "
        "| ours, least | ours - SSM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {each.junction} | {each.pair[0]} {each.kinds[0]}, {each.pair[1]} {each.kinds[1]} | {each.way} "
        f"| {each.device_s:.2f} | {each.defined_s:.2f} | {each.footprints_s:.2f} "
        f"| {_told(each)} "
        f"| {'' if each.ours_s is None else f'{each.ours_s - each.device_s:+.2f}'} |"
        for each in ttcs
    ]
    return "\n".join([*rows, "", summary(parts)])


def _told(pair: TtcPair) -> str:
    if pair.ours_s is not None:
        return f"{pair.ours_s:.2f}"
    return "less at another moment" if pair.elsewhere else "none"


def summary(parts: list[Compared]) -> str:
    pets = [pair for part in parts for pair in part.pets]
    ttcs = [pair for part in parts for pair in part.ttcs]
    found = [each for each in pets if each.ours_s is not None]
    steps: list[tuple[str, list[float]]] = [
        ("PET: definition on our tracks - SSM", [each.defined_s - each.device_s for each in pets]),
        (
            "PET: area at the crossing - at the waiting position",
            [each.at_crossing_s - each.defined_s for each in pets],
        ),
        ("PET: bands as wide as the bodies - lanes", [each.bands_s - each.at_crossing_s for each in pets]),
        ("PET: footprints - bands, both straight on", _over_bands(found, straight=True)),
        ("PET: footprints - bands, one turns", _over_bands(found, straight=False)),
        ("PET: ours - SSM", [each.ours_s - each.device_s for each in found if each.ours_s is not None]),
    ]
    for way in ("following", "following in a bend", "crossing"):
        some = [each for each in ttcs if _way(each) == way]
        steps += [
            (
                f"TTC, {way}: definition on our tracks - SSM",
                [each.defined_s - each.device_s for each in some],
            ),
            (
                f"TTC, {way}: footprints - lanes, same instant",
                [each.footprints_s - each.defined_s for each in some if math.isfinite(each.footprints_s)],
            ),
            (
                f"TTC, {way}: ours - SSM",
                [each.ours_s - each.device_s for each in some if each.ours_s is not None],
            ),
        ]
    rows = [
        "| what is compared | pairs | median, s | 5 % | 95 % | within 0.05 s |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in steps:
        if values:
            low, high = np.percentile(values, [5, 95])
            near = statistics.mean(abs(value) <= 0.05 for value in values)
            rows.append(
                f"| {name} | {len(values)} | {statistics.median(values):+.2f} | {low:+.2f} | {high:+.2f} "
                f"| {near:.0%} |"
            )
    rows += ["", "| not compared | pairs |", "|---|---|"]
    rows += [f"| SSM only: {why} | {count} |" for why, count in _total(part.only_device for part in parts)]
    rows += [
        f"| no PET of ours: {why} | {count} |"
        for why, count in Counter(each.why for each in pets if each.why).items()
    ]
    rows += [f"| ours only: {why} | {count} |" for why, count in _total(part.only_ours for part in parts)]
    return "\n".join(rows)


def _way(pair: TtcPair) -> str:
    return "following in a bend" if pair.way == "following" and pair.bend else pair.way


def _over_bands(pairs: list[PetPair], *, straight: bool) -> list[float]:
    return [
        each.ours_s - each.bands_s for each in pairs if each.ours_s is not None and each.straight is straight
    ]


def _total(counts: Iterable[Counter[str]]) -> list[tuple[str, int]]:
    return sum(counts, Counter()).most_common()


def picture(parts: list[Compared]) -> str:
    """Return an SVG: PET as measured, PET once explained, TTC at the same instant."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    pets = [pair for part in parts for pair in part.pets if pair.ours_s is not None]
    ttcs = [pair for part in parts for pair in part.ttcs if math.isfinite(pair.footprints_s)]
    groups: list[tuple[str, str, str, list[PetPair]]] = [
        ("straight, right angle", "#1b3b6f", "o", [each for each in pets if each.junction == CROSS.name]),
        ("straight, 60 degrees", "#2f6b2f", "s", [each for each in pets if each.junction == OBLIQUE.name]),
        (
            "six junctions, turns too", "#b5651d", "^",
            [each for each in pets if each.junction not in (CROSS.name, OBLIQUE.name)],
        ),
    ]  # fmt: skip
    with mpl.rc_context({"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(9.6, 3.5), layout="constrained")
        measured, explained, collision = figure.subplots(1, 3)
        for name, colour, marker, some in groups:
            style = {"color": colour, "marker": marker, "s": 11, "alpha": 0.65, "linewidths": 0}
            label = f"{name} (n = {len(some)})"
            measured.scatter(
                [each.device_s for each in some], [each.ours_s for each in some], label=label, **style
            )
            explained.scatter([each.bands_s for each in some], [each.ours_s for each in some], **style)
        for way, colour, marker in (("following", "#1b3b6f", "o"), ("crossing", "#b5651d", "^")):
            own = [each for each in ttcs if each.way == way]
            collision.scatter(
                [each.device_s for each in own], [each.footprints_s for each in own], s=11, color=colour,
                marker=marker, alpha=0.65, linewidths=0, label=f"{way} (n = {len(own)})",
            )  # fmt: skip
        for axes, limit in ((measured, PET_S), (explained, PET_S), (collision, TTC_S)):
            axes.plot([0, limit], [0, limit], color="0.7", linewidth=0.8, zorder=0)
            axes.set_xlim(-0.1, limit + 0.1)
            axes.set_ylim(-0.1, limit + 0.1)
            axes.set_aspect("equal")
            axes.grid(color="0.93", linewidth=0.6)
        measured.set(title="PET as measured", xlabel="SSM device, s", ylabel="ours, between footprints, s")
        explained.set(
            title="PET, bodies and angle in full", xlabel="bands as wide as the bodies, s", ylabel="ours, s"
        )
        collision.set(title="TTC at the same instant", xlabel="SSM device, s", ylabel="between footprints, s")
        measured.legend(loc="upper left", fontsize=6.5)
        collision.legend(loc="upper left", fontsize=6.5)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder_name:
        found_parts = study(Path(folder_name))
    PICTURE.write_text(picture(found_parts))
    sys.stdout.write(tables(found_parts) + "\n")
