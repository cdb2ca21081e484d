"""How ONNX Runtime is best set: one setting changed at a time, each measured in pairs with the usual ones.

A pair is a few runs of each, one right after the other, the order changing from pair to pair: what else the
machine does meets both alike. Told is the median of the pairs' ratios with its interval (order statistics: of
nine pairs the second and the eighth hold the median in 96 of 100), of processor time and of wall time. The
processor's decides: beside a decoder, a redactor and other cameras it is what there is least of.

Alone, as here, a spinning pool is faster; beside them it takes the core they need.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from edge.bench.section import Section
from edge.opening import default_threads
from models.onnx import OnnxDetector
from models.session import PROVIDERS, Runtime
from models.zoo import load

MODEL = Path("weights/deimv2-femto.onnx")
PAIRS, RUNS = 9, 6
# Of nine sorted ratios, those that hold the median of many with a probability of 0.96 (binomial, p = 1/2).
LOW, HIGH = 1, -2
# Less than this is no reason to set anything otherwise.
MATTERS = 0.03
USUAL = "usual"
SETTINGS: dict[str, tuple[int, Runtime]] = {
    "a thread more": (1, Runtime()),
    "spinning": (0, Runtime(spinning=True)),
    "graph as it is": (0, Runtime(optimisation="off")),
    "graph basic": (0, Runtime(optimisation="basic")),
    "graph extended": (0, Runtime(optimisation="extended")),
    "no arena": (0, Runtime(arena=False)),
}
IMAGES = (2, 4)
Taken = tuple[float, float]


@dataclass(frozen=True)
class Ratio:
    """The median of ratios of pairs, with its interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio:
        """Of ``PAIRS`` ratios."""
        ordered = sorted(ratios)
        return cls(statistics.median(ordered), ordered[LOW], ordered[HIGH])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"

    @property
    def verdict(self) -> str:
        if self.high < 1 - MATTERS:
            return "takes less"
        if self.low > 1 + MATTERS:
            return "takes more"
        return "the same" if self.low > 1 - MATTERS and self.high < 1 + MATTERS else "not told"


def measure(data: Path) -> Section:
    """Measure every setting with one network."""
    threads = default_threads()
    usual = load(str(data / MODEL), threads=threads)
    others: dict[str, tuple[Callable[[], None], int]] = {
        name: (load(str(data / MODEL), threads=threads + more, runtime=runtime).infer, 1)
        for name, (more, runtime) in SETTINGS.items()
    }
    others["input and output bound"] = usual.bound(), 1
    others |= {f"{count} images in a run": (_several(usual, count), count) for count in IMAGES}
    usual_ms, rows, numbers = [], [], {}
    for name, (run, images) in others.items():
        cpu, wall = [], []
        for pair in range(PAIRS):
            order = ((usual.infer, 1), (run, images))
            taken = {each: _taken(*each) for each in (order if pair % 2 else order[::-1])}
            (usual_cpu, usual_wall), (other_cpu, other_wall) = taken[order[0]], taken[order[1]]
            cpu.append(other_cpu / usual_cpu)
            wall.append(other_wall / usual_wall)
            usual_ms.append(1000 * usual_cpu)
        of_cpu, of_wall = Ratio.of(cpu), Ratio.of(wall)
        rows.append((name, str(of_cpu), str(of_wall), of_cpu.verdict))
        numbers[name] = {
            "cpu": of_cpu.median, "cpu_low": of_cpu.low, "cpu_high": of_cpu.high,
            "wall": of_wall.median, "wall_low": of_wall.low, "wall_high": of_wall.high,
            "verdict": of_cpu.verdict,
        }  # fmt: skip
    there = onnxruntime.get_available_providers()
    absent = [short for short, provider in PROVIDERS.items() if provider not in there]
    return Section(
        title=f"ONNX Runtime {onnxruntime.__version__}: deimv2-femto, {threads} thread(s)",
        columns=("setting", "processor time of the usual", "wall time of the usual", "it"),
        rows=rows,
        numbers={"usual_cpu_ms": statistics.median(usual_ms), "settings": numbers},
        remarks=(
            f"Usual: {statistics.median(usual_ms):.1f} ms of processor time an image. Ratios of {PAIRS} "
            f"pairs of {RUNS} runs, 96 % intervals; under {MATTERS:.0%} nothing is told apart.",
            f"Providers here: {', '.join(there)}. Not here, so not measured: {', '.join(absent)}.",
        ),
    )


def _taken(run: Callable[[], None], images: int) -> Taken:
    """Return processor and wall time an image, seconds."""
    run()  # what the one before left in the caches is no part of it
    cpu, wall = time.process_time(), time.perf_counter()
    rounds = max(RUNS // images, 1)
    for _ in range(rounds):
        run()
    count = rounds * images
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


def _several(detector: OnnxDetector, count: int) -> Callable[[], None]:
    """Return a run of several images, where the file leaves their number open."""
    canvases = [np.zeros((detector.card.input.height, detector.card.input.width, 3), np.uint8)] * count

    def run() -> None:
        detector.candidates(canvases)

    return run
