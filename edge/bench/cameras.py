"""Many cameras on one host: recorded streams replayed as live, one network for all of them.

Each stream is a process: a decoder, a line with the gate, and a place in the queue of the shared detector.
A frame is due at its own time; the lag is how long after that it came out of the line. What else the machine
does delays frames; it does not change what they cost: capacity is the processor time of all processes, by
stream and second, and so many streams fit on so many cores. (Two processes that share a core's caches or its
two threads slow each other by a third: what one stream alone costs is too little to count by.)

Memory is the proportional set size (PSS): what processes share counts once, divided among them; the resident
size would count it in each.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from edge.bench import ordinary
from edge.bench.section import Section
from edge.frame import Frame, Gap, Source

FEMTO, ATTO, NANO = "deimv2-femto", "deimv2-atto", "yolox-nano"
HALF = "openvino-bf16"
# The network, its provider and how many streams: a smaller network goes farther, and so do half the bits.
RUNS = (
    (FEMTO, None, 1),
    (FEMTO, None, 4),
    (FEMTO, None, 8),
    (FEMTO, None, 16),
    (FEMTO, HALF, 16),
    (NANO, None, 16),
    (ATTO, None, 16),
)
RATE_HZ = 5.0
SECONDS = 40.0
GOAL_MB = 150.0
# A column of the table, what it shows and how.
COLUMNS = {
    "looked at": ("looked_share", ".2f"),
    "lag early s": ("early_lag_s", ".2f"),
    "lag late s": ("late_lag_s", ".2f"),
    "worst": ("worst_late_lag_s", ".2f"),
    "CPU s": ("cpu_s_per_stream_s", ".3f"),
    "detector": ("detector_cpu_s_per_stream_s", ".3f"),
    "line": ("line_cpu_s_per_stream_s", ".3f"),
    "decoder": ("decoder_cpu_s_per_stream_s", ".3f"),
    "cores": ("cores", ".2f"),
    "PSS MB each": ("pss_mb_per_stream", ".0f"),
    "detector MB": ("detector_pss_mb", ".0f"),
}


@dataclasses.dataclass(frozen=True)
class Stream:
    """What one stream came to: lag of its early and late frames, and its memory with its decoder's.

    Attributes:
        line_s, decoder_s: processor time, from its first frame to its last.
    """

    frames: int
    looks: int
    early_lag_s: float
    late_lag_s: float
    pss_mb: float
    line_s: float
    decoder_s: float


@dataclasses.dataclass(frozen=True)
class Load:
    """What several streams beside one detector came to, and what it took."""

    streams: Sequence[Stream]
    detector_s: float
    detector_mb: float

    @property
    def stream_s(self) -> float:
        """How many seconds of street there were, all streams together."""
        return sum(each.frames for each in self.streams) / RATE_HZ

    @property
    def looked_share(self) -> float:
        return sum(each.looks for each in self.streams) / max(sum(each.frames for each in self.streams), 1)

    @property
    def cpu_s(self) -> tuple[float, float, float]:
        """Processor time a stream and second: in the detector, in the lines, in the decoders."""
        parts = (
            self.detector_s,
            sum(each.line_s for each in self.streams),
            sum(each.decoder_s for each in self.streams),
        )
        detector, line, decoder = (part / max(self.stream_s, 1e-9) for part in parts)
        return detector, line, decoder

    @property
    def cores(self) -> float:
        """How many cores all streams together keep busy."""
        return sum(self.cpu_s) * len(self.streams)

    def lag_s(self, when: str) -> float:
        """Return the median of the streams' early or late lag."""
        return float(statistics.median(getattr(each, f"{when}_lag_s") for each in self.streams))


def measure(data: Path) -> Section:
    """Replay the ordinary minute as so many live streams."""
    import onnxruntime

    from models.session import PROVIDERS

    rows, numbers, absent = [], {}, []
    with tempfile.TemporaryDirectory() as name:
        street = Path(name) / "street"
        ordinary.draw(street, frame_rate_hz=RATE_HZ)
        for model, provider, count in RUNS:
            if provider is not None and PROVIDERS[provider] not in onnxruntime.get_available_providers():
                absent.append(f"Not here, so not measured: {provider}.")
                continue
            weights = data / "weights" / f"{model}.onnx"
            load = loaded(weights, count, provider=provider, street=street, seconds=SECONDS)
            detector, line, decoder = load.cpu_s
            told = {
                "looked_share": load.looked_share,
                "early_lag_s": load.lag_s("early"),
                "late_lag_s": load.lag_s("late"),
                "worst_late_lag_s": max(each.late_lag_s for each in load.streams),
                "cpu_s_per_stream_s": detector + line + decoder,
                "detector_cpu_s_per_stream_s": detector,
                "line_cpu_s_per_stream_s": line,
                "decoder_cpu_s_per_stream_s": decoder,
                "cores": load.cores,
                "pss_mb_per_stream": max(each.pss_mb for each in load.streams),
                "detector_pss_mb": load.detector_mb,
            }
            name = model if provider is None else f"{model}, {provider}"
            numbers[f"{name} {count}"] = told
            rows.append((name, str(count), *(f"{told[key]:{form}}" for key, form in COLUMNS.values())))
    return Section(
        title=f"Ordinary streets of {RATE_HZ:g} Hz, {SECONDS:g} s: one detector, {os.cpu_count()} cores",
        columns=("detector", "streams", *COLUMNS),
        rows=rows,
        numbers=numbers,
        remarks=(
            *absent,
            "A lag that does not grow from early to late is a host that keeps up; "
            f"goal {GOAL_MB:g} MB a stream beside the detector.",
            "CPU s: processor time of detector, line and decoder by stream and second; cores: of all streams "
            "together. More cores than there are is a host that cannot keep up, whatever else it does.",
        ),
    )


def loaded(weights: Path, count: int, *, street: Path, seconds: float, provider: str | None = None) -> Load:
    """Replay ``count`` streams beside one detector, and return what it took."""
    from models.shared_process import SharedDetectorProcess

    with SharedDetectorProcess(str(weights), provider=provider, threads=1) as shared:
        pid = shared.pid or 0
        before_s = cpu_s(pid)
        streams = replayed(count, street=street, socket=shared.path, seconds=seconds)
        return Load(streams, cpu_s(pid) - before_s, pss_mb(pid))


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
        line_s, decoder_s = time.process_time(), cpu_s(source.process.pid)
        for moment in line:
            looks += moment.looked
            if moment.looked:  # the others wait for it on purpose
                lags.append(time.monotonic() - live.due[moment.index])
            if len(lags) % 20 == 10:
                memory = max(memory, pss_mb(os.getpid()) + pss_mb(source.process.pid))
        line.finish()
        line_s, decoder_s = time.process_time() - line_s, cpu_s(source.process.pid) - decoder_s
    quarter = max(len(lags) // 4, 1)
    out.send(
        Stream(
            len(live.due),
            looks,
            statistics.median(lags[:quarter]),
            statistics.median(lags[-quarter:]),
            memory,
            line_s,
            decoder_s,
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


def cpu_s(pid: int) -> float:
    """Return a process' processor time, to a hundredth; 0 where it is gone. Source: proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
