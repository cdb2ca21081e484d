"""How well people agree, and how long they take: of all together, never of one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import quantiles

from sqlalchemy import Connection, exists, func, select

from broker.collector.findings import Sites, at
from broker.collector.tables import decisions, events

# With fewer than this, a number would tell of a person rather than of the work.
FEWEST = 10
MOST_TIMED = 5000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of pairs of decisions made blind: how many, how many alike, and Cohen's κ, None where undefined."""

    pairs: int
    alike: int
    kappa: float | None


def kappa(pairs: Counter[tuple[str, str]]) -> Agreement:
    """Return agreement beyond chance.

    Source: Cohen (1960), A coefficient of agreement for nominal scales.
    """
    total = sum(pairs.values())
    alike = sum(count for (one, other), count in pairs.items() if one == other)
    if total == 0:
        return Agreement(0, 0, None)
    first, second = Counter[str](), Counter[str]()
    for (one, other), count in pairs.items():
        first[one] += count
        second[other] += count
    by_chance = sum(first[word] * second[word] for word in first) / total**2
    observed = alike / total
    return Agreement(total, alike, None if by_chance == 1 else (observed - by_chance) / (1 - by_chance))


def of_two(connection: Connection, *, sites: Sites = None) -> Agreement:
    """Return how the first and the second person agreed, each not knowing of the other."""
    return kappa(_pairs(connection, "second", sites))


def of_rechecks(connection: Connection, *, sites: Sites = None) -> Agreement:
    """Return how a decision agreed with the same event decided again later, unmarked."""
    return kappa(_pairs(connection, "recheck", sites))


def times_s(connection: Connection, *, sites: Sites = None) -> dict[str, tuple[int, float, float]]:
    """Return per rule how many decisions were timed, and the median and ninth decile of their seconds.

    Of the last ones alone, which tell of the work as it is. Under ``""`` stand all of them; where they are
    few, nothing does: it would tell of one person.
    """
    latest = select(decisions.c.n, decisions.c.event, decisions.c.took_s).where(
        decisions.c.took_s.is_not(None)
    )
    if sites is not None:
        # Asked of each decision from the last one back, not the other way: a site has most of them.
        there = exists().where(events.c.id == decisions.c.event, at(events.c.site, sites))
        latest = latest.where(there)
    last = latest.order_by(decisions.c.n.desc()).limit(MOST_TIMED).subquery()
    wanted = select(events.c.rule, last.c.took_s).join(events, events.c.id == last.c.event)
    by_rule: dict[str, list[int]] = {}
    for rule, took_s in connection.execute(wanted):
        by_rule.setdefault(rule, []).append(int(took_s))
    everything = [took_s for taken in by_rule.values() for took_s in taken]
    found = {}
    for rule, taken in [*sorted(by_rule.items()), ("", everything)]:
        if len(taken) >= FEWEST:
            tenths = quantiles(taken, n=10, method="inclusive")
            found[rule] = (len(taken), tenths[4], tenths[8])
    return found


def _pairs(connection: Connection, purpose: str, sites: Sites) -> Counter[tuple[str, str]]:
    earlier, later, undoing = decisions.alias(), decisions.alias(), decisions.alias()
    undone = select(undoing.c.undoes).where(undoing.c.undoes.is_not(None))
    wanted = (
        select(earlier.c.verdict, later.c.verdict)
        .join(later, later.c.event == earlier.c.event)
        .where(
            # Not to be found by its purpose, which nearly all have: by the event of the few later ones.
            func.coalesce(earlier.c.purpose, "") == "first",
            later.c.purpose == purpose,
            later.c.n > earlier.c.n,
            earlier.c.n.not_in(undone),
            later.c.n.not_in(undone),
        )
    )
    if sites is not None:
        wanted = wanted.join(events, events.c.id == earlier.c.event).where(at(events.c.site, sites))
    return Counter((one, other) for one, other in connection.execute(wanted))
