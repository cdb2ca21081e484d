"""``nearmiss models``: list the detectors, fetch or take in their weights, and measure how well they see."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from edge.errors import InputError
from edge.frame import Frame
from edge.sources.file import VideoSource, open_video
from models import evaluate as measure
from models import zoo

# From here down nothing changes the average precision by more than 0.005, and it doubles the boxes.
_LOWEST_SCORE = 0.05


def list_models() -> int:
    """Print the detectors known, and which of them are here."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # piped elsewhere there is no width to keep to
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "here", "input", "COCO AP", "licence"):
        table.add_column(column, justify="right" if column == "COCO AP" else "left", no_wrap=True)
    table.add_column("from", overflow="fold")
    table.add_row("motion", "built in", "any", "–", "Apache-2.0", "nearmiss itself; needs no weights")
    for model in zoo.listed():
        card = model.card
        ap = card.accuracy.coco_ap
        table.add_row(
            card.name,
            "yes" if model.path else "no",
            f"{card.input.width}×{card.input.height}",
            "–" if ap is None else f"{100 * ap:.1f}",
            card.licence,
            card.source.repository or card.source.upstream or "added by hand",
        )
    console.print(table)
    console.print(f"\nIn {zoo.store_folder()}", soft_wrap=True, highlight=False)
    return 0


def pull(name: str) -> int:
    """Download a model's weights and verify their hash; 1 where the download fails."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with _progress(*columns) as progress:
        task = progress.add_task(name, total=None)
        try:
            model = zoo.pull(
                name, progress=lambda size, total: progress.update(task, completed=size, total=total)
            )
        except zoo.PullError as error:
            progress.stop()
            typer.echo(f"nearmiss: {error}", err=True)
            return 1
    typer.echo(f"{model.card.name}: {model.path}, sha256 verified, {model.card.licence}")
    return 0


def add(file: Path, *, card: Path | None) -> int:
    """Take a local file into the store of models."""
    model = zoo.add(file, card=card)
    typer.echo(f"{model.card.name}: {model.path}, sha256 verified, {model.card.licence}")
    return 0


def export_model(checkpoint: Path, *, sha256: str, name: str, out: Path, size_px: int) -> int:
    """Turn a checkpoint of Ultralytics into an ONNX file with its card."""
    from models.export import export

    onnx, card = export(checkpoint, sha256=sha256, name=name, out=out, size_px=size_px)
    typer.echo(f"{onnx} and its card {card}: take them in with `nearmiss models add {onnx} --card {card}`")
    return 0


def evaluate_model(name: str, *, video: Path, truth: Path, as_json: bool) -> int:
    """Print a detector's average precision for persons on a recording with known boxes."""
    known = measure.read_truth(truth)
    detector = zoo.load(name, score=_LOWEST_SCORE)
    with open_video(video, start_time=0.0, times=None) as source:
        size = measure.truth_size(known, source.image_size)
        score = measure.evaluate(
            detector,
            ((frame.index, frame.image) for frame in _shown(source)),
            known.scaled(source.image_size[0] / size[0]),
            threshold=detector.card.thresholds.score,
        )
    if not score.frames:
        raise InputError(f"{truth}: none of its frames is in {video}")
    figures = {
        "model": detector.name,
        "provider": detector.provider,
        "frames": score.frames,
        "boxes": score.boxes,
        "boxes_drawn_for": list(size),
        "person_ap50": round(score.ap50, 4),
        "score_threshold": score.threshold,
        "precision": None if math.isnan(score.precision) else round(score.precision, 4),
        "recall": round(score.recall, 4),
        "ms_per_frame": round(1000 * score.detect_s / score.frames, 2),
    }
    if as_json:
        typer.echo(json.dumps(figures))
        return 0
    typer.echo(
        f"{detector.name} on {video.name} ({detector.provider}, {figures['ms_per_frame']} ms a frame)\n"
        f"  person AP50 {score.ap50:.3f} over {score.frames} frames and {score.boxes} boxes, "
        f"drawn for {size[0]}×{size[1]}\n"
        f"  at score {score.threshold:g}: precision {score.precision:.3f}, recall {score.recall:.3f}"
    )
    return 0


def _shown(source: VideoSource) -> Iterator[Frame]:
    """Pass frames on, with a progress bar where somebody looks."""
    with _progress(*Progress.get_default_columns()) as progress:
        task = progress.add_task(source.path.name, total=source.frame_count)
        for frame in source:
            yield frame
            progress.advance(task)


def _progress(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
