"""What real trackers and clocks do to perfect trajectories."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from tests.sumo.world import World


@dataclass(frozen=True)
class Noise:
    """Errors to add: positions jitter, rows are lost, two tracks near each other swap, the clock is off."""

    sigma_m: float = 0.0
    dropped: float = 0.0
    swaps_per_1000_rows: float = 0.0
    clock_offset_s: float = 0.0
    signal_sigma_s: float = 0.0


def degraded(world: World, noise: Noise, folder: Path, *, seed: int) -> tuple[Path, Path]:
    """Write noisy copies of a world's tracks and signals; returns their paths."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tracks, signals = folder / "tracks.csv", folder / "signals.csv"
    swapped: dict[str, str] = {}
    soon: list[tuple[str, str]] = []
    instant = ""
    here: dict[str, tuple[float, float, str]] = {}
    with world.tracks.open() as source, tracks.open("w", newline="") as target:
        reader, writer = csv.DictReader(source), csv.writer(target)
        writer.writerow([*(reader.fieldnames or ()), "sigma_m"])
        for row in reader:
            if row["time"] != instant:
                # Between two frames, for a track stands once in each.
                for one, two in soon:
                    swapped[one], swapped[two] = swapped.get(two, two), swapped.get(one, one)
                soon, instant = [], row["time"]
            if chance.random() < noise.dropped:
                continue
            x, y, track = float(row["x"]), float(row["y"]), row["track"]
            here[track] = (x, y, row["kind"])
            if chance.random() < noise.swaps_per_1000_rows / 1000:
                near = [
                    other
                    for other, (ox, oy, kind) in here.items()
                    if other != track and kind == row["kind"] and abs(ox - x) + abs(oy - y) < 4
                ]
                if near:
                    soon.append((track, chance.choice(near)))
            row["track"] = swapped.get(track, track)
            row["x"] = f"{x + chance.gauss(0, noise.sigma_m):.3f}"
            row["y"] = f"{y + chance.gauss(0, noise.sigma_m):.3f}"
            writer.writerow([*row.values(), f"{max(noise.sigma_m, 0.01):.3f}"])
    with world.signals.open() as source, signals.open("w", newline="") as target:
        reader, writer = csv.DictReader(source), csv.writer(target)
        writer.writerow([*(reader.fieldnames or ()), "sigma_s"])
        for row in reader:
            row["time"] = f"{float(row['time']) + noise.clock_offset_s:.3f}"
            writer.writerow([*row.values(), f"{noise.signal_sigma_s:.3f}"])
    return tracks, signals
