"""`nearmiss bench`: speed and accuracy on real recordings, as ratios measured in one run."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import typer

from edge.bench.section import Section
from edge.errors import InputError

# Each is a module here with a function ``measure(data) -> Section``.
SECTIONS = (
    "speed",
    "work",
    "ratios",
    "detectors",
    "prices",
    "runtime",
    "gate",
    "crop",
    "cameras",
    "memory",
    "privacy",
    "tracking",
    "motion",
    "judge",
    "store",
    "intake",
    "plane",
    "drift",
    "scale",
)
CHECKOUT = Path(__file__).resolve().parents[2]


def run(
    *,
    data: Path | None,
    as_json: bool,
    only: str | None,
    events: int | None = None,
    picture: Path | None = None,
) -> int:
    """Measure, and print tables or one JSON object.

    Raises:
        InputError: no such section, no folder of data, or a file that is not in it.
    """
    if only is not None and only not in SECTIONS:
        raise InputError(f"--only: {only!r} is not one of {', '.join(SECTIONS)}")
    folder = data_folder(data)
    measured: dict[str, Section] = {}
    for name in SECTIONS if only is None else (only,):
        if not as_json:
            typer.echo(f"{name} ...", err=True)
        measured[name] = importlib.import_module(f"edge.bench.{name}").measure(
            folder, **_options(name, events)
        )
        if not as_json:
            _show(measured[name])
        if picture is not None and measured[name].picture:
            picture.write_text(measured[name].picture, "utf-8")
    if as_json:
        typer.echo(json.dumps({name: section.numbers for name, section in measured.items()}, indent=2))
    return 0


def _options(name: str, events: int | None) -> dict[str, int]:
    return {"events": events} if name == "intake" and events is not None else {}


def data_folder(given: Path | None) -> Path:
    """Return the folder of weights and recordings: as given, else NEARMISS_DATA, else beside the checkout.

    Raises:
        InputError: there is none.
    """
    named = os.environ.get("NEARMISS_DATA")
    chosen = given or (Path(named) if named else CHECKOUT.parent / "shared" / "data")
    if not chosen.is_dir():
        raise InputError(
            f"{chosen}: no such folder; name that of weights and recordings by --data or NEARMISS_DATA"
        )
    return chosen


def _show(section: Section) -> None:
    from rich.console import Console

    console = Console()
    console.print(section.table())
    for remark in section.remarks:
        console.print(remark, markup=False, highlight=False)
    console.print()
