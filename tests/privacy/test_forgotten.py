"""What is deleted is gone from the disk: no byte of it is left in a free page, a log or a file beside.

SQLite leaves the bytes of deleted rows in the pages they were in, and in its log, unless it is told to
overwrite them: "stolen disk" of the threat model is about those too.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from broker.collector import findings
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.retention import DAY_S, sweep
from broker.collector.store import Refusal, Store, keep, refuse
from broker.wire import Receipt
from edge import outbox_file
from edge.outbox import Outbox, sha256
from tests.broker.records import BIN_TIME, clip, event

NOW = int((BIN_TIME + timedelta(minutes=10)).timestamp())


def found_in(folder: Path, needles: list[bytes]) -> set[bytes]:
    """Return which of the needles are in any file under a folder; databases and their logs are files."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert files
    return {needle for needle in needles if any(needle in content for content in files)}


def filled(folder: Path) -> tuple[Outbox, list[bytes], Receipt]:
    outbox = Outbox(folder / "outbox.db", retry_s=30.0)
    drawings = [clip(offset=n) for n in range(6)]
    records = [event(clip=sha256(drawing.encode())) for drawing in drawings]
    for record, drawing in zip(records, drawings, strict=True):
        outbox.put_event(record, drawing, due=1e6)
    outbox.take(1e6, 50)
    hashes = tuple(sha256(drawing.encode()) for drawing in drawings)
    needles = [drawing.encode()[-200:] for drawing in drawings] + [str(each.id).encode() for each in records]
    return outbox, needles, Receipt(ids=tuple(each.id for each in records), hashes=hashes)


def test_an_outbox_keeps_no_byte_of_what_was_receipted(tmp_path: Path) -> None:
    outbox, needles, receipt = filled(tmp_path)
    with outbox:
        assert found_in(tmp_path, needles) == set(needles)
        assert len(outbox.settle(receipt)) == 12
        assert found_in(tmp_path, needles) == set()


def test_without_overwriting_it_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same outbox, its pages left as they are."""
    opened = outbox_file._opened

    def careless(path: Path, *, quota_bytes: int) -> object:
        database = opened(path, quota_bytes=quota_bytes)
        database.execute("PRAGMA secure_delete=OFF")
        return database

    monkeypatch.setattr(outbox_file, "_opened", careless)
    outbox, needles, receipt = filled(tmp_path)
    with outbox:
        outbox.settle(receipt)
        assert found_in(tmp_path, needles)


def test_a_collector_keeps_no_byte_of_what_was_swept(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'nearmiss.db'}")
    store.migrate()
    clips = ClipFolder(tmp_path / "clips")
    drawings = [clip(offset=n) for n in range(3)]
    blobs = [
        {"hash": clips.write(each.encode()), "kind": "clip", "bytes": len(each.encode()), "plate": None}
        for each in drawings
    ]
    records = [event(seq=n, clip=str(blob["hash"])) for n, blob in enumerate(blobs, 1)]
    letter = b"nearmiss/v1/a-topic-nobody-serves/x/event"
    with store.write() as connection:
        keep(connection, new_events=records, new_blobs=blobs, now_s=NOW)
        refuse(connection, [Refusal(letter.decode(), "ab" * 32, 1, "broken")], now_s=NOW)
        findings.decide(connection, str(records[0].id), "confirm", reviewer="who-decided", now_s=NOW)
    needles = [
        *(str(each.id).encode() for each in records),
        *(drawing.encode()[-200:] for drawing in drawings),
        *(str(blob["hash"]).encode() for blob in blobs),
        letter,
        b"who-decided",
    ]
    try:
        assert found_in(tmp_path, needles) == set(needles)
        for day in (4, 15, 91, 181, 400):
            sweep(store, clips, Retention(), now_s=NOW + day * DAY_S)
        assert found_in(tmp_path, needles) == set()
    finally:
        store.close()
