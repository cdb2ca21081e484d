"""The PETS 2009 S2L1 clip as a site: its own calibration, and places laid over it so that rules have work.

Source: Ferryman & Shahrokni, "PETS2009: Dataset and challenge", IEEE PETS-Winter (2009).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.tsai import load_tsai
from edge.errors import InputError

VIDEO = Path("pets2009/s2l1.mp4")
TRUTH = Path("pets2009/PETS2009-S2L1.xml")
CALIBRATION = Path("pets2009/View_001.xml")
IMAGE_SIZE = (480, 360)
_FURTHEST_M = 60.0

_PLACES = """\
[site]
id = "pets-s2l1"
name = "PETS 2009 S2L1"

[[crosswalks]]
id = "walk"
polygon = [[-12, -12], [-8, -12], [-8, 4], [-12, 4]]

[[roadways]]
id = "road"
polygon = [[-20, -12], [2, -12], [2, 4], [-20, 4]]

[ground_plane]
image_size = [480, 360]
osd = []
points = [
"""


def video(data: Path) -> Path:
    """Return the recording.

    Raises:
        InputError: it is not in the folder of data.
    """
    return _there(data / VIDEO)


def truth(data: Path) -> Path:
    """Return the boxes drawn by hand.

    Raises:
        InputError: they are not in the folder of data.
    """
    return _there(data / TRUTH)


def write_site(path: Path, data: Path) -> Path:
    """Write a site file whose ground plane is the clip's own calibration, and return its path.

    Raises:
        InputError: the calibration is not in the folder of data.
    """
    camera = load_tsai(_there(data / CALIBRATION))
    # The calibration is for the image as it was taken, the clip is smaller.
    scale = IMAGE_SIZE[0] / camera.image_size[0]
    columns, rows = np.meshgrid(np.arange(40, 760, 90), np.arange(180, 570, 60))
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    metres = camera.ground(pixels) / 1000
    near = np.isfinite(metres).all(axis=-1) & (np.abs(metres) < _FURTHEST_M).all(axis=-1)
    lines = [
        f"  {{ px = [{u * scale:.2f}, {v * scale:.2f}], m = [{x:.3f}, {y:.3f}] }},"
        for (u, v), (x, y) in zip(pixels[near], metres[near], strict=True)
    ]
    path.write_text(_PLACES + "\n".join(lines) + "\n]\n")
    return path


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected in the folder of data")
    return path
