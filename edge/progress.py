"""How far an analysis has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

PLAIN_EVERY_S = 30.0


class AnalysisProgress:
    """Shows on standard error how many frames are done, how fast it goes and how long it will take."""

    def __init__(self, *, frames: int | None, label: str) -> None:
        self._frames = frames
        self._label = label
        self._done = 0
        self._started = self._told = time.monotonic()
        self._bar: Progress | None = None

    def advance(self) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
            return
        now = time.monotonic()
        if now - self._told >= PLAIN_EVERY_S:
            self._told = now
            rate = self._done / (now - self._started)
            of = "" if self._frames is None else f" of {self._frames}"
            left = "" if self._frames is None else f", {(self._frames - self._done) / rate:.0f} s left"
            typer.echo(f"{self._label}: frame {self._done}{of}, {rate:.1f} fps{left}", err=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task(self._label, total=self._frames)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class FramesPerSecond(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if not task.speed else f"{task.speed:.1f} fps")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        FramesPerSecond(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
    )
