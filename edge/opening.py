"""What an analysis needs, opened and checked before anything is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast, get_args

from edge.config import SHARED_DETECTOR
from edge.errors import InputError
from edge.redact import Mode
from edge.results import folder_problem
from edge.sources.clock import HIGHEST_RATE_HZ

if TYPE_CHECKING:
    from calibration.drift import Structure
    from calibration.plane import Plane
    from calibration.site import Site
    from edge.frame import Frame, Gap
    from edge.scene import Signals
    from edge.signals.crosscheck import CrossChecked
    from edge.signals.feed import Feed
    from edge.signals.lamp import LampReader
    from edge.signals.sources import Sources
    from models.crop import Rectangle
    from models.detections import Detector

logger = logging.getLogger(__name__)

Thing = TypeVar("Thing")

USUAL_RATE_HZ = 15.0
# Of a camera's priority beside the shared detector.
YIELDS = 5


class OpenSource(Protocol):
    """A recording or a camera, opened: what an analysis asks of it beside its frames."""

    image_size: tuple[int, int]
    rate_hz: float | None
    start_time: float
    time_sigma_s: float

    @property
    def path(self) -> Path: ...

    @property
    def times_from(self) -> str: ...

    @property
    def expected_frames(self) -> int | None: ...

    @property
    def gaps(self) -> tuple[Gap, ...]: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@dataclass(frozen=True)
class Inputs:
    """All that an analysis needs, checked.

    Attributes:
        signals_given: whether anything tells them: a file, lamps in view, a plan.
        lamps: reads the signal heads on the way; None where none is to be read.
        feed: to be given each signal message; None where the site has none, or nobody listens.
        checked: the comparisons of two signal sources.
        threads: of the detector.
        structure: of the scene when the ground plane was fitted; None where nobody kept it.
        gated: the detector looks only at frames where it may see something new.
    """

    site: Site
    plane: Plane
    signals: Signals
    signals_given: bool
    source: OpenSource
    detector: Detector
    mode: Mode
    threads: int
    lamps: LampReader | None = None
    feed: Feed | None = None
    checked: tuple[CrossChecked, ...] = ()
    structure: Structure | None = None
    gated: bool = False
    seen_px: Rectangle | None = None


def opened(
    video: Path,
    *,
    site: Path,
    signals: Path | None,
    model: str,
    provider: str | None,
    threads: int | None,
    out: Path,
    start: str | float | None,
    times: Path | None,
    clips: str,
    now: Callable[[], float] | None = None,
    camera: Callable[[tuple[int, int]], OpenSource] | None = None,
    gate: str | None = None,
    crop: str | None = None,
    shared: bool = False,
) -> Inputs:
    """Open and check every input.

    Args:
        video: the recording; with ``camera`` what messages call it.
        camera: opens a camera instead, given the image size of the site's ground plane.
        now: the clock, seconds UTC, where the site's feed of signal states is listened to.
        start: of the recording, RFC 3339 or seconds UTC.
        gate, crop: ``on`` or ``off``, which None is, too.
        shared: take the detector of this machine's cameras, where the supervisor started one.

    Raises:
        InputError: with the mistakes of all of them.
    """
    from calibration.lint import load_sound_site
    from edge.sources.file import open_video

    mistakes = _Mistakes()
    start_time = mistakes.of(lambda: start_of(start) if isinstance(start, str) else start)
    mistakes.add(folder_problem(out))
    if clips not in get_args(Mode):
        mistakes.add(f"--clips: {clips!r} is not one of {', '.join(get_args(Mode))}")
    mistakes.add(gate_problem(gate, model))
    mistakes.add(crop_problem(crop, model))
    of_site = _Mistakes()  # a camera needs the site; the mistakes of a recording are told before the site's
    found = of_site.of(lambda: load_sound_site(site))
    source: OpenSource | None = None
    if camera is None:
        source = mistakes.of(lambda: open_video(video, start_time=start_time, times=times))
    elif found is not None and found.ground_plane is not None:
        image_size = found.ground_plane.image_size
        source = mistakes.of(lambda: camera(image_size))
    mistakes.take_over(of_site)
    first = (start_time or 0.0) if source is None else source.start_time
    try:
        plane = None if found is None else _plane(found, site, video, source, mistakes)
        told = None if found is None else mistakes.of(lambda: _sources(found, signals, first, now))
        structure = mistakes.of(lambda: _structure(site, source))
        threads = threads or default_threads()
        detector: Detector | None = None
        if model != "motion" or (plane is not None and source is not None):
            detector = mistakes.of(
                lambda: detector_of(
                    model,
                    plane,
                    source,
                    provider=provider,
                    threads=threads,
                    ignored_px=() if found is None else _changing_px(found),
                    shared=shared,
                )
            )
        mistakes.tell()
    except BaseException:
        if source is not None:
            source.close()
        raise
    assert source is not None and found is not None and plane is not None
    assert told is not None and detector is not None
    seen_px = _crop(found, plane, source.image_size) if crop == "on" else None
    return Inputs(
        site=found,
        plane=plane,
        signals=told.signals,
        signals_given=told.any,
        source=source,
        detector=detector if seen_px is None else cropped(detector, seen_px),
        mode=cast("Mode", clips),
        threads=threads,
        lamps=told.lamps,
        feed=told.feed,
        checked=told.checked,
        structure=structure,
        gated=gate == "on",
        seen_px=seen_px,
    )


def crop_problem(crop: str | None, model: str) -> str | None:
    """Return what is wrong with a choice of cropping; None where nothing is."""
    return _switch_problem("--crop", crop, model, "learns the whole street")


def _switch_problem(option: str, value: str | None, model: str, motion: str) -> str | None:
    """Return what is wrong with an ``on`` or ``off``; ``motion``: what that detector does instead."""
    if value not in (None, "on", "off"):
        return f"{option}: {value!r} is not one of on, off"
    if value == "on" and model == "motion":
        return f"{option} on: motion {motion}, leave it away"
    return None


def _crop(site: Site, plane: Plane, image_size: tuple[int, int]) -> Rectangle | None:
    from edge.cropping import MOST_SHARE, crop_of

    found = crop_of(site, plane, image_size)
    if found is None:
        logger.warning(
            "crop: the site's places take more than %.0f %% of the picture: all of it is shown",
            100 * MOST_SHARE,
        )
    return found


def cropped(detector: Detector, rectangle: Rectangle) -> Detector:
    """Return a detector that is shown a part of the picture."""
    from models.crop import Cropped, Network

    return Cropped(cast("Network", detector), rectangle)


def gate_problem(gate: str | None, model: str) -> str | None:
    """Return what is wrong with a choice of gating; None where nothing is."""
    return _switch_problem("--gate", gate, model, "learns the street from every frame")


def default_threads() -> int:
    """Return how many threads a detector gets: one core is left to everything else on the line."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def detector_of(
    model: str,
    plane: Plane | None,
    source: OpenSource | None,
    *,
    provider: str | None,
    threads: int | None,
    ignored_px: Sequence[tuple[float, float, float, float]] = (),
    shared: bool = False,
) -> Detector:
    """Return a detector: ``motion`` for one recording, a model of the store by name, or any by path.

    Args:
        ignored_px: where the picture changes without anything moving; for ``motion``.

    Raises:
        InputError, models.card.ModelError: it cannot be used.
    """
    if model == "motion":
        from models.motion import MotionDetector

        if provider is not None:
            raise InputError(f"--provider {provider}: motion runs no network, leave it away")
        assert source is not None
        rate_hz = source.rate_hz if source.rate_hz and source.rate_hz <= HIGHEST_RATE_HZ else USUAL_RATE_HZ
        return MotionDetector(source.image_size, plane, frame_rate_hz=rate_hz, ignored_px=ignored_px)
    if shared and (socket := os.environ.get(SHARED_DETECTOR)):
        return shared_detector(Path(socket))
    from models.zoo import load

    return load(model, provider=provider, threads=threads)


def shared_detector(socket: Path) -> Detector:
    """Return the detector that cameras of this machine share, and let this process yield to it.

    It is what all of them wait for: on two cores the lines of sixteen cameras would else take its turns.
    """
    from models.shared import SharedDetector

    os.setpriority(os.PRIO_PROCESS, 0, max(YIELDS, os.getpriority(os.PRIO_PROCESS, 0)))
    return SharedDetector(socket)


def _changing_px(site: Site) -> list[tuple[float, float, float, float]]:
    """Return the rectangles of signal lamps and burned-in text."""
    assert site.ground_plane is not None
    return [*(head.region_px for head in site.signal_heads), *site.ground_plane.osd]


def start_of(text: str) -> float:
    """Return the seconds UTC of an RFC 3339 time.

    Raises:
        InputError: it is none, or lacks its zone.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        lacks = "is no RFC 3339 time" if time is None else "lacks its zone"
        raise InputError(f"--start: {text!r} {lacks}; expected such as 2026-11-20T08:15:00Z")
    if not 1970 <= time.year < 2100:
        raise InputError(f"--start: {text!r} lies outside the years 1970 to 2100")
    return time.timestamp()


def _plane(
    site: Site, path: Path, video: Path, source: OpenSource | None, mistakes: _Mistakes
) -> Plane | None:
    from calibration.plane import plane_of

    if site.ground_plane is None:
        mistakes.add(
            f"{path}: ground_plane: missing, and a recording needs it to turn pixels into metres: "
            f"`nearmiss calibrate {video} --site {path}` makes one"
        )
        return None
    theirs = site.ground_plane.image_size
    if source is not None and theirs != source.image_size:
        ours = source.image_size
        mistakes.add(
            f"{path}: ground_plane.image_size: {theirs[0]}×{theirs[1]}, but {video} is {ours[0]}×{ours[1]}: "
            "a ground plane holds for one camera and one image size"
        )
    return mistakes.of(lambda: plane_of(site), where=f"{path}: ground_plane: ")


def _structure(site: Path, source: OpenSource | None) -> Structure | None:
    from calibration.drift import load_structure, structure_file

    path = structure_file(site)
    structure = load_structure(path)
    if structure is not None and source is not None and structure.image_size != source.image_size:
        width, height = structure.image_size
        raise InputError(
            f"{path}: is of an image of {width}×{height}, but the recording is "
            f"{source.image_size[0]}×{source.image_size[1]}: save the site in `nearmiss calibrate` again"
        )
    return structure


def _sources(site: Site, signals: Path | None, start_time: float, now: Callable[[], float] | None) -> Sources:
    from edge.signals.sources import sources_of

    return sources_of(site, signals, start_time=start_time, lamps=True, now=now)


class _Mistakes:
    """Gathers what is wrong with several inputs, to tell it at once."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def add(self, problem: str | None) -> None:
        if problem is not None:
            self._problems.append(problem)

    def of(self, make: Callable[[], Thing], *, where: str = "") -> Thing | None:
        """Return what is made; None where it cannot be, whose problems are kept."""
        try:
            return make()
        except ValueError as error:
            problems = getattr(error, "problems", None)
            if problems is None and not where:
                raise  # not a mistake of the user: a defect of ours
            self._problems += problems or [f"{where}{error}"]
            return None

    def take_over(self, other: _Mistakes) -> None:
        self._problems += other._problems

    def tell(self) -> None:
        if self._problems:
            raise InputError(self._problems)
