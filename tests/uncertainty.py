"""Whether stated errors are true: made scenes with known noise, judged, and compared with what was made.

``python -m tests.uncertainty`` draws docs/rules/calibration.svg from it.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.rules.finding import Finding
from edge.scene import State
from tests.scenes import ListSignals, Movement, cross_site, drive, judged, scenes, walk

SITE = cross_site()
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "rules" / "calibration.svg"
RATES_HZ = (10.0, 12.5, 25.0)
POSITIONS_M = (0.05, 0.1, 0.2, 0.3)
CLOCKS_S = (0.005, 0.05, 0.1)


@dataclass(frozen=True)
class Trial:
    """What was made: the true value, and the movements and signals that have it."""

    movements: tuple[Movement, ...]
    signals: ListSignals
    rule: str
    measure: str
    truth: float


def _lamp(chance: random.Random, group: str, sigma_s: float) -> ListSignals:
    """The light turns red at 100; the file says so with its own error."""
    told = 100.0 + chance.gauss(0, sigma_s)
    states: list[tuple[float, State]] = [(0.0, "green"), (told - 3, "amber"), (told, "red"), (160.0, "green")]
    return ListSignals({group: states}, sigma_s=sigma_s)


def red_light(chance: random.Random, sigma_s: float) -> Trial:
    time = chance.uniform(102.0, 125.0)
    car = drive(
        at=(chance.uniform(1, 6), -13), time=time, heading_deg=90, speed_mps=chance.uniform(4, 15),
        kind=chance.choice(("car", "truck", "motorcycle")),
    )  # fmt: skip
    return Trial((car,), _lamp(chance, "A", sigma_s), "red_light_entry", "into_red_s", time - 100)


def pedestrian(chance: random.Random, sigma_s: float) -> Trial:
    time, speed = chance.uniform(102.0, 125.0), chance.uniform(1.0, 2.0)
    person = walk((time - 4 / speed, -11, -9.5), (time + 18 / speed, 11, -9.5))
    lamp = _lamp(chance, "P", sigma_s)
    return Trial((person,), lamp, "pedestrian_against_signal", "into_dont_walk_s", time - 100)


def near_miss(chance: random.Random, sigma_s: float) -> Trial:
    """Two cars at right angles at the same speed; the second reaches the area ``pet`` later."""
    speed, pet = chance.uniform(5, 14), chance.uniform(0.4, 0.9)
    first = drive(at=(-0.9, 0), time=100.0, heading_deg=0, speed_mps=speed)
    clear = (4.5 + 1.8) / speed
    second = drive(at=(0, -0.9), time=100.0 + clear + pet, heading_deg=90, speed_mps=speed)
    return Trial((first, second), ListSignals(), "near_miss", "pet_s", pet)


KINDS: dict[str, Callable[[random.Random, float], Trial]] = {
    "red-light entry: Δ": red_light,
    "against the signal: Δ": pedestrian,
    "near miss: PET": near_miss,
}


def errors_in_sigmas(kind: str, count: int, *, seed: int) -> NDArray[np.float64]:
    """Return (value − truth) / sigma of what was judged ``occurred``, over scenes with known noise.

    Positions jitter by the sigma their rows state; the frame clock and the signal clock are each off by an
    amount drawn with the sigma they state.
    """
    chance = random.Random(seed)
    errors = []
    for number in range(count):
        sigma_m, clock_s = chance.choice(POSITIONS_M), chance.choice(CLOCKS_S)
        trial = KINDS[kind](chance, chance.choice((0.0, 0.1, 0.3)))
        late = chance.gauss(0, clock_s)
        frames = scenes(
            trial.movements, trial.signals, sigma_m=sigma_m, jitter_m=sigma_m,
            rate_hz=chance.choice(RATES_HZ), phase=chance.uniform(0, 0.1), time_sigma_s=clock_s,
            seed=1000 * seed + number,
        )  # fmt: skip
        shifted = (replace(scene, time=scene.time + late) for scene in frames)
        for finding in judged(SITE, shifted):
            if (finding.rule, finding.outcome) == (
                trial.rule,
                "occurred",
            ) and trial.measure in finding.measures:
                errors.append(_error(finding, trial))
    return np.array(errors)


def _error(finding: Finding, trial: Trial) -> float:
    measure = finding.measures[trial.measure]
    return (measure.value - trial.truth) / measure.sigma


def within(errors: NDArray[np.float64], sigmas: float) -> float:
    """Return the share of errors within so many sigmas."""
    return float((np.abs(errors) <= sigmas).mean())


def picture(by_kind: dict[str, NDArray[np.float64]]) -> str:
    """Return an SVG: the share of true values within k sigma against what a normal error would have."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from scipy.stats import norm

    with mpl.rc_context({"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        sigmas = np.linspace(0, 3, 31)
        axes.plot(sigmas, 2 * norm.cdf(sigmas) - 1, color="0.6", linewidth=4, label="normal errors")
        for name, errors in by_kind.items():
            label = f"{name} (n = {len(errors)}): {within(errors, 1):.0%}, {within(errors, 2):.0%}"
            axes.plot(sigmas, [within(errors, each) for each in sigmas], label=label)
        axes.axvline(1, color="0.8", linewidth=0.8)
        axes.axvline(2, color="0.8", linewidth=0.8)
        axes.set_xlabel("stated sigmas")
        axes.set_ylabel("share of true values within")
        axes.legend(loc="lower right")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


if __name__ == "__main__":
    found = {kind: errors_in_sigmas(kind, 600, seed=11) for kind in KINDS}
    PICTURE.write_text(picture(found))
    for kind, errors in found.items():
        sys.stdout.write(f"{kind}: {len(errors)} scenes, {within(errors, 1):.3f}, {within(errors, 2):.3f}\n")
