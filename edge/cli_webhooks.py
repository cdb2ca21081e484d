"""`nearmiss webhooks`: where publications are delivered to, what was not taken, and sending it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

webhooks_app = typer.Typer(help="Publications on their way: list, redeliver, secret.", no_args_is_help=True)

CollectorArgument = Annotated[Path, typer.Argument(help="collector.toml")]


@webhooks_app.command("list")
def webhooks_list(
    collector: CollectorArgument,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up.")] = False,
) -> None:
    """Deliveries, newest first: what they carry, how often they were tried, what was answered."""
    from edge.webhooks import list_deliveries

    raise typer.Exit(list_deliveries(collector, dead=dead))


@webhooks_app.command("redeliver")
def webhooks_redeliver(
    collector: CollectorArgument,
    number: Annotated[int | None, typer.Argument(help="One delivery; all dead ones without.")] = None,
) -> None:
    """Send again what was given up, or one delivery."""
    from edge.webhooks import redeliver

    raise typer.Exit(redeliver(collector, number))


@webhooks_app.command("secret")
def webhooks_secret(file: Annotated[Path, typer.Argument(help="Where the secret is written.")]) -> None:
    """Make a secret for one webhook, readable by its owner only; the receiver gets the same."""
    from edge.webhooks import make_secret

    raise typer.Exit(make_secret(file))
