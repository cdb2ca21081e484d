"""Non-interference: what is kept of a street does not depend on how anybody in it looks.

The same movers are filmed with other textures. Sketches, clips and the plan have to come out byte for byte
the same. Box pixelation, the usual redaction, is the negative control: it fails the same test.
"""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from broker.drawing import Clip
from edge import instants, sketch
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.finding import Finding
from edge.scene import RoadUser

from ..edge.drawn import SIZE, Box, Lamps, frame, painted, pinhole, road, scene, seen, site

Texture = NDArray[np.uint8]
RATE_HZ = 10.0
FRAMES = 110
EVENT = 6.0


@cache
def texture(seed: int) -> Texture:
    """Return cloth nobody else wears: every pixel its own colour, all of it brighter than asphalt."""
    return np.random.default_rng(seed).integers(150, 256, (480, 640, 3)).astype(np.uint8)


def boxes(n: int) -> tuple[Box, ...]:
    """Return two walkers with a box and, last, a third whom the detector misses."""
    right, left = 40 + 4 * n, 560 - 4 * n
    return (
        (right, 200, right + 32, 288),
        (left, 300, left + 40, 408),
        (240, 20 + 2 * (n // 2), 304, 140 + 2 * (n // 2)),
    )


def filmed(seed: int | None) -> list[NDArray[np.uint8]]:
    pictures = []
    for n in range(FRAMES):
        picture = road(seed=7)
        for place, box in enumerate(boxes(n) if seed is not None and n >= 10 else ()):
            assert seed is not None
            picture = painted(picture, box, texture(seed + 1000 * place))
        pictures.append(picture)
    return pictures


def scene_clip(pictures: list[NDArray[np.uint8]]) -> bytes:
    """Return all that is kept of a film: its sketches and a clip."""
    plane = pinhole()
    redactor = Redactor(SIZE, plane=plane)
    recorder = Recorder(site(plane), image_size=SIZE, rng=random.Random(1))
    kept = []
    for n, picture in enumerate(pictures):
        time = n / RATE_HZ
        known = boxes(n)[:2] if n >= 10 else ()
        drawn = redactor.ingest(frame(picture, time), seen(*known))
        kept.append(repr(drawn))
        users = []
        for place, (left, _, right, bottom) in enumerate(known):
            foot = ((left + right) / 2, float(bottom))
            x, y = (float(each) for each in plane.ground(foot))
            users.append(RoadUser(place, "pedestrian", x, y, 0.0, 0.5, 0.5, 0.1, place, foot))
        recorder.add(drawn, scene(time, *users, lamps=Lamps({"ped": [(2.0, "red")]})))
    recorder.hold(Finding("near_miss", "occurred", EVENT, 0.1, "junction", "car", None, {}, 0, 20, (0, 1)))
    ((_, clip),) = recorder.flush()
    assert clip is not None
    assert len(clip.glyphs) == 2
    assert clip.movers
    return clip.encode() + redactor.plate(site(plane)).encode() + "".join(kept).encode()


def pixelated_clip(pictures: list[NDArray[np.uint8]]) -> bytes:
    """Return a film in which each box is pixelated, six cells wide: the control."""
    kept = []
    for n, picture in enumerate(pictures):
        copy = picture.copy()
        for left, top, right, bottom in boxes(n)[:2] if n >= 10 else ():
            part = copy[top:bottom, left:right]
            coarse = cv2.resize(part, (6, 16), interpolation=cv2.INTER_AREA)
            copy[top:bottom, left:right] = cv2.resize(
                coarse, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
            )
        # Only what lies in the boxes is compared, and quantised as well.
        kept += [(copy[box[1] : box[3], box[0] : box[2]] >> 4).tobytes() for box in boxes(n)[:2]]
    return b"".join(kept)


Redaction = Callable[[list[NDArray[np.uint8]]], bytes]


def leaks(redaction: Redaction) -> bool:
    """Return whether what is kept tells one set of textures from another."""
    return len({redaction(filmed(seed)) for seed in (1, 2, 3)}) > 1


def test_other_textures_make_the_same_clip() -> None:
    assert not leaks(scene_clip)


def test_box_pixelation_fails_the_same_test() -> None:
    assert leaks(pixelated_clip)


def test_a_clip_does_depend_on_where_they_were() -> None:
    """Else the first test would hold for a clip that shows nothing."""
    empty = Redactor(SIZE, plane=pinhole())
    sketches = [empty.ingest(frame(each, n / RATE_HZ), seen()) for n, each in enumerate(filmed(None))]
    assert not any(each.boxes or each.cells for each in sketches)


@pytest.mark.parametrize("record", [sketch.Sketch, sketch.SketchBox, instants.Instant, instants.Seen])
def test_what_goes_on_behind_the_redactor_has_no_room_for_a_picture(record: type) -> None:
    """Numbers, names and rows of whole numbers; no array of pixels, no bytes, no open field."""
    allowed = {"int", "float", "bool", "None", "Kind", "tuple", "array", "SketchBox"}
    for field in dataclasses.fields(record):
        words = set(re.findall(r"[A-Za-z]+", str(field.type)))
        assert words <= allowed, (record.__name__, field.name, words - allowed)


def test_a_clip_is_closed_at_every_level() -> None:
    schema = Clip.model_json_schema()
    records = [schema, *schema["$defs"].values()]
    assert all(each["additionalProperties"] is False for each in records)
    # No field takes free text: every string is one of a list, or a pattern.
    for record in records:
        for field, kind in record["properties"].items():
            strings = [each for each in kind.get("anyOf", [kind]) if each.get("type") == "string"]
            assert all("enum" in each or "pattern" in each for each in strings), field


def test_the_recorder_runs_where_no_picture_can_be_opened() -> None:
    """Neither numpy nor OpenCV is there: what follows the redactor could not hold a picture if it would."""
    words = (
        "import sys\n"
        "for name in ('numpy', 'cv2', 'av', 'PIL'): sys.modules[name] = None\n"
        "import edge.recorder, edge.clip, broker.wire"
    )
    subprocess.run([sys.executable, "-c", words], check=True)
