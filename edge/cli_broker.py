"""`nearmiss broker`: a production broker's configuration and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

broker_app = typer.Typer(
    help="The folder of a production broker: mosquitto's configuration, ACL and certificates.",
    no_args_is_help=True,
)

FolderArgument = Annotated[Path, typer.Argument(help="The folder made by `nearmiss broker init`.")]
DaysOption = Annotated[int, typer.Option(min=1, max=3650, help="How long a certificate holds.")]


@broker_app.command("init")
def broker_init(
    folder: Annotated[Path, typer.Argument(help="A folder to make; it must not hold anything.")],
    host: Annotated[list[str], typer.Option(help="Name or address nodes reach it by; may be repeated.")],
    node: Annotated[list[str] | None, typer.Option(help="A node's id; may be repeated.")] = None,
    collector: Annotated[list[str] | None, typer.Option(help="A collector; may be repeated.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    listen: Annotated[str | None, typer.Option(help="Listen on this address only.")] = None,
    days: DaysOption = 730,
) -> None:
    """Make mosquitto's configuration, its ACL, a small CA, and a certificate for each node and collector."""
    from edge.broker_commands import init

    raise typer.Exit(
        init(
            folder,
            hosts=host,
            nodes=node or [],
            collectors=collector or ["main"],
            port=port,
            listen=listen,
            days=days,
        )
    )


@broker_app.command("add-node")
def broker_add_node(
    folder: FolderArgument,
    name: Annotated[str, typer.Argument(help="The node's id.")],
    days: DaysOption = 730,
) -> None:
    """A certificate for one more node."""
    from edge.broker_commands import add

    raise typer.Exit(add(folder, "node", name, days=days))


@broker_app.command("add-collector")
def broker_add_collector(
    folder: FolderArgument, name: Annotated[str, typer.Argument(help="Its name.")], days: DaysOption = 730
) -> None:
    """A certificate for one more collector."""
    from edge.broker_commands import add

    raise typer.Exit(add(folder, "collector", name, days=days))


@broker_app.command("renew")
def broker_renew(
    folder: FolderArgument,
    node: Annotated[list[str] | None, typer.Option(help="This node; may be repeated.")] = None,
    collector: Annotated[list[str] | None, typer.Option(help="This collector; may be repeated.")] = None,
    server: Annotated[bool, typer.Option("--server", help="The broker itself.")] = False,
    within: Annotated[int | None, typer.Option(help="All that end within so many days.")] = None,
    days: DaysOption = 730,
) -> None:
    """New certificates, with new keys, for those named or those that end soon."""
    from edge.broker_commands import renew

    raise typer.Exit(
        renew(folder, nodes=node or [], collectors=collector or [], server=server, within_d=within, days=days)
    )


@broker_app.command("revoke")
def broker_revoke(
    folder: FolderArgument,
    node: Annotated[str | None, typer.Option(help="This node.")] = None,
    collector: Annotated[str | None, typer.Option(help="This collector.")] = None,
) -> None:
    """Refuse a node's or a collector's certificate from the broker's next reload on."""
    from edge.broker_commands import revoke

    raise typer.Exit(revoke(folder, node=node, collector=collector))


@broker_app.command("show")
def broker_show(folder: FolderArgument) -> None:
    """Who has a certificate, and until when; exits 1 if one ends within 30 days."""
    from edge.broker_commands import show

    raise typer.Exit(show(folder))
