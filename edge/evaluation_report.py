"""An evaluation as a page to pass on: the picture, and the numbers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.evaluation_picture import drawn
from edge.report import environment, text_of
from edge.whole_file import write_whole

if TYPE_CHECKING:
    from edge.evaluate import Evaluation
    from edge.matching import Share


def write(path: Path, evaluation: Evaluation, *, events: str, truth: str, level: float) -> None:
    """Write the page, whole or not at all; no file beside it and no network is needed to read it.

    Args:
        events, truth: names of the files, as the page shows them.
        level: of the intervals.

    Raises:
        OSError: it cannot be written.
    """
    several = evaluation.recordings > 1
    page = (
        environment()
        .get_template("evaluation.html.j2")
        .render(
            events=events,
            truth=truth,
            evaluation=evaluation,
            level=f"{level:.0%}",
            picture=_without_prolog(drawn(evaluation)),
            rows=[
                {"name": rule.replace("_", " "), "cells": _cells(evaluation, rule)}
                for rule in evaluation.scores
            ],
            hours=evaluation.hours,
            by=f"{evaluation.recordings} recordings drawn"
            if several
            else "of one recording its events, which is optimistic",
            style=text_of("report.css"),
        )
    )
    write_whole(path, [page.encode()])


def _cells(evaluation: Evaluation, rule: str) -> list[str]:
    score = evaluation.scores[rule]
    cells = [*score.counted(), *(_shown(share) for share in (score.precision, score.recall, score.f1))]
    if evaluation.hours:
        alarms = evaluation.false_alarms_per_hour(rule)
        cells.append("–" if alarms is None else f"{alarms:.2f}")
    return cells


def _shown(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _without_prolog(svg: str) -> str:
    """Return the SVG as HTML takes it: without the XML declaration and document type."""
    return svg[svg.index("<svg") :]
