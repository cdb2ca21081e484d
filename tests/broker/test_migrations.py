"""A store of any earlier version, with rows in it, becomes one of this version, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, insert, select

from broker.collector import migrations
from broker.collector.store import Store, count_rows, event_row, gaps, keep, stored_events
from broker.collector.tables import counts as counts_table
from broker.collector.tables import decisions, metadata
from tests.broker.records import NODE, SITE, counts, event

EVENTS = [event(seq=seq) for seq in (1, 2, 5)]


def revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1, "one line of history"
    return [each.revision for each in reversed(list(script.walk_revisions()))]


@pytest.mark.parametrize("revision", revisions())
def test_a_store_of_an_earlier_version_keeps_its_rows(empty_database: str, revision: str) -> None:
    store = Store(empty_database)
    migrations.upgrade(store.engine, revision)
    earlier = MetaData()
    earlier.reflect(store.engine)
    rows = {
        "events": [event_row(each) for each in EVENTS],
        "counts": count_rows(counts(seq=4, count=9)),
        "runs": [
            {"site": SITE, "node": NODE, "first": 1, "last": 2},
            {"site": SITE, "node": NODE, "first": 4, "last": 5},
        ],
        "decisions": [
            {"event": str(EVENTS[0].id), "verdict": "confirm", "decided_s": 100, "reviewer": "local"}
        ],
    }
    with store.write() as connection:
        for name, filled in rows.items():
            table = earlier.tables[name]
            for row in filled:
                connection.execute(
                    insert(table), [{key: value for key, value in row.items() if key in table.c}]
                )

    store.migrate()

    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert sorted(stored_events(connection), key=lambda each: each.seq) == EVENTS
        assert connection.execute(select(counts_table.c.count)).scalars().all() == [9]
        assert connection.execute(select(decisions.c.verdict)).scalars().all() == ["confirm"]
        assert gaps(connection, SITE, NODE) == [(3, 3)]
    with store.write() as connection:
        keep(connection, new_events=[event(seq=3)])
    with store.read() as connection:
        assert gaps(connection, SITE, NODE) == []
    store.close()


def test_collectors_that_start_at_once_make_the_tables_once(empty_database: str) -> None:
    stores = [Store(empty_database) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Store.migrate, stores))
    with stores[0].read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    for store in stores:
        store.close()
