"""The numbers that have arrived of each node, as runs without a gap; between two runs they are missing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select, text, tuple_

from broker.collector.insert import insert_new, upsert
from broker.collector.tables import begun, given_up, runs
from broker.wire import Status

Node = tuple[str, str]  # site, node
Run = tuple[int, int]  # first, last
# So many nodes in one question: SQLite takes 32,766 values a statement.
CHUNK = 500


def note(connection: Connection, numbers: Mapping[Node, Iterable[int]]) -> None:
    """Note that these numbers have arrived."""
    nodes = sorted(numbers)
    _lock(connection, nodes)
    known: dict[Node, dict[int, int]] = {node: {} for node in nodes}
    for start in range(0, len(nodes), CHUNK):
        rows = connection.execute(
            select(runs).where(tuple_(runs.c.site, runs.c.node).in_(nodes[start : start + CHUNK]))
        )
        for site, node, first, last in rows:
            known[site, node][first] = last
    changed, gone = [], []
    for site, node in nodes:
        before = known[site, node]
        after = _merged(before, numbers[site, node])
        changed += [
            {"site": site, "node": node, "first": first, "last": last}
            for first, last in after.items()
            if before.get(first) != last
        ]
        gone += [(site, node, first) for first in before.keys() - after.keys()]
    upsert(connection, runs, changed, update=("last",))
    for start in range(0, len(gone), CHUNK):
        here = tuple_(runs.c.site, runs.c.node, runs.c.first).in_(gone[start : start + CHUNK])
        connection.execute(delete(runs).where(here))


def gaps(connection: Connection, site: str, node: str) -> list[Run]:
    """Return the runs of sequence numbers that have not arrived and that nobody can explain, first to last.

    Numbers before one with which an outbox began are not missing: nobody has given them. What its node says
    it has given up is ``explained``.
    """
    return _cut(_absent(connection, site, node), _given_up(connection, site, node))[0]


def explained(connection: Connection, site: str, node: str) -> list[Run]:
    """Return the runs that have not arrived and never will: their node says it has given them up."""
    return _cut(_absent(connection, site, node), _given_up(connection, site, node))[1]


def _absent(connection: Connection, site: str, node: str) -> list[Run]:
    here = (runs.c.site == site) & (runs.c.node == node)
    known = connection.execute(select(runs.c.first, runs.c.last).where(here).order_by(runs.c.first)).all()
    begins = set(
        connection.execute(select(begun.c.first).where(begun.c.site == site, begun.c.node == node)).scalars()
    )
    missing, expected = [], 1
    for first, last in known:
        if first > expected:
            start = max((begin for begin in begins if expected <= begin <= first), default=expected)
            if start < first:
                missing.append((start, first - 1))
        expected = max(expected, last + 1)
    return missing


def _given_up(connection: Connection, site: str, node: str) -> list[Run]:
    here = (given_up.c.site == site) & (given_up.c.node == node)
    statement = select(given_up.c.first, given_up.c.last).where(here).order_by(given_up.c.first)
    return [(first, last) for first, last in connection.execute(statement)]


def _cut(absent: list[Run], given: list[Run]) -> tuple[list[Run], list[Run]]:
    """Return what of the absent runs is not in the given ones, and what is.

    Args:
        given: in order of their first numbers; they may overlap.
    """
    outside: list[Run] = []
    inside: list[Run] = []
    for first, last in absent:
        for from_, to in given:
            if to < first or from_ > last:
                continue
            if from_ > first:
                outside.append((first, from_ - 1))
            inside.append((max(from_, first), min(to, last)))
            first = to + 1
            if first > last:
                break
        if first <= last:
            outside.append((first, last))
    return outside, inside


def begin(connection: Connection, statuses: Iterable[Status]) -> None:
    """Note where nodes say that their outboxes began to number."""
    insert_new(
        connection,
        begun,
        [
            {"site": each.site, "node": each.node, "first": each.first_seq}
            for each in statuses
            if each.first_seq is not None
        ],
    )


def give_up(connection: Connection, statuses: Iterable[Status]) -> None:
    """Note which numbers nodes say will not arrive; a run that has grown replaces the one it was."""
    upsert(
        connection,
        given_up,
        [
            {"site": each.site, "node": each.node, "first": first, "last": last}
            for each in statuses
            for first, last in each.given_up
        ],
        update=("last",),
    )


def missing(connection: Connection) -> dict[Node, int]:
    """Return how many numbers of each node have not arrived, those it has given up left out."""
    nodes = connection.execute(select(runs.c.site, runs.c.node).distinct()).all()
    return {
        (site, node): sum(last - first + 1 for first, last in gaps(connection, site, node))
        for site, node in nodes
    }


def _lock(connection: Connection, nodes: list[Node]) -> None:
    """Keep other collectors from these runs until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        # In one order, so that two collectors wait for each other and never in a ring.
        keys = sorted({zlib.crc32(f"{site}/{node}".encode()) for site, node in nodes})
        statement = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
        connection.execute(statement, {"keys": keys})


def _merged(before: Mapping[int, int], numbers: Iterable[int]) -> dict[int, int]:
    """Return the runs (first → last) of what was there and what has come."""
    merged: dict[int, int] = {}
    open_first = open_last = 0
    for first, last in sorted([*before.items(), *((number, number) for number in set(numbers))]):
        if merged and first <= open_last + 1:
            open_last = max(open_last, last)
        else:
            open_first, open_last = first, last
        merged[open_first] = open_last
    return merged
