"""Stores and brokers for the tests of the chain."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from broker.collector import passwords
from broker.collector.clips import ClipFolder
from broker.collector.store import Store
from broker.embedded import Broker, mosquitto_path, start_broker
from tests.broker import postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    if postgres.bin_folder() is None:
        pytest.skip("no PostgreSQL: neither /usr/lib/postgresql/*/bin/initdb nor initdb on the path")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("no psycopg: pip install 'nearmiss[postgres]'")
    with postgres.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'collector.db'}"
    return emptied(request.getfixturevalue("postgres_url"))


def emptied(url: str) -> str:
    """Return the address of a PostgreSQL database, once nothing is left in it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hashed with little memory: what is tested is what is done with them."""
    from argon2 import PasswordHasher

    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: cheap)
    passwords._nobodys.cache_clear()


@pytest.fixture
def store(empty_database: str) -> Iterator[Store]:
    """A store of this version, once in SQLite and once in PostgreSQL."""
    opened = Store(empty_database)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def clips(tmp_path: Path) -> ClipFolder:
    return ClipFolder(tmp_path / "clips")


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker of each kind."""
    if request.param == "mosquitto" and mosquitto_path() is None:
        pytest.skip("mosquitto is not installed")
    with start_broker(software=request.param) as started:
        yield started
