"""How fast the rules are: rows a second of ``nearmiss judge`` on one core, and its memory.

The street is made (street.py).
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.bench import street
from edge.bench.section import Section
from edge.judge import judged
from edge.signals.lines import Problems
from edge.tracks import TracksFile


@dataclass(frozen=True)
class JudgeSpeed:
    """What one run cost; CPU seconds of this process, which other work on the machine hardly moves."""

    rows: int
    street_s: float
    cpu_s: float
    wall_s: float
    rows_per_s: float
    parse_rows_per_s: float
    findings: int
    peak_mib: float


def measure(data: Path) -> Section:
    """Judge a made street of a million rows; the recordings are not needed."""
    del data
    speed = judge_speed()
    return Section(
        title="judge: a made street",
        columns=("", "measured"),
        rows=(
            ("rows", f"{speed.rows:,}"),
            ("rows judged a second, one core", f"{speed.rows_per_s:,}"),
            ("rows parsed a second, of that", f"{speed.parse_rows_per_s:,}"),
            ("CPU time", f"{speed.cpu_s:.1f} s"),
            ("wall time", f"{speed.wall_s:.1f} s"),
            ("faster than the street", f"{speed.street_s / speed.cpu_s:.0f} times"),
            ("largest resident set", f"{speed.peak_mib:.0f} MiB"),
        ),
        numbers=asdict(speed),
        remarks=("Rates are per second of CPU time: other work on the machine hardly moves them.",),
    )


def judge_speed(rows: int = 1_000_000, *, seed: int = 1) -> JudgeSpeed:
    """Write a tracks file of about ``rows`` rows, judge it, and return what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.csv"
        street_s = street.write(path, rows, random.Random(seed))
        site, signals = street.site(), street.signals(street_s)
        began = time.process_time()
        for _ in TracksFile(path, Problems(path), start_time=0.0):
            pass
        parse_s = time.process_time() - began
        problems = Problems(path)
        file = TracksFile(path, problems, start_time=0.0)
        began, wall = time.process_time(), time.perf_counter()
        findings = judged(file, site, signals)
        cpu_s, wall_s = time.process_time() - began, time.perf_counter() - wall
        problems.raise_if_any()
    return JudgeSpeed(
        rows=file.rows,
        street_s=street_s,
        cpu_s=round(cpu_s, 2),
        wall_s=round(wall_s, 2),
        rows_per_s=round(file.rows / cpu_s),
        parse_rows_per_s=round(file.rows / parse_s),
        findings=len(findings),
        peak_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )
