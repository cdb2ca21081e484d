"""`nearmiss calibrate`: the page that turns a frame into metres, over a recording and a site file."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from edge.errors import InputError

if TYPE_CHECKING:
    from calibration.drift import Movement
    from calibration.editor.app import Desk
    from calibration.editor.site_file import SiteFile
    from calibration.site import Site
    from edge.still import Still
    from models.detections import Detector

# A browser keeps drafts by address, port included: the same one each time finds them again.
PORT = 8090
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
_LARGEST_AERIAL = 64 * 2**20
_KEPT_TRACKS = 400
_KEPT_SAMPLES = 400
# Faster than its kind goes in a town, m/s: the metres are wrong, or the track is.
_FASTEST_MPS = {
    "pedestrian": 4.0,
    "bicycle": 14.0,
    "motorcycle": 35.0,
    "car": 35.0,
    "bus": 28.0,
    "truck": 28.0,
}


def run(
    video: Path, *, site: Path, port: int, aerial: Path | None, tracks: Path | None, model: str | None
) -> int:
    """Serve the page until Ctrl-C; returns 0.

    Raises:
        InputError, calibration.site.SiteError: what cannot be used; nothing is written then.
    """
    try:
        from calibration.editor.server import EditorServer
    except ImportError as error:
        raise InputError(
            f"the page needs the extra [collector] (it brings the web server): {error.name} is missing"
        ) from error

    server = EditorServer(desk_of(video, site=site, aerial=aerial, tracks=tracks, model=model), port=port)
    server.start()
    typer.echo(f"nearmiss: open {server.url}")
    typer.echo("nearmiss: Ctrl-C ends it; unsaved work stays in the browser", err=True)
    try:
        while server.alive:
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    return 0


def desk_of(
    video: Path,
    *,
    site: Path,
    aerial: Path | None = None,
    tracks: Path | None = None,
    model: str | None = None,
) -> Desk:
    """Return what the page works on.

    Raises:
        InputError, calibration.site.SiteError: what cannot be used.
    """
    from calibration.editor.app import Desk
    from calibration.editor.site_file import SiteFile

    file = SiteFile(site)
    picture = None if aerial is None else _aerial(aerial)
    replay = None if tracks is None else replay_of(tracks)
    still, note = _still(video, _detector(model))
    memory = SceneMemory(file, still)
    return Desk(
        file=file,
        name=video.name,
        background=np.ascontiguousarray(still.picture[..., ::-1]),
        background_note=note,
        aerial=picture,
        tracks=replay,
        moved=memory.moved,
        saved=memory.keep,
    )


class SceneMemory:
    """Keeps the scene's structure beside the site file, and tells whether the camera moved since.

    Attributes:
        moved: what the page says of a move, and the matrix its points follow; None where there was none.
    """

    def __init__(self, file: SiteFile, still: Still) -> None:
        from calibration.drift import load_structure, movement, structure_file, structure_of

        self._path = structure_file(file.path)
        self._now = structure_of(still.picture, still.known)
        self._points = _points_px(file.read().document)
        then = load_structure(self._path)
        fits = then is not None and then.image_size == self._now.image_size
        found = movement(then, still.picture, ~still.known) if then is not None and fits else None
        self.moved = None if found is None else _told(found, file, self._now.image_size)

    def keep(self, site: Site) -> None:
        """Write the structure the saved ground plane belongs to.

        A ground plane that was not touched after the camera moved still belongs to the old one: were the
        new structure kept, nobody would hear of the move again.
        """
        from calibration.drift import structure_text
        from calibration.editor.site_file import written

        now = [pair.px for pair in site.ground_plane.points] if site.ground_plane else []
        if self.moved is not None and now == self._points:
            return
        written(self._path, structure_text(self._now).encode())
        self.moved, self._points = None, now


def _points_px(document: Mapping[str, Any]) -> list[tuple[float, float]]:
    try:
        return [(float(pair["px"][0]), float(pair["px"][1])) for pair in document["ground_plane"]["points"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _told(found: Movement, file: SiteFile, image_size: tuple[int, int]) -> dict[str, Any] | None:
    """Return what is said of a move, and how points follow it; None where it is too small to matter."""
    from calibration.drift import ground_points, shift_m
    from calibration.plane import plane_of
    from calibration.site import load_site
    from edge.camera_watch import limit_px

    try:
        plane = plane_of(load_site(file.path))
    except ValueError:
        plane = None
    points = ground_points(plane, image_size)
    shift_px = found.shift_px(points)
    if shift_px <= limit_px(image_size):
        return None
    if found.matrix is None:
        return {
            "text": "The camera shows another scene than when the points were set: set them anew.",
            "points": None,
        }
    metres = math.nan if plane is None else shift_m(plane, found, points)
    on_road = "" if math.isnan(metres) else f", {metres:.2f} m on the road,"
    return {
        "text": f"The camera has moved by {shift_px:.1f} px{on_road} since the points were set.",
        "points": [[float(each) for each in row] for row in found.matrix],
    }


def _still(video: Path, detector: Detector | None) -> tuple[Still, str]:
    from edge.progress import Progress
    from edge.sources.file import open_video
    from edge.still import StillBuilder

    with open_video(video) as source:
        builder = StillBuilder(source, detector)
        with Progress(video.name, total=source.expected_frames, unit="frames", speed="fps") as progress:
            for frame in source:
                progress.advance()
                if not builder.ingest(frame):
                    break
        still = builder.still()
    hatched = 1.0 - float(still.known.mean())
    note = f"{still.samples} pictures of {still.seconds:.0f} s; {hatched:.0%} was never empty and is hatched"
    return still, note


def _detector(model: str | None) -> Detector | None:
    if model is None or model == "motion":
        return None  # who moves is masked as it is
    from models.zoo import load

    return load(model, provider=None, threads=None)


def _aerial(path: Path) -> tuple[bytes, str]:
    try:
        if path.stat().st_size > _LARGEST_AERIAL:
            raise InputError(f"{path}: is larger than {_LARGEST_AERIAL // 2**20} MB")
        payload = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    for magic, kind in _PICTURES.items():
        if payload.startswith(magic):
            return payload, kind
    raise InputError(f"{path}: is no PNG, JPEG or WebP picture")


def replay_of(path: Path) -> dict[str, Any]:
    """Return trajectories as the page replays them, thinned, with the speed at each place.

    Raises:
        InputError: with every mistake of the file.
    """
    from edge.rules.samples import KINDS
    from edge.signals.lines import Problems
    from edge.tracks import TracksFile

    problems = Problems(path)
    blocks = list(TracksFile(path, problems, start_time=0.0))
    problems.raise_if_any()
    if not blocks:
        raise InputError(f"{path}: holds no track")
    time_, track, kind, x, y = (
        np.concatenate([getattr(block, name) for block in blocks])
        for name in ("time", "track", "kind", "x", "y")
    )
    found: list[dict[str, Any]] = []
    for number in np.unique(track)[:_KEPT_TRACKS]:
        rows = np.flatnonzero(track == number)
        if len(rows) < 2 or time_[rows[-1]] <= time_[rows[0]]:
            continue
        name = KINDS[int(np.bincount(kind[rows]).argmax())]
        found.append(_replayed(name, time_[rows], x[rows], y[rows]))
    if not found:
        raise InputError(f"{path}: holds no track of two instants or more")
    return {
        "start": min(each["t"][0] for each in found),
        "end": max(each["t"][-1] for each in found),
        "tracks": found,
        "kinds": [_summary(name, found) for name in KINDS if any(each["kind"] == name for each in found)],
    }


def _replayed(kind: str, time_: Any, x: Any, y: Any) -> dict[str, Any]:
    # The speed over a second: what a box jumps by from frame to frame is no speed.
    before = np.searchsorted(time_, time_ - 0.5)
    after = np.minimum(np.searchsorted(time_, time_ + 0.5), len(time_) - 1)
    way = np.hypot(x[after] - x[before], y[after] - y[before])
    speed = way / np.maximum(time_[after] - time_[before], 1e-3)
    every = -(-len(time_) // _KEPT_SAMPLES)
    return {
        "kind": kind,
        "odd": bool(np.percentile(speed, 90) > _FASTEST_MPS[kind]),
        "fastest_mps": round(float(np.percentile(speed, 95)), 2),
        "t": [round(float(each), 3) for each in time_[::every]],
        "x": [round(float(each), 2) for each in x[::every]],
        "y": [round(float(each), 2) for each in y[::every]],
        "v": [round(float(each), 2) for each in speed[::every]],
    }


def _summary(kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    of_kind = [each for each in found if each["kind"] == kind]
    return {
        "kind": kind,
        "count": len(of_kind),
        "median_mps": round(float(np.median([each["fastest_mps"] for each in of_kind])), 2),
        "fastest_mps": max(each["fastest_mps"] for each in of_kind),
        "odd": sum(each["odd"] for each in of_kind),
    }
