"""What the detector without weights sees of real streets: people on PETS, and how far it agrees on STRUDL.

PETS S2L1 has boxes drawn by hand. The STRUDL clips have none and last four seconds, in which a background is
hardly learnt: there its boxes are held against those of a network, which errs, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane, plane_of
from calibration.site import load_site
from edge.bench import pets
from edge.bench.section import Section
from edge.errors import InputError
from models.detections import Detections
from models.evaluate import evaluate, overlap, read_truth, truth_size
from models.motion import MotionDetector
from models.zoo import load

TRUTH = Path("pets2009/PETS2009-S2L1.xml")
NETWORK = Path("weights/deimv2-femto.onnx")
CLIPS = (Path("video/strudl_vid0.mp4"), Path("video/strudl_vid1.mp4"))
STRUDL_SITE = Path(__file__).resolve().parents[2] / "examples" / "strudl" / "site.toml"
PETS_RATE_HZ, STRUDL_RATE_HZ = 10.0, 25.0
_REPORTED, _SURE = 0.45, 0.5
_SETTLING_S = 1.0


def measure(data: Path) -> Section:
    """Measure on PETS S2L1 and on the STRUDL clips."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        row, numbers = _people(data)
        rows, all_numbers = [row], {"pets_s2l1": numbers}
        for clip in CLIPS:
            row, numbers = _agreement(data, data / clip)
            rows.append(row)
            all_numbers[clip.stem] = numbers
    finally:
        cv2.setNumThreads(threads)
    return Section(
        title="Detector motion, one thread",
        columns=("recording", "against", "AP50", "precision", "recall", "ms a frame"),
        rows=rows,
        numbers=all_numbers,
        remarks=(
            f"Precision and recall at a score of {_REPORTED}. STRUDL: moving or not, against the boxes of "
            f"{NETWORK.stem} of {_SURE} and more, after the first {_SETTLING_S:.0f} s; what stands all the "
            "four seconds motion cannot know.",
        ),
    )


def _people(data: Path) -> tuple[tuple[str, ...], dict[str, float]]:
    import tempfile

    truth_file = data / TRUTH
    if not truth_file.is_file():
        raise InputError(f"{truth_file}: no such file, expected in the folder of data")
    with tempfile.TemporaryDirectory() as folder:
        plane = _plane(pets.write_site(Path(folder) / "site.toml", data))
    detector = MotionDetector(pets.IMAGE_SIZE, plane, frame_rate_hz=PETS_RATE_HZ)
    truth = read_truth(truth_file)
    truth = truth.scaled(pets.IMAGE_SIZE[0] / truth_size(truth, pets.IMAGE_SIZE)[0])
    score = evaluate(detector, enumerate(_images(pets.video(data))), truth, threshold=_REPORTED)
    cost_ms = 1000.0 * score.detect_s / max(score.frames, 1)
    numbers = {
        "ap50": score.ap50,
        "precision": score.precision,
        "recall": score.recall,
        "ms_a_frame": cost_ms,
    }
    row = ("PETS S2L1, people", "boxes by hand", f"{score.ap50:.3f}", f"{score.precision:.2f}",
           f"{score.recall:.2f}", f"{cost_ms:.1f}")  # fmt: skip
    return row, numbers


def _agreement(data: Path, video: Path) -> tuple[tuple[str, ...], dict[str, float]]:
    if not video.is_file():
        raise InputError(f"{video}: no such file, expected in the folder of data")
    network = load(str(data / NETWORK), provider=None, threads=1)
    plane = _plane(STRUDL_SITE)
    detector = MotionDetector(plane.image_size, plane, frame_rate_hz=STRUDL_RATE_HZ)
    hits = theirs = ours = 0
    spent_s, frames = 0.0, 0
    for index, image in enumerate(_images(video)):
        began = perf_counter()
        found = detector.detect(image)
        spent_s += perf_counter() - began
        frames += 1
        if index < _SETTLING_S * STRUDL_RATE_HZ:
            continue
        mine, wanted = _boxes(found, _REPORTED), _boxes(network.detect(image), _SURE)
        shared = overlap(mine, wanted) if len(mine) and len(wanted) else np.zeros((len(mine), len(wanted)))
        hits += int((shared.max(axis=0, initial=0.0) >= 0.5).sum())
        theirs, ours = theirs + len(wanted), ours + len(mine)
    cost_ms = 1000.0 * spent_s / max(frames, 1)
    precision, recall = hits / max(ours, 1), hits / max(theirs, 1)
    row = (f"STRUDL {video.stem}, all kinds", NETWORK.stem, "–", f"{precision:.2f}", f"{recall:.2f}",
           f"{cost_ms:.1f}")  # fmt: skip
    return row, {"precision": precision, "recall": recall, "ms_a_frame": cost_ms}


def _boxes(found: Detections, threshold: float) -> NDArray[np.float32]:
    return found.boxes_px[found.scores >= threshold]


def _plane(site_file: Path) -> Plane:
    plane = plane_of(load_site(site_file))
    assert plane is not None
    return plane


def _images(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
