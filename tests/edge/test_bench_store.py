"""The made store: the same for the same seed, of the wanted size, and asked with its plans shown."""

from __future__ import annotations

from sqlalchemy import func, select

from broker.collector import findings
from broker.collector.findings import Filter
from broker.collector.store import Store
from broker.collector.tables import counts, decisions, events, retired
from edge.bench import made_store, store, store_pages
from tests.broker.conftest import empty_database as empty_database
from tests.broker.conftest import postgres_url as postgres_url
from tests.broker.conftest import sqlite_store as sqlite_store
from tests.broker.conftest import store as opened  # noqa: F401 — a fixture, asked for by its name


def test_a_made_store_can_be_reviewed(opened: Store) -> None:  # noqa: F811 — the fixture above
    assert made_store.fill(opened, events_wanted=600, sites=3, counted=0) == 600
    with opened.read() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() == 600
        tallies = findings.tallies(connection, Filter())
        item = findings.next_undecided(connection, Filter(), after=None)
        assert connection.execute(select(func.sum(retired.c.count))).scalar_one() > 600
    assert sum(tallies.values()) == 600
    assert tallies["confirm"] > tallies["reject"] > 20 and 30 < tallies["undecided"] < 120
    assert item is not None
    # The next decision takes the next number, also where the database counts by itself.
    with opened.write() as connection:
        assert findings.decide(connection, item.event["id"], "confirm", reviewer="local", now_s=1)


def test_the_same_seed_makes_the_same_store(sqlite_store: Store) -> None:
    made_store.fill(sqlite_store, events_wanted=50, sites=1, counted=1)
    again = Store("sqlite://")
    again.migrate()
    made_store.fill(again, events_wanted=50, sites=1, counted=0)
    with sqlite_store.read() as first, again.read() as second:
        for table in (events, decisions, retired):
            assert first.execute(select(table)).all() == second.execute(select(table)).all()
        row = first.execute(select(func.count(), func.min(counts.c.count))).one()
    assert row == (180 * 64 * 16, 0)


def test_a_question_is_timed_and_its_plan_shown(opened: Store) -> None:  # noqa: F811
    made_store.fill(opened, events_wanted=200, sites=1, counted=0)
    took_ms, plan = store.asked(opened, store.QUESTIONS[0])
    assert took_ms > 0
    assert any("events" in line for line in plan)


def test_whole_pages_are_asked_and_explained(opened: Store) -> None:  # noqa: F811
    made_store.fill(opened, events_wanted=400, sites=8, counted=1)
    answered = list(store_pages.asked(opened, times=1))
    assert [each.page for each in answered] == list(store_pages.PAGES)
    with opened.read() as connection:
        plans = {each.page.name: "\n".join(store.explained(connection, each.said)) for each in answered}
    if opened.engine.dialect.name == "sqlite":  # PostgreSQL reads a table as small as this from end to end
        assert "ix_events_counted" in plans["page: statistics"]
        assert "ix_counts_place" in plans["page: statistics"]
        assert "USE TEMP B-TREE FOR GROUP BY" not in plans["page: statistics"]
