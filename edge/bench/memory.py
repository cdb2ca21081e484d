"""How much memory `analyze` takes, once over a recording and over the same one played ten times.

Measured on the real command in a process of its own, with its decoder: the largest sum of what both hold
in memory (resident set) at any time. It has to be bounded by the street, not by the recording's length.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge.bench import pets
from edge.bench.playlist import played
from edge.bench.section import Section
from edge.errors import InputError
from edge.opening import default_threads

MODEL = Path("weights/deimv2-femto.onnx")
TIMES = 10
EVERY_S = 0.05


def measure(data: Path) -> Section:
    """Analyse the PETS clip once and ten times over."""
    peaks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = pets.write_site(folder / "site.toml", data)
        for times in (1, TIMES):
            video = played(pets.video(data), folder / f"{times}.mp4", times=times)
            peaks[times] = peak_mb(video, site, str(data / MODEL), folder / f"out-{times}")
    growth = peaks[TIMES] / peaks[1]
    return Section(
        title="Memory: nearmiss analyze with its decoder, deimv2-femto, PETS S2L1",
        columns=("recording", "frames", "peak MB"),
        rows=[(f"played {times}×", str(795 * times), f"{peak:.0f}") for times, peak in peaks.items()],
        numbers={"peak_mb": {str(times): peak for times, peak in peaks.items()}, "growth": growth},
        remarks=(f"Ten times the length takes {growth:.2f} times the memory.",),
    )


def peak_mb(video: Path, site: Path, model: str, out: Path) -> float:
    """Return the largest resident memory of an analysis and its children, megabytes.

    Raises:
        InputError: the analysis failed; its own words.
    """
    command = [sys.executable, "-m", "edge", "analyze", str(video), "--site", str(site)]
    command += ["--model", model, "--out", str(out), "--threads", str(default_threads())]
    peak_kb = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak_kb = max(peak_kb, _resident_kb(process.pid))
            time.sleep(EVERY_S)
        assert process.stderr is not None
        told = process.stderr.read()
    if process.returncode != 0:
        raise InputError(told.strip().splitlines() or f"the analysis of {video} failed")
    return peak_kb / 1024


def _resident_kb(pid: int) -> int:
    """Return what a process and its children hold in memory; a page both see counts twice."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return own + sum(_resident_kb(int(child)) for child in children)
