"""Twenty decisions by keyboard on events of the real chain, one taken back, and what is published of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from broker.collector.publication.ledger import entries
from broker.collector.review.words import RULES
from broker.collector.tables import decisions
from tests.browser import chromium as chromium
from tests.browser import watched
from tests.walk.street import PASSWORD, PUBLISHER, REVIEWER, Street, street

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow]
DECISIONS = 20
WORDS = {name: rule for rule, name in RULES.items()}


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(tmp_path_factory.mktemp("street")) as opened:
        yield opened


def sign_in(page: Page, here: Street, name: str) -> None:
    """Type name and password as a person does, without a mouse."""
    page.goto(f"{here.root}/")
    expect(page.locator("input[name=name]")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{here.root}/")


def keys_for(rule: str, before: int) -> tuple[str, str]:
    """Return what this person makes of an event, by keys: verdict, and a reason's number or none."""
    if rule == "red_light_entry":
        return "confirm", "c"
    if rule == "near_miss":
        return "unclear", "u2"
    return ("confirm", "c") if before % 3 else ("reject", "r3")


def press(page: Page, keys: str) -> None:
    """Press keys as a person does: once the drawing is there."""
    expect(page.locator("#player figure svg")).to_have_count(2)
    for key in keys:
        page.keyboard.press(key)


def decide(page: Page, keys: str) -> None:
    """Press the keys and wait for the page that follows."""
    here = page.url
    press(page, keys)
    page.wait_for_url(lambda url: url != here and "said=" in url)


def rule_shown(page: Page) -> str:
    heading = page.locator("h1").inner_text()
    return WORDS[heading.rpartition(" at ")[0]]


def test_twenty_decisions_become_what_is_published(filmed: Street, chromium: Browser) -> None:
    """The events are a film's: found, sent over MQTT and stored by the real parts, drawn here."""
    assert filmed.events > DECISIONS
    made: list[tuple[str, str]] = []
    with watched(chromium, height=900) as page:
        sign_in(page, filmed, REVIEWER)
        expect(page.locator(".tally.undecided strong")).to_have_text(str(filmed.events))
        page.keyboard.press("n")
        page.wait_for_url(re.compile("/events/"))
        seen: Counter[str] = Counter()
        while len(made) < DECISIONS:
            here, rule = page.url.partition("?")[0], rule_shown(page)
            verdict, keys = keys_for(rule, seen[rule])
            decide(page, keys)
            if len(made) == 10 and "again" not in seen:
                seen["again"] += 1
                press(page, "z")  # a second thought: the same event comes back, undecided
                page.wait_for_url(here)
                expect(page.locator(".heading .badge").first).to_have_text("Undecided")
                decide(page, keys)
            made.append((rule, verdict))
            seen[rule] += 1
        with filmed.store() as store, store.read() as connection:
            written = connection.execute(select(func.count()).select_from(decisions)).scalar_one()
        assert written == DECISIONS + 2, "one decision more and its undo: nothing is overwritten"
        page.goto(f"{filmed.root}/statistics")
        confirmed = Counter(rule for rule, verdict in made if verdict == "confirm")
        expect(page.locator("#confirmed")).to_have_text(str(confirmed.total()))
        timed = page.locator("table", has_text="Half within").locator("tbody tr", has_text="All")
        expect(timed.locator("td").first).to_have_text(str(DECISIONS + 1))  # the one taken back, too
        page.get_by_role("button", name="Sign out").press("Enter")
        page.wait_for_url(f"{filmed.root}/login")

    with watched(chromium, height=900) as page:
        sign_in(page, filmed, PUBLISHER)
        page.goto(f"{filmed.root}/publication")
        while page.locator("#publish").count():
            page.locator("#publish").press("Enter")
            expect(page.get_by_role("status")).to_contain_text("Published: ")
        expect(page.get_by_text("Nothing is due.")).to_be_visible()
        told = {
            WORDS[entry.locator("summary strong").inner_text()]: entry.locator(
                "tbody td.strong"
            ).text_content()
            for entry in page.locator("details.published").all()
        }
    assert {rule: told[rule] for rule in confirmed} == {
        rule: "<10" if count < 10 else str(5 * round(count / 5)) for rule, count in confirmed.items()
    }
    assert {told[rule] for rule in told if rule not in confirmed} == {"<10"}, "none is not told from nine"
    assert "10" in told.values()
    check_what_was_published(filmed, confirmed)


def check_what_was_published(here: Street, confirmed: Counter[str]) -> None:
    """What the pages said is what the ledger holds, the report says, and a recount finds."""
    with here.store() as store, store.read() as connection:
        records = {entry.record.rule: entry.record for entry in entries(connection)}
    assert records["red_light_entry"].cells[0].confirmed == 5 * round(confirmed["red_light_entry"] / 5)
    config, out = str(here.config), here.config.parent / "report"
    here.nearmiss("report", config, "--out", str(out))
    report = (out / "index.html" if (out / "index.html").is_file() else next(out.glob("*.html"))).read_text()
    assert "Red-light entry" in report and "&lt;10" in report
    here.nearmiss("report", "recount", config)
    here.nearmiss("audit", "verify", config)
    assert not [path for path in out.rglob("*") if path.is_file() and b"clip" in path.read_bytes()]
