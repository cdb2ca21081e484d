"""`nearmiss models`: detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(help="Detectors: list, pull, add, export, evaluate.", no_args_is_help=True)


@models_app.command("list")
def models_list() -> None:
    """The detectors known, and which of them are here."""
    from edge.model_commands import list_models

    raise typer.Exit(list_models())


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="A model of `nearmiss models list`.")]) -> None:
    """Download a model's weights and verify their hash."""
    from edge.model_commands import pull

    raise typer.Exit(pull(name))


@models_app.command("add")
def models_add(
    file: Annotated[Path, typer.Argument(help="An ONNX file.")],
    card: Annotated[Path | None, typer.Option(help="Model card, where the file is not a known one.")] = None,
) -> None:
    """Take a local file into the store of models."""
    from edge.model_commands import add

    raise typer.Exit(add(file, card=card))


@models_app.command("export")
def models_export(
    checkpoint: Annotated[Path, typer.Argument(help="A detection checkpoint of Ultralytics (.pt).")],
    sha256: Annotated[str, typer.Option(help="The checkpoint's SHA-256, from whoever published it.")],
    name: Annotated[str, typer.Option(help="What to call the model.")],
    out: Annotated[Path, typer.Option(help="Folder for the ONNX file and its card.")] = Path(),
    size: Annotated[int, typer.Option(min=32, max=4096, help="Side of the square input, pixels.")] = 640,
) -> None:
    """An Ultralytics checkpoint to ONNX, with its card; needs the extra [export] (AGPL-3.0)."""
    from edge.model_commands import export_model

    raise typer.Exit(export_model(checkpoint, sha256=sha256, name=name, out=out, size_px=size))


@models_app.command("evaluate")
def models_evaluate(
    name: Annotated[str, typer.Argument(help="A model's name or path.")],
    video: Annotated[Path, typer.Option(help="A recording with known boxes.")],
    truth: Annotated[Path, typer.Option(help="The boxes: PETS/CVML XML.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Average precision of a detector on a recording with known boxes."""
    from edge.model_commands import evaluate_model

    raise typer.Exit(evaluate_model(name, video=video, truth=truth, as_json=json))


@models_app.command("quantize")
def models_quantize(
    model: Annotated[str, typer.Argument(help="A model's name or path.")],
    clip: Annotated[Path, typer.Option(help="A recording of the street it will see.")],
    truth: Annotated[
        Path | None, typer.Option(help="Boxes drawn by hand for the clip: PETS/CVML XML.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Measure on so many frames; all without.")] = None,
    most_lost: Annotated[float, typer.Option(help="Refuse if the average precision falls by more.")] = 0.02,
) -> None:
    """A network's convolutions in 8 bits, calibrated on a clip; needs the extra [quantize]."""
    from edge.quantize_command import quantize

    raise typer.Exit(quantize(model, clip=clip, truth=truth, frames=frames, most_lost=most_lost))
