"""`nearmiss report`: what is published as files, the plan of a site, counting again, what decisions teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

CollectorArgument = Annotated[Path, typer.Argument(help="collector.toml")]


class _WriteByDefault(TyperGroup):
    """``nearmiss report COLLECTOR.toml`` is ``nearmiss report write COLLECTOR.toml``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["write", *args]
        return super().parse_args(ctx, args)


report_app = typer.Typer(
    cls=_WriteByDefault,
    help="Statistics: what is published, as files; counted again; what decisions teach.",
    no_args_is_help=True,
)


@report_app.command("write")
def report_write(
    collector: CollectorArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html, CSV, Parquet and GeoJSON.")],
    site: Annotated[str | None, typer.Option(help="One site only.")] = None,
    changed: Annotated[
        str | None, typer.Option(help="Compare before and after this day (2026-07-01), not the last two.")
    ] = None,
) -> None:
    """What has been published, as a page to print and as data; the default of `nearmiss report`."""
    from edge.publication import write

    raise typer.Exit(write(collector, out=out, site=site, changed=changed))


@report_app.command("site")
def report_site(
    collector: CollectorArgument, site: Annotated[Path, typer.Argument(help="site.toml")]
) -> None:
    """Take a site's plan into the store: the places that are published, and their time zone."""
    from edge.publication import take_site

    raise typer.Exit(take_site(collector, site))


@report_app.command("recount")
def report_recount(collector: CollectorArgument) -> None:
    """Count the decisions behind every published number again; exits 1 if one differs."""
    from edge.publication import recount

    raise typer.Exit(recount(collector))


@report_app.command("learn")
def report_learn(
    collector: CollectorArgument,
    site: Annotated[str | None, typer.Option(help="One site only.")] = None,
    hours: Annotated[bool, typer.Option("--hours", help="By hour of the site's day.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What decisions teach: precision per site, rule and part of the day, and advice on thresholds."""
    from edge.publication import learn

    raise typer.Exit(learn(collector, site=site, as_json=json, hours=hours))


def publish(
    collector: CollectorArgument,
    site: Annotated[str | None, typer.Option(help="One site only.")] = None,
    rule: Annotated[str | None, typer.Option(help="One rule only.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would be published.")] = False,
) -> None:
    """Publish the confirmed findings of periods that closed seven days ago or more: once, for ever."""
    from edge.publication import publish as run

    raise typer.Exit(run(collector, site=site, rule=rule, preview=preview))
