"""`nearmiss study`: many recordings of one site, judged in segments that any worker may take.

files → sequences → stretches → segments → workers → joined at the borders → Parquet and a report. What was
done is in the ledger and stays done, however a study ends; the same command goes on with it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from edge.errors import InputError
from edge.progress import Progress
from edge.study.checking import checked
from edge.study.engines import Done, Local, Ray, ended, engine_of
from edge.study.inputs import named, read_all
from edge.study.ledger import FileRow, Ledger
from edge.study.planning import Segment, planned
from edge.study.timeline import Cut, sequences
from edge.study.work import Settings

if TYPE_CHECKING:
    from calibration.site import Site

INTERRUPTED = 130
# A worker that was killed may have been the wrong one when memory ran out; one that dies each time is not.
MOST_ATTEMPTS = 3
CUT = Cut()
# From lamps the onset of a state is known only if it was seen: longer than a cycle.
LAMPS_WARM_UP_S = 240.0
# A detector that needs no weights has to see the street before it knows what moves on it.
MOTION_WARM_UP_S = 120.0


class _Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


def run(
    files: Sequence[Path],
    *,
    site: Path,
    signals: Path | None,
    model: str,
    provider: str | None,
    threads: int,
    clips: str,
    out: Path,
    start_pattern: str | None,
    segment_min: float,
    engine: str,
    workers: int | None,
    address: str | None,
    cut: Cut | None = None,
) -> int:
    """Judge every recording; 0, 1 where some could not be judged, 130 where it was stopped by hand.

    Args:
        segment_min: about how many minutes a worker takes at a time; no result depends on it.
        cut: of the sequences; by default as long a warm-up as the site and the detector need.

    Raises:
        InputError: every mistake of the site, the signals, the model and the files' names; nothing is judged.
    """
    settings = Settings(
        site.absolute(), signals.absolute() if signals else None, _model(model), provider, threads, clips
    )
    known = checked(settings, out, engine=engine, address=address)
    given = named([file.absolute() for file in files], start_pattern=start_pattern, zone=known.zone)
    cut = cut or _cut(known, model)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out), Ledger(out / "ledger.db") as ledger:
        with Progress("reading", total=len(given), unit="files") as progress:
            recordings, unusable = read_all(given, ledger, done=progress.advance)
        parts = (out / "parts").absolute()
        parts.mkdir(exist_ok=True)
        segments = list(
            planned(sequences(recordings), settings, cut, segment_s=segment_min * 60, parts=parts)
        )
        ledger.plan([each.row for each in segments])
        stopped = False
        if segments:
            doer = engine_of(engine, workers=workers or len(os.sched_getaffinity(0)), address=address)
            try:
                with _ended_by_hand():
                    _work(segments, ledger, doer, parts)
            except _Interrupted:
                stopped = True
            finally:
                doer.close()
        return _tell(segments, unusable, ledger, settings, out, stopped=stopped)


def _work(segments: Sequence[Segment], ledger: Ledger, doer: Local | Ray, parts: Path) -> None:
    """Have every segment judged that is not, and note in the ledger how it ended."""
    waiting = []
    for each in segments:
        if _is_done(each, parts):
            ledger.ended(each.row.key, None)
        else:
            waiting.append(each)
    total_s = sum(each.seconds for each in segments)
    by_key = {each.row.key: each for each in segments}
    with Progress("judging", total=total_s, unit="s of video") as progress:
        progress.advance(total_s - sum(each.seconds for each in waiting), counted=False)
        again = waiting
        while again:
            handed, again = again, []
            for key, done in ended(doer, iter([(each.row.key, each.task) for each in handed])):
                if done is None:
                    ledger.began(key)
                elif done.crashed and ledger.attempts(key) < MOST_ATTEMPTS:
                    ledger.waits(key)
                    again.append(by_key[key])
                else:
                    ledger.ended(key, _problem(by_key[key], done, parts))
                    progress.advance(by_key[key].seconds)


def _is_done(segment: Segment, parts: Path) -> bool:
    return all((parts / key).is_dir() for key in segment.row.stretches)


def _problem(segment: Segment, done: Done, parts: Path) -> str | None:
    if done.problem is not None:
        return done.problem
    if _is_done(segment, parts):
        return None
    return f"{parts}: the worker ended well, but its results are not here: every host needs this folder"


def _tell(
    segments: Sequence[Segment],
    unusable: Sequence[FileRow],
    ledger: Ledger,
    settings: Settings,
    out: Path,
    *,
    stopped: bool,
) -> int:
    """Write what there is, and say on standard error what there is not."""
    from edge.study.results import write

    rows = ledger.segments()
    failed = [row for row in rows if row.state == "failed"]
    for file in unusable:
        typer.echo(f"nearmiss: {file.problem}", err=True)
    for row in failed:
        typer.echo(f"nearmiss: {row.sequence}: {row.problem}", err=True)
    if stopped:
        left = sum(row.state in ("waiting", "running") for row in rows)
        typer.echo(
            f"nearmiss: stopped with {left} of {len(rows)} segments to do: the same command goes on", err=True
        )
        return INTERRUPTED
    if not segments:
        return 1
    study = write(segments, unusable, failed, settings=settings, out=out)
    typer.echo(
        f"{len(study.events) - study.undecidable} events, {study.undecidable} undecidable, in "
        f"{study.seconds / 3600:.2f} h of {study.files} files: {out / 'report.html'}"
    )
    return 1 if failed or unusable else 0


def _cut(site: Site, model: str) -> Cut:
    warm_up_s = CUT.warm_up_s
    if model == "motion":
        warm_up_s = max(warm_up_s, MOTION_WARM_UP_S)
    if any(head.read for head in site.signal_heads):
        warm_up_s = max(warm_up_s, LAMPS_WARM_UP_S)
    return replace(CUT, warm_up_s=warm_up_s)


def _model(name: str) -> str:
    return str(Path(name).absolute()) if Path(name).is_file() else name


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Raises:
        InputError: another study has it.
    """
    with (out / "ledger.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{out}: another study is writing there") from None
        yield


@contextmanager
def _ended_by_hand() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an end in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Interrupted

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
