"""A person at the review page, in Debian's chromium: list, event, decide by key, undo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from broker.collector.clips import ClipFolder
from broker.collector.review.language import language
from broker.collector.store import Store, keep
from tests.broker.records import event, status
from tests.broker.test_review import Desk
from tests.browser import chromium as chromium
from tests.browser import too_small_to_touch, unreached, violations, watched

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(sqlite_store, ClipFolder(tmp_path / "clips"))
    yield opened
    opened.close()


@pytest.fixture
def page(chromium: Browser, desk: Desk) -> Iterator[Page]:
    """A page that has come in by the printed address; whatever it complains of fails the test."""
    with watched(chromium) as opened:
        opened.goto(desk.server.url)
        opened.wait_for_url(f"{desk.root}/")
        yield opened


def press(page: Page, key: str) -> None:
    """Press a key as a person does: once the page is there to hear it."""
    page.wait_for_load_state()
    page.keyboard.press(key)


def test_a_person_decides_by_key_and_takes_it_back(page: Page, desk: Desk) -> None:
    expect(page.locator("table.queue tbody tr")).to_have_count(3)
    press(page, "n")
    expect(page.locator("h1")).to_have_text("Red-light entry at N")
    expect(page.locator("#player svg").first).to_be_visible()

    press(page, "c")
    expect(page.locator("h1")).to_have_text("Near miss at N")
    expect(page.get_by_role("status")).to_contain_text("Confirmed: Red-light entry at N.")
    press(page, "r")
    expect(page.get_by_role("button", name="Not where it is said to be")).to_be_visible()
    press(page, "2")
    page.keyboard.press("n")  # in haste: must not call the decision back
    expect(page.locator("h1")).to_have_text("Pedestrian started late at N")

    press(page, "z")
    expect(page.locator("h1")).to_have_text("Near miss at N")
    expect(page.locator(".heading .badge").first).to_have_text("Undecided")
    press(page, "u")
    press(page, "u")  # without a reason from the list
    expect(page.locator("h1")).to_have_text("Pedestrian started late at N")
    press(page, "u")
    press(page, "1")
    expect(page).to_have_url(re.compile(r"/\?said="))
    page.get_by_role("link", name="Unclear").click()
    expect(page.locator(".badge.unclear")).to_have_count(2)
    page.get_by_role("link", name="Statistics").click()
    expect(page.locator("#confirmed")).to_have_text("1")


def test_a_person_decides_by_mouse(page: Page) -> None:
    page.get_by_role("link", name="Red-light entry").click()
    page.locator(".why.reject summary").click()
    page.get_by_role("button", name="Nobody is there").click()
    expect(page.get_by_role("status")).to_contain_text("Rejected: Red-light entry at N.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("h1")).to_have_text("Red-light entry at N")


def test_keys_typed_elsewhere_decide_nothing(page: Page, desk: Desk) -> None:
    page.get_by_role("link", name="Red-light entry").click()
    page.locator("#player select").first.focus()
    page.keyboard.press("c")
    page.keyboard.press("Control+r")
    page.wait_for_load_state()
    expect(page.locator("h1")).to_have_text("Red-light entry at N")
    assert desk.decisions() == 0


def test_the_page_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("", "statistics", "nodes"):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + "/" + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(page.url.rsplit("/", 1)[0] + "/")
    page.get_by_role("link", name="Red-light entry").click()
    expect(page.locator("#player svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_long_names_fit(page: Page, desk: Desk) -> None:
    """A site, a place and a node as long as the contract lets them be push nothing out of the page."""
    long = "intersection-of-martin-luther-king-jr-bl"
    crossing = event(
        seq=77, site=long, node=long, place=long, rule="right_on_red_without_stop", road_user="motorcycle"
    )
    with desk.store.write() as connection:
        keep(
            connection,
            new_events=[crossing],
            new_statuses=[status().model_copy(update={"site": long, "node": long})],
        )
    for width in (1280, 1024, 768, 360):
        page.set_viewport_size({"width": width, "height": 740})
        for path in ("", f"events/{crossing.id}", "statistics", "nodes"):
            page.goto(f"{desk.root}/{path}")
            wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], (path, wide)


def test_who_has_not_signed_in_is_asked_to(chromium: Browser, desk: Desk) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(desk.root)
    expect(page.locator("h1")).to_have_text("Sign in")
    context.close()


LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 1280), ("light", 390)]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_every_page_is_accessible(
    page: Page, desk: Desk, scheme: Literal["light", "dark"], width: int
) -> None:
    """axe-core finds nothing against WCAG 2.2 A and AA."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", desk.path(0), "/statistics", "/nodes", "/account", "/plates", "/login"):
        page.goto(desk.root + path)
        page.wait_for_load_state("networkidle")
        assert (path, violations(page)) == (path, [])
    page.goto(desk.root + desk.path(0))
    for key in ("r", "u", "?"):
        press(page, key)
        assert (key, violations(page)) == (key, [])


def test_every_action_is_reached_by_keyboard_and_its_focus_is_seen(page: Page, desk: Desk) -> None:
    for path in ("/", desk.path(0), "/statistics", "/nodes", "/account", "/login"):
        page.goto(desk.root + path)
        page.wait_for_load_state("networkidle")
        assert (path, unreached(page)) == (path, [])


def test_what_no_key_reaches_would_be_found(chromium: Browser) -> None:
    with watched(chromium) as page:
        style = "<style>a { outline: none } button { outline: 3px solid }</style>"
        page.set_content(
            style + "<a href=x>no ring</a><button>fine</button><summary tabindex=-1>no tab</summary>"
        )
        assert [html[:4] for html in unreached(page)] == ["<a h", "<sum"]


def test_a_thumb_meets_every_button(chromium: Browser, desk: Desk) -> None:
    with watched(chromium, width=390, height=844, has_touch=True, is_mobile=True) as page:
        page.goto(desk.server.url)
        page.wait_for_url(f"{desk.root}/")
        for path in ("/", desk.path(0), "/account", "/plates"):
            page.goto(desk.root + path)
            page.wait_for_load_state("networkidle")
            assert (path, too_small_to_touch(page)) == (path, [])
        page.goto(desk.root + desk.path(0))
        decide = page.locator(".decide .confirm").bounding_box()
        assert decide is not None and decide["y"] + decide["height"] <= 844, "in reach without scrolling"
        page.locator(".why.reject summary").tap()
        assert too_small_to_touch(page) == []
        page.get_by_role("button", name="Nobody is there").tap()
        expect(page.get_by_role("status")).to_contain_text("Rejected: Red-light entry at N.")


def test_who_wants_less_motion_gets_none(chromium: Browser, desk: Desk) -> None:
    with watched(chromium, reduced_motion="reduce") as page:
        page.goto(desk.server.url)
        page.wait_for_url(f"{desk.root}/")
        page.goto(desk.root + desk.path(0))
        expect(page.locator("#player svg").first).to_be_visible()
        moving = page.evaluate(
            "[...document.querySelectorAll('*')].map(e => getComputedStyle(e)).filter(s =>"
            " s.transitionDuration.split(', ').some(parseFloat) || s.animationName !== 'none').length"
        )
        assert moving == 0
        lit = page.evaluate(
            "import('/player/clip.js').then(({shown}) => [0.2, 0.7].map(t => shown('flashing_amber', t)))"
        )
        assert lit == [True, True], "a flashing lamp does not flash; the words say that it does"


def test_a_german_reads_german(chromium: Browser, desk: Desk) -> None:
    """No English sentence of the catalogue is left on a page, drawn or scripted."""
    table = language("de").table
    english = [text for text, told in table.items() if len(text) > 11 and text != told and "{" not in text]
    with watched(chromium, locale="de-DE") as page:
        page.goto(desk.server.url)
        page.wait_for_url(f"{desk.root}/")
        for path in (
            "/",
            desk.path(0),
            "/statistics",
            "/nodes",
            "/account",
            "/plates",
            "/publication",
            "/learning",
        ):
            page.goto(desk.root + path)
            page.wait_for_load_state("networkidle")
            shown = page.content().replace("&amp;", "&").replace("&#39;", "'")
            assert page.locator("html").get_attribute("lang") == "de"
            assert (path, [text for text in english if text in shown]) == (path, [])
        page.goto(desk.root + desk.path(0))
        expect(page.get_by_role("button", name="Abspielen")).to_be_visible()
        assert "0,25×" in page.locator("#player select").inner_text()
