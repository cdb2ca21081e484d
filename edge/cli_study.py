"""`nearmiss study`: many recordings at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def study(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or manifests (.csv: video,start,...).")],
    site: Annotated[Path, typer.Option("--site", help="Site file (site.toml).")],
    out: Annotated[Path, typer.Option(help="Folder of the ledger, the results and the report.")],
    signals: Annotated[
        Path | None, typer.Option("--signals", help="Signal states of the whole time.")
    ] = None,
    model: Annotated[str, typer.Option(help="A detector of `nearmiss models list`, or a path.")] = "motion",
    provider: Annotated[str | None, typer.Option(help="ONNX Runtime provider; an error if missing.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each worker's detector.")] = 1,
    clips: Annotated[str, typer.Option(help="schematic or none.")] = "schematic",
    start_from_name: Annotated[
        str | None, typer.Option(help="How names tell the start, such as cam1_%Y-%m-%d_%H-%M-%S.")
    ] = None,
    segment_min: Annotated[
        float, typer.Option(min=1.0, help="Minutes a worker takes at a time; no result depends on it.")
    ] = 60.0,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Segments at a time; default: the cores.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; default: its own.")] = None,
) -> None:
    """Many recordings of one site, in segments that can be resumed: Parquet and a report."""
    from edge.study import run

    raise typer.Exit(
        run(
            files,
            site=site,
            signals=signals,
            model=model,
            provider=provider,
            threads=threads,
            clips=clips,
            out=out,
            start_pattern=start_from_name,
            segment_min=segment_min,
            engine=engine,
            workers=workers,
            address=address,
        )
    )
