"""Decisions: append-only, taken back by another row, counted only where confirmed."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from broker.collector import findings
from broker.collector.findings import Filter
from broker.collector.store import Store, keep
from broker.collector.tables import decisions
from broker.wire import Event
from tests.broker.records import BIN_TIME, counts, event

IDS = [UUID(f"{n:08x}-0000-4000-8000-000000000000") for n in range(1, 6)]
# The newest bin holds 1 and 2, then 3, then 4 and 5.
BINS = (0, 0, -300, -600, -600)


def events() -> list[Event]:
    return [
        event(id=id_, seq=n, time=BIN_TIME + timedelta(seconds=shift))
        for n, (id_, shift) in enumerate(zip(IDS, BINS, strict=True), 1)
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as connection:
        keep(connection, new_events=events(), new_counts=[counts(seq=6, count=200)])
    return store


def order(store: Store, wanted: Filter | None = None) -> list[int]:
    with store.read() as connection:
        found = findings.queue(connection, wanted or Filter())
    return [IDS.index(UUID(item.event["id"])) + 1 for item in found]


def decide(store: Store, n: int, verdict: findings.Verdict) -> None:
    with store.write() as connection:
        assert findings.decide(connection, str(IDS[n - 1]), verdict, reviewer="local", now_s=100)


def undo(store: Store) -> int | None:
    with store.write() as connection:
        taken_back = findings.undo(connection, reviewer="local", now_s=200)
    return None if taken_back is None else IDS.index(UUID(taken_back)) + 1


def verdict(store: Store, n: int) -> str | None:
    with store.read() as connection:
        item = findings.one(connection, str(IDS[n - 1]))
    assert item is not None
    return item.verdict


def test_each_tab_holds_its_own(filled: Store) -> None:
    assert order(filled) == [1, 2, 3, 4, 5]
    decide(filled, 1, "confirm")
    decide(filled, 4, "reject")
    assert order(filled) == [2, 3, 5]
    assert order(filled, Filter(state="undecided")) == [2, 3, 5]
    assert order(filled, Filter(state="confirm")) == [1]
    assert order(filled, Filter(site="elsewhere")) == []


def test_pages_join_without_a_gap(filled: Store) -> None:
    decide(filled, 3, "unclear")
    pages = []
    with filled.read() as connection:
        last = None
        while page := findings.queue(connection, Filter(), after=last, limit=2):
            pages.append([IDS.index(UUID(item.event["id"])) + 1 for item in page])
            last = page[-1]
    assert pages == [[1, 2], [4, 5]]


def test_the_next_is_the_one_behind_then_the_first_left(filled: Store) -> None:
    def next_of(n: int) -> int | None:
        with filled.read() as connection:
            here = findings.one(connection, str(IDS[n - 1]))
            item = findings.next_undecided(connection, Filter(), after=here)
        return None if item is None else IDS.index(UUID(item.event["id"])) + 1

    assert [next_of(n) for n in range(1, 6)] == [2, 3, 4, 5, 1]
    for n in (2, 3, 4, 5):
        decide(filled, n, "confirm")
    assert [next_of(1), next_of(3)] == [None, 1]


def test_a_decision_is_taken_back_by_another_and_the_one_before_stands_again(filled: Store) -> None:
    decide(filled, 1, "confirm")
    decide(filled, 1, "reject")
    decide(filled, 2, "unclear")
    assert [verdict(filled, 1), verdict(filled, 2)] == ["reject", "unclear"]
    assert undo(filled) == 2
    assert undo(filled) == 1
    assert [verdict(filled, 1), verdict(filled, 2)] == ["confirm", None]
    assert undo(filled) == 1
    assert undo(filled) is None
    assert verdict(filled, 1) is None
    decide(filled, 1, "reject")
    assert verdict(filled, 1) == "reject"
    with filled.read() as connection:
        assert connection.execute(select(func.count()).select_from(decisions)).scalar_one() == 7


def test_nobody_takes_back_anothers_decision(filled: Store) -> None:
    decide(filled, 1, "confirm")
    with filled.write() as connection:
        assert findings.undo(connection, reviewer="another", now_s=200) is None


def test_a_decision_is_taken_back_once(filled: Store) -> None:
    decide(filled, 1, "confirm")
    undo(filled)
    with pytest.raises(IntegrityError), filled.write() as connection:
        connection.execute(
            decisions.insert(),
            {"event": str(IDS[0]), "verdict": "undo", "undoes": 1, "decided_s": 1, "reviewer": "local"},
        )


def test_an_event_that_is_not_there_is_not_decided(filled: Store) -> None:
    with filled.write() as connection:
        assert not findings.decide(connection, "nothing", "confirm", reviewer="local", now_s=1)


def test_only_what_is_confirmed_is_a_finding(filled: Store) -> None:
    decide(filled, 1, "confirm")
    decide(filled, 2, "confirm")
    decide(filled, 2, "reject")
    decide(filled, 3, "unclear")
    decide(filled, 4, "confirm")
    undo(filled)
    with filled.read() as connection:
        (row,) = findings.confirmed(connection)
        exposed = findings.exposure(connection)
        tallies = findings.tallies(connection, Filter())
    assert {name: row[name] for name in ("confirmed", "rejected", "unclear", "undecided")} == {
        "confirmed": 1,
        "rejected": 1,
        "unclear": 1,
        "undecided": 2,
    }
    assert tallies == {"undecided": 2, "confirm": 1, "reject": 1, "unclear": 1}
    assert exposed == {(row["site"], row["place"], row["road_user"]): 200}
