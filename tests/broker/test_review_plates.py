"""The approval page in a browser: a person paints somebody out, and nobody ever sees them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from broker.collector import plates
from broker.collector.clips import ClipFolder
from broker.collector.intake import Intake
from broker.collector.store import Store
from broker.collector.tables import audit, plate_states
from broker.topics import Address
from tests.broker.records import NODE, SITE, clip, event
from tests.broker.test_plates import HASH, PERSON, PLATE, ROAD, SIZE, colours
from tests.broker.test_review import Desk
from tests.browser import chromium as chromium
from tests.browser import unreached, violations, watched

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path: Path) -> ClipFolder:
    return ClipFolder(tmp_path / "clips")


@pytest.fixture
def page(chromium: Browser, sqlite_store: Store, folder: ClipFolder) -> Iterator[Page]:
    """A page that an admin has come in by, at whose collector a plate has just arrived."""
    desk = Desk(sqlite_store, folder)
    drawing = clip(plate=HASH)
    here = Address(SITE, NODE, "plate")
    taken = Intake(sqlite_store, folder).take(
        [(here.topic, PLATE.encode()), (here.to("clip").topic, drawing.encode())]
    )
    record = event(seq=99, clip=taken[0][1].hashes[1])
    Intake(sqlite_store, folder).take([(here.to("event").topic, record.encode())])
    with watched(chromium, height=900) as opened:
        opened.goto(desk.server.url)
        opened.wait_for_url(f"{desk.root}/")
        yield opened
    desk.close()


def root(page: Page) -> str:
    return "/".join(page.url.split("/")[:3])


def what_clips_are_drawn_on(page: Page) -> str | None:
    answer = page.request.get(f"{root(page)}/plates/{HASH}")
    assert answer.ok
    background: str | None = answer.json()["background"]
    return background


def look_at_it(page: Page) -> None:
    page.goto(f"{root(page)}/plates")
    page.get_by_role("link", name="Look at it").click()
    expect(page.locator("canvas[data-ready]")).to_be_visible()


def paint_over(page: Page, left: int, top: int, right: int, bottom: int) -> None:
    """Drag the brush over a part of the picture, given in its pixels."""
    box = page.locator("canvas").bounding_box()
    assert box is not None
    scale = box["width"] / SIZE[0]
    for y in range(top + 2, bottom, 4):
        page.mouse.move(box["x"] + (left + 2) * scale, box["y"] + y * scale)
        page.mouse.down()
        page.mouse.move(box["x"] + (right - 2) * scale, box["y"] + y * scale, steps=8)
        page.mouse.up()


def test_somebody_is_painted_out(page: Page, sqlite_store: Store, folder: ClipFolder) -> None:
    assert what_clips_are_drawn_on(page) is None, "until somebody has looked, the plan"
    look_at_it(page)
    approve = page.get_by_role("button", name="Approve what is left")
    expect(approve).to_be_disabled()
    page.locator("#size").fill("1")
    paint_over(page, 16, 8, 24, 32)
    expect(page.get_by_role("status")).to_contain_text("Squares painted")
    expect(page.get_by_role("button", name="Approve as it is")).to_be_disabled()
    approve.click()
    expect(page.get_by_text("No plate waits for you.")).to_be_visible()

    with sqlite_store.read() as connection:
        shown = plates.shown(connection, folder, HASH)
        said = connection.execute(select(audit.c.action, audit.c.subject).order_by(audit.c.n.desc())).first()
    assert PERSON not in colours(shown) and ROAD in colours(shown)
    assert folder.read(HASH) is None, "the picture with the person is deleted"
    assert said is not None and tuple(said) == ("plate_paint", HASH)
    assert what_clips_are_drawn_on(page) == (shown.background if shown else None)


def test_a_stroke_can_be_taken_back(page: Page) -> None:
    look_at_it(page)
    paint_over(page, 8, 8, 40, 12)
    expect(page.get_by_role("status")).to_contain_text("Squares painted")
    page.keyboard.press("z")
    expect(page.get_by_role("status")).to_have_text("Nothing is painted.")
    expect(page.get_by_role("button", name="Approve as it is")).to_be_enabled()


def test_it_is_painted_and_approved_by_keyboard(page: Page) -> None:
    look_at_it(page)
    assert violations(page) == [] and unreached(page) == []
    page.locator("canvas").focus()
    for key in ("ArrowLeft", "Shift+ArrowUp", "[", " "):
        page.keyboard.press(key)
    expect(page.get_by_role("status")).to_contain_text("Squares painted")
    page.keyboard.press("z")
    expect(page.get_by_role("status")).to_have_text("Nothing is painted.")
    page.keyboard.press(" ")
    page.get_by_role("button", name="Approve what is left").press("Enter")
    expect(page.get_by_text("No plate waits for you.")).to_be_visible()


@pytest.mark.parametrize(("button", "state"), [("Approve as it is", "approved"), ("Refuse it", "refused")])
def test_it_is_approved_or_refused(page: Page, sqlite_store: Store, button: str, state: str) -> None:
    look_at_it(page)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("No plate waits for you.")).to_be_visible()
    with sqlite_store.read() as connection:
        found = connection.execute(select(plate_states.c.state).where(plate_states.c.hash == HASH)).scalar()
    assert found == state
    assert what_clips_are_drawn_on(page) == (PLATE.background if state == "approved" else None)
