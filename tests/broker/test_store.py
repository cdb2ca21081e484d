"""The store, in SQLite and in PostgreSQL: what goes in comes out, once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from broker.collector.store import (
    Refusal,
    Store,
    StoreError,
    explained,
    gaps,
    keep,
    refuse,
    stored_events,
)
from broker.collector.tables import counts as counts_table
from broker.collector.tables import dead_letters, metadata, nodes
from broker.wire import Measure, Status
from tests.broker.records import NODE, SITE, counts, event, status

EVENTS = [
    event(seq=1),
    event(seq=2, signal=None, time_sigma_s=None, measures={}),
    event(
        seq=3,
        rule="near_miss",
        road_user="bicycle",
        road_user2="bus",
        measures={"pet_s": Measure(value=1.1, sigma=None)},
        caused_by=uuid4(),
        clip="ab" * 32,
    ),
]


def test_the_migrations_make_the_tables_the_code_uses(store: Store) -> None:
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.migrate()  # nothing to do


def test_an_event_comes_out_as_it_went_in(store: Store) -> None:
    with store.write() as connection:
        keep(connection, new_events=EVENTS)
    with store.read() as connection:
        assert sorted(stored_events(connection), key=lambda each: each.seq) == EVENTS


def test_what_comes_twice_is_stored_once(store: Store) -> None:
    for _ in range(2):
        with store.write() as connection:
            keep(connection, new_events=[*EVENTS, *EVENTS], new_counts=[counts(seq=4), counts(seq=4)])
    with store.read() as connection:
        assert len(stored_events(connection)) == 3
        assert connection.execute(select(counts_table.c.count)).scalars().all() == [12]


def test_a_node_that_starts_again_within_a_quarter_adds_to_it(store: Store) -> None:
    with store.write() as connection:
        keep(connection, new_counts=[counts(seq=1, count=5), counts(seq=2, count=7)])
    with store.read() as connection:
        assert connection.execute(select(func.sum(counts_table.c.count))).scalar_one() == 12


@pytest.mark.parametrize(
    ("arrived", "missing"),
    [
        pytest.param([[1, 2, 3]], [], id="none"),
        pytest.param([[2], [5, 6]], [(1, 1), (3, 4)], id="the first, and two in the middle"),
        pytest.param([[5], [1], [3], [4], [2]], [], id="any order"),
        pytest.param([[1, 2], [2, 3], [3]], [], id="some of them twice"),
    ],
)
def test_a_gap_in_the_numbers_shows(
    store: Store, arrived: list[list[int]], missing: list[tuple[int, int]]
) -> None:
    for batch in arrived:
        with store.write() as connection:
            keep(connection, new_events=[event(seq=seq) for seq in batch])
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == missing
        assert gaps(connection, SITE, "another") == []


@pytest.mark.parametrize(
    ("arrived", "missing"),
    [
        pytest.param([1, 2, 1001, 1002], [], id="an outbox made anew"),
        pytest.param([1, 2, 1003], [(1001, 1002)], id="its first two are missing"),
        pytest.param([1, 2, 5, 1001], [(3, 4)], id="a gap before it stays one"),
        pytest.param([1, 2, 1001, 1005], [(1002, 1004)], id="a gap behind it"),
        pytest.param([1001], [], id="all there is"),
    ],
)
def test_numbers_that_nobody_gave_are_not_missing(
    store: Store, arrived: list[int], missing: list[tuple[int, int]]
) -> None:
    with store.write() as connection:
        keep(
            connection,
            new_events=[event(seq=seq) for seq in arrived],
            new_statuses=[status(seq=1001).model_copy(update={"first_seq": 1001})],
        )
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == missing


@pytest.mark.parametrize(
    ("arrived", "told", "missing", "known"),
    [
        pytest.param([1, 2, 6], [[(3, 5)]], [], [(3, 5)], id="all of a gap"),
        pytest.param([1, 9], [[(4, 5)]], [(2, 3), (6, 8)], [(4, 5)], id="the middle of one"),
        pytest.param([1, 9], [[(4, 4)], [(3, 6)]], [(2, 2), (7, 8)], [(3, 6)], id="a run that grew"),
        pytest.param([1, 4, 8], [[(2, 2), (6, 6)]], [(3, 3), (5, 5), (7, 7)], [(2, 2), (6, 6)], id="two"),
        pytest.param([1, 2, 3], [[(2, 3)]], [], [], id="what arrived before its receipt was lost"),
        pytest.param([1, 2], [[(3, 9)]], [], [], id="the last ones given: nothing has come behind them"),
    ],
)
def test_numbers_a_node_has_given_up_are_explained(
    store: Store,
    arrived: list[int],
    told: list[list[tuple[int, int]]],
    missing: list[tuple[int, int]],
    known: list[tuple[int, int]],
) -> None:
    with store.write() as connection:
        keep(connection, new_events=[event(seq=seq) for seq in arrived])
    for runs in told:
        word = status(seq=20).model_copy(update={"given_up": tuple(runs)})
        with store.write() as connection:
            keep(connection, new_statuses=[Status.decode(word.encode())])
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == missing
        assert explained(connection, SITE, NODE) == known
        assert explained(connection, SITE, "another") == []


def test_letters_beyond_a_bound_are_counted_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.collector.store.LETTERS", 3)
    letters = [Refusal("topic", f"{number:064d}", 9, "why") for number in range(1, 11)]
    for _ in range(2):
        with store.write() as connection:
            refuse(connection, letters, now_s=100)
    with store.read() as connection:
        rows = connection.execute(select(dead_letters.c.hash, dead_letters.c.times)).all()
    assert sorted((hash_, times) for hash_, times in rows) == [
        ("0" * 64, 14),
        *((f"{number:064d}", 2) for number in (1, 2, 3)),
    ]


def test_the_last_status_of_a_node_counts(store: Store) -> None:
    with store.write() as connection:
        keep(connection, new_statuses=[status("starting"), status("running")], now_s=100)
    with store.write() as connection:
        keep(connection, new_statuses=[status("stopped", seq=9)], now_s=200)
    with store.read() as connection:
        row = connection.execute(select(nodes)).mappings().one()
    assert (row["status"]["state"], row["status"]["seq"], row["heard_s"]) == ("stopped", 9, 200)


def test_a_refused_message_that_comes_again_only_counts_up(store: Store) -> None:
    letter = Refusal("nearmiss/v1/main-5th/cam-n/event", "cd" * 32, 17, "the record: json_invalid")
    for second in (100, 160):
        with store.write() as connection:
            refuse(connection, [letter], now_s=second)
    with store.read() as connection:
        row = connection.execute(select(dead_letters)).mappings().one()
    assert (row["times"], row["first_s"], row["last_s"]) == (2, 100, 160)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("mysql://x/y", "sqlite:///FILE or postgresql", id="another database"),
        pytest.param("nonsense", "Could not parse", id="no address at all"),
    ],
)
def test_a_database_that_is_none_is_named(url: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem):
        Store(url)


def test_a_file_that_is_no_database_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("store") / "collector.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(f"sqlite:///{path}").migrate()
