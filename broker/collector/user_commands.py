"""`nearmiss user`: accounts, made by who runs the collector at the machine itself."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from broker.collector import accounts
from broker.collector.accounts import AccountError, Role
from broker.collector.config import database_url, load_collector
from broker.collector.store import Store

CONSOLE = "console"


def add(path: Path, name: str, *, role: Role, sites: tuple[str, ...], subject: str | None) -> int:
    """Make an account; its password is asked for, or read from standard input, never an argument."""
    issuer = None if subject is None else _issuer(path)
    with _writing(path) as connection:  # before anybody types: a file that cannot be used says so at once
        taken = [account.name for account in accounts.listed(connection)]
    if name in taken:
        raise AccountError(f"{name}: there is such an account already")
    password = None if subject is not None else _password(name)
    with _writing(path) as connection:
        accounts.add(
            connection,
            name,
            password=password,
            subject=subject,
            issuer=issuer,
            role=role,
            sites=sites,
            actor=CONSOLE,
            now_s=int(time.time()),
        )
    _say(f"{name}: {role} at {', '.join('every site' if site == '*' else site for site in sites)}")
    return 0


def change_password(path: Path, name: str) -> int:
    """Give an account another password and end its sessions."""
    password = _password(name)
    with _writing(path) as connection:
        accounts.set_password(connection, name, password, actor=CONSOLE, now_s=int(time.time()))
    _say(f"{name}: the password is changed, its sessions have ended")
    return 0


def set_subject(path: Path, name: str, subject: str | None) -> int:
    """Say who signs in to an account by the identity provider, and end its sessions."""
    issuer = None if subject is None else _issuer(path)
    with _writing(path) as connection:
        accounts.set_subject(connection, name, subject, issuer=issuer, actor=CONSOLE, now_s=int(time.time()))
    _say(f"{name}: {'nobody' if issuer is None else f'a subject of {issuer}'}, its sessions have ended")
    return 0


def set_disabled(path: Path, name: str, *, disabled: bool) -> int:
    """Close an account, or open it again."""
    with _writing(path) as connection:
        accounts.set_disabled(connection, name, disabled, actor=CONSOLE, now_s=int(time.time()))
    _say(f"{name}: {'closed, its sessions have ended' if disabled else 'open again'}")
    return 0


def set_role(path: Path, name: str, role: Role | None, *, sites: tuple[str, ...]) -> int:
    """Give or take a role."""
    with _writing(path) as connection:
        accounts.set_role(connection, name, role, sites=sites, actor=CONSOLE, now_s=int(time.time()))
    where = ", ".join("every site" if site == "*" else site for site in sites)
    _say(f"{name}: {role or 'no role'} at {where}")
    return 0


def list_accounts(path: Path) -> int:
    """Print every account with its roles."""
    from rich.console import Console
    from rich.table import Table

    with _writing(path) as connection:
        found = accounts.listed(connection)
    if not found:
        _say(f"no account yet: nearmiss user add {path} NAME --role admin")
        return 0
    table = Table("name", "signs in by", "roles")
    for account in found:
        held = ", ".join(
            f"{role} at {'every site' if site == '*' else site}" for site, role in account.roles.items()
        )
        table.add_row(account.name, "closed" if account.disabled else account.signs_in_by, held or "none")
    Console().print(table)
    return 0


def _issuer(path: Path) -> str:
    oidc = load_collector(path).review.oidc
    if oidc is None:
        raise AccountError(f"{path}: review.oidc is missing: the identity provider a subject is one of")
    return oidc.issuer


def _password(name: str) -> str:
    """Return what was typed twice without echo; where there is no terminal, the first line that came in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("The same again: ") != password:
        raise AccountError("the two are not the same")
    return password


@contextmanager
def _writing(path: Path) -> Iterator[Connection]:
    store = Store(database_url(path, load_collector(path)))
    try:
        store.migrate()
        with store.write() as connection:
            yield connection
    finally:
        store.close()


def _say(line: str) -> None:
    print(line)  # noqa: T201 — the command's answer
