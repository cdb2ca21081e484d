"""What decisions teach: precision with its interval, and a threshold with its evidence."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from broker.collector import findings
from broker.collector.publication import learning
from broker.collector.publication.advice_words import sentence
from broker.collector.publication.learning import Decided
from broker.collector.publication.plans import keep_plan
from broker.collector.store import Store, keep
from broker.wire import Measure
from tests.broker.publication.years import PLAN
from tests.broker.records import BIN_TIME, SITE, event


def decided(pet_s: float, confirmed: bool, *, half: bool) -> Decided:
    return Decided(SITE, "near_miss", "night", confirmed, {"pet_s": (pet_s, 0.1)}, half)


def test_precision_counts_standing_decisions_by_part_of_the_day(store: Store) -> None:
    def at(hour: int) -> datetime:
        return BIN_TIME.replace(hour=hour, minute=0) + timedelta(hours=6)  # Chicago, in winter

    records = [event(seq=n, time=at(hour)) for n, hour in enumerate((1, 2, 13, 14, 15), 1)]
    with store.write() as connection:
        keep_plan(connection, PLAN, now_s=1)
        keep(connection, new_events=records)
        for each, verdict in zip(
            records, ("confirm", "reject", "confirm", "unclear", "confirm"), strict=True
        ):
            findings.decide(connection, str(each.id), verdict, reviewer="local", now_s=1)  # type: ignore[arg-type]
        findings.undo(connection, reviewer="local", now_s=2)
    with store.read() as connection:
        found = learning.precisions(learning.decided(connection))
        elsewhere = learning.decided(connection, sites=["elsewhere"])
    assert [(each.day_part, each.confirmed, each.rejected) for each in found] == [
        (None, 2, 1),
        ("night", 1, 1),
        ("afternoon", 1, 0),
    ]
    assert (found[0].share.value, found[0].share.low, found[0].share.high) == (0.667, 0.208, 0.939)
    assert elsewhere == []


def test_advice_tells_the_threshold_with_evidence_from_the_other_half() -> None:
    found = []
    for half in (True, False):
        found += [decided(round(0.1 * n, 1), True, half=half) for n in range(12) for _ in range(5)]
        found += [decided(0.5, False, half=half)] * 9
        found += [decided(1.3, False, half=half)] * 31
    found += [decided(1.4, True, half=False)]
    (one,) = learning.advice(found)
    assert (one.measure, one.side, one.threshold, one.setting) == ("pet_s", "above", 1.1, "pet_flag_s")
    assert (one.rejected_removed, one.rejected, one.confirmed_removed, one.confirmed) == (31, 40, 1, 61)
    assert one.precision_before.value == pytest.approx(61 / 101, abs=1e-3)
    assert one.precision_after.value == pytest.approx(60 / 69, abs=1e-3)
    assert sentence(one) == (
        "at main-5th, rejecting post-encroachment time > 1.1 s would have removed 31 of 40 rejected "
        "and 1 of 61 confirmed (near miss; thresholds.pet_flag_s in its site file)"
    )


def test_noise_teaches_nothing() -> None:
    chance = random.Random(5)
    for _ in range(20):
        found = [
            decided(round(chance.uniform(0.1, 1.5), 1), chance.random() < 0.6, half=chance.random() < 0.5)
            for _ in range(300)
        ]
        assert learning.advice(found) == []


def test_few_rejected_teach_nothing() -> None:
    found = [decided(0.2, True, half=half) for half in (True, False) for _ in range(60)]
    found += [decided(1.4, False, half=half) for half in (True, False) for _ in range(19)]
    assert learning.advice(found) == []


def test_the_halves_of_the_decisions_are_by_their_random_ids(sqlite_store: Store) -> None:
    records = [event(seq=n, id=UUID(f"{n:08x}-0000-4000-8000-000000000000")) for n in (1, 0xF0000000)]
    records = [
        each.model_copy(update={"measures": {"pet_s": Measure(value=1, sigma=None)}}) for each in records
    ]
    with sqlite_store.write() as connection:
        keep(connection, new_events=records)
        for each in records:
            findings.decide(connection, str(each.id), "confirm", reviewer="local", now_s=1)
        found = learning.decided(connection)
    assert sorted(each.half for each in found) == [False, True]
