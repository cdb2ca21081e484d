"""Deciding: two who agree, a third between them, a look again; fifty people at once without a collision."""

from __future__ import annotations

import threading
from collections import Counter
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from broker.collector import agreement, claims, deciding, findings
from broker.collector.audit_check import verified
from broker.collector.deciding import MeanwhileError, Verdict
from broker.collector.findings import Filter
from broker.collector.second_look import Policy
from broker.collector.severity import ranks, severity, uncertainty
from broker.collector.store import Store, keep
from broker.collector.tables import decisions, events
from broker.wire import Measure
from tests.broker.records import event

EVERY = Policy(share=1.0)
IDS = [str(UUID(f"{n:08x}-0000-4000-8000-000000000000")) for n in range(1, 31)]


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as connection:
        keep(connection, new_events=[event(id=UUID(id_), seq=n) for n, id_ in enumerate(IDS, 1)])
    return store


def decide(
    store: Store, who: str, verdict: Verdict, *, n: int = 0, policy: Policy = EVERY, now_s: int = 10
) -> None:
    with store.write() as connection:
        assert findings.decide(connection, IDS[n], verdict, reviewer=who, now_s=now_s, policy=policy)


def state(store: Store, n: int = 0) -> tuple[str, str, str | None]:
    with store.read() as connection:
        row = connection.execute(select(events).where(events.c.id == IDS[n])).one()
    return row.tab, row.wants, row.verdict


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        pytest.param([], ("open", "first", None), id="nobody"),
        pytest.param(["a:confirm"], ("open", "second", None), id="one: counts as nothing yet"),
        pytest.param(["a:confirm", "a:reject"], ("open", "second", None), id="one, twice"),
        pytest.param(["a:confirm", "b:confirm"], ("confirm", "", "confirm"), id="two agree"),
        pytest.param(["a:confirm", "b:reject"], ("open", "third", None), id="two do not"),
        pytest.param(["a:confirm", "b:reject", "c:reject"], ("reject", "", "reject"), id="a third decides"),
        pytest.param(["a:confirm", "b:reject", "c:unclear"], ("unclear", "", "unclear"), id="three words"),
        pytest.param(["a:confirm", "b:confirm", "b:undo"], ("open", "second", None), id="one takes back"),
    ],
)
def test_what_two_people_make_of_an_event(
    filled: Store, said: list[str], stands: tuple[str, str, str | None]
) -> None:
    for each in said:
        who, _, verdict = each.partition(":")
        if verdict == "undo":
            with filled.write() as connection:
                findings.undo(connection, reviewer=who, now_s=11)
        else:
            decide(filled, who, verdict)  # type: ignore[arg-type]  # one of the three
    assert state(filled) == stands


def test_the_second_look_is_somebody_elses(filled: Store) -> None:
    decide(filled, "kim", "confirm")

    def first(who: str) -> str:
        with filled.read() as connection:
            return str(findings.queue(connection, Filter(), reviewer=who, limit=1)[0].event["id"])

    assert first("kim") == IDS[1]
    assert first("lee") == IDS[0]
    with filled.read() as connection:
        item = findings.one(connection, IDS[0])
        assert item is not None and item.verdict is None, "what was decided before is not shown"
        assert findings.tallies(connection, Filter(), reviewer="kim")["undecided"] == 29


def test_severe_events_get_a_second_look_and_others_by_their_share(filled: Store) -> None:
    with filled.write() as connection:
        connection.execute(update(events).where(events.c.id == IDS[0]).values(severity=3))
    for n in range(30):
        decide(filled, "kim", "confirm", n=n, policy=Policy(severe=True, share=0.3))
    waiting = [n for n in range(30) if state(filled, n)[1] == "second"]
    assert waiting[0] == 0
    assert 2 <= len(waiting) <= 20  # 1 + binomial(29, 0.3): outside once in 10,000 stores
    with filled.read() as connection:
        again = [EVERY.wants_second(connection, id_, 0) for id_ in IDS[:3]]
    assert again == [True] * 3


def test_what_was_decided_comes_up_again_unmarked_and_changes_nothing(filled: Store) -> None:
    look = Policy(recheck_share=1.0, recheck_after_s=100)
    decide(filled, "kim", "confirm", policy=look, now_s=10)
    assert state(filled) == ("confirm", "", "confirm")
    decide(filled, "kim", "reject", n=1, policy=Policy(), now_s=110)
    assert state(filled) == ("open", "recheck", "confirm")
    with filled.read() as connection:
        item = findings.one(connection, IDS[0])
        assert item is not None and item.verdict is None
        assert connection.execute(select(findings.verdicts().c.event)).scalars().all().count(IDS[0]) == 1
    decide(filled, "kim", "reject", policy=look, now_s=120)
    assert state(filled) == ("confirm", "", "confirm")
    with filled.read() as connection:
        found = agreement.of_rechecks(connection)
    assert (found.pairs, found.alike) == (1, 0)


def test_kappa_is_cohens() -> None:
    # Cohen (1960), table 1 in counts of 100: observed 0.70, by chance 0.41.
    pairs = Counter({("a", "a"): 25, ("a", "b"): 13, ("a", "c"): 12, ("b", "a"): 12, ("b", "b"): 2})
    pairs += Counter({("b", "c"): 16, ("c", "a"): 3, ("c", "b"): 15, ("c", "c"): 2})
    found = agreement.kappa(pairs)
    observed, chance = 0.29, (0.5 * 0.4 + 0.3 * 0.3 + 0.2 * 0.3)
    assert found.kappa == pytest.approx((observed - chance) / (1 - chance))
    assert agreement.kappa(Counter({("a", "a"): 3})).kappa is None
    assert agreement.kappa(Counter()).pairs == 0


def test_two_people_agree_as_counted(filled: Store) -> None:
    for n, (one, other) in enumerate([("confirm", "confirm"), ("reject", "reject"), ("confirm", "unclear")]):
        decide(filled, "a", one, n=n)  # type: ignore[arg-type]
        decide(filled, "b", other, n=n)  # type: ignore[arg-type]
    with filled.read() as connection:
        found = agreement.of_two(connection)
        assert agreement.of_two(connection, sites=frozenset()).pairs == 0
    assert (found.pairs, found.alike) == (3, 2)
    assert found.kappa == pytest.approx(0.5)


def test_an_event_is_one_persons_until_time_or_a_decision_frees_it(filled: Store) -> None:
    with filled.write() as connection:
        assert claims.take(connection, IDS[0], reviewer="kim", now_s=100).reviewer == "kim"
        assert claims.take(connection, IDS[0], reviewer="lee", now_s=101).reviewer == "kim"
        with pytest.raises(MeanwhileError, match="looks at this event"):
            findings.decide(connection, IDS[0], "confirm", reviewer="lee", now_s=102, seen=0)
        assert claims.take(connection, IDS[0], reviewer="kim", now_s=130).since_s == 100
        item = findings.queue(connection, Filter(), reviewer="lee", free_at_s=140, limit=1)[0]
        assert item.event["id"] == IDS[1]
        findings.decide(connection, IDS[0], "confirm", reviewer="kim", now_s=142, seen=0)
        took = connection.execute(select(decisions.c.took_s)).scalar_one()
        assert took == 42
        claims.take(connection, IDS[2], reviewer="kim", now_s=200)
        late = 201 + claims.LASTS_S
        assert claims.take(connection, IDS[2], reviewer="lee", now_s=late).reviewer == "lee"


def test_a_page_that_is_old_decides_nothing(filled: Store) -> None:
    decide(filled, "kim", "confirm", policy=Policy())
    with filled.write() as connection, pytest.raises(MeanwhileError, match="has decided"):
        findings.decide(connection, IDS[0], "reject", reviewer="lee", now_s=20, seen=0)
    assert state(filled) == ("confirm", "", "confirm")


def test_fifty_people_at_once_decide_each_event_once(filled: Store) -> None:
    """Five have opened each of ten events before any of them decided; all decide at the same moment."""
    url = filled.engine.url.render_as_string(hide_password=False)
    failures: list[BaseException] = []
    refused: list[str] = []
    together = threading.Barrier(50)

    def work(n: int) -> None:
        mine, id_ = Store(url), IDS[n % 10]
        try:
            with mine.read() as connection:
                seen = deciding.written(connection, id_)
            together.wait(60)
            with mine.write() as connection:
                claims.take(connection, id_, reviewer=f"r{n}", now_s=100)
            with mine.write() as connection:
                findings.decide(connection, id_, "confirm", reviewer=f"r{n}", now_s=101, seen=seen)
        except MeanwhileError:
            refused.append(id_)
        except (OperationalError, threading.BrokenBarrierError) as error:
            failures.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures, failures[0]
    assert Counter(refused) == dict.fromkeys(IDS[:10], 4)
    with filled.read() as connection:
        per_event = connection.execute(
            select(func.count()).select_from(decisions).group_by(decisions.c.event)
        ).scalars()
        assert list(per_event) == [1] * 10
        assert verified(connection).problem is None


@pytest.mark.parametrize(
    ("changes", "severe", "uncertain"),
    [
        pytest.param({"into_red_s": (0.4, 0.3)}, 1, 7, id="just after onset"),
        pytest.param({"into_red_s": (3.0, 0.1)}, 2, 0, id="three seconds into red"),
        pytest.param({"into_red_s": (6.0, 0.1)}, 3, 0, id="six seconds into red"),
        pytest.param({"pet_s": (0.4, 0.1), "conflict_speed_mps": (9.4, 0.3)}, 3, 0, id="a hair's breadth"),
        pytest.param({"pet_s": (1.4, 0.1)}, 1, 7, id="near the edge of what is flagged"),
        pytest.param({}, 1, 5, id="no number"),
    ],
)
def test_how_severe_and_how_uncertain(
    changes: dict[str, tuple[float, float]], severe: int, uncertain: int
) -> None:
    rule = "near_miss" if "pet_s" in changes else "red_light_entry"
    measures = {name: Measure(value=value, sigma=sigma) for name, (value, sigma) in changes.items()}
    record = event(rule=rule).model_copy(update={"measures": measures})  # type: ignore[arg-type]
    assert (severity(record), uncertainty(record)) == (severe, uncertain)
    assert ranks(record)["urgency"] == -(10 * severe + uncertain)
