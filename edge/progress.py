"""How far a piece of work has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PLAIN_EVERY_S = 30.0


class Progress:
    """Shows on standard error how much of a whole is done, how fast it goes, and how long it will take.

    Args:
        what: is under way.
        total: how much there is; None where nobody knows.
        unit: of it, in the plural.
        speed: the unit of the speed, where that is told.
    """

    def __init__(self, what: str, *, total: float | None, unit: str, speed: str = "") -> None:
        self._what, self._total, self._unit, self._speed = what, total, unit, speed
        self._done = self._before = 0.0
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = None

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
        per_s = (self._done - self._before) / max(time.monotonic() - self._began, 1e-9)
        parts = [f"{self._what}: {self._done:.0f}{self._of} {self._unit}"]
        if per_s > 0 and self._speed:
            parts.append(f"{per_s:.1f} {self._speed}")
        if per_s > 0 and self._total is not None:
            parts.append(f"{_span(max(self._total - self._done, 0.0) / per_s)} left")
        return ", ".join(parts)

    @property
    def _of(self) -> str:
        return "" if self._total is None else f" of {self._total:.0f}"

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = TextColumn("{task.description}"), BarColumn()
            self._bar = Bar(*columns, console=Console(stderr=True), refresh_per_second=4)
            self._bar.add_task(self._said(), total=None if self._total is None else max(self._total, 1e-9))
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
