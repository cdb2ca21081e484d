"""The numbers that have arrived of each node, as runs without a gap; between two runs they are missing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select, text, tuple_

from broker.collector.insert import insert_new, upsert
from broker.collector.tables import begun, runs
from broker.wire import Status

Node = tuple[str, str]  # site, node
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


def gaps(connection: Connection, site: str, node: str) -> list[tuple[int, int]]:
    """Return the runs of sequence numbers that have not arrived, first to last.

    Numbers before one with which an outbox began are not missing: nobody has given them.
    """
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


def missing(connection: Connection) -> dict[Node, int]:
    """Return how many numbers of each node have not arrived."""
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
