"""Counting again: whether every published number follows from decisions, and from those alone.

Three things are compared for each publication: the decisions its counts were made of (each there, standing as
it stood, and as many as were counted), the record made anew from those counts, word for word, and the
chain of hashes that holds all records together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from broker.collector.publication import figures
from broker.collector.publication.ledger import Entry, broken, entries
from broker.collector.tables import decisions, publication_counts, publication_decisions
from broker.published import Cell


@dataclass(frozen=True, slots=True)
class Recount:
    """What counting one publication again found.

    ``decisions`` were looked at again, ``forgotten`` ones are past the time they are kept, ``aggregates``
    had become monthly aggregates before it was published. ``problems``: what differs, a line each.
    """

    entry: Entry
    decisions: int
    forgotten: int
    aggregates: int
    problems: tuple[str, ...]


def recount(connection: Connection) -> tuple[list[Recount], str]:
    """Return what was found for each publication, and what is wrong with the chain (nothing: it holds)."""
    return [_recounted(connection, entry) for entry in entries(connection)], broken(connection)


def _recounted(connection: Connection, entry: Entry) -> Recount:
    rows = connection.execute(
        select(publication_counts).where(publication_counts.c.publication == entry.n)
    ).mappings()
    first_kept = connection.execute(select(func.min(decisions.c.n))).scalar()
    first_kept = entry.through + 1 if first_kept is None else int(first_kept)
    found, forgotten, aggregates = 0, 0, 0
    problems: list[str] = []
    sums: Counter[tuple[str, str, str, str]] = Counter()
    for row in rows:
        key = (row["verdict"], row["place"], row["road_user"], row["day_part"])
        sums[key] += row["counted"] + row["retired"]
        aggregates += row["retired"]
        linked, wrong = _linked(connection, row, entry.through)
        # Decisions past their time are gone, with their links; those of the rest must all be there.
        gone = row["counted"] - linked
        if wrong:
            problems.append(f"{_at(key)}: {wrong} of {linked} decisions do not stand as they stood")
        if gone and first_kept > 1:
            forgotten += gone
        elif gone:
            problems.append(f"{_at(key)}: {row['counted']} counted, {linked} decisions found")
        found += linked
    problems += _differences(entry, sums)
    return Recount(entry, found, forgotten, aggregates, tuple(problems))


def _linked(connection: Connection, row: Any, through: int) -> tuple[int, int]:
    """Return how many decisions are linked to a count, and how many of them did not stand then."""
    undone = select(decisions.c.undoes).where(decisions.c.undoes.is_not(None), decisions.c.n <= through)
    links = select(publication_decisions.c.decision).where(publication_decisions.c.counted == row["n"])
    linked = connection.execute(select(func.count()).select_from(links.subquery())).scalar_one()
    right = connection.execute(
        select(func.count())
        .select_from(decisions)
        .where(
            decisions.c.n.in_(links),
            decisions.c.n <= through,
            decisions.c.verdict == row["verdict"],
            decisions.c.n.not_in(undone),
        )
    ).scalar_one()
    return int(linked), int(linked) - int(right)


def _differences(entry: Entry, sums: Counter[tuple[str, str, str, str]]) -> list[str]:
    """Return the published numbers that do not follow from the counts."""
    record = entry.record
    problems = []
    for cell in (*record.cells, *record.day_parts, *([record.total] if record.total else [])):
        for verdict, shown in (("confirm", cell.confirmed), ("reject", cell.rejected)):
            true = figures.shown_count(_sum(entry, cell, verdict, sums))
            if shown is not None and shown != true:
                problems.append(
                    f"{cell.place or 'site'}, {cell.road_user or 'all'}, {cell.day_part or 'day'}: "
                    f"{verdict} was published as {shown}, counted again {true}"
                )
        if cell.precision is not None and cell.precision != figures.precision(cell.confirmed, cell.rejected):
            problems.append(f"{cell.place or 'site'}: the precision does not follow from its counts")
    return problems


def _sum(entry: Entry, cell: Cell, verdict: str, sums: Counter[tuple[str, str, str, str]]) -> int:
    places = {each.place for each in entry.record.cells}
    inside = places if cell.place is None and None not in places else {cell.place}
    return sum(
        count
        for (state, place, user, part), count in sums.items()
        if state == verdict
        and (None in inside or place in inside)
        and cell.road_user in (None, user)
        and cell.day_part in (None, part)
    )


def _at(key: tuple[str, str, str, str]) -> str:
    verdict, place, user, part = key
    return f"{place}, {user}, {part or 'part unknown'}, {verdict}"
