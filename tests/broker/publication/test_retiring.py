"""What is left of rows: by month and part of the day at the site, so that a quarter can still be told."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from broker.collector import findings
from broker.collector.publication.plans import all_plans, keep_plan, plan_of
from broker.collector.publication.retiring import retire_counts, retire_events
from broker.collector.store import Store, keep
from broker.collector.tables import retired, retired_counts
from broker.wire import Count, Counts
from tests.broker.publication.years import PLAN
from tests.broker.records import NODE, SITE, event

# Half past eleven in the evening of the last of June in Chicago, and half an hour into July.
JUNE = datetime(2026, 7, 1, 4, 30, tzinfo=UTC)
JULY = datetime(2026, 7, 1, 5, 30, tzinfo=UTC)
LATER = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
MONTHS = {int(datetime(2026, month, 1, tzinfo=UTC).timestamp()): month for month in (6, 7)}


def test_events_are_left_by_the_sites_month_and_part_of_the_day(store: Store) -> None:
    records = [event(seq=n, time=time) for n, time in enumerate((JUNE, JULY, JULY), 1)]
    with store.write() as connection:
        keep_plan(connection, PLAN, now_s=1)
        keep(connection, new_events=[*records, event(seq=4, site="elsewhere", time=JUNE)])
        findings.decide(connection, str(records[1].id), "confirm", reviewer="local", now_s=2)
        retire_events(connection, before_s=LATER)
        rows = connection.execute(select(retired).order_by(retired.c.month_s, retired.c.verdict)).mappings()
        found = [
            (row["site"], MONTHS[row["month_s"]], row["day_part"], row["verdict"], row["count"])
            for row in rows
        ]
    assert sorted(found) == [
        ("elsewhere", 7, "", "undecided", 1),  # no plan: months are those of UTC, parts of the day unknown
        (SITE, 6, "evening", "undecided", 1),
        (SITE, 7, "night", "confirm", 1),
        (SITE, 7, "night", "undecided", 1),
    ]


def test_exposure_is_left_likewise_and_adds_up(store: Store) -> None:
    def told(seq: int, start: datetime, count: int) -> Counts:
        rows = (Count(place="N", road_user="car", count=count),)
        return Counts(site=SITE, node=NODE, seq=seq, start=start, counts=rows)

    with store.write() as connection:
        keep_plan(connection, PLAN, now_s=1)
        keep(connection, new_counts=[told(1, JUNE, 10), told(2, JULY, 20), told(3, JULY, 5)])
        retire_counts(connection, before_s=LATER)
        retire_counts(connection, before_s=LATER)  # as if as many again had come
        rows = connection.execute(select(retired_counts)).mappings()
        found = {(MONTHS[row["month_s"]], row["day_part"]): row["count"] for row in rows}
    assert found == {(6, "evening"): 20, (7, "night"): 50}


def test_a_plan_is_kept_as_it_was_given(store: Store) -> None:
    with store.write() as connection:
        keep_plan(connection, PLAN, now_s=1)
        keep_plan(connection, PLAN.model_copy(update={"name": "Main Street"}), now_s=2)
        found = plan_of(connection, SITE)
        assert found is not None and found.name == "Main Street"
        assert found.places == PLAN.places
        assert all_plans(connection) == [found]
        assert plan_of(connection, "elsewhere") is None
