"""How fast a recording is analysed, against bare inference of the same model with the same threads.

Both are measured in turns in one run, so that another load on the machine falls on both. "Bare" is
ONNX Runtime alone on an input that lies ready: no decoding, no resizing, nothing read from its output.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.plane import plane_of
from calibration.site import load_site
from edge.analyze import line_of
from edge.bench import pets
from edge.bench.flame import picture
from edge.bench.section import Section
from edge.opening import Inputs, default_threads
from edge.signals.history import SignalHistory
from edge.sources.file import VideoSource, open_video
from edge.timings import Timings
from models.onnx import OnnxDetector
from models.zoo import load

MODEL = Path("weights/deimv2-femto.onnx")
ROUNDS = 4
GOAL = 0.95
# What is no work beside the detector: itself, and waiting for it.
NOT_BESIDE = ("detect", "wait for detector")


@dataclass(frozen=True)
class Round:
    """Seconds per frame, measured right after each other."""

    bare_s: float
    line_s: float

    @property
    def ratio(self) -> float:
        return self.bare_s / self.line_s


def measure(data: Path) -> Section:
    """Analyse the PETS clip with deimv2-femto in several rounds."""
    threads = default_threads()
    detector = load(str(data / MODEL), threads=threads)
    # What the stages compute, so that a busy machine does not make them look long.
    timings = Timings(keep=True, clock=time.thread_time)
    with tempfile.TemporaryDirectory() as folder:
        site = pets.write_site(Path(folder) / "site.toml", data)
        one_round(detector, site, pets.video(data), threads, Timings(), frames=40)  # what is loaded once
        rounds = [one_round(detector, site, pets.video(data), threads, timings) for _ in range(ROUNDS)]
    return section(detector, threads, rounds, timings)


def one_round(
    detector: OnnxDetector,
    site: Path,
    video: Path,
    threads: int,
    timings: Timings,
    *,
    frames: int | None = None,
) -> Round:
    """Measure bare inference, the line over a recording, and bare inference again."""
    # As many bare runs as the line has frames, half before it and half after.
    with open_video(video) as source:
        count = frames or source.expected_frames or 100
        before_s = _bare_s(detector, count // 2)
        line_s = _line_s(detector, site, source, threads, timings, frames)
        after_s = _bare_s(detector, count // 2)
    return Round(bare_s=(before_s + after_s) / 2, line_s=line_s)


def section(detector: OnnxDetector, threads: int, rounds: Sequence[Round], timings: Timings) -> Section:
    """Return the result as a table."""
    ratio = statistics.median(each.ratio for each in rounds)
    bare_ms = statistics.median(each.bare_s for each in rounds) * 1000
    line_ms = statistics.median(each.line_s for each in rounds) * 1000
    beside = [stage for stage in timings.total_s if stage not in NOT_BESIDE]
    costs = {stage: _cost(timings, stage) for stage in ("detect", *beside)}
    beside_ms = sum(costs[stage]["mean_ms"] for stage in beside)
    rows = [
        ("bare inference", f"{bare_ms:.2f}", "", ""),
        ("end to end", f"{line_ms:.2f}", "", ""),
        *(
            (
                f"  {stage}" + ("" if stage == "detect" else " (beside it)"),
                f"{cost['mean_ms']:.2f}",
                f"{cost['median_ms']:.2f}",
                f"{cost['p95_ms']:.2f}",
            )
            for stage, cost in costs.items()
        ),
    ]
    return Section(
        title=f"Speed: {detector.name}, {threads} thread(s), {detector.provider}, PETS S2L1",
        columns=("per frame (stages: of a core)", "mean ms", "median ms", "p95 ms"),
        rows=rows,
        numbers={
            "model": detector.name,
            "provider": detector.provider,
            "threads": threads,
            "bare_ms": bare_ms,
            "end_to_end_ms": line_ms,
            "end_to_end_hz": 1000 / line_ms,
            "ratio": ratio,
            "ratios": [each.ratio for each in rounds],
            "beside_ms": beside_ms,
            "stages": costs,
        },
        remarks=(
            f"End to end runs at {ratio:.3f} of bare inference (goal {GOAL}; rounds: "
            + ", ".join(f"{each.ratio:.3f}" for each in rounds)
            + f"), {1000 / line_ms:.0f} frames a second.",
            f"Beside the detector {beside_ms:.2f} ms a frame are computed, and decoding in its process.",
        ),
        picture=picture(
            {
                "detector's thread": [("detect", costs["detect"]["mean_ms"])],
                "the line's thread": [(stage, costs[stage]["mean_ms"]) for stage in beside],
            },
            title=f"Where a frame's time goes: {detector.name}, PETS S2L1, ms of a core",
            inference_ms=costs["detect"]["median_ms"],
        ),
    )


def _bare_s(detector: OnnxDetector, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        detector.infer()
    return (time.perf_counter() - begin) / count


def _line_s(
    detector: OnnxDetector,
    site_file: Path,
    source: VideoSource,
    threads: int,
    timings: Timings,
    frames: int | None,
) -> float:
    site = load_site(site_file)
    plane = plane_of(site)
    assert plane is not None
    inputs = Inputs(
        site=site,
        plane=plane,
        signals=SignalHistory(),
        signals_given=False,
        source=source,
        detector=detector,
        mode="scene",
        threads=threads,
    )
    line, _, _ = line_of(inputs, timings=timings)
    begin = time.perf_counter()
    count = 0
    for _ in line:
        count += 1
        if count == frames:
            line.stop()
    line.finish()
    return (time.perf_counter() - begin) / count


def _cost(timings: Timings, stage: str) -> dict[str, float]:
    assert timings.each_s is not None
    each_ms = sorted(1000 * seconds for seconds in timings.each_s[stage])
    return {
        "mean_ms": statistics.fmean(each_ms),
        "median_ms": statistics.median(each_ms),
        "p95_ms": each_ms[int(0.95 * (len(each_ms) - 1))],
    }
