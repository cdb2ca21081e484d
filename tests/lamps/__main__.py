"""``python -m tests.lamps [SEEDS] [--picture FILE]``: the whole family as a table, or as a picture."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from tests.lamps.scenes import FAMILY, Scene
from tests.lamps.score import Score, calibration, read

# Seeds from here on were never looked at while the reader was made.
FIRST_SEED = 900


def row(scene: Scene, scores: list[Score]) -> str:
    """Return one line of the table."""
    wrong = sum(len(score.wrong) for score in scores)
    unknown = sum(score.unknown for score in scores) / max(1, sum(score.in_sight for score in scores))
    changes, seen = sum(score.changes for score in scores), sum(score.seen for score in scores)
    errors = np.array([error for score in scores for error in score.errors_s])
    spread = f"{math.sqrt(float((errors**2).mean())):.3f} s" if len(errors) else "–"
    return f"| {scene.name} | {wrong} | {unknown:.1%} | {seen} of {changes} | {spread} |"


def picture(path: Path, seed: int) -> None:
    """Draw one frame of each scene, at an instant that shows what is hard about it."""
    from matplotlib.figure import Figure

    columns = 10
    rows = math.ceil(len(FAMILY) / columns)
    figure = Figure(figsize=(columns * 1.5, rows * 1.62), layout="constrained")
    axes = figure.subplots(rows, columns).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, scene in zip(axes, FAMILY, strict=False):
        at = 12.5 if scene.hidden else 11.0
        image = next(image for time, image, _ in scene.frames(seed) if time >= at)
        axis.imshow(image[:, :, ::-1])
        axis.set_title(scene.name, fontsize=5.5, pad=2)
    figure.savefig(path, dpi=72)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    if chosen.picture is not None:
        picture(chosen.picture, FIRST_SEED)
        return
    print("| scene | wrong | unknown | onsets told | their error |\n|---|---|---|---|---|")
    every: list[Score] = []
    for scene in FAMILY:
        scores = [read(scene, FIRST_SEED + seed) for seed in range(chosen.seeds)]
        every += scores
        print(row(scene, scores), flush=True)
    wrong, asked = sum(len(score.wrong) for score in every), sum(score.asked for score in every)
    unknown = sum(score.unknown for score in every) / sum(score.in_sight for score in every)
    rms, one, two = calibration(every)
    print(f"\n{wrong} wrong of {asked} answers, {unknown:.1%} unknown of what was in sight.")
    print(f"Onsets: root mean square {rms:.2f} stated sigmas; {one:.1%} within 1, {two:.1%} within 2 sigma.")
    spent_ms = 1000 * sum(score.spent_s for score in every) / sum(score.frames for score in every)
    print(f"{spent_ms:.2f} ms of processor time a head and frame.")


if __name__ == "__main__":
    main()
