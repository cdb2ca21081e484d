"""Published once, word for word, never restated, from rows and aggregates alike; and counted again."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from broker.collector import audit, findings
from broker.collector.config import PublicationSettings, RuleSettings
from broker.collector.publication.gathering import gathered
from broker.collector.publication.ledger import Entry, LedgerError, broken, due, entries, publish
from broker.collector.publication.periods import Period, bounds_s, period_of
from broker.collector.publication.plans import keep_plan, zone_of
from broker.collector.publication.recount import recount
from broker.collector.publication.retiring import retire_counts, retire_events
from broker.collector.store import Store, keep
from broker.collector.tables import audit as audit_table
from broker.collector.tables import counts, decisions, events, publications
from broker.published import FEW, Detail
from broker.wire import Count, Counts, Event, Rule
from tests.broker.publication.years import PLAN
from tests.broker.records import NODE, SITE, event

QUARTER = period_of("quarter", date(2026, 7, 1))
ZONE = zone_of(PLAN)
JULY = datetime(2026, 7, 1, 12, tzinfo=UTC)
OPEN_S = bounds_s(QUARTER, ZONE)[1] + 7 * 86_400


def made(place: str, count: int, *, days: int = 80, rule: Rule = "red_light_entry") -> list[Event]:
    """Return events spread over the first days of the quarter."""
    step = timedelta(days=days) / max(count, 1)
    times = [(JULY + n * step).replace(minute=0, second=0, microsecond=0) for n in range(count)]
    return [event(seq=n, place=place, rule=rule, time=time) for n, time in enumerate(times, 1)]


def decide(store: Store, records: list[Event], verdict: findings.Verdict) -> None:
    with store.write() as connection:
        for each in records:
            findings.decide(connection, str(each.id), verdict, reviewer="local", now_s=OPEN_S - 9)


def told(seq: int, place: str, count: int, *, time: datetime = JULY) -> Counts:
    rows = (Count(place=place, road_user="car", count=count),)
    return Counts(site=SITE, node=NODE, seq=seq, start=time, counts=rows)


@pytest.fixture
def filled(store: Store) -> Store:
    """A quarter: 47 confirmed and 12 rejected at N, 4 confirmed at S, 12,345 counted at N."""
    north, south, wrong = made("N", 47), made("S", 4), made("N", 12)
    with store.write() as connection:
        keep_plan(connection, PLAN, now_s=1)
        keep(connection, new_events=[*north, *south, *wrong], new_counts=[told(900, "N", 12_345)])
    decide(store, [*north, *south], "confirm")
    decide(store, wrong, "reject")
    return store


def say(
    store: Store,
    *,
    period: Period = QUARTER,
    rule: Rule = "red_light_entry",
    detail: Detail = "place",
    now_s: int = OPEN_S,
) -> Entry:
    with store.write() as connection:
        return publish(connection, PLAN, rule, period, detail, actor="ada", now_s=now_s, event_d=90.0)


def test_a_quarter_is_published_with_a_row_in_the_audit_trail(filled: Store) -> None:
    entry = say(filled)
    north, south, east = entry.record.cells
    assert (north.place, north.confirmed, north.rejected, north.exposure) == ("N", 45, 10, 12_300)
    assert north.precision is not None and north.precision.value == pytest.approx(45 / 55, abs=1e-3)
    assert (south.confirmed, east.confirmed) == (FEW, FEW)
    assert entry.record.reviewed == "most" and entry.record.total is None
    with filled.read() as connection:
        assert entries(connection) == [entry]
        assert broken(connection) == ""
        row = connection.execute(
            select(audit_table.c.actor, audit_table.c.subject).where(audit_table.c.action == "publish")
        ).one()
        assert audit.broken(connection)[1] is None
    assert tuple(row) == ("ada", f"{SITE} red_light_entry 2026-Q3")


def test_nothing_is_published_twice_or_beside_what_overlaps_it(filled: Store) -> None:
    said = say(filled)
    decide(filled, made("N", 0), "confirm")
    year, weeks = period_of("year", date(2026, 1, 1)), period_of("four_weeks", date(2026, 9, 1))
    for period, now_s in ((QUARTER, OPEN_S), (year, OPEN_S + 100 * 86_400), (weeks, OPEN_S)):
        with pytest.raises(LedgerError, match="nothing is published twice or restated"):
            say(filled, period=period, now_s=now_s)
    with pytest.raises(LedgerError, match="nothing is published twice"):
        say(filled, detail="site")
    with filled.read() as connection:
        assert entries(connection) == [said]


def test_decisions_after_a_publication_do_not_change_it(filled: Store) -> None:
    said = say(filled)
    with filled.write() as connection:
        for _ in range(20):
            findings.undo(connection, reviewer="local", now_s=OPEN_S + 5)
    with filled.read() as connection:
        assert entries(connection) == [said]
        (again,), chain = recount(connection)
    assert (again.problems, chain) == ((), "")
    assert (again.decisions, again.forgotten, again.aggregates) == (47 + 4 + 12, 0, 0)


def test_an_undone_decision_does_not_count(filled: Store) -> None:
    with filled.write() as connection:
        for _ in range(12 + 4 + 10):  # the last are the rejections, then S, then ten of N
            findings.undo(connection, reviewer="local", now_s=OPEN_S - 5)
    north = say(filled).record.cells[0]
    assert (north.confirmed, north.rejected) == (35, FEW)


@pytest.mark.parametrize(
    ("period", "now_s", "reason"),
    [
        pytest.param(QUARTER, OPEN_S - 1, "seven days after it has closed", id="too early"),
        pytest.param(
            Period(kind="quarter", start=date(2026, 7, 1), end=date(2026, 8, 1)),
            OPEN_S,
            "not a fixed period",
            id="cut to fit",
        ),
        pytest.param(
            period_of("four_weeks", date(2026, 7, 20)),
            OPEN_S + 40 * 86_400,
            "its first event rows have gone",
            id="too late for four weeks",
        ),
    ],
)
def test_what_may_not_be_published_is_refused_in_words(
    filled: Store, period: Period, now_s: int, reason: str
) -> None:
    with pytest.raises(LedgerError, match=reason):
        say(filled, period=period, now_s=now_s)
    with filled.read() as connection:
        assert entries(connection) == []


def test_rows_that_have_become_aggregates_count_as_before(filled: Store) -> None:
    """Half of the quarter is past its 90 days, all of its exposure past 180."""
    half_s = int((JULY + timedelta(days=45)).timestamp())
    with filled.write() as connection:
        retire_events(connection, before_s=half_s)
        connection.execute(delete(events).where(events.c.time_s < half_s))
        retire_counts(connection, before_s=half_s)
        connection.execute(delete(counts))
    north = say(filled).record.cells[0]
    assert (north.confirmed, north.rejected, north.exposure) == (45, 10, 12_300)
    with filled.read() as connection:
        (again,), _ = recount(connection)
    assert again.problems == ()
    assert again.aggregates + again.decisions == 63 and again.aggregates > 20


def test_a_recount_finds_a_changed_number_and_a_changed_decision(filled: Store) -> None:
    say(filled)
    with filled.write() as connection:
        connection.execute(update(decisions).where(decisions.c.n == 3).values(verdict="reject"))
    with filled.read() as connection:
        (again,), chain = recount(connection)
    assert again.problems == ("N, car, afternoon, confirm: 1 of 12 decisions do not stand as they stood",)
    assert chain == ""
    with filled.write() as connection:
        record = connection.execute(select(publications.c.record)).scalar_one()
        connection.execute(update(publications).values(record=record.replace("45", "60", 1)))
    with filled.read() as connection:
        (again,), chain = recount(connection)
    assert "N, all, day: confirm was published as 60, counted again 45" in again.problems
    assert chain == "publication 1 is not what was published, or one before it is missing"


def test_two_administrators_at_once_publish_once(filled: Store) -> None:
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def press() -> None:
        gate.wait()
        try:
            say(filled)
            outcomes.append("published")
        except LedgerError:
            outcomes.append("refused")

    both = [threading.Thread(target=press) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(30)
    assert sorted(outcomes) == ["published", "refused"]


def test_what_is_due_follows_the_settings_and_the_clock(filled: Store) -> None:
    settings = PublicationSettings(
        rules={
            "near_miss": RuleSettings(period="year"),
            "amber_entry": RuleSettings(publish=False),
            "red_light_entry": RuleSettings(period="four_weeks"),
        }
    )

    def names(now_s: int) -> list[tuple[str, str]]:
        with filled.read() as connection:
            found = due(connection, PLAN, settings, now_s=now_s, event_d=90.0)
        return [(rule, str(period.start)) for rule, period in found]

    now = names(OPEN_S)
    assert [start for rule, start in now if rule == "red_light_entry"] == ["2026-07-13", "2026-08-10"]
    assert ("wrong_way", "2026-07-01") in now
    assert not [rule for rule, _ in now if rule in ("near_miss", "amber_entry")]
    assert names(OPEN_S - 1)[-1][0] != "wrong_way"
    assert ("near_miss", "2026-01-01") in names(OPEN_S + 100 * 86_400)
    say(filled, rule="wrong_way")
    assert ("wrong_way", "2026-07-01") not in names(OPEN_S)


def test_parts_of_the_day_follow_the_sites_clock_through_its_change(store: Store) -> None:
    """Chicago leaves summer time on 1 November 2026: six in the morning moves from 11 to 12 UTC."""
    times = [
        datetime(2026, 10, 31, 10, 55, tzinfo=UTC),  # 05:55
        datetime(2026, 10, 31, 11, 0, tzinfo=UTC),  # 06:00
        datetime(2026, 11, 2, 11, 55, tzinfo=UTC),  # 05:55
        datetime(2026, 11, 2, 12, 0, tzinfo=UTC),  # 06:00
    ]
    ids = [UUID(f"{n:08x}-0000-4000-8000-000000000000") for n in range(4)]
    with store.write() as connection:
        keep(connection, new_events=[event(id=i, seq=1, time=t) for i, t in zip(ids, times, strict=True)])
        found = gathered(connection, site=SITE, period=period_of("quarter", date(2026, 10, 1)), zone=ZONE)
    assert found["red_light_entry"].of("undecided") == {("N", "car", "night"): 2, ("N", "car", "morning"): 2}
