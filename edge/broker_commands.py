"""What `nearmiss broker` does: make, extend and show a production broker's folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from edge.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType

    from broker.site_broker import BrokerFolder, Holder

SOON_D = 30


def init(
    folder: Path,
    *,
    hosts: list[str],
    nodes: list[str],
    collectors: list[str],
    port: int,
    listen: str | None,
    days: int,
) -> int:
    """Make the folder and say what to do with it."""
    made = _site_broker().init(
        folder, hosts=hosts, nodes=nodes, collectors=collectors, port=port, listen=listen, days=days
    )
    typer.echo(f"made {folder}: run the broker with  mosquitto -c {made.folder}/mosquitto.conf")
    for holder in made.holders():
        if holder.kind in ("node", "collector"):
            _say(holder, hosts[0], port)
    typer.echo("ca/ca.key signs new certificates: back it up, and show it to nobody")
    return 0


def add(folder: Path, kind: Literal["node", "collector"], name: str, *, days: int) -> int:
    """One more node or collector."""
    made: BrokerFolder = _site_broker().BrokerFolder(folder)
    made.add(kind, name, days=days)
    typer.echo(f"{made.folder / f'{kind}s' / name}: copy it to the {kind}'s host, keys mode 0600")
    if kind == "collector":
        _reload(made)
    return 0


def renew(
    folder: Path,
    *,
    nodes: list[str],
    collectors: list[str],
    server: bool,
    within_d: int | None,
    days: int,
) -> int:
    """New certificates for those named, or for all that end soon."""
    made: BrokerFolder = _site_broker().BrokerFolder(folder)
    chosen = [made.holder("node", name) for name in nodes]
    chosen += [made.holder("collector", name) for name in collectors]
    chosen += [made.holder("server", "broker")] if server else []
    if within_d is not None:
        limit = datetime.now(UTC) + timedelta(days=within_d)
        chosen += [
            each
            for each in made.holders()
            if each.kind != "ca" and each.certificate.ends < limit and each not in chosen
        ]
    elif not chosen:
        raise InputError("name whose certificate: --node, --collector, --server, or all --within DAYS")
    for holder in chosen:
        made.renew(holder, days=days)
        typer.echo(f"renewed {holder.kind} {holder.name}: {holder.path.parent}")
    if any(holder.kind == "server" for holder in chosen):
        _reload(made)
    if not chosen:
        typer.echo("none ends that soon")
    return 0


def revoke(folder: Path, *, node: str | None, collector: str | None) -> int:
    """Refuse one certificate from the next reload on."""
    if (node is None) == (collector is None):
        raise InputError("name one: --node NAME or --collector NAME")
    made: BrokerFolder = _site_broker().BrokerFolder(folder)
    holder = made.holder("node", node) if node else made.holder("collector", collector or "")
    made.revoke(holder)
    typer.echo(f"revoked {holder.kind} {holder.name}")
    _reload(made)
    return 0


def show(folder: Path) -> int:
    """Print who has a certificate and until when; 1 where one ends within 30 days."""
    made: BrokerFolder = _site_broker().BrokerFolder(folder)
    now = datetime.now(UTC)
    soon = 0
    typer.echo(f"{'kind':<10} {'name':<40} ends")
    for holder in made.holders():
        days = (holder.certificate.ends - now).days
        note = "" if days >= SOON_D else "  EXPIRED" if holder.certificate.ends < now else f"  in {days} days"
        soon += bool(note)
        typer.echo(f"{holder.kind:<10} {holder.name:<40} {holder.certificate.ends:%Y-%m-%d}{note}")
    return 1 if soon else 0


def _say(holder: Holder, host: str, port: int) -> None:
    typer.echo(f"""
{holder.kind} {holder.name}: copy {holder.path.parent}/ to its host; beside its {holder.kind}.toml:
  [broker]
  host = "{host}"
  port = {port}
  tls = {{ ca = "ca.crt", certificate = "own.crt", key = "own.key" }}""")


def _reload(made: BrokerFolder) -> None:
    typer.echo("the broker takes it after  systemctl reload mosquitto  (or kill -HUP)")


def _site_broker() -> ModuleType:
    try:
        from broker import site_broker
    except ModuleNotFoundError as error:
        raise InputError(f"certificates need: pip install 'nearmiss[collector]' ({error})") from error
    return site_broker
