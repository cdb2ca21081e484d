"""The attack: everything that is published of a site, as one linear program against each hidden number.

An attacker adds and subtracts published numbers until a hidden one has little room left. A linear program
does this as well as it can be done: every count is unknown and at least 0, every published number says
between which bounds a sum of them lies, and the program finds the least and the most each hidden sum can
be. Run over what is about to be published, and in the tests over a whole year. Integers alone would let an
attacker do no better here: a hidden cell stands in no other sum at all (``making``).

Source: Fischetti & Salazar-González (2001), Journal of the American Statistical Association 96, on the
attacker's problem in cell suppression.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np

from broker.collector.publication import figures
from broker.collector.publication.periods import label
from broker.collector.publication.places import Plan, counted_at, places_of, users_of
from broker.published import DAY_PARTS, Cell, K, Publication, ShownCount
from broker.wire import Rule

# Tolerance of the solver.
EPS = 1e-6
What = Literal["confirmed", "rejected", "exposure"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One published number: a sum of unknowns lies between two bounds."""

    what: What
    label: str
    unknowns: frozenset[tuple[Any, ...]]
    low: int
    high: int
    hidden: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What the attack makes of a hidden number."""

    what: What
    label: str
    low: float
    high: float

    @property
    def narrowed(self) -> bool:
        """Return whether less than [0, 9] is left of it."""
        return self.low > EPS or self.high < K - 1 - EPS


def narrowed(plan: Plan, publications: Sequence[Publication]) -> list[Found]:
    """Return the hidden numbers that the published ones give away; none, if all is well."""
    return [found for found in attacked(plan, publications) if found.narrowed]


def attacked(plan: Plan, publications: Sequence[Publication]) -> list[Found]:
    """Return the least and the most each hidden number can be, by all that is published of a site."""
    statements = list(_statements(plan, publications))
    found = []
    for component in _components(statements):
        found += _solved(component)
    return found


def _statements(plan: Plan, publications: Sequence[Publication]) -> Iterable[Statement]:
    days = sorted({day for each in publications for day in (each.period.start, each.period.end)})
    for each in publications:
        spans = [day for day in days if each.period.start <= day < each.period.end]
        name = f"{each.rule}, {label(each.period)}"
        views = [*each.cells, *each.day_parts, *([each.total] if each.total else [])]
        for cell in views:
            of = f"{name}, {cell.place or 'site'}, {cell.road_user or 'all'}, {cell.day_part or 'day'}"
            counts: tuple[tuple[What, ShownCount | None], ...]
            counts = (("confirmed", cell.confirmed), ("rejected", cell.rejected))
            for what, shown in counts:
                if shown is not None:
                    low, high = figures.possible(shown)
                    unknowns = _counted(what, plan, each.rule, cell, spans)
                    yield Statement(what, of, unknowns, low, high, not isinstance(shown, int))
            if cell.exposure is not None:
                low, high = figures.possible_exposure(cell.exposure)
                unknowns = _exposed(plan, each.rule, cell, spans)
                yield Statement("exposure", of, unknowns, low, high, not isinstance(cell.exposure, int))


def _counted(
    what: str, plan: Plan, rule: Rule, cell: Cell, spans: Sequence[date]
) -> frozenset[tuple[Any, ...]]:
    places = places_of(rule, plan) if cell.place is None else (cell.place,)
    users = users_of(rule) if cell.road_user is None else (cell.road_user,)
    parts = DAY_PARTS if cell.day_part is None else (cell.day_part,)
    return frozenset(
        (what, rule, span, place, user, part)
        for span in spans
        for place in places
        for user in users
        for part in parts
    )


def _exposed(plan: Plan, rule: Rule, cell: Cell, spans: Sequence[date]) -> frozenset[tuple[Any, ...]]:
    # The same vehicles are counted for every rule.
    parts = DAY_PARTS if cell.day_part is None else (cell.day_part,)
    return frozenset(
        ("exposure", span, place, user, part)
        for span in spans
        for place, user in counted_at(rule, plan, cell.place, cell.road_user)
        for part in parts
    )


def _components(statements: Sequence[Statement]) -> list[list[Statement]]:
    """Return the statements in groups that share no unknown: each is a program of its own."""
    owner: dict[tuple[Any, ...], int] = {}
    parent = list(range(len(statements)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for n, statement in enumerate(statements):
        for unknown in statement.unknowns:
            if unknown in owner:
                parent[root(n)] = root(owner[unknown])
            else:
                owner[unknown] = n
    groups: defaultdict[int, list[Statement]] = defaultdict(list)
    for n, statement in enumerate(statements):
        groups[root(n)].append(statement)
    return list(groups.values())


def _solved(statements: Sequence[Statement]) -> list[Found]:
    hidden = [statement for statement in statements if statement.hidden]
    if not hidden:
        return []
    if len({(each.unknowns, each.low, each.high) for each in statements}) == 1:
        # Nothing else is known of these unknowns, only that same number, perhaps said more than once.
        return [Found(each.what, each.label, float(each.low), float(each.high)) for each in hidden]
    from scipy.optimize import linprog

    # Unknowns that always stand together are one.
    standing: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, statement in enumerate(statements):
        for unknown in statement.unknowns:
            standing[unknown].append(n)
    columns = {tuple(rows) for rows in standing.values()}
    sums = np.zeros((len(statements), len(columns)))
    for column, rows in enumerate(sorted(columns)):
        sums[list(rows), column] = 1.0
    bounds = (
        np.array([statement.high for statement in statements]),
        np.array([-statement.low for statement in statements]),
    )
    above, limits = np.vstack([sums, -sums]), np.concatenate(bounds)
    found = []
    for n, statement in enumerate(statements):
        if not statement.hidden:
            continue
        ends = []
        for sign in (1.0, -1.0):
            solved = linprog(sign * sums[n], A_ub=above, b_ub=limits, bounds=(0, None), method="highs")
            if not solved.success or solved.fun is None:
                raise ArithmeticError(f"{statement.label}: the published numbers contradict each other")
            ends.append(sign * float(solved.fun))
        found.append(Found(statement.what, statement.label, ends[0], ends[1]))
    return found
