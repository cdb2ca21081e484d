"""`nearmiss judge`: the rules alone, on trajectories from any tracker."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import typer

from broker.wire import LocalEvent
from calibration.lint import load_sound_site
from calibration.site import Site, SiteError
from edge.errors import InputError
from edge.events import local_event
from edge.judge_doubts import Span, doubts
from edge.rules.engine import Engine
from edge.rules.finding import Finding
from edge.rules.samples import Samples
from edge.scene import Signals
from edge.signals.history import SignalHistory
from edge.signals.lines import Problems
from edge.signals.sources import Sources, checks, sentences, sources_of
from edge.tracks import TracksFile
from edge.whole_file import write_whole

NODE = "judge"
DETECTOR = "tracks-file"
# Rows are judged this many seconds at a time: large enough to be quick, small enough for bounded memory.
BEAT_S = 20.0


class _Rows(Protocol):
    def __iter__(self) -> Iterator[Samples]: ...


def run(tracks: Path, *, site: Path, signals: Path | None, out: Path, start: str | None) -> int:
    """Judge a tracks file and write ``events.jsonl``; all or nothing.

    Raises:
        InputError: every mistake in every file at once.
    """
    problems: list[str] = []
    loaded = _site(site, problems)
    start_time = _start(start, problems)
    told = Sources(SignalHistory(), any=False)
    if loaded is not None:
        told = _signals(signals, loaded, start_time, problems)
    problems += _out_problems(out, (tracks, site, signals))
    mistakes = Problems(tracks)
    rows = TracksFile(tracks, mistakes, start_time=start_time)
    findings: list[Finding] = []
    span = Span()
    if loaded is None or problems:
        for _ in rows:  # nothing can be judged; its own mistakes are named all the same
            pass
    else:
        findings = judged(map(span.add, rows), loaded, told.signals)
    try:
        mistakes.raise_if_any()
    except InputError as error:
        problems += error.problems
    if problems or loaded is None:
        raise InputError(problems)
    events = numbered(findings, site=loaded.id)
    write_events(out, events)
    for doubt in doubts(loaded, told.signals, span, told=told.any):
        typer.echo(f"nearmiss: warning: {doubt}", err=True)
    if span:
        for said in sentences(checks(told.checked, sorted(loaded.signal_groups), span.start, span.end)):
            typer.echo(f"nearmiss: {said}", err=True)
    occurred = sum(event.outcome == "occurred" for event in events)
    typer.echo(f"{occurred} events, {len(events) - occurred} undecidable, {rows.rows} rows: {out}")
    return 0


def judged(rows: _Rows, site: Site, signals: Signals) -> list[Finding]:
    """Return everything the rules find, in order of time."""
    engine = Engine(site)
    findings: list[Finding] = []
    for block in rows:
        for beat in _beats(block):
            findings += engine.judge_samples(beat, signals)
            engine.exposures()  # counts are not asked for here, so they are not kept
    findings += engine.finish()
    return sorted(
        findings, key=lambda each: (round(each.time, 3), each.rule, each.place, each.road_user, each.tracks)
    )


def _beats(block: Samples) -> Iterator[Samples]:
    beat = np.floor(block.time / BEAT_S)
    cuts = [0, *(np.flatnonzero(np.diff(beat)) + 1).tolist(), len(block)]
    for start, stop in itertools.pairwise(cuts):
        yield block[start:stop]


def numbered(findings: Sequence[Finding], *, site: str) -> list[LocalEvent]:
    """Return findings as events, numbered from 1, each naming the one it follows from."""
    numbers = {id(finding): n for n, finding in enumerate(findings, start=1)}
    return [
        local_event(
            n,
            finding,
            site=site,
            node=NODE,
            detector=DETECTOR,
            clip=None,
            caused_by=None if finding.caused_by is None else numbers.get(id(finding.caused_by)),
        )
        for n, finding in enumerate(findings, start=1)
    ]


def write_events(out: Path, events: Iterable[LocalEvent]) -> None:
    """Write one event a line; the file appears whole or not at all.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, (event.encode() + b"\n" for event in events))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error


def _site(path: Path, problems: list[str]) -> Site | None:
    try:
        return load_sound_site(path)
    except SiteError as error:
        problems += error.problems
        return None


def _start(text: str | None, problems: list[str]) -> float:
    from edge.opening import start_of

    try:
        return 0.0 if text is None else start_of(text)
    except InputError as error:
        problems += error.problems
        return 0.0


def _signals(path: Path | None, site: Site, start_time: float, problems: list[str]) -> Sources:
    try:
        return sources_of(site, path, start_time=start_time, lamps=False)
    except InputError as error:
        problems += error.problems
        return Sources(SignalHistory(), any=False)


def _out_problems(out: Path, inputs: Iterable[Path | None]) -> list[str]:
    if out.is_dir():
        return [f"{out}: is a folder, expected a file to write events to"]
    if any(path is not None and path.exists() and out.exists() and path.samefile(out) for path in inputs):
        return [f"{out}: is one of the inputs, expected another file to write events to"]
    return []
