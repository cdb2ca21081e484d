"""`nearmiss privacy` and `nearmiss hold`: what is kept of the street, and the one way to keep it longer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def privacy(
    file: Annotated[Path, typer.Argument(help="node.toml or collector.toml")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What this node or collector keeps, sends and for how long, from its own configuration."""
    from edge.privacy import run

    raise typer.Exit(run(file, as_json=json))


def hold(
    collector: Annotated[Path, typer.Argument(help="collector.toml")],
    event: Annotated[str, typer.Argument(help="The id of a decided event.")],
    reason: Annotated[str, typer.Option(help="crash_inquiry, complaint, court_order or signal_fault.")],
) -> None:
    """Keep the clip of a decided event to 30 days, once; it is in the audit trail."""
    from broker.collector.config import database_url, load_collector
    from broker.collector.holds import hold as held
    from broker.collector.store import Store

    config = load_collector(collector)
    store = Store(database_url(collector, config))
    try:
        store.migrate()
        with store.write() as connection:
            clip = held(connection, event, reason, actor="console", now_s=int(time.time()))
    finally:
        store.close()
    typer.echo(f"held to 30 days: clip {clip[:12]}")
