"""`nearmiss audit`: the collector's audit trail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

audit_app = typer.Typer(help="The collector's audit trail.", no_args_is_help=True)


@audit_app.callback()
def _audit() -> None:
    """The collector's audit trail."""


@audit_app.command("verify")
def verify(
    collector: Annotated[Path, typer.Argument(help="collector.toml")],
    head: Annotated[
        str | None, typer.Option(help="A head printed earlier (NUMBER:HASH), still to be found.")
    ] = None,
    heads: Annotated[
        Path | None, typer.Option(help="A file that holds any number of them, such as the collector's log.")
    ] = None,
) -> None:
    """Whether the trail is whole and every decision is the one it tells of; exits 1 where not."""
    from broker.collector.audit_check import run

    raise typer.Exit(run(collector, head=head, heads=heads))
