"""Clips in S3: the same promises as in a folder, against moto's server on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.collector.bucket import BucketError, ClipBucket
from broker.collector.config import CollectorConfig, Storage
from broker.collector.intake import Intake
from broker.collector.serve import clips_of
from broker.collector.store import Store, stored_events
from broker.embedded import free_port
from broker.topics import Address
from tests.broker.records import NODE, SITE, clip, event

pytest.importorskip("moto.server", reason="moto is not installed")
pytest.importorskip("obstore", reason="obstore is not installed")
HERE = Address(SITE, NODE, "event")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ClipBucket:
    import httpx

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    httpx.post(f"{endpoint}/moto-api/reset")
    httpx.put(f"{endpoint}/clips")
    return ClipBucket("s3://clips/here", endpoint=endpoint)


def test_what_is_written_is_read_listed_and_deleted(bucket: ClipBucket) -> None:
    payloads = [clip(offset=n).encode() for n in range(3)]
    hashes = [bucket.write(each) for each in payloads]
    assert bucket.write(payloads[0]) == hashes[0], "twice is once"
    assert [bucket.read(each) for each in hashes] == payloads
    assert bucket.hashes() == set(hashes)
    assert bucket.older_than(int(time.time()) + 60) == set(hashes)
    assert bucket.older_than(int(time.time()) - 60) == set()
    assert (bucket.delete(hashes[0]), bucket.delete(hashes[0])) == (True, False)
    assert bucket.read(hashes[0]) is None
    assert bucket.sweep_parts() == 0


def test_intake_keeps_clips_there(bucket: ClipBucket, sqlite_store: Store) -> None:
    drawing = clip().encode()
    receipts = Intake(sqlite_store, bucket).take(
        [(HERE.to("clip").topic, drawing), (HERE.topic, event().encode())]
    )
    ((_, receipt),) = receipts
    assert bucket.read(receipt.hashes[0]) == drawing


def test_a_bucket_that_is_away_gives_no_receipt(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    away = ClipBucket("s3://clips", endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match="s3://clips"):
        Intake(sqlite_store, away).take(
            [(HERE.to("clip").topic, clip().encode()), (HERE.topic, event().encode())]
        )
    with sqlite_store.read() as connection:
        assert stored_events(connection) == []


def test_no_bucket_is_named_as_such() -> None:
    with pytest.raises(BucketError, match="expected s3://BUCKET"):
        ClipBucket("s3://")


def test_the_configuration_chooses(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    folder = clips_of(path, CollectorConfig(store=Storage(clips="pictures")))
    folder.write(b"x")
    assert (tmp_path / "pictures").is_dir()
    there = clips_of(path, CollectorConfig(store=Storage(clips="s3://clips/here", s3_region="eu-central-1")))
    assert isinstance(there, ClipBucket)
