"""`nearmiss audit verify`: whether the trail holds, and whether the decisions are those it tells of."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from broker.collector import audit
from broker.collector.config import database_url, load_collector
from broker.collector.store import Store, StoreError
from broker.collector.tables import audit as trail
from broker.collector.tables import decisions

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: rows that hold, the last of them, and what is wrong, nothing where all is well."""

    rows: int
    anchor: audit.Link
    head: audit.Link
    problem: str | None


def verified(connection: Connection, *, noted: Collection[audit.Link] = ()) -> Verdict:
    """Check the chain, then each decision against its row in it.

    Args:
        noted: heads noted earlier, somewhere else; those that are not past their time must be in the chain.
    """
    held, at, why = audit.broken(connection)
    anchor, head = audit.anchor(connection), audit.head(connection)
    problem = f"row {at}: {why}" if at is not None else _cut_unsaid(connection, anchor)
    problem = problem or _not_there(connection, noted, anchor)
    return Verdict(held, anchor, head, problem or _decisions(connection))


def _cut_unsaid(connection: Connection, anchor: audit.Link) -> str | None:
    """Return that the beginning is missing, where no row tells of that cut."""
    if anchor.n == 0:
        return None
    told = connection.execute(
        select(trail.c.detail).where(trail.c.action == "cut", trail.c.subject == str(anchor.n))
    ).scalars()
    if any(json.loads(detail).get("hash") == anchor.hash for detail in told):
        return None
    return f"rows up to {anchor.n} are missing, and no row tells that they were cut off"


def _not_there(connection: Connection, noted: Collection[audit.Link], anchor: audit.Link) -> str | None:
    newer = [link for link in noted if link.n > anchor.n]
    for link in sorted(newer, key=lambda each: each.n):
        found = connection.execute(select(trail.c.hash).where(trail.c.n == link.n)).scalar()
        if found != link.hash:
            return f"row {link.n}: not the hash that was noted as the head"
    if noted and not newer and anchor not in noted:
        last = max(link.n for link in noted)
        return f"row {last} was noted as the head, but is past its time: note a newer one"
    return None


def _decisions(connection: Connection) -> str | None:
    """Return how the decisions differ from what the trail tells of them, None where they agree.

    A decision may outlive its row, which was cut off; a row may not outlive its decision.
    """
    told: set[int] = set()
    batch: dict[int, tuple[int, dict[str, Any]]] = {}
    for row in audit.rows(connection):
        if row["action"] in ("decide", "undo"):
            detail = json.loads(row["detail"])
            batch[detail["n"]] = (row["n"], detail)
            told.add(detail["n"])
        if len(batch) == _BATCH:
            if problem := _difference(connection, batch):
                return problem
            batch.clear()
    if problem := _difference(connection, batch):
        return problem
    cut_before = min(told, default=None) if audit.anchor(connection).n > 0 else 0
    for n in connection.execute(select(decisions.c.n).order_by(decisions.c.n)).scalars():
        if n not in told and cut_before is not None and n > cut_before:
            return f"decision {n}: the trail does not tell of it"
    return None


def _difference(connection: Connection, told: Mapping[int, tuple[int, dict[str, Any]]]) -> str | None:
    found = connection.execute(select(decisions).where(decisions.c.n.in_(told))).mappings()
    written = {row["n"]: row for row in found}
    for n, (row, detail) in sorted(told.items()):
        if n not in written:
            return f"decision {n}: missing; row {row} of the trail tells of it"
        for name in [column.name for column in decisions.columns]:
            if written[n][name] != detail.get(name):
                came, expected = written[n][name], detail.get(name)
                return f"decision {n}: {name} is {came!r}, row {row} of the trail says {expected!r}"
    return None


def run(path: Path, *, head: str | None = None, heads: Path | None = None) -> int:
    """Print what was found; 0 where the trail holds, 1 where it does not.

    Args:
        head: one that was noted, NUMBER:HASH.
        heads: a file with any number of them, such as the collector's log.

    Raises:
        StoreError: there is no store.
    """
    noted = {*([] if head is None else [_link(head)]), *([] if heads is None else _links(heads))}
    url = database_url(path, load_collector(path))
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        raise StoreError(f"{url.removeprefix('sqlite:///')}: no such store: has this collector run yet?")
    store = Store(url)
    try:
        store.migrate()
        with store.read() as connection:
            found = verified(connection, noted=noted)
    finally:
        store.close()
    if found.problem:
        print(f"BROKEN after {found.rows} rows: {found.problem}")  # noqa: T201 — the command's answer
        return 1
    cut = f" (rows up to {found.anchor.n} are past their time and cut off)" if found.anchor.n else ""
    compared = f", {len(noted)} noted heads compared" if noted else ""
    print(f"{found.rows} rows hold{cut}{compared}")  # noqa: T201
    print(f"head {found.head.n}:{found.head.hash}")  # noqa: T201
    return 0


def _link(text: str) -> audit.Link:
    n, _, hash_ = text.partition(":")
    if not n.isdecimal() or len(hash_) != 64:
        raise StoreError(f"--head: {text!r} is not NUMBER:HASH, as `nearmiss audit verify` prints it")
    return audit.Link(int(n), hash_)


def _links(path: Path) -> list[audit.Link]:
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise StoreError(f"--heads: {path}: {error.strerror or error}") from error
    found = re.findall(r"\b(\d{1,18}):([0-9a-f]{64})\b", text)
    if not found:
        raise StoreError(
            f"--heads: {path}: no NUMBER:HASH in it, as the collector's log and this command say"
        )
    return [audit.Link(int(n), hash_) for n, hash_ in found]
