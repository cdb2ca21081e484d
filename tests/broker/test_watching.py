"""/health and /metrics: true when it is well, and honest about each part that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.health import Health
from broker.collector.intake import Intake
from broker.collector.store import Store, StoreError
from broker.collector.watching import Figures, WatchServer
from broker.embedded import free_port
from broker.topics import Address
from tests.broker.records import NODE, SITE, event, status

HERE = Address(SITE, NODE, "event")


@dataclass
class FakeThread:
    alive: bool = True


@dataclass
class FakeIntake(FakeThread):
    connected: bool = True
    store_fails: bool = False


@dataclass
class Watched:
    """A collector whose parts a test can break."""

    intake: FakeIntake
    sweeper: FakeThread
    health: Health
    clock: list[float]


@pytest.fixture
def watched(store: Store, tmp_path: Path) -> Watched:
    intake, sweeper, clock = FakeIntake(), FakeThread(), [0.0]
    health = Health(
        store,
        intake,
        threads={},
        others={"sweeper": lambda: sweeper.alive},
        disks={"store": tmp_path},
        room_bytes=1,
        monotonic=lambda: clock[0],
    )
    return Watched(intake, sweeper, health, clock)


def unwell(watched: Watched) -> set[str]:
    return {name for name, check in watched.health.ready().items() if not check.well}


def test_a_collector_that_is_well_says_so(watched: Watched) -> None:
    assert unwell(watched) == set()
    assert set(watched.health.live()) == {"intake"}


@pytest.mark.parametrize(
    ("part", "field", "expected"),
    [
        pytest.param("intake", "alive", "intake", id="the intake has ended"),
        pytest.param("intake", "connected", "broker", id="no broker"),
        pytest.param("sweeper", "alive", "sweeper", id="the sweeper has ended"),
    ],
)
def test_each_part_that_fails_shows(watched: Watched, part: str, field: str, expected: str) -> None:
    setattr(getattr(watched, part), field, False)
    assert unwell(watched) == {expected}
    assert all(check.well for check in watched.health.live().values()) == (expected != "intake")


def test_a_store_that_fails_shows_at_once_and_recovers(watched: Watched) -> None:
    watched.intake.store_fails = True
    assert unwell(watched) == {"store"}
    watched.intake.store_fails = False
    assert unwell(watched) == set()


def test_a_store_that_takes_no_commit_shows(store: Store, empty_database: str, tmp_path: Path) -> None:
    path = empty_database.removeprefix("sqlite:///")
    read_only = Store(
        f"{empty_database}?options=-c%20default_transaction_read_only%3Don"
        if store.engine.dialect.name == "postgresql"
        else f"sqlite:///file:{path}?mode=ro&uri=true"
    )
    health = Health(read_only, FakeIntake(), threads={}, disks={}, room_bytes=0)
    check = health.ready()["store"]
    assert not check.well
    assert "read" in check.said
    read_only.close()


def test_a_disk_without_room_shows(watched: Watched, store: Store, tmp_path: Path) -> None:
    full = Health(store, watched.intake, threads={}, disks={"clips": tmp_path}, room_bytes=2**60)
    check = full.ready()["disk of clips"]
    assert not check.well
    assert "needed" in check.said
    gone = Health(store, watched.intake, threads={}, disks={"clips": tmp_path / "none"}, room_bytes=1)
    assert not gone.ready()["disk of clips"].well


def test_a_probe_is_not_a_commit_each_time(watched: Watched, store: Store) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("counts by SQLite's own number")

    def version() -> int:
        with store.read() as connection:
            return int(connection.execute(text("PRAGMA user_version")).scalar_one())

    for _ in range(3):
        watched.health.ready()
    assert version() == 1
    watched.clock[0] += 6
    watched.health.ready()
    assert version() == 2


@pytest.fixture
def server(watched: Watched, store: Store, clips: ClipFolder) -> Iterator[tuple[WatchServer, Intake]]:
    intake = Intake(store, clips)
    collector = Collector(intake, host="127.0.0.1", port=free_port())
    figures = Figures(store, intake, collector, watched.health)
    started = WatchServer(watched.health, figures, host="127.0.0.1", port=0)
    started.start()
    yield started, intake
    started.close()


def test_health_over_http_is_200_or_503(server: tuple[WatchServer, Intake], watched: Watched) -> None:
    address = f"http://127.0.0.1:{server[0].port}"
    assert httpx.get(f"{address}/health").status_code == 200
    watched.intake.connected = False
    answer = httpx.get(f"{address}/health")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"] == {"well": False, "said": "not connected"}
    assert httpx.get(f"{address}/health/live").status_code == 200
    watched.intake.alive = False
    assert httpx.get(f"{address}/health/live").status_code == 503
    assert httpx.get(f"{address}/elsewhere").status_code == 404


def test_metrics_count_what_was_stored_refused_and_is_missing(server: tuple[WatchServer, Intake]) -> None:
    watch, intake = server
    intake.take(
        [
            (HERE.topic, event(seq=1).encode()),
            (HERE.topic, event(seq=5).encode()),
            (HERE.topic, b"nonsense"),
            (HERE.to("status").topic, status(seq=5).encode()),
        ]
    )
    said = httpx.get(f"http://127.0.0.1:{watch.port}/metrics").text
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }
    assert found["nearmiss_messages_total", "event"] == 2
    assert found["nearmiss_messages_total", "refused"] == 1
    assert found["nearmiss_node_missing", NODE, SITE] == 3
    assert found["nearmiss_node_state", NODE, SITE, "running"] == 1
    assert found["nearmiss_check", "store"] == 1


def test_a_port_that_is_taken_is_told(server: tuple[WatchServer, Intake], watched: Watched) -> None:
    with pytest.raises(StoreError, match="choose another one"):
        WatchServer(watched.health, server[0]._figures, host="127.0.0.1", port=server[0].port)
