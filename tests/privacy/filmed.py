"""Streets to look for faces in, real ones and drawn ones with a photographed face; what is kept of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from broker.drawing import Clip, Plate
from calibration.plane import Plane
from calibration.site import Site
from edge.frame import Frame
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.finding import Finding
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from models.detections import Detections
from models.zoo import load
from tests.edge.drawn import painted, pinhole, road, seen
from tests.edge.drawn import site as drawn_site
from tests.privacy.real import Picture, Recording, frames, ground


@dataclass(frozen=True, eq=False)
class Filmed:
    """Ten seconds of a street, the boxes somebody found in it, and what nearmiss keeps of it."""

    name: str
    times: list[float]
    pictures: list[Picture]
    detections: list[Detections]
    plane: Plane | None  # None where faces of any size are pasted
    clip: Clip
    plate: Plate


def kept(name: str, film: Iterable[tuple[float, Picture, Detections]], plane: Plane, site: Site) -> Filmed:
    """Send a film through redactor, tracker and recorder."""
    film = list(film)
    size = film[0][1].shape[1], film[0][1].shape[0]
    redactor = Redactor(size, plane=plane, plate_window_s=8.0)
    recorder = Recorder(site, image_size=size, rng=random.Random(1))
    stage, tracker = Stage(plane, site, SignalHistory([])), Tracker()
    for n, (time, picture, detections) in enumerate(film):
        sketch = redactor.ingest(Frame(n, time, 0.01, picture), detections)
        recorder.add(sketch, stage.place(tracker.update(detections, time), time, 0.01))
    middle = (film[0][0] + film[-1][0]) / 2
    recorder.hold(Finding("near_miss", "occurred", middle, 0.1, "junction", "car", None, {}, 0, 20, (0, 1)))
    ((_, clip),) = recorder.flush()
    assert clip is not None, name
    times, pictures, detections = (list(column) for column in zip(*film, strict=True))
    return Filmed(name, times, pictures, detections, plane, clip, redactor.plate(site))  # type: ignore[arg-type]


def real(data: Path, *, short: bool) -> Iterator[Filmed]:
    """Give ten seconds of each recording, and of PETS five times ten."""
    detector = load(str(data / "weights" / "deimv2-atto.onnx"), threads=1)
    taken = [
        ("strudl_vid0", "video/strudl_vid0.mp4", 1, 0, 100),
        ("strudl_vid1", "video/strudl_vid1.mp4", 1, 0, 100),
        ("rox_crosswalk", "video/rox_crosswalk.mp4", 1, 10, 120),
        *((f"pets_s2l1 {n}-{n + 10} s", "pets2009/s2l1.mp4", 1, n * 10, 100) for n in (0, 15, 30, 45, 60)),
    ]
    for name, file, every, first, count in taken[3:4] if short else taken:
        source = list(frames(data, Recording(name, file, every, first + count)))[first:]
        size = source[0][1].shape[1], source[0][1].shape[0]
        plane, site = ground(data, name.split(" ")[0], size)
        yield kept(name, ((time, image, detector.detect(image)) for time, image in source), plane, site)


def drawn(*, short: bool) -> Iterator[Filmed]:
    """Give drawn streets on which people with a real face, so many pixels wide, walk by.

    The face is that of Grace Hopper (US Navy photograph, public domain), which comes with matplotlib.
    """
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    head = photograph[40:300, 150:380]
    chance, plane, empty = random.Random(1), pinhole(), road(seed=2)
    for width in (40,) if short else (16, 28, 40, 64):
        face = cv2.resize(head, (width, round(width * head.shape[0] / head.shape[1])))
        film = []
        for n in range(100):
            picture, boxes = empty, []
            for lane, top in ((0, 120), (1, 250)):
                left = 20 + (5 * n + 200 * lane) % 540
                box = (left, top, left + width, top + face.shape[0] + 2 * width)
                picture = painted(picture, box, (70, 60, 50))
                picture = painted(picture, (left, top, left + width, top + face.shape[0]), face)
                boxes += [box] if chance.random() < 0.8 else []
            film.append((n / 10, picture, seen(*boxes)))
        made = kept(f"drawn, faces {width} px wide", film, plane, drawn_site(plane))
        yield dataclasses.replace(made, plane=None)
