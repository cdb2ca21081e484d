"""How well people are tracked and placed on PETS 2009 S2L1, against boxes and a calibration made by hand.

MOTA and IDF1 at an intersection over union of 0.5 (computed by ``trackers.eval``, which follows TrackEval);
the place of each matched person against the middle of the true box's lower edge, mapped to the road by the
clip's own Tsai calibration. The chain itself knows that calibration only through point pairs.

Source: Bernardin & Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT metrics",
EURASIP JIVP 2008; Ristani et al., "Performance measures and a data set for multi-target, multi-camera
tracking", ECCV Workshops 2016.
"""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.plane import plane_of
from calibration.site import load_site
from calibration.tsai import TsaiCamera, load_tsai
from edge.bench import pets
from edge.bench.section import Section
from edge.errors import InputError
from edge.merging import iou
from edge.placing import Stage
from edge.scene import PEDESTRIAN
from edge.signals.history import SignalHistory
from edge.sources.file import open_video
from edge.tracker import Tracker
from models.zoo import load

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MODEL = Path("weights/deimv2-femto.onnx")
TRUTH = Path("pets2009/PETS2009-S2L1.xml")
_SAME_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Seen:
    """One frame's boxes: truth or tracks.

    Attributes:
        numbers: (N,) who.
        boxes_px: (N, 4) in pixels of the clip.
        places, sigma_m: (N, 2) and (N,) on the road, metres; NaN where not placed.
    """

    numbers: Integers
    boxes_px: Floats
    places: Floats
    sigma_m: Floats


@dataclass(frozen=True)
class Scores:
    """What ``scores`` computes; lengths in metres."""

    mota: float
    idf1: float
    id_switches: int
    misses: int
    false_positives: int
    position_error_m: float
    position_error_p90_m: float
    along_sight_m: float
    stated_sigma_m: float
    within_two_sigma: float


def measure(data: Path) -> Section:
    """Track the clip with deimv2-femto and compare.

    Raises:
        InputError: a file is not in the folder of data.
    """
    if not (data / TRUTH).is_file():
        raise InputError(f"{data / TRUTH}: no such file, expected in the folder of data")
    camera = load_tsai(data / pets.CALIBRATION)
    truth = read_truth(data / TRUTH, camera)
    found = tracked(data)
    return section(scores(truth, found, camera.position_mm[:2] / 1000))


def tracked(data: Path) -> list[Seen]:
    """Return what the chain makes of the clip: detector, tracker and stage as on a node."""
    with tempfile.TemporaryDirectory() as folder:
        site = load_site(pets.write_site(Path(folder) / "site.toml", data))
    detector = load(str(data / MODEL))
    tracker, stage = Tracker(), Stage(plane_of(site), site, SignalHistory(()))
    frames: list[Seen] = []
    with open_video(pets.video(data)) as source:
        for frame in source:
            tracks = tracker.update(detector.detect(frame.image), frame.time)
            users = {user.track: user for user in stage.place(tracks, frame.time, 0.0).users}
            people = [
                track
                for track in tracks
                if track.confirmed and track.detection is not None and track.kind == PEDESTRIAN
            ]
            places = [users.get(track.number) for track in people]
            frames.append(
                Seen(
                    np.array([track.number for track in people], np.int64),
                    np.array([track.box_px for track in people]).reshape(-1, 4),
                    np.array([(np.nan, np.nan) if u is None else (u.x, u.y) for u in places]).reshape(-1, 2),
                    np.array([np.nan if user is None else user.sigma_m for user in places]),
                )
            )
    return frames


def read_truth(path: Path, camera: TsaiCamera) -> list[Seen]:
    """Return the true boxes of each frame, in pixels of the clip, and where on the road their feet are."""
    scale = pets.IMAGE_SIZE[0] / camera.image_size[0]
    frames = []
    for frame in ElementTree.fromstring(path.read_bytes()).iter("frame"):
        rows = []
        for person in frame.iter("object"):
            box = person.find("box")
            if box is None:
                raise InputError(f"{path}: object {person.get('id')} has no box")
            rows.append(
                [float(person.attrib["id"]), *(float(box.attrib[key]) for key in ("xc", "yc", "w", "h"))]
            )
        table = np.array(rows, np.float64).reshape(-1, 5)
        middle, half = table[:, 1:3], table[:, 3:5] / 2
        feet = camera.ground(middle + half * np.array([0.0, 1.0])) / 1000
        boxes = np.concatenate([middle - half, middle + half], axis=1) * scale
        frames.append(Seen(table[:, 0].astype(np.int64), boxes, feet, np.zeros(len(table))))
    return frames


def scores(truth: Sequence[Seen], found: Sequence[Seen], camera: Floats) -> Scores:
    """Compare tracks with truth, frame by frame.

    Args:
        camera: (2,) where the camera stands, metres: errors along the line of sight are told apart.
    """
    from scipy.optimize import linear_sum_assignment
    from trackers.eval.clear import compute_clear_metrics
    from trackers.eval.identity import compute_identity_metrics

    pairs = list(zip(truth, found, strict=True))
    overlaps = [iou(wanted.boxes_px, seen.boxes_px) for wanted, seen in pairs]
    who = _counted([wanted.numbers for wanted, _ in pairs])
    tracks = _counted([seen.numbers for _, seen in pairs])
    clear = compute_clear_metrics(who, tracks, overlaps, threshold=_SAME_IOU)
    identity = compute_identity_metrics(who, tracks, overlaps, threshold=_SAME_IOU)
    offsets, sights, sigmas = [], [], []
    for (wanted, seen), overlap in zip(pairs, overlaps, strict=True):
        for row, column in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[row, column] >= _SAME_IOU and np.isfinite(seen.sigma_m[column]):
                offsets.append(seen.places[column] - wanted.places[row])
                sights.append(wanted.places[row] - camera)
                sigmas.append(seen.sigma_m[column])
    offset, sight, sigma = (np.asarray(each).reshape(len(sigmas), -1) for each in (offsets, sights, sigmas))
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    error = np.linalg.norm(offset, axis=1)
    along = float(np.median((offset * sight).sum(axis=1)))
    scatter = np.linalg.norm(offset - along * sight, axis=1)
    return Scores(
        mota=float(clear["MOTA"]),
        idf1=float(identity["IDF1"]),
        id_switches=int(clear["IDSW"]),
        misses=int(clear["CLR_FN"]),
        false_positives=int(clear["CLR_FP"]),
        position_error_m=float(np.median(error)),
        position_error_p90_m=float(np.percentile(error, 90)),
        along_sight_m=along,
        stated_sigma_m=float(np.median(sigma)),
        within_two_sigma=float(np.mean(scatter < 2 * sigma[:, 0])),
    )


def section(result: Scores) -> Section:
    """Return the result as a table."""
    rows = (
        ("MOTA", f"{result.mota:.3f}"),
        ("IDF1", f"{result.idf1:.3f}"),
        ("identity switches", str(result.id_switches)),
        ("missed boxes", str(result.misses)),
        ("false boxes", str(result.false_positives)),
        ("position error, median", f"{result.position_error_m:.2f} m"),
        ("position error, 90 %", f"{result.position_error_p90_m:.2f} m"),
        ("of it along the line of sight, median", f"{result.along_sight_m:+.2f} m"),
        ("stated 1-sigma error, median", f"{result.stated_sigma_m:.2f} m"),
        ("errors within two sigma", f"{result.within_two_sigma:.0%}"),
    )
    return Section(
        title="tracking: PETS 2009 S2L1, deimv2-femto",
        columns=("", "measured"),
        rows=rows,
        numbers=vars(result),
        remarks=(
            "Truth is the middle of the true box's lower edge on the road; ours is the middle of the "
            "footprint, which lies behind the shoe one sees. The share within two sigma leaves that out.",
        ),
    )


def _counted(numbers: Sequence[Integers]) -> list[Integers]:
    """Return the numbers as 0, 1, 2, ..."""
    places: Mapping[int, int] = {
        number: place for place, number in enumerate(sorted({int(n) for frame in numbers for n in frame}))
    }
    return [np.array([places[int(number)] for number in frame], np.int64) for frame in numbers]
