"""Real recordings for the tests of privacy: their frames, their boxes, and the ground they show.

Decoded and looked at once a session; what is done with them afterwards costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane, fit, plane_of
from calibration.site import Site, load_site
from calibration.tsai import load_tsai
from edge.sources.file import open_video
from models.detections import Detections
from models.zoo import load
from tests.conftest import ROOT
from tests.edge.drawn import pinhole
from tests.edge.drawn import site as drawn_site

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Recording:
    """One recording: ``every`` frame of it is taken, ``most`` of them at most."""

    name: str
    file: str
    every: int
    most: int


RECORDINGS = (
    Recording("strudl_vid0", "video/strudl_vid0.mp4", 2, 60),
    Recording("strudl_vid1", "video/strudl_vid1.mp4", 2, 60),
    Recording("rox_crosswalk", "video/rox_crosswalk.mp4", 1, 200),
    Recording("pets_s2l1", "pets2009/s2l1.mp4", 4, 80),
)
NAMES = [each.name for each in RECORDINGS]


@dataclass(frozen=True, eq=False)
class Watched:
    """A recording's frames with the boxes a detector sees in them."""

    name: str
    times: list[float]
    pictures: list[Picture]
    detections: list[Detections]
    plane: Plane
    site: Site

    @property
    def size(self) -> tuple[int, int]:
        return self.pictures[0].shape[1], self.pictures[0].shape[0]


@cache
def watched(data: Path, name: str) -> Watched:
    """Return a recording looked at by the smallest of the shared detectors."""
    recording = next(each for each in RECORDINGS if each.name == name)
    detector = load(str(data / "weights" / "deimv2-atto.onnx"), threads=1)
    times, pictures, detections = [], [], []
    for time, picture in frames(data, recording):
        times.append(time)
        pictures.append(picture)
        detections.append(detector.detect(picture))
    size = pictures[0].shape[1], pictures[0].shape[0]
    plane, site = ground(data, name, size)
    return Watched(name, times, pictures, detections, plane, site)


def frames(data: Path, recording: Recording) -> Iterator[tuple[float, Picture]]:
    source = open_video(data / recording.file, start_time=0.0, times=None)
    taken = 0
    for frame in source:
        if frame.index % recording.every == 0:
            yield frame.time, frame.image
            taken += 1
            if taken == recording.most:
                break
    source.close()


@cache
def ground(data: Path, name: str, size: tuple[int, int]) -> tuple[Plane, Site]:
    """Return where the ground is: as measured, or for ROX, which nobody measured, as a mast would see it."""
    if name.startswith("strudl"):
        site = load_site(ROOT / "examples" / "strudl" / "site.toml")
        return plane_of(site), site
    if name.startswith("pets"):
        plane = pets_plane(data, size)
        return plane, drawn_site(plane)
    plane = pinhole(size, focal_px=620.0, height_m=5.0, tilt_deg=15.0)
    return plane, drawn_site(plane)


@cache
def pets_plane(data: Path, size: tuple[int, int]) -> Plane:
    camera = load_tsai(data / "pets2009" / "View_001.xml")
    shrink = size[0] / 768  # boxes and calibration are for 768 x 576, the recording is smaller
    pixels = [(u, v) for u in np.linspace(30, 738, 9) for v in np.linspace(120, 560, 7)]
    ground = [camera.ground(pixel) / 1000 for pixel in pixels]
    pairs = [
        ((u * shrink, v * shrink), tuple(point))
        for (u, v), point in zip(pixels, ground, strict=True)
        if np.isfinite(point).all() and np.abs(point).max() < 60
    ]
    return fit([pixel for pixel, _ in pairs], [point for _, point in pairs], image_size=size)
