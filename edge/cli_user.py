"""`nearmiss user`: the collector's accounts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from broker.collector.accounts import Role

user_app = typer.Typer(help="The collector's accounts.", no_args_is_help=True)

CollectorFile = Annotated[Path, typer.Argument(help="collector.toml")]
Name = Annotated[str, typer.Argument(help="The account's name.")]
Sites = Annotated[
    list[str] | None, typer.Option("--site", help="A site; may be repeated. Default: every site.")
]


class RoleName(StrEnum):
    """viewer: statistics and health; reviewer: also looks at events and decides; admin: also approves."""

    viewer = "viewer"
    reviewer = "reviewer"
    admin = "admin"


class RoleOrNone(StrEnum):
    """A role, or none."""

    viewer = "viewer"
    reviewer = "reviewer"
    admin = "admin"
    none = "none"


@user_app.command("add")
def add(
    collector: CollectorFile,
    name: Name,
    role: Annotated[RoleName, typer.Option(help="What the account may do.")],
    site: Sites = None,
    subject: Annotated[
        str | None, typer.Option(help="Who it is at the identity provider (sub); it needs no password then.")
    ] = None,
) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    from broker.collector import user_commands

    sites = tuple(site or ["*"])
    raise typer.Exit(user_commands.add(collector, name, role=role.value, sites=sites, subject=subject))


@user_app.command("list")
def list_(collector: CollectorFile) -> None:
    """Every account with its roles."""
    from broker.collector.user_commands import list_accounts

    raise typer.Exit(list_accounts(collector))


@user_app.command("role")
def role(collector: CollectorFile, name: Name, role: RoleOrNone, site: Sites = None) -> None:
    """Give an account a role, or take it away (none); it holds from the next request on."""
    from broker.collector.user_commands import set_role

    wanted: dict[RoleOrNone, Role | None] = {
        RoleOrNone.viewer: "viewer",
        RoleOrNone.reviewer: "reviewer",
        RoleOrNone.admin: "admin",
        RoleOrNone.none: None,
    }
    raise typer.Exit(set_role(collector, name, wanted[role], sites=tuple(site or ["*"])))


@user_app.command("password")
def password(collector: CollectorFile, name: Name) -> None:
    """Another password; the account's sessions end."""
    from broker.collector.user_commands import change_password

    raise typer.Exit(change_password(collector, name))


@user_app.command("subject")
def subject(
    collector: CollectorFile,
    name: Name,
    subject: Annotated[str | None, typer.Argument(help="Who it is at the identity provider (sub).")] = None,
    none: Annotated[bool, typer.Option("--none", help="Nobody there any more.")] = False,
) -> None:
    """Who signs in to an account by the identity provider; the account's sessions end."""
    from broker.collector.user_commands import set_subject

    if none == (subject is not None):
        raise typer.BadParameter("expected either a subject or --none")
    raise typer.Exit(set_subject(collector, name, subject))


@user_app.command("disable")
def disable(
    collector: CollectorFile,
    name: Name,
    again: Annotated[bool, typer.Option("--undo", help="Open it again.")] = False,
) -> None:
    """Close an account and end its sessions; its decisions stay."""
    from broker.collector.user_commands import set_disabled

    raise typer.Exit(set_disabled(collector, name, disabled=not again))
