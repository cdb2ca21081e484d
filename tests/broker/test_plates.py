"""A plate is seen by nobody but who approves it, until they have: then as it is, painted, or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable

import pytest
from PIL import Image
from sqlalchemy import select

from broker.collector import plates
from broker.collector.clips import ClipFolder, checked_plate, png_problem
from broker.collector.intake import Intake
from broker.collector.paint import CELL_PX, painted
from broker.collector.plates import PlateError
from broker.collector.store import Store
from broker.collector.tables import audit, blobs, plate_states, proofs
from broker.drawing import Plate
from broker.topics import Address
from tests.broker.records import NODE, SITE, plate

PERSON = (200, 30, 220)
ROAD = (98, 98, 98)
SIZE = (64, 48)


def picture(person: tuple[int, int, int, int] = (16, 8, 24, 32)) -> str:
    """Return a PNG in base64: a road, and somebody who stood on it throughout."""
    image = Image.new("RGB", SIZE, ROAD)
    image.paste(PERSON, person)
    out = io.BytesIO()
    image.save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


def colours(shown: Plate | None) -> set[tuple[int, int, int]]:
    assert shown is not None and shown.background is not None
    image = Image.open(io.BytesIO(base64.b64decode(shown.background))).convert("RGB")
    return {pixel for _, pixel in image.getcolors(10_000) or []}


PLATE = plate(background=picture()).model_copy(update={"node": NODE})
HASH = hashlib.sha256(PLATE.encode()).hexdigest()
TOPIC = Address(SITE, NODE, "plate").topic
# The squares under the person.
PERSONS_CELLS = [
    row * (SIZE[0] // CELL_PX) + column
    for row in range(8 // CELL_PX, 32 // CELL_PX)
    for column in range(16 // CELL_PX, 24 // CELL_PX)
]


@pytest.fixture
def intake(store: Store, clips: ClipFolder) -> Intake:
    """A collector that a node has just sent its plate."""
    made = Intake(store, clips)
    ((_, receipt),) = made.take([(TOPIC, PLATE.encode())])
    assert receipt.hashes == (HASH,)
    return made


def test_a_plate_with_a_picture_waits_and_clips_are_drawn_on_the_plan(
    intake: Intake, store: Store, clips: ClipFolder
) -> None:
    with store.read() as connection:
        (waiting,) = plates.pending(connection, None)
        assert (waiting.hash, waiting.site, waiting.node) == (HASH, SITE, NODE)
        assert plates.pending(connection, ["another"]) == []
        assert [each.hash for each in plates.pending(connection, [SITE])] == [HASH]
        assert plates.shown(connection, clips, HASH) == plates.plan_of(PLATE)


def test_a_plan_waits_for_nobody(store: Store, clips: ClipFolder) -> None:
    plan = plate()
    Intake(store, clips).take([(TOPIC, plan.encode())])
    with store.read() as connection:
        assert plates.pending(connection, None) == []
        assert plates.shown(connection, clips, hashlib.sha256(plan.encode()).hexdigest()) == plan
        assert plates.shown(connection, clips, "0" * 64) is None


def trail(store: Store) -> list[tuple[str, str, str]]:
    with store.read() as connection:
        rows = connection.execute(select(audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.n))
        return [tuple(row) for row in rows]


def test_an_approved_plate_is_shown_as_it_came(intake: Intake, store: Store, clips: ClipFolder) -> None:
    with store.write() as connection:
        plates.approve(connection, HASH, actor="anna", now_s=100)
    with store.read() as connection:
        assert plates.shown(connection, clips, HASH) == PLATE
        assert plates.pending(connection, None) == []
    assert trail(store) == [("anna", "plate_approve", HASH)]


def test_what_is_painted_out_is_gone_for_good(intake: Intake, store: Store, clips: ClipFolder) -> None:
    with store.write() as connection:
        new = plates.paint(connection, clips, HASH, PERSONS_CELLS, actor="anna", now_s=100)
    assert new != HASH
    with store.read() as connection:
        shown = plates.shown(connection, clips, HASH)
        assert shown is not None and shown == plates.shown(connection, clips, new)
        assert PERSON not in colours(shown) and ROAD in colours(shown)
        assert plates.plan_of(shown) == plates.plan_of(PLATE)
        states = dict(connection.execute(select(plate_states.c.hash, plate_states.c.state)).all())
        assert states == {HASH: "painted", new: "approved"}
        assert set(connection.execute(select(blobs.c.hash)).scalars()) == {new}
        proof = connection.execute(select(proofs.c.why, proofs.c.deleted, proofs.c.bytes)).one()
    assert tuple(proof) == ("plate painted out", 1, len(PLATE.encode()))
    assert clips.hashes() == {new}, "the candidate's picture is deleted"
    payload = clips.read(new)
    assert payload is not None and checked_plate(payload) == shown
    assert trail(store) == [("anna", "plate_paint", HASH)]


def test_a_refused_plate_is_deleted_and_its_clips_keep_the_plan(
    intake: Intake, store: Store, clips: ClipFolder
) -> None:
    with store.write() as connection:
        plates.refuse(connection, clips, HASH, actor="anna", now_s=100)
    with store.read() as connection:
        assert plates.shown(connection, clips, HASH) == plates.plan_of(PLATE)
    assert clips.read(HASH) is None
    assert not any(b"iVBORw0KGgo" in (clips.read(each) or b"") for each in clips.hashes())
    assert trail(store) == [("anna", "plate_reject", HASH)]


def refused(store: Store, clips: ClipFolder) -> None:
    with store.write() as connection:
        plates.refuse(connection, clips, HASH, actor="anna", now_s=100)


def repainted(store: Store, clips: ClipFolder) -> None:
    with store.write() as connection:
        plates.paint(connection, clips, HASH, PERSONS_CELLS, actor="anna", now_s=100)


@pytest.mark.parametrize("decide", [refused, repainted])
def test_a_plate_that_comes_again_after_its_refusal_is_deleted_again(
    intake: Intake, store: Store, clips: ClipFolder, decide: Callable[[Store, ClipFolder], None]
) -> None:
    """Its receipt was lost, so its node sends it once more."""
    decide(store, clips)
    with store.read() as connection:
        before = plates.shown(connection, clips, HASH)
    ((_, receipt),) = intake.take([(TOPIC, PLATE.encode())])
    assert receipt.hashes == (HASH,)
    assert clips.read(HASH) is None
    with store.read() as connection:
        assert plates.pending(connection, None) == []
        assert plates.shown(connection, clips, HASH) == before


def test_a_plate_is_decided_on_once(intake: Intake, store: Store, clips: ClipFolder) -> None:
    refused(store, clips)
    for again in (
        lambda connection: plates.approve(connection, HASH, actor="bert", now_s=101),
        lambda connection: plates.refuse(connection, clips, HASH, actor="bert", now_s=101),
        lambda connection: plates.paint(connection, clips, HASH, [0], actor="bert", now_s=101),
    ):
        with store.write() as connection, pytest.raises(PlateError, match="none that waits"):
            again(connection)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        pytest.param([], "no square", id="none"),
        pytest.param([-1], "square -1 is outside", id="before the first"),
        pytest.param([16 * 12], "outside the picture of 16 × 12", id="behind the last"),
    ],
)
def test_squares_that_are_none_of_the_picture(
    intake: Intake, store: Store, clips: ClipFolder, cells: list[int], problem: str
) -> None:
    with store.write() as connection, pytest.raises(PlateError, match=problem):
        plates.paint(connection, clips, HASH, cells, actor="anna", now_s=100)
    with store.read() as connection:
        assert [each.hash for each in plates.pending(connection, None)] == [HASH]
    assert trail(store) == []


def test_the_brush_changes_what_it_touches_and_nothing_else() -> None:
    before = Image.open(io.BytesIO(base64.b64decode(picture()))).convert("RGB")
    after_png = base64.b64decode(painted(picture(), [0, 17]))
    assert png_problem(after_png) is None
    after = Image.open(io.BytesIO(after_png)).convert("RGB")
    changed = {
        (x // CELL_PX, y // CELL_PX)
        for x in range(SIZE[0])
        for y in range(SIZE[1])
        if before.getpixel((x, y)) != after.getpixel((x, y))
    }
    assert changed == {(0, 0), (1, 1)}
