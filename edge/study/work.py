"""One segment of a study, judged in a process of its own: a folder of results per stretch.

A folder appears whole or not at all, under the key of everything it was made from; what is there already is
not made again. ``python -m edge.study.work`` reads a task from standard input and exits 0, or 2 with what a
person can mend on standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edge.study.source import StretchSource
from edge.study.timeline import Cut, Recording, Sequence, Stretch

if TYPE_CHECKING:
    from edge.results import Results
    from edge.sources.file import VideoSource

FACTS = "facts.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all of a study."""

    site: Path
    signals: Path | None
    model: str
    provider: str | None
    threads: int
    clips: str


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Stretches of one sequence that a worker takes at a time, each with its key."""

    settings: Settings
    cut: Cut
    sequence: Sequence
    stretches: tuple[tuple[str, Stretch], ...]
    parts: Path

    def encode(self) -> str:
        """Return the task as JSON."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def decode(cls, text: str) -> Task:
        """Return the task that ``encode`` wrote."""
        raw = json.loads(text)
        settings = raw["settings"]
        return cls(
            settings=Settings(
                **{**settings, "site": Path(settings["site"]), "signals": _path(settings["signals"])}
            ),
            cut=Cut(**raw["cut"]),
            sequence=Sequence(tuple(_recording(each) for each in raw["sequence"]["recordings"])),
            stretches=tuple((key, Stretch(**each)) for key, each in raw["stretches"]),
            parts=Path(raw["parts"]),
        )


def work(task: Task) -> None:
    """Judge every stretch of a task that has no results yet.

    Raises:
        InputError: every mistake of the inputs.
    """
    for key, stretch in task.stretches:
        if not (task.parts / key).is_dir():
            _judge(task, stretch, task.parts / key)


def _judge(task: Task, stretch: Stretch, part: Path) -> None:
    from edge.results import Results

    unfinished = part.with_name(f".{part.name}-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with Results(unfinished) as results:
            facts = _line(task, stretch, results)
            results.keep()
        (unfinished / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
        try:
            unfinished.replace(part)
        except OSError:
            if not part.is_dir():  # another worker made the same meanwhile: one is as good as the other
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _line(task: Task, stretch: Stretch, results: Results) -> dict[str, Any]:
    """Send the frames of a stretch down the line; return what is to be said of it beside its findings."""
    from edge.analyze import line_of
    from edge.opening import opened
    from edge.rules.exposure import ExposureCounts
    from edge.rules.finding import Finding

    settings, sequence = task.settings, task.sequence
    file = sequence.during(stretch.begin, stretch.until)[0]
    # Relative signal times count from the beginning of the sequence, so it opens as if it began then.
    inputs = opened(
        file.path,
        site=settings.site,
        signals=file.signals or settings.signals,
        model=settings.model,
        provider=settings.provider,
        threads=settings.threads,
        out=results.out,
        start=sequence.start if file.dated else None,
        times=file.times,
        clips=settings.clips,
    )
    inputs.source.close()
    source = StretchSource(sequence, stretch)
    inputs = dataclasses.replace(inputs, source=cast("VideoSource", source))
    given: list[Finding] = []
    frames = untrusted = 0
    begin, until = stretch.start - task.cut.margin_s, stretch.end + task.cut.margin_s

    def write(due: Any) -> None:
        for finding, clip in due:
            if begin <= finding.time < until:
                given.append(finding)
                results.add_event(_event(finding, clip, given, inputs, results))

    try:
        line, redactor, engine = line_of(
            inputs, exposure=ExposureCounts(start=stretch.start, end=stretch.end)
        )
        for moment in line:
            if begin <= moment.time < until:
                results.add_scene(moment.scene)
            if stretch.start <= moment.time < stretch.end:
                frames += 1
                untrusted += not moment.scene.trusted
            write(moment.due)
        write(line.finish())
    finally:
        source.close()
    results.write_counts(engine.exposures())
    if settings.clips != "none":
        results.write_plate(redactor.plate(inputs.site))
    return {
        "frames": frames,
        "untrusted": untrusted,
        "gaps": [
            [max(gap.start, stretch.start), min(gap.end, stretch.end), gap.reason]
            for gap in line.gaps
            if gap.end >= stretch.start and gap.start < stretch.end
        ],
        "moves": [
            [move.start, move.end, move.shift.px, move.shift.m]
            for move in line.moves
            if move.start < stretch.end and (move.end is None or move.end >= stretch.start)
        ],
    }


def _event(finding: Any, clip: Any, given: list[Any], inputs: Any, results: Results) -> Any:
    from edge.analyze import NODE
    from edge.events import local_event

    cause = next((n for n, each in enumerate(given, 1) if each is finding.caused_by), None)
    return local_event(
        len(given),
        finding,
        site=inputs.site.id,
        node=NODE,
        detector=inputs.detector.name,
        clip=None if clip is None else results.add_clip(clip),
        caused_by=cause,
    )


def _recording(raw: dict[str, Any]) -> Recording:
    size = raw["image_size"]
    return Recording(
        **{
            **raw,
            "path": Path(raw["path"]),
            "image_size": (size[0], size[1]),
            "times": _path(raw["times"]),
            "signals": _path(raw["signals"]),
        }
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def main() -> int:
    """Judge the task on standard input."""
    from broker.process import harden

    harden()
    try:
        work(Task.decode(sys.stdin.read()))
    except ValueError as error:
        problems = getattr(error, "problems", None)
        if problems is None:
            raise
        sys.stderr.write("\n".join(problems) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
