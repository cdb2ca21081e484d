"""`nearmiss analyze`: a recording to events, tracks, counts, clips and a report."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import typer

from broker.drawing import Clip
from broker.wire import LocalEvent
from edge.analyze_facts import counted, facts, notes
from edge.camera_watch import CameraWatch, Move
from edge.events import local_event
from edge.frame import Gap
from edge.lookout import Lookout
from edge.opening import Inputs, opened
from edge.paths import Paths
from edge.pipeline import Due, Line
from edge.placing import Stage
from edge.plate import OWN_RECORDING_WINDOW_S
from edge.progress import Progress
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.report import MAX_CLIPS, Report, write_report
from edge.results import Results
from edge.rules.engine import Engine
from edge.rules.exposure import ExposureCounts
from edge.rules.finding import Exposure, Finding
from edge.signals.lamp import ReadOnTheWay
from edge.timings import Timings
from edge.tracker import Tracker

NODE = "analyze"
INTERRUPTED = 130
# A replay gives the same bytes: the numbers a clip gives to people are shuffled alike each time.
SHUFFLE_SEED = 20090601


@dataclass
class Outcome:
    """What an analysis found.

    Attributes:
        clips: by hash, the first ``MAX_CLIPS``: what a report shows; the others are on disk.
        frames: how many were analysed; ``untrusted`` how many of them were not judged.
        last: seconds UTC of the last one.
        interrupted: Ctrl-C ended it early.
        exposures: how many entered or crossed, by place and quarter of an hour.
    """

    events: list[LocalEvent] = field(default_factory=list)
    clips: dict[str, Clip] = field(default_factory=dict)
    paths: Paths = field(default_factory=Paths)
    frames: int = 0
    untrusted: int = 0
    last: float = 0.0
    interrupted: bool = False
    gaps: tuple[Gap, ...] = ()
    moves: tuple[Move, ...] = ()
    exposures: Sequence[Exposure] = ()


def run(
    video: Path,
    *,
    site: Path,
    signals: Path | None,
    model: str,
    provider: str | None,
    threads: int | None,
    out: Path,
    start: str | None,
    times: Path | None,
    clips: str,
    gate: str | None = None,
    crop: str | None = None,
) -> int:
    """Analyse a recording; returns 0, or 130 where Ctrl-C ended it early (with whole files).

    Raises:
        InputError: every mistake of every input at once; nothing is written then.
    """
    inputs = opened(
        video,
        site=site,
        signals=signals,
        model=model,
        provider=provider,
        threads=threads,
        out=out,
        start=start,
        times=times,
        clips=clips,
        gate=gate,
        crop=crop,
    )
    with inputs.source, Results(out) as results:
        outcome = analyze(inputs, results)
        results.keep()
    _tell(inputs, outcome, out)
    return INTERRUPTED if outcome.interrupted else 0


def line_of(
    inputs: Inputs,
    *,
    timings: Timings | None = None,
    rng: random.Random | None = None,
    exposure: ExposureCounts | None = None,
    plate_window_s: float = OWN_RECORDING_WINDOW_S,
) -> tuple[Line, Redactor, Engine]:
    """Return the line for a recording, its redactor (which makes the plate) and its engine (the exposure).

    Args:
        rng: gives people their numbers in a clip; by default the same ones each time, as a replay needs.
        exposure: counts who entered or crossed; by default all of the recording.
        plate_window_s: least stretch of time a plate is made from: a node's site needs ten minutes.
    """
    site, plane = inputs.site, inputs.plane
    assert site.ground_plane is not None
    redactor = Redactor(
        inputs.source.image_size,
        plane=plane,
        osd=site.ground_plane.osd,
        lamps=[head.region_px for head in site.signal_heads],
        mode=inputs.mode,
        plate_window_s=plate_window_s,
        seen_px=inputs.seen_px,
    )
    engine = Engine(site, exposure=exposure)
    line = Line(
        inputs.source if inputs.lamps is None else ReadOnTheWay(inputs.source, inputs.lamps),
        detector=inputs.detector,
        redactor=redactor,
        tracker=Tracker(),
        stage=Stage(plane, site, inputs.signals),
        engine=engine,
        recorder=Recorder(site, image_size=inputs.source.image_size, rng=rng or random.Random(SHUFFLE_SEED)),
        min_frame_rate_hz=site.thresholds.min_frame_rate_hz,
        watch=CameraWatch(inputs.structure, plane=plane, image_size=inputs.source.image_size),
        lookout=Lookout(site, plane=plane, image_size=inputs.source.image_size) if inputs.gated else None,
        timings=timings,
    )
    return line, redactor, engine


def analyze(inputs: Inputs, results: Results, *, timings: Timings | None = None) -> Outcome:
    """Send every frame down the line and write what comes out of it, report included."""
    line, redactor, engine = line_of(inputs, timings=timings)
    outcome, numbers = Outcome(), _Numbers()
    with (
        _stopped_by_ctrl_c(line) as interrupted,
        Progress(
            inputs.source.path.name, total=inputs.source.expected_frames, unit="frames", speed="fps"
        ) as progress,
    ):
        for moment in line:
            with line.timings.stage("write"):
                results.add_scene(moment.scene)
                outcome.paths.add(moment.scene)
                outcome.frames += 1
                outcome.untrusted += not moment.scene.trusted
                outcome.last = moment.time
                _write(moment.due, inputs, numbers, outcome, results)
                progress.advance()
        _write(line.finish(), inputs, numbers, outcome, results)
        outcome.interrupted = interrupted.is_set()
    outcome.gaps, outcome.moves = line.gaps, line.moves
    exposures = outcome.exposures = engine.exposures()
    results.write_counts(exposures)
    plate = None if inputs.mode == "none" else redactor.plate(inputs.site)
    if plate is not None:
        results.write_plate(plate)
    paths = outcome.paths.finish()
    write_report(
        results.unfinished / "report.html",
        Report(
            site=inputs.site,
            plate=plate,
            events=outcome.events,
            clips=outcome.clips,
            exposures=exposures,
            paths=paths,
            facts=facts(inputs, outcome),
            gaps=outcome.gaps,
            notes=notes(inputs, outcome),
        ),
    )
    return outcome


class _Numbers:
    """Gives each finding its number in ``events.jsonl``, and knows those of earlier ones."""

    def __init__(self) -> None:
        self._given: dict[int, tuple[Finding, int]] = {}
        self._last = 0

    def give(self, finding: Finding) -> int:
        self._last += 1
        # Keyed by identity, and the finding kept, so that no other can take its identity over.
        self._given[id(finding)] = (finding, self._last)
        return self._last

    def of(self, finding: Finding | None) -> int | None:
        return None if finding is None or id(finding) not in self._given else self._given[id(finding)][1]


def _write(due: Iterable[Due], inputs: Inputs, numbers: _Numbers, outcome: Outcome, results: Results) -> None:
    """Write findings as events, each with its clip."""
    for finding, clip in due:
        name = None if clip is None else results.add_clip(clip)
        event = local_event(
            numbers.give(finding),
            finding,
            site=inputs.site.id,
            node=NODE,
            detector=inputs.detector.name,
            clip=name,
            caused_by=numbers.of(finding.caused_by),
        )
        results.add_event(event)
        outcome.events.append(event)
        if name is not None and clip is not None and len(outcome.clips) < MAX_CLIPS:
            outcome.clips[name] = clip


@contextmanager
def _stopped_by_ctrl_c(line: Line) -> Iterator[threading.Event]:
    """Let the first Ctrl-C end the line after the frames that are on it; a second one ends all at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        line.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(inputs: Inputs, outcome: Outcome, out: Path) -> None:
    """Say what was found on standard output, and on standard error what was not seen."""
    source = inputs.source
    for gap in outcome.gaps:
        start_s, end_s = gap.start - source.start_time, gap.end - source.start_time
        typer.echo(f"nearmiss: {source.path}: {start_s:.2f} s to {end_s:.2f} s: {gap.reason}", err=True)
    for note in notes(inputs, outcome):
        typer.echo(f"nearmiss: {note}", err=True)
    occurred = sum(event.outcome == "occurred" for event in outcome.events)
    typer.echo(
        f"{counted(occurred, 'event')}, {len(outcome.events) - occurred} undecidable, "
        f"{counted(outcome.paths.count, 'track')} in {counted(outcome.frames, 'frame')}: "
        f"{out / 'report.html'}"
    )
