"""How ONNX Runtime is best set: one setting changed at a time, all measured in turns in one run.

Alone, as here, a spinning pool is faster; beside a decoder and a redactor on two cores it takes the core they
need. What is told is each setting's time over the usual one's, the median of the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime

from edge.bench.section import Section
from edge.opening import default_threads
from models.session import PROVIDERS, Runtime
from models.zoo import load

MODEL = Path("weights/deimv2-femto.onnx")
ROUNDS, RUNS = 4, 10
USUAL = "usual"
SETTINGS: dict[str, tuple[int, Runtime]] = {
    USUAL: (0, Runtime()),
    "a thread more": (1, Runtime()),
    "spinning": (0, Runtime(spinning=True)),
    "graph as it is": (0, Runtime(optimisation="off")),
    "graph basic": (0, Runtime(optimisation="basic")),
    "graph extended": (0, Runtime(optimisation="extended")),
    "no arena": (0, Runtime(arena=False)),
}


def measure(data: Path) -> Section:
    """Measure every setting with one network."""
    threads = default_threads()
    infer: dict[str, Callable[[], None]] = {}
    for name, (more, runtime) in SETTINGS.items():
        detector = load(str(data / MODEL), threads=threads + more, runtime=runtime)
        infer[name] = detector.infer
        if name == USUAL:
            infer["input and output bound"] = detector.bound()
    taken: dict[str, list[float]] = {name: [] for name in infer}
    for _ in range(ROUNDS):
        for name, run in infer.items():
            run()
            begin = time.perf_counter()
            for _ in range(RUNS):
                run()
            taken[name].append(1000 * (time.perf_counter() - begin) / RUNS)
    ratios = {
        name: statistics.median(mine / usual for mine, usual in zip(each, taken[USUAL], strict=True))
        for name, each in taken.items()
    }
    there = onnxruntime.get_available_providers()
    absent = [short for short, provider in PROVIDERS.items() if provider not in there]
    return Section(
        title=f"ONNX Runtime {onnxruntime.__version__}: deimv2-femto, {threads} thread(s)",
        columns=("setting", "ms", "of the usual"),
        rows=[(name, f"{statistics.median(taken[name]):.1f}", f"{ratios[name]:.2f}") for name in taken],
        numbers={"ms": {name: statistics.median(each) for name, each in taken.items()}, "ratios": ratios},
        remarks=(f"Providers here: {', '.join(there)}. Not here, so not measured: {', '.join(absent)}.",),
    )
