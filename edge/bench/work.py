"""What an analysis does, counted: the same on every machine, so that a test can hold it.

Seconds hang on the machine and on who else is at work there; how often a network runs, a session is made, a
decoder started or an image copied does not. ``excess`` says in words what is more than it has to be.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from edge.analyze import line_of
from edge.bench import pets
from edge.bench.section import Section
from edge.opening import opened

MODEL = Path("weights/deimv2-femto.onnx")
# What may be allocated while a frame is on its way, in sizes of an image: masks and greys at a quarter of its
# width and height, and what a network answers. A copy of the image is one.
MOST_IMAGES = 0.5


@dataclass
class Work:
    """Counts of one analysis.

    Attributes:
        frames, looks: of the line.
        inferences: runs of a network, the one of its rehearsal at loading left out.
        sessions: networks loaded; ``decoders``: processes started.
        decoded: pictures taken from the decoder; ``copied``: those that were copied as a whole.
        peak_images: the most bytes allocated while one frame was on its way, in sizes of an image, the second
            half of the recording alone.
    """

    frames: int = 0
    looks: int = 0
    inferences: int = 0
    sessions: int = 0
    decoders: int = 0
    decoded: int = 0
    copied: int = 0
    peak_images: float = 0.0
    each_peak: list[float] = field(default_factory=list)


def counted(video: Path, site: Path, model: str, *, gate: str = "off", **given: Any) -> Work:
    """Analyse a recording and count what it takes."""
    work = Work()
    with _counting(work):
        inputs = opened(
            video, site=site, signals=given.get("signals"), model=model, provider=None, threads=1,
            out=video.parent / "none", start=0.0, times=None, clips="schematic", gate=gate,
        )  # fmt: skip
        work.inferences = 0  # at loading the network was rehearsed
        width, height = inputs.source.image_size
        with inputs.source:
            line, _, _ = line_of(inputs)
            _follow(line, work, image_bytes=width * height * 3)
    return work


def _follow(line: Any, work: Work, *, image_bytes: int) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for moment in line:
            work.frames += 1
            work.looks += moment.looked
            held, peak = tracemalloc.get_traced_memory()
            work.each_peak.append((peak - before) / image_bytes)
            before = held
            tracemalloc.reset_peak()
        line.finish()
    finally:
        tracemalloc.stop()
    # Half of all frames take less than this: garbage and tables that grow now and then are not of a frame.
    settled = sorted(work.each_peak[len(work.each_peak) // 2 :])
    work.peak_images = settled[len(settled) // 2] if settled else 0.0


def excess(work: Work) -> list[str]:
    """Return what was done more often than it has to be, a line each."""
    wanted = {
        "inferences": (work.inferences, work.looks, "one a look"),
        "sessions": (work.sessions, 1, "one network"),
        "decoders": (work.decoders, 1, "one process"),
        "pictures decoded": (work.decoded, work.frames, "one a frame"),
        "pictures copied": (work.copied, 0, "none: they are seen where they were decoded"),
    }
    lines = [
        f"{name}: {came}, expected {most} ({why})"
        for name, (came, most, why) in wanted.items()
        if came > most
    ]
    if work.peak_images > MOST_IMAGES:
        lines.append(
            f"allocated while a frame is on its way: {work.peak_images:.2f} images, expected {MOST_IMAGES:g}"
        )
    return lines


@contextmanager
def _counting(work: Work) -> Iterator[None]:
    """Count calls at the doors of ONNX Runtime and of the decoder."""
    from onnxruntime import InferenceSession

    from edge.sources.process import ChildDecoder, DecoderProcess

    def plus(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            setattr(work, name, getattr(work, name) + 1)
            return method(*arguments, **named)

        return counting

    doors = (
        (InferenceSession, "run", "inferences"),
        (InferenceSession, "run_with_iobinding", "inferences"),
        (InferenceSession, "__init__", "sessions"),
        (DecoderProcess, "__init__", "decoders"),
        (DecoderProcess, "take", "decoded"),
        (ChildDecoder, "image", "copied"),
    )
    patches = [patch.object(place, door, plus(name, getattr(place, door))) for place, door, name in doors]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def measure(data: Path) -> Section:
    """Count an analysis of PETS S2L1 with and without the gate."""
    import tempfile

    rows, numbers, remarks = [], {}, []
    with tempfile.TemporaryDirectory() as name:
        site = pets.write_site(Path(name) / "site.toml", data)
        for gate in ("off", "on"):
            work = counted(pets.video(data), site, str(data / MODEL), gate=gate)
            rows.append(
                (
                    f"gate {gate}",
                    *map(str, (work.frames, work.inferences, work.sessions, work.decoders, work.decoded)),
                    str(work.copied),
                    f"{work.peak_images:.2f}",
                )
            )
            numbers[gate] = {key: value for key, value in vars(work).items() if key != "each_peak"} | {
                "excess": excess(work)
            }
            remarks += [f"gate {gate}: {line}" for line in excess(work)]
    return Section(
        title="Counted work: nearmiss analyze, deimv2-femto, PETS S2L1",
        columns=("", "frames", "inferences", "sessions", "decoders", "decoded", "copied", "images allocated"),
        rows=rows,
        numbers=cast("dict[str, object]", numbers),
        remarks=remarks or ["Nothing is done more often than it has to be."],
    )
