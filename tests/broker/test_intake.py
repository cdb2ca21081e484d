"""Intake: commit, then the receipt; what is not the contract goes to the dead letters."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from broker.collector.clips import ClipFolder
from broker.collector.intake import Intake
from broker.collector.store import Store, gaps, stored_events
from broker.collector.tables import blobs, dead_letters
from broker.topics import MAX_BYTES, Address
from broker.wire import Receipt
from tests.broker.records import NODE, SITE, clip, counts, event, plate, status

HERE = Address(SITE, NODE, "event")


def topic(kind: Any) -> str:
    return HERE.to(kind).topic


def png(extra: bytes = b"") -> str:
    """Return a PNG of one pixel in base64, with any further chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    text = chunk(b"tEXt", extra) if extra else b""
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + header + text + pixels + chunk(b"IEND", b"")).decode()


@pytest.fixture
def intake(store: Store, clips: ClipFolder) -> Intake:
    return Intake(store, clips)


def reasons(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(dead_letters.c.reason)).scalars())


def test_each_kind_is_stored_and_receipted_in_its_own_way(
    intake: Intake, store: Store, clips: ClipFolder
) -> None:
    drawing = clip().encode()
    background = plate(background=png()).encode()
    record = event(seq=1)
    receipts = intake.take(
        [
            (topic("plate"), background),
            (topic("clip"), drawing),
            (topic("event"), record.encode()),
            (topic("counts"), counts(seq=2).encode()),
            (topic("status"), status(seq=2).encode()),
        ]
    )
    hashes = tuple(hashlib.sha256(each).hexdigest() for each in (background, drawing))
    assert receipts == [(HERE.to("receipt"), Receipt(ids=(record.id,), hashes=hashes, seqs=(2,)))]
    assert [clips.read(each) for each in hashes] == [background, drawing]
    with store.read() as connection:
        assert stored_events(connection) == [record]
        assert gaps(connection, SITE, NODE) == []
    assert reasons(store) == []


def test_each_node_gets_its_own_receipt(intake: Intake) -> None:
    here, there = event(seq=1), event(seq=1, node="cam-s")
    other = Address(SITE, "cam-s", "event")
    receipts = dict(intake.take([(HERE.topic, here.encode()), (other.topic, there.encode())]))
    assert receipts == {
        HERE.to("receipt"): Receipt(ids=(here.id,)),
        other.to("receipt"): Receipt(ids=(there.id,)),
    }


def test_a_message_twice_is_one_row_and_two_receipts(intake: Intake, store: Store) -> None:
    record = event()
    for _ in range(2):
        assert intake.take([(HERE.topic, record.encode())]) == [
            (HERE.to("receipt"), Receipt(ids=(record.id,)))
        ]
    with store.read() as connection:
        assert stored_events(connection) == [record]


def changed(**changes: Any) -> bytes:
    document = json.loads(event().encode())
    document.update(changes)
    return json.dumps(document).encode()


BROKEN = [
    pytest.param("event", b"", "json_invalid", id="nothing"),
    pytest.param("event", b"\xff\xfe\x00", "json_invalid", id="no text"),
    pytest.param("event", b"[" * 10_000, "json_invalid", id="deeply nested"),
    pytest.param("event", b"null", "model_type", id="null"),
    pytest.param("event", event().encode()[:-20], "json_invalid", id="cut short"),
    pytest.param("event", changed(licence_plate="ABC 123"), "extra_forbidden", id="a field too many"),
    pytest.param("event", changed(road_user="person"), "road_user: literal_error", id="an unknown kind"),
    pytest.param(
        "event",
        changed(measures={"face": {"value": 1, "sigma": 1}}),
        "literal_error",
        id="an unknown measure",
    ),
    pytest.param("event", changed(seq="7"), "seq: int_type", id="a number in quotes"),
    pytest.param("event", changed(seq=2**63), "seq: less_than_equal", id="a number beyond the database"),
    pytest.param("event", changed(time="2026-11-20T08:15:00"), "time: value_error", id="a time without zone"),
    pytest.param(
        "event",
        changed(id="0195d8a0-0000-7000-8000-000000000000"),
        "id: value_error",
        id="an id with a time in it",
    ),
    pytest.param(
        "event",
        changed(measures={"pet_s": {"value": float("nan"), "sigma": 1}}),
        "finite_number",
        id="not a number",
    ),
    pytest.param(
        "event", changed(time="2026-11-20T08:15:02.350Z"), "time: value_error", id="a time finer than a bin"
    ),
    pytest.param(
        "counts",
        counts().encode().replace(b"08:15:00", b"08:17:00"),
        "start: value_error",
        id="counts of another quarter",
    ),
    pytest.param("event", changed(node="cam-x"), "not those of the topic", id="in another node's name"),
    pytest.param("event", changed(place="x\u0000y"), "place: string_pattern_mismatch", id="a zero byte"),
    pytest.param("event", b" " * (MAX_BYTES["event"] + 1), "at most 16000 for event", id="too long"),
    pytest.param("counts", changed(), "extra_forbidden", id="an event as counts"),
    pytest.param("clip", changed(), "extra_forbidden", id="an event as a clip"),
    pytest.param("clip", b"\x89PNG\r\n\x1a\n", "json_invalid", id="a picture as a clip"),
    pytest.param("plate", plate(background="AAAA").encode(), "not a PNG", id="a plate that is no PNG"),
    pytest.param(
        "plate",
        plate(background=png(b"GPS 48.1 N")).encode(),
        "carries more than pixels",
        id="a plate with text",
    ),
    pytest.param("plate", plate(background=png()[:-8]).encode(), "cut short", id="half a plate"),
    pytest.param(
        "plate",
        plate().model_copy(update={"site": "other"}).encode(),
        "another site",
        id="another site's plate",
    ),
    pytest.param("receipt", Receipt().encode(), "not for a collector", id="a receipt"),
]


@pytest.mark.parametrize(("kind", "payload", "reason"), BROKEN)
def test_a_broken_message_goes_to_the_dead_letters(
    sqlite_store: Store, clips: ClipFolder, tmp_path: Path, kind: Any, payload: bytes, reason: str
) -> None:
    good = event()
    receipts = Intake(sqlite_store, clips).take([(topic(kind), payload), (HERE.topic, good.encode())])

    assert receipts == [(HERE.to("receipt"), Receipt(ids=(good.id,)))], (
        "no receipt, and the good one is taken"
    )
    (said,) = reasons(sqlite_store)
    assert reason in said
    with sqlite_store.read() as connection:
        assert stored_events(connection) == [good]
        assert connection.execute(select(func.count()).select_from(blobs)).scalar_one() == 0
    assert clips.hashes() == set()


@pytest.mark.parametrize(
    "name", ["nearmiss/v1/Main/cam/event", "nearmiss/v2/a/b/event", "other", "nearmiss/v1/a/b/video"]
)
def test_a_foreign_topic_goes_to_the_dead_letters(sqlite_store: Store, clips: ClipFolder, name: str) -> None:
    assert Intake(sqlite_store, clips).take([(name, event().encode())]) == []
    assert reasons(sqlite_store) == ["the topic is not nearmiss/v1/{site}/{node}/{kind}"]


def test_a_refused_payload_leaves_no_trace_in_the_store(
    sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    secret = "Jane-Doe-licence-ABC123"
    Intake(sqlite_store, clips).take(
        [
            (topic("event"), changed(**{secret: 1})),
            (topic("event"), changed(place=secret + "!")),
            (topic("event"), changed(measures={secret: {"value": 1, "sigma": 1}})),
        ]
    )
    assert len(reasons(sqlite_store)) == 3
    sqlite_store.close()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_no_receipt_without_a_store(store: Store, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object, **_more: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk is full"))

    monkeypatch.setattr("broker.collector.intake.keep", fails)
    with pytest.raises(OperationalError, match="disk is full"):
        Intake(store, clips).take([(HERE.topic, event(seq=n).encode()) for n in (1, 2)])
    monkeypatch.undo()
    with store.read() as connection:
        assert stored_events(connection) == []


def test_one_message_the_store_cannot_hold_stops_no_other(
    store: Store, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.collector import intake as module

    poison = event(seq=666)
    honest = module.keep

    def fails(connection: Any, *, new_events: Any, **others: Any) -> None:
        if poison in new_events:
            raise OperationalError("INSERT", {}, Exception("cannot be stored"))
        honest(connection, new_events=new_events, **others)

    monkeypatch.setattr(module, "keep", fails)
    good = [event(seq=n) for n in (1, 2)]
    receipts = Intake(store, clips).take([(HERE.topic, each.encode()) for each in (good[0], poison, good[1])])
    assert [id_ for _, receipt in receipts for id_ in receipt.ids] == [each.id for each in good]
    assert reasons(store) == ["the store cannot hold it"]
