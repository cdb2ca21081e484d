"""Accounts: who may sign in, and what each may do at which site."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, delete, insert, select, update

from broker.collector import audit, passwords
from broker.collector.store import upsert
from broker.collector.tables import accounts, roles, sessions

Role = Literal["viewer", "reviewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
EVERY_SITE = "*"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
# Who acts in the audit trail without an account.
RESERVED = frozenset({"nobody", "system", "console"})
SITE = re.compile(r"[a-z0-9-]{1,40}")


class AccountError(ValueError):
    """Something about an account cannot be done; ``problems`` says what."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who has signed in, with a role per site; ``*`` stands for every site."""

    name: str
    roles: Mapping[str, Role]

    def may(self, role: Role, site: str | None = None) -> bool:
        """Return whether the role, or a higher one, is held at this site; at any site where none is named."""
        held = self.roles.values() if site is None else (self.roles.get(site), self.roles.get(EVERY_SITE))
        return any(each is not None and ROLES.index(each) >= ROLES.index(role) for each in held)

    def sites(self, role: Role) -> frozenset[str] | None:
        """Return the sites at which the role is held, None for all of them."""
        held = {site for site, each in self.roles.items() if ROLES.index(each) >= ROLES.index(role)}
        return None if EVERY_SITE in held else frozenset(held)


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is listed."""

    name: str
    disabled: bool
    signs_in_by: str
    roles: Mapping[str, Role]


def add(
    connection: Connection,
    name: str,
    *,
    password: str | None = None,
    subject: str | None = None,
    issuer: str | None = None,
    role: Role,
    sites: tuple[str, ...] = (EVERY_SITE,),
    actor: str,
    now_s: int,
) -> None:
    """Make an account; without a password and a subject nobody can sign in to it by either.

    Args:
        subject: whose it is at the identity provider, which is named by its ``issuer``.

    Raises:
        AccountError: a name that is taken or none, a site that is none, a password that is too weak.
    """
    problems = [*_name_problems(name), *_site_problems(sites)]
    if password is not None and (weak := passwords.problem(password, context=[name, *sites])):
        problems.append(weak)
    if connection.execute(select(accounts.c.name).where(accounts.c.name == name)).first():
        problems.append(f"{name}: there is such an account already")
    problems += _subject_problems(connection, subject)
    if problems:
        raise AccountError(*problems)
    kept = None if password is None else passwords.hashed(password)
    row = {"name": name, "password": kept, "subject": subject, "issuer": issuer, "created_s": now_s}
    connection.execute(insert(accounts), row)
    connection.execute(insert(roles), [{"account": name, "site": site, "role": role} for site in sites])
    detail = {"role": role, "sites": ",".join(sites)}
    audit.append(connection, actor=actor, action="user_add", subject=name, detail=detail, now_s=now_s)


def set_password(connection: Connection, name: str, password: str, *, actor: str, now_s: int) -> None:
    """Change a password and end the account's sessions.

    Raises:
        AccountError: no such account, or a password that is too weak.
    """
    sites = tuple(_known(connection, name).roles)
    if weak := passwords.problem(password, context=[name, *sites]):
        raise AccountError(weak)
    connection.execute(
        update(accounts).where(accounts.c.name == name).values(password=passwords.hashed(password))
    )
    connection.execute(delete(sessions).where(sessions.c.account == name))
    audit.append(connection, actor=actor, action="user_password", subject=name, now_s=now_s)


def set_subject(
    connection: Connection, name: str, subject: str | None, *, issuer: str | None, actor: str, now_s: int
) -> None:
    """Say whose an account is at the identity provider, None for nobody's, and end its sessions.

    Raises:
        AccountError: no such account, or a subject that is another one's.
    """
    _known(connection, name)
    if problems := _subject_problems(connection, subject, but=name):
        raise AccountError(*problems)
    connection.execute(update(accounts).where(accounts.c.name == name).values(subject=subject, issuer=issuer))
    connection.execute(delete(sessions).where(sessions.c.account == name))
    detail = {"taken_away": subject is None}  # itself it is kept in the account alone
    audit.append(connection, actor=actor, action="user_subject", subject=name, detail=detail, now_s=now_s)


def set_disabled(connection: Connection, name: str, disabled: bool, *, actor: str, now_s: int) -> None:
    """Close an account and end its sessions, or open it again; its decisions stay what they are."""
    _known(connection, name)
    connection.execute(
        update(accounts).where(accounts.c.name == name).values(disabled_s=now_s if disabled else None)
    )
    connection.execute(delete(sessions).where(sessions.c.account == name))
    action: audit.Action = "user_disable" if disabled else "user_enable"
    audit.append(connection, actor=actor, action=action, subject=name, now_s=now_s)


def set_role(
    connection: Connection, name: str, role: Role | None, *, sites: tuple[str, ...], actor: str, now_s: int
) -> None:
    """Give a role at these sites, or take it away; it holds from the next request on."""
    _known(connection, name)
    if problems := _site_problems(sites):
        raise AccountError(*problems)
    if role is None:
        connection.execute(delete(roles).where(roles.c.account == name, roles.c.site.in_(sites)))
    else:
        upsert(connection, roles, [{"account": name, "site": site, "role": role} for site in sites], ["role"])
    detail = {"role": role, "sites": ",".join(sites)}
    audit.append(connection, actor=actor, action="user_role", subject=name, detail=detail, now_s=now_s)


def listed(connection: Connection) -> list[Account]:
    """Return every account, by name."""
    held: dict[str, dict[str, Role]] = {}
    for row in connection.execute(select(roles).order_by(roles.c.site)):
        held.setdefault(row.account, {})[row.site] = row.role
    found = []
    for row in connection.execute(select(accounts).order_by(accounts.c.name)):
        ways = [way for way, there in (("password", row.password), ("OIDC", row.subject)) if there]
        found.append(
            Account(
                row.name, row.disabled_s is not None, " or ".join(ways) or "nothing", held.get(row.name, {})
            )
        )
    return found


def who(connection: Connection, name: str) -> Who | None:
    """Return an account with its roles, None where there is none or it is disabled."""
    if not NAME.fullmatch(name):
        return None  # whatever was typed: PostgreSQL takes no NUL
    row = connection.execute(select(accounts.c.disabled_s).where(accounts.c.name == name)).first()
    if row is None or row.disabled_s is not None:
        return None
    held = connection.execute(select(roles).where(roles.c.account == name))
    return Who(name, {row.site: row.role for row in held})


def by_password(connection: Connection, name: str, password: str) -> Who | None:
    """Return who has this name and password, None for anything else; it always takes as long."""
    known = name if NAME.fullmatch(name) else ""
    kept = connection.execute(
        select(accounts.c.password).where(accounts.c.name == known, accounts.c.disabled_s.is_(None))
    ).scalar()
    return who(connection, name) if passwords.fits(kept, password) else None


def by_subject(connection: Connection, issuer: str, subject: str) -> str | None:
    """Return the account of a subject at this identity provider, None where it is nobody's.

    A subject is somebody at one provider alone: under another issuer it is somebody else.
    """
    named = accounts.c.issuer == issuer, accounts.c.subject == subject
    return connection.execute(select(accounts.c.name).where(*named)).scalar()


def has_password(connection: Connection, name: str) -> bool:
    """Return whether an account can be signed in to by a password."""
    return connection.execute(select(accounts.c.password).where(accounts.c.name == name)).scalar() is not None


def _known(connection: Connection, name: str) -> Account:
    for account in listed(connection):
        if account.name == name:
            return account
    raise AccountError(f"{name}: there is no such account")


def _subject_problems(connection: Connection, subject: str | None, *, but: str | None = None) -> list[str]:
    if subject is None:
        return []
    if not (0 < len(subject) <= 255 and subject.isascii() and subject.isprintable()):
        return ["a subject has 1 to 255 characters of ASCII, as the identity provider says it"]
    owner = connection.execute(select(accounts.c.name).where(accounts.c.subject == subject)).scalar()
    return [] if owner in (None, but) else [f"this subject is the account {owner}'s already"]


def _name_problems(name: str) -> list[str]:
    if name in RESERVED:
        return [f"{name!r}: the audit trail uses this name for itself"]
    if NAME.fullmatch(name):
        return []
    return [f"{name!r}: a name has 1 to 32 of a-z, 0-9, dot, dash and underscore, a letter or digit first"]


def _site_problems(sites: tuple[str, ...]) -> list[str]:
    if not sites:
        return ["an account belongs to at least one site, or to all (*)"]
    return [
        f"{site!r}: a site is named by a-z, 0-9 and dash, or * for all"
        for site in sites
        if site != EVERY_SITE and not SITE.fullmatch(site)
    ]
