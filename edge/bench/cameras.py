"""Many cameras on one host: recorded streams replayed as live, one network for all of them.

Each stream is a process: a decoder, a line with the gate, and a place in the queue of the shared detector.
A frame is due at its own time; the lag is how long after that it came out of the line. Memory is the
proportional set size (PSS): what processes share counts once, divided among them; the resident size would
count it in each.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from edge.bench import ordinary
from edge.bench.section import Section
from edge.frame import Frame, Gap, Source

FEMTO, ATTO = "deimv2-femto", "deimv2-atto"
# The network and how many streams: the smaller one goes farther.
RUNS = ((FEMTO, 1), (FEMTO, 4), (FEMTO, 8), (FEMTO, 16), (ATTO, 16))
RATE_HZ = 5.0
SECONDS = 40.0
GOAL_MB = 150.0


@dataclasses.dataclass(frozen=True)
class Stream:
    """What one stream came to: lag of its early and late frames, and its memory with its decoder's."""

    frames: int
    looks: int
    early_lag_s: float
    late_lag_s: float
    pss_mb: float


def measure(data: Path) -> Section:
    """Replay the ordinary minute as so many live streams."""
    from models.shared_process import SharedDetectorProcess

    rows, numbers = [], {}
    with tempfile.TemporaryDirectory() as name:
        street = Path(name) / "street"
        ordinary.draw(street, frame_rate_hz=RATE_HZ)
        for model, count in RUNS:
            with SharedDetectorProcess(str(data / "weights" / f"{model}.onnx"), threads=1) as shared:
                streams = replayed(count, street=street, socket=shared.path, seconds=SECONDS)
                detector_mb = pss_mb(shared.pid or 0)
            early, late = (
                statistics.median(getattr(each, when) for each in streams)
                for when in ("early_lag_s", "late_lag_s")
            )
            worst = max(each.late_lag_s for each in streams)
            memory = max(each.pss_mb for each in streams)
            looked = sum(each.looks for each in streams) / max(sum(each.frames for each in streams), 1)
            rows.append(
                (
                    model,
                    str(count),
                    f"{looked:.2f}",
                    f"{early:.2f}",
                    f"{late:.2f}",
                    f"{worst:.2f}",
                    f"{memory:.0f}",
                    f"{detector_mb:.0f}",
                )
            )
            numbers[f"{model} {count}"] = {
                "looked_share": looked, "early_lag_s": early, "late_lag_s": late, "worst_late_lag_s": worst,
                "pss_mb_per_stream": memory, "detector_pss_mb": detector_mb,
            }  # fmt: skip
    return Section(
        title=f"Ordinary streets of {RATE_HZ:g} Hz, {SECONDS:g} s: one detector, {os.cpu_count()} cores",
        columns=(
            "detector",
            "streams",
            "looked at",
            "lag early s",
            "lag late s",
            "worst",
            "PSS MB each",
            "detector MB",
        ),
        rows=rows,
        numbers=numbers,
        remarks=(
            "A lag that does not grow from early to late is a host that keeps up; "
            f"goal {GOAL_MB:g} MB a stream beside the detector.",
        ),
    )


def replayed(count: int, *, street: Path, socket: Path, seconds: float) -> list[Stream]:
    """Replay ``count`` streams at once, in processes forked from one that has loaded everything."""
    import importlib

    import cv2

    # A fork has none of the threads OpenCV started before it, and would wait for them for ever.
    cv2.setNumThreads(1)
    # Loaded once, before the fork: a page nobody writes to is shared by all.
    for module in (
        "edge.analyze",
        "edge.opening",
        "models.shared",
        "scipy.optimize",
        "supervision",
        "trackers",
    ):
        importlib.import_module(module)
    context = multiprocessing.get_context("fork")
    running = []
    for _ in range(count):
        near, far = context.Pipe()
        process = context.Process(target=_stream, args=(far, street, socket, seconds))
        process.start()
        running.append((process, near))
    for _, near in running:
        near.recv()  # it is ready
    started = time.monotonic() + 1.0
    for number, (_, near) in enumerate(running):
        # Streams of different cameras do not tick together.
        near.send(started + number / (count * RATE_HZ))
    streams = [near.recv() for _, near in running]
    for process, _ in running:
        process.join()
    return streams


def _stream(out: Connection, street: Path, socket: Path, seconds: float) -> None:
    from calibration.plane import plane_of
    from calibration.site import load_site
    from edge.analyze import line_of
    from edge.opening import Inputs, shared_detector
    from edge.signals.history import SignalHistory
    from edge.sources.file import open_video

    site = load_site(street / "site.toml")
    plane = plane_of(site)
    assert plane is not None
    lags: list[float] = []
    looks, memory = 0, 0.0
    with open_video(street / "video.mp4") as source:
        inputs = Inputs(
            site=site, plane=plane, signals=SignalHistory(), signals_given=False, source=source,
            detector=shared_detector(socket), mode="schematic", threads=1, gated=True,
        )  # fmt: skip
        line, _, _ = line_of(inputs)
        out.send("ready")
        live = _Live(source, out.recv(), seconds)
        line.source = live
        for moment in line:
            looks += moment.looked
            if moment.looked:  # the others wait for it on purpose
                lags.append(time.monotonic() - live.due[moment.index])
            if len(lags) % 20 == 10:
                memory = max(memory, pss_mb(os.getpid()) + pss_mb(source.process.pid))
        line.finish()
    quarter = max(len(lags) // 4, 1)
    out.send(
        Stream(
            len(live.due),
            looks,
            statistics.median(lags[:quarter]),
            statistics.median(lags[-quarter:]),
            memory,
        )
    )


class _Live:
    """A recording whose frames come when a camera would give them, waited for or late."""

    def __init__(self, source: Source, begins: float, seconds: float) -> None:
        self._source, self._begins, self._seconds = source, begins, seconds
        self.due: dict[int, float] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return ()

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(self._source):
            due = self._begins + number / RATE_HZ
            if number / RATE_HZ >= self._seconds:
                return
            time.sleep(max(due - time.monotonic(), 0.0))
            self.due[frame.index] = due
            yield frame


def pss_mb(pid: int) -> float:
    """Return a process' proportional set size; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
