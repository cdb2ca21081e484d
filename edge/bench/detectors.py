"""Detectors beside each other on one recording, and beside what a user would take: Ultralytics' tracker.

All are measured in turns in one run. "Alone" is bare inference; "end to end" is the whole line. Ultralytics
gets the same recording and the same ONNX file as one of the detectors here, each at its own defaults: a
network of its own making, since it opens no other's; untrained where no weights of it are in the store, which
takes the same time and finds nothing to track. It is measured where the extra ``[export]`` is installed.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from edge.bench import pets, speed
from edge.bench.section import Section
from edge.opening import default_threads
from edge.timings import Timings
from models import zoo
from models.card import ModelError
from models.export import tracked_s, untrained
from models.onnx import OnnxDetector
from models.zoo import load

ROUNDS = 2
FRAMES = 100
SIZE_PX = 416


@dataclass
class _Measured:
    """Milliseconds a frame, a round each."""

    bare_ms: list[float] = field(default_factory=list)
    line_ms: list[float] = field(default_factory=list)
    theirs_ms: list[float] = field(default_factory=list)


def measure(data: Path) -> Section:
    """Measure every network of the data folder on PETS S2L1, in turns."""
    threads = default_threads()
    remarks = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = pets.write_site(folder / "site.toml", data)
        files = {path.stem: path for path in sorted((data / "weights").glob("*.onnx"))}
        try:
            theirs = _of_ultralytics(folder)
            files[theirs.stem] = theirs
        except ModelError as error:
            theirs = None
            remarks.append(f"Not measured against Ultralytics' tracker: {error.problems[0]}.")
        detectors = {stem: load(str(path), threads=threads) for stem, path in files.items()}
        measured = {stem: _Measured() for stem in detectors}
        for _ in range(ROUNDS):
            for stem, detector in detectors.items():
                _one(detector, site, pets.video(data), threads, measured[stem])
            if theirs is not None:
                measured[theirs.stem].theirs_ms.append(
                    1000 * tracked_s(theirs, pets.video(data), size_px=SIZE_PX, frames=FRAMES)
                )
    return _section(detectors, measured, remarks, None if theirs is None else theirs.stem, threads)


def _of_ultralytics(folder: Path) -> Path:
    """Return a network of Ultralytics' making: from the store, else an untrained one."""
    for model in zoo.listed():
        if model.path is not None and model.card.head.kind.startswith("ultralytics"):
            return model.path
    return untrained(folder, size_px=SIZE_PX)


def _one(detector: OnnxDetector, site: Path, video: Path, threads: int, into: _Measured) -> None:
    round_ = speed.one_round(detector, site, video, threads, Timings(), frames=FRAMES)
    into.bare_ms.append(1000 * round_.bare_s)
    into.line_ms.append(1000 * round_.line_s)


def _section(
    detectors: dict[str, OnnxDetector],
    measured: dict[str, _Measured],
    remarks: list[str],
    theirs: str | None,
    threads: int,
) -> Section:
    first = statistics.median(next(iter(measured.values())).bare_ms)
    rows, numbers = [], {}
    for stem, detector in detectors.items():
        each = measured[stem]
        bare, line = statistics.median(each.bare_ms), statistics.median(each.line_ms)
        other = statistics.median(each.theirs_ms) if each.theirs_ms else None
        size = f"{detector.card.input.width}×{detector.card.input.height}"
        rows.append(
            (
                stem,
                size,
                f"{bare:.1f}",
                f"{bare / first:.2f}",
                f"{line:.1f}",
                f"{bare / line:.2f}",
                "" if other is None else f"{other:.1f}",
            )
        )
        numbers[stem] = {"bare_ms": bare, "line_ms": line, "of_bare": bare / line, "ultralytics_ms": other}
    if theirs is not None:
        each = measured[theirs]
        pairs = zip(each.theirs_ms, each.line_ms, strict=True)
        ratio = statistics.median(other / line for other, line in pairs)
        numbers[theirs]["ratio"] = ratio
        remarks.append(
            f"The same recording, the same {theirs}.onnx: nearmiss, with redaction, metres and rules, goes "
            f"at {ratio:.2f} times the pace of Ultralytics' tracker."
        )
    return Section(
        title=f"Detectors on PETS S2L1, {FRAMES} frames, {threads} thread(s), ms a frame",
        columns=("network", "input", "alone", "× first", "end to end", "of alone", "Ultralytics"),
        rows=rows,
        numbers=numbers,
        remarks=remarks,
    )
