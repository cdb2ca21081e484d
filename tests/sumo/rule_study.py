"""Every rule on SUMO streets never used for tuning: precision and recall per rule, pooled over junctions.

``python -m tests.sumo.rule_study [SEED]`` prints the table of docs/rules/README.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.sumo.judging import Pair, compared, judge
from tests.sumo.junctions import CARELESS, JAMMED, JAMMED_TEE, JUNCTIONS, UNSEEN, Junction
from tests.sumo.world import simulate

SEED = 5209
SIGNALS = (
    "red_light_entry",
    "amber_entry",
    "right_on_red_without_stop",
    "pedestrian_against_signal",
    "pedestrian_late_start",
    "crossing_outside_crosswalk",
)
# Which junctions are asked for which rules, and for how many minutes.
SETS: dict[str, tuple[tuple[Junction, ...], tuple[str, ...], float]] = {
    "six junctions": (JUNCTIONS, SIGNALS, 10.0),
    "two more, drawn last": (UNSEEN, SIGNALS, 10.0),
    "exits that jam": ((JAMMED, JAMMED_TEE), ("blocking_box",), 20.0),
    "careless drivers": (CARELESS, ("near_miss", "failure_to_yield"), 6.0),
}


def study(folder: Path, *, seed: int = SEED) -> Iterator[str]:
    """Yield the table, a row as soon as it is known."""
    yield "| streets | rule | true | false | missed | undecidable | left open | precision | recall |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, (junctions, rules, minutes) in SETS.items():
        pairs: list[Pair] = []
        left_open: Counter[str] = Counter()
        for junction in junctions:
            world = simulate(junction, folder / junction.name, seed=seed, minutes=minutes)
            pairs.append(judge(world, folder / f"{junction.name}.jsonl"))
            left_open.update(world.left_open)
        for rule, score in compared(pairs, rules).items():
            hits, false, missed = score["hits"], score["false_alarms"], score["misses"]
            undecidable = score["undecidable"]["true"]
            yield (
                f"| {name} | {rule} | {hits + missed + undecidable} | {false} | {missed} | {undecidable} "
                f"| {left_open[rule]} | {hits / max(hits + false, 1):.3f} "
                f"| {hits / max(hits + missed, 1):.3f} |"
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder_name:
        for row in study(Path(folder_name), seed=int(sys.argv[1]) if len(sys.argv) > 1 else SEED):
            sys.stdout.write(row + "\n")
            sys.stdout.flush()
