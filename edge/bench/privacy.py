"""What redaction costs and how large what it leaves is, on ten seconds of the demo's junction.

Source: the goals of shared PRIVACY §1: ingest at most 8 ms a frame of 720p (95th percentile), a clip at most
100 kB for ten seconds, the ring at most 2 MB for thirty.
"""

from __future__ import annotations

import dataclasses
import random
import sys
import tempfile
from pathlib import Path
from time import thread_time

import cv2
import numpy as np

from calibration.plane import plane_of
from calibration.site import load_site
from edge.bench.section import Section
from edge.demo.draw import Film
from edge.demo.setting import SETTINGS, write_site
from edge.demo.story import PLAN, actors
from edge.frame import Frame
from edge.instants import packed
from edge.placing import Stage
from edge.recorder import RING_S, Recorder
from edge.redact import Redactor
from edge.rules.finding import Finding
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from models.motion import MotionDetector

SIZE = (1280, 720)
RATE_HZ = 25.0
FIRST_S, LAST_S = 30.0, 41.0
CLIP_S = 10.0


def measure(data: Path) -> Section:
    """Redact eleven drawn seconds at 1280 × 720, and draw the clip of ten of them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _measured()
    finally:
        cv2.setNumThreads(threads)


def _measured() -> Section:
    setting = SETTINGS["afternoon"]
    camera = dataclasses.replace(setting.camera, image_size=SIZE)
    with tempfile.TemporaryDirectory() as folder:
        write_site(Path(folder) / "site.toml", camera)
        site = load_site(Path(folder) / "site.toml")
    size, plane = SIZE, plane_of(site)
    film = Film(camera, actors(), PLAN, light=setting.light, seed=setting.seed)
    redactor = Redactor(size, plane=plane)
    recorder = Recorder(site, image_size=size, rng=random.Random(1))
    detector, tracker = MotionDetector(size, plane, frame_rate_hz=RATE_HZ), Tracker()
    stage = Stage(plane, site, SignalHistory([]))
    ingest_s, instant_bytes = [], []
    for n, time in enumerate(np.arange(FIRST_S, LAST_S, 1 / RATE_HZ).tolist()):
        picture = film.frame(time)
        detections = detector.detect(picture)
        began = thread_time()
        sketch = redactor.ingest(Frame(n, time, 0.01, picture), detections)
        ingest_s.append(thread_time() - began)
        scene = stage.place(tracker.update(detections, time), time, 0.01)
        recorder.add(sketch, scene)
        instant_bytes.append(_bytes_of(packed(sketch, scene)))
    recorder.hold(
        Finding("near_miss", "occurred", LAST_S - CLIP_S / 2, 0.1, "N", "car", None, {}, 0.0, 0.0, (1, 2))
    )
    began = thread_time()
    ((_, clip),) = recorder.flush()
    draw_s = thread_time() - began
    clip_kb = 0.0 if clip is None else len(clip.encode()) / 1000
    ring_mb = float(np.mean(instant_bytes)) * RING_S * 30 / 1e6
    ingest_ms = np.percentile(ingest_s, [50, 95]) * 1000
    numbers = {
        "ingest_p50_ms": round(float(ingest_ms[0]), 2),
        "ingest_p95_ms": round(float(ingest_ms[1]), 2),
        "clip_kb": round(clip_kb, 1),
        "clip_drawn_ms": round(draw_s * 1000, 1),
        "ring_mb_at_30_hz": round(ring_mb, 2),
    }
    rows = [
        (
            f"ingest, ms of one core a frame of {size[0]} × {size[1]}, 95th percentile",
            f"{ingest_ms[1]:.1f}",
            "8",
        ),
        ("the same, median", f"{ingest_ms[0]:.1f}", ""),
        (f"a clip of {CLIP_S:.0f} s, kB", f"{clip_kb:.1f}", "100"),
        ("drawing it, ms, once an event", f"{draw_s * 1000:.0f}", ""),
        (f"ring of {RING_S:.0f} s at 30 Hz, MB", f"{ring_mb:.2f}", "2"),
    ]
    return Section("Redaction, one thread", ("what", "measured", "goal"), rows, numbers)


def _bytes_of(instant: object) -> int:
    if not dataclasses.is_dataclass(instant) or isinstance(instant, type):
        return sys.getsizeof(instant)
    fields = [getattr(instant, field.name) for field in dataclasses.fields(instant)]
    return sys.getsizeof(instant) + sum(sys.getsizeof(field) for field in fields)
