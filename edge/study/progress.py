"""How far a study has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN_EVERY_S = 30.0


class StudyProgress:
    """Shows on standard error what is done of a whole, in files or seconds of video."""

    def __init__(self, what: str, *, total: float, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = self._before = 0.0
        self._began = self._told = time.monotonic()
        self._bar: Progress | None = None

    def advance(self, by: float = 1.0, *, counted: bool = True) -> None:
        """Note that so much is done; ``counted=False``: it was before, and tells nothing about the speed."""
        self._done += by
        if not counted:
            self._before += by
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, description=self._said())
            return
        now = time.monotonic()
        if now - self._told >= PLAIN_EVERY_S:
            self._told = now
            typer.echo(self._said(), err=True)

    def _said(self) -> str:
        took_s = time.monotonic() - self._began
        fresh = self._done - self._before
        left = "" if fresh <= 0 else f", {_span((self._total - self._done) * took_s / fresh)} left"
        return f"{self._what}: {self._done:.0f} of {self._total:.0f} {self._unit}{left}"

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(TextColumn("{task.description}"), BarColumn(), console=Console(stderr=True))
            self._bar.add_task(self._said(), total=max(self._total, 1e-9))
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    )
