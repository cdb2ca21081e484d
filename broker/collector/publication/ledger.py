"""The ledger of what has been published: once, word for word, never restated.

Two publications of a rule at a site never overlap, so none can be had by taking one from another. Before
anything is written the attack is run over it and all that was said of the same days before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from broker.collector import audit
from broker.collector.config import PublicationSettings
from broker.collector.publication import attack
from broker.collector.publication.gathering import Gathered, gathered
from broker.collector.publication.making import publication
from broker.collector.publication.periods import (
    bounds_s,
    is_fixed,
    label,
    may_be_published_s,
    overlap,
    periods,
)
from broker.collector.publication.places import Plan, places_of
from broker.collector.publication.plans import zone_of
from broker.collector.publication.standing import standing
from broker.collector.tables import (
    counts,
    decisions,
    events,
    publication_counts,
    publication_decisions,
    publications,
    retired,
)
from broker.collector.wording import Told
from broker.published import Detail, Period, Publication
from broker.wire import RULES, Rule

FIRST = "0" * 64
Known = dict[Period, dict[Rule, Gathered]]
DAY_S = 86_400


class LedgerError(ValueError):
    """What may not be published; ``problems`` holds one line per reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication as the ledger holds it."""

    n: int
    record: Publication
    hash: str
    published_s: int
    published_by: str
    through: int


def prepared(
    connection: Connection,
    plan: Plan,
    rule: Rule,
    period: Period,
    detail: Detail,
    *,
    now_s: int,
    event_d: float,
    known: Known | None = None,
) -> tuple[Publication, Gathered]:
    """Return what would be published, and the true counts behind it.

    Args:
        event_d: how many days event rows are kept.
        known: counts that have been gathered already, by period; what is gathered here is added.

    Raises:
        LedgerError: not a fixed period, too early, said already, rows that have gone, or a number given away.
    """
    zone = zone_of(plan)
    name = f"{plan.site}: {rule}: {label(period)}"
    said = [entry.record for entry in entries(connection, site=plan.site)]
    problems = []
    if not is_fixed(period):
        problems.append(Told("{name}: not a fixed period of the calendar", name=name))
    if now_s < may_be_published_s(period, zone):
        problems.append(
            Told("{name}: may be published seven days after it has closed, not before", name=name)
        )
    if period.kind == "four_weeks" and bounds_s(period, zone)[0] < now_s - int(event_d * DAY_S):
        problems.append(
            Told("{name}: too late, its first event rows have gone; publish quarters, or sooner", name=name)
        )
    if not places_of(rule, plan):
        problems.append(Told("{name}: the plan of the site has no place for it", name=name))
    problems += [
        Told(
            "{name}: published already, with {period}: nothing is published twice or restated",
            name=name,
            period=label(each.period),
        )
        for each in said
        if each.rule == rule and overlap(each.period, period)
    ]
    if problems:
        raise LedgerError(problems)
    known = {} if known is None else known
    if period not in known:
        known[period] = gathered(connection, site=plan.site, period=period, zone=zone)
    true = known[period][rule]
    beside = [each for each in said if overlap(each.period, period)]
    made = publication(plan, rule, period, detail, true.observed())
    given_away = attack.narrowed(plan, [*beside, made])
    if any(each.what == "exposure" for each in given_away):
        # Exposure of the same days stands elsewhere, summed otherwise: say it there alone.
        made = publication(plan, rule, period, detail, true.observed(), with_exposure=False)
        given_away = attack.narrowed(plan, [*beside, made])
    if given_away:
        raise LedgerError(
            [
                Told("{name}: would give away {what} of {label}", name=name, what=each.what, label=each.label)
                for each in given_away
            ]
        )
    return made, true


def publish(
    connection: Connection,
    plan: Plan,
    rule: Rule,
    period: Period,
    detail: Detail,
    *,
    actor: str,
    now_s: int,
    event_d: float,
    known: Known | None = None,
) -> Entry:
    """Publish, in the caller's transaction, with a row in the audit trail.

    Raises:
        LedgerError: see ``prepared``.
    """
    lock(connection)
    made, true = prepared(connection, plan, rule, period, detail, now_s=now_s, event_d=event_d, known=known)
    record = made.encode().decode()
    hash_ = _sealed(_last_hash(connection), record)
    through = int(connection.execute(select(func.coalesce(func.max(decisions.c.n), 0))).scalar_one())
    row = {
        "site": made.site,
        "rule": made.rule,
        "kind": period.kind,
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        "record": record,
        "hash": hash_,
        "published_s": now_s,
        "published_by": actor,
        "through": through,
    }
    n = connection.execute(insert(publications).returning(publications.c.n), row).scalar_one()
    _keep_counts(connection, int(n), plan, rule, period, true)
    audit.append(
        connection,
        actor=actor,
        action="publish",
        subject=f"{made.site} {made.rule} {label(period)}",
        detail={"publication": int(n), "hash": hash_},
        now_s=now_s,
    )
    return Entry(int(n), made, hash_, now_s, actor, through)


def lock(connection: Connection) -> None:
    """Let nobody else publish until the transaction ends; SQLite's write lock is held already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE publications IN SHARE ROW EXCLUSIVE MODE"))


def entries(connection: Connection, *, site: str | None = None, rule: Rule | None = None) -> list[Entry]:
    """Return what has been published, in order of site, rule and period."""
    wanted = select(publications).order_by(publications.c.site, publications.c.rule, publications.c.start)
    if site is not None:
        wanted = wanted.where(publications.c.site == site)
    if rule is not None:
        wanted = wanted.where(publications.c.rule == rule)
    return [_entry(row) for row in connection.execute(wanted).mappings()]


def broken(connection: Connection) -> str:
    """Return what is wrong with the ledger's chain of hashes, and nothing where all holds."""
    before = FIRST
    for row in connection.execute(select(publications).order_by(publications.c.n)).mappings():
        if row["hash"] != _sealed(before, row["record"]):
            return f"publication {row['n']} is not what was published, or one before it is missing"
        before = row["hash"]
    return ""


def due(
    connection: Connection, plan: Plan, settings: PublicationSettings, *, now_s: int, event_d: float
) -> list[tuple[Rule, Period]]:
    """Return what may be published of a site and has not been: by rule, oldest period first."""
    first, zone = _first_day(connection, plan), zone_of(plan)
    if first is None:
        return []
    said = [entry.record for entry in entries(connection, site=plan.site)]
    today = datetime.fromtimestamp(now_s, zone).date()
    rows_from_s = now_s - int(event_d * DAY_S)
    found = []
    for rule in RULES:
        choice = settings.of(rule)
        if choice is None or not places_of(rule, plan):
            continue
        for period in periods(choice.period, first, today):
            taken = any(each.rule == rule and overlap(each.period, period) for each in said)
            gone = period.kind == "four_weeks" and bounds_s(period, zone)[0] < rows_from_s
            if not taken and not gone and now_s >= may_be_published_s(period, zone):
                found.append((rule, period))
    return found


def _first_day(connection: Connection, plan: Plan) -> date | None:
    """Return the first day anything is known of a site."""
    zone = zone_of(plan)
    days = []
    for table, column in ((events, events.c.time_s), (counts, counts.c.start_s)):
        first = connection.execute(select(func.min(column)).where(table.c.site == plan.site)).scalar()
        if first is not None:
            days.append(datetime.fromtimestamp(int(first), zone).date())
    # A month's name is the first instant of its first day in UTC, wherever the site is.
    months = select(func.min(retired.c.month_s)).where(retired.c.site == plan.site)
    month_s = connection.execute(months).scalar()
    if month_s is not None:
        days.append(datetime.fromtimestamp(int(month_s), UTC).date())
    return min(days, default=None)


def _keep_counts(
    connection: Connection, n: int, plan: Plan, rule: Rule, period: Period, true: Gathered
) -> None:
    """Keep the true counts and the decisions behind them, for whoever counts again."""
    behind = standing(connection, site=plan.site, rule=rule, period=period, zone=zone_of(plan))
    for verdict in ("confirm", "reject"):
        rows, old = true.rows.get(verdict, Counter()), true.aggregates.get(verdict, Counter())
        for key in sorted({*rows, *old}):
            place, user, part = key
            counted = connection.execute(
                insert(publication_counts).returning(publication_counts.c.n),
                {
                    "publication": n,
                    "place": place,
                    "road_user": user,
                    "day_part": part,
                    "verdict": verdict,
                    "counted": rows[key],
                    "retired": old[key],
                },
            ).scalar_one()
            links = [{"counted": counted, "decision": each} for each in behind.get((verdict, key), ())]
            if links:
                connection.execute(insert(publication_decisions), links)


def _entry(row: RowMapping) -> Entry:
    return Entry(
        n=row["n"],
        record=Publication.decode(row["record"].encode()),
        hash=row["hash"],
        published_s=row["published_s"],
        published_by=row["published_by"],
        through=row["through"],
    )


def _last_hash(connection: Connection) -> str:
    last = select(publications.c.hash).order_by(publications.c.n.desc()).limit(1)
    return connection.execute(last).scalar() or FIRST


def _sealed(before: str, record: str) -> str:
    return hashlib.sha256(f"{before}\n{record}".encode()).hexdigest()
