"""What accuracy costs: detectors × gating, each with what it sees, what comes of it, its pace and its memory.

Persons: AP50 on every fifth frame of PETS S2L1. Vehicles: AP50 on a few frames labelled by hand
(edge/bench/labelled.py). Events: F1 against the demo's truth, the network looking at the drawn film: networks
trained on photographs see drawings less well, so compare rows, do not take the numbers for a street's. Pace:
of that film against bare inference of the first network, measured before and after in the same run.

A row that was measured is kept in the user's cache, so a run that was broken off goes on where it was;
another version of the software or of the weights begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from broker.wire import LocalEvent
from edge import __version__
from edge.bench import ordinary, pets
from edge.bench.gate import Street, bare_s, passed
from edge.bench.labelled import FRAMES, vehicle_ap50
from edge.bench.section import Section
from edge.demo.junction import SITE_ID, START
from edge.demo.setting import SETTINGS
from edge.demo.story import DURATION_S, FRAME_RATE_HZ, PLAN, actors
from edge.demo.truth import as_records, true_events
from edge.evaluate import ALL, evaluate
from edge.events import local_event
from edge.opening import default_threads
from edge.rules.finding import Finding
from edge.sources.file import open_video
from models import evaluate as measuring
from models.onnx import OnnxDetector
from models.zoo import load

LOWEST_SCORE = 0.05
EVERY = 5
Row = dict[str, Any]


def measure(data: Path, *, cache: Path | None = None) -> Section:
    """Measure every network of the data folder with and without the gate; what is in the cache is taken."""
    kept = _Kept(cache or _cache_folder(), data)
    remarks = []
    with tempfile.TemporaryDirectory() as name:
        street: Street | None = None
        weights = sorted((data / "weights").glob("*.onnx"))
        # The default first: the others' pace is told against it.
        weights.sort(key=lambda path: path.stem != "deimv2-femto")
        for path in weights:
            for gate in ("off", "on"):
                if (path.stem, gate) in kept:
                    remarks.append(f"{path.stem}, gate {gate}: kept from an earlier run.")
                    continue
                street = street or _film(Path(name))
                kept.add(path.stem, gate, _row(path, gate, street, data, first=weights[0]))
    return _section(kept.rows, remarks)


def _row(path: Path, gate: str, street: Street, data: Path, *, first: Path) -> Row:
    threads = default_threads()
    yardstick = load(str(first), threads=threads)
    before_s = bare_s(yardstick)
    run = passed(street, str(path), gated=gate == "on")
    reference_s = (before_s + bare_s(yardstick)) / 2
    low = load(str(path), threads=threads, score=LOWEST_SCORE)
    return {
        "input": f"{low.card.input.width}×{low.card.input.height}",
        "person_ap50": _person_ap50(low, data),
        "vehicle_ap50": vehicle_ap50(low, data),
        "event_f1": event_f1(run.findings),
        "looked_share": run.looks / run.frames,
        "of_bare": reference_s * run.frames / run.wall_s,
        "memory_mb": _memory_mb(path),
    }


def event_f1(findings: tuple[Finding, ...]) -> float:
    """Return the F1 of what was found on the demo's film."""
    found = [
        local_event(number, finding, site=SITE_ID, node="bench", detector="bench", clip=None, caused_by=None)
        for number, finding in enumerate(findings, 1)
    ]
    true: list[LocalEvent] = as_records(true_events(actors(), PLAN), PLAN)
    tally = evaluate(found, true).scores[ALL].tally
    wrong = tally.misses + tally.undecidable_truths + tally.false_alarms
    return 2 * tally.hits / max(2 * tally.hits + wrong, 1)


def _person_ap50(detector: OnnxDetector, data: Path) -> float:
    truth = measuring.read_truth(pets.truth(data))
    with open_video(pets.video(data), start_time=0.0) as source:
        width = source.image_size[0]
        scaled = truth.scaled(width / measuring.truth_size(truth, source.image_size)[0])
        images = ((frame.index, np.asarray(frame.image)) for frame in source if frame.index % EVERY == 0)
        return measuring.evaluate(detector, images, scaled, threshold=0.25).ap50


def _memory_mb(path: Path) -> float:
    """Return how much more a process holds with the network loaded and run than with what loads it."""
    code = (
        "import sys; from models.zoo import load; import re\n"
        "held = lambda: int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        "before = held(); detector = load(sys.argv[1], threads=1); [detector.infer() for _ in range(5)]\n"
        "print(held() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _film(folder: Path) -> Street:
    film = folder / "demo"
    ordinary.film_of(
        film, actors(), SETTINGS["afternoon"], PLAN, duration_s=DURATION_S, frame_rate_hz=FRAME_RATE_HZ
    )
    return Street("demo", film / "video.mp4", film / "site.toml", signals=film / "signals.csv", start=START)


class _Kept:
    """Rows on disk, one file a state of software and weights."""

    def __init__(self, folder: Path, data: Path) -> None:
        told = hashlib.sha256(f"{__version__} {LOWEST_SCORE} {EVERY} {len(FRAMES)}".encode())
        for path in sorted((data / "weights").glob("*.onnx")):
            told.update(path.read_bytes())
        self._file = folder / f"prices-{told.hexdigest()[:16]}.json"
        try:
            self.rows: dict[str, Row] = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            self.rows = {}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return " ".join(key) in self.rows

    def add(self, name: str, gate: str, row: Row) -> None:
        self.rows[f"{name} {gate}"] = row
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".part")
        aside.write_text(json.dumps(self.rows), "utf-8")
        aside.replace(self._file)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nearmiss"


def _section(rows: Mapping[str, Row], remarks: list[str]) -> Section:
    table = []
    for key, row in rows.items():
        name, gate = key.split()
        table.append(
            (
                name,
                row["input"],
                gate,
                f"{row['person_ap50']:.2f}",
                f"{row['vehicle_ap50']:.2f}",
                f"{row['event_f1']:.2f}",
                f"{row['looked_share']:.2f}",
                f"{row['of_bare']:.2f}",
                f"{row['memory_mb']:.0f}",
            )
        )
    return Section(
        title="What accuracy costs",
        columns=("network", "input", "gate", "person", "vehicle", "event F1", "looked", "pace", "MB"),
        rows=table,
        numbers=dict(rows),
        remarks=(
            *remarks,
            "person: AP50 on PETS S2L1; vehicle: AP50 on frames labelled by hand; event F1: on the drawn "
            "demo; pace: of that film, bare inference of the first network being 1.",
        ),
    )
