"""The pages of what is published and of what decisions teach: seen and used as a person does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from broker.collector import accounts, findings, sessions
from broker.collector.clips import ClipFolder
from broker.collector.publication.ledger import entries
from broker.collector.publication.periods import Period, bounds_s, may_be_published_s, period_of
from broker.collector.publication.plans import keep_plan, zone_of
from broker.collector.review.guard import COOKIE
from broker.collector.review.server import ReviewServer
from broker.collector.sessions import Times
from broker.collector.store import Store, keep
from broker.collector.tables import audit
from broker.wire import Count, Counts, Measure
from tests.broker.publication.years import PLAN
from tests.broker.records import NODE, SITE, event
from tests.browser import chromium as chromium
from tests.browser import unreached, violations


def last_quarter() -> Period:
    """Return the last quarter that may be published now."""
    period = period_of("quarter", date.today())
    while may_be_published_s(period, zone_of(PLAN)) > time.time():
        period = period_of("quarter", period.start - timedelta(days=1))
    return period


QUARTER = last_quarter()


class House:
    """A review server of a site with a quarter of red-light entries that may be published."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(f"sqlite:///{folder / 'collector.db'}")
        self.store.migrate()
        start_s, end_s = bounds_s(QUARTER, zone_of(PLAN))
        first = datetime.fromtimestamp(start_s, UTC)
        made = []
        for place, count in (("N", 262), ("S", 4), ("E", 131)):
            step = (end_s - start_s) / count
            for n in range(count):
                time_s = start_s + int(n * step) // 300 * 300
                late = n % 4 == 0
                measures = {"into_red_s": Measure(value=0.2 if late else 1.4, sigma=0.1)}
                made.append(
                    (
                        event(
                            # Halves of the decisions are told by the id's first digit.
                            id=UUID(
                                f"{'0f'[(n // 40 + n // 4) % 2]}{len(made):07x}-0000-4000-8000-000000000000"
                            ),
                            seq=len(made) + 1,
                            place=place,
                            time=datetime.fromtimestamp(time_s, UTC),
                            measures=measures,
                        ),
                        "reject" if late and n % 40 else "confirm",
                    )
                )
        counted = [
            Counts(
                site=SITE,
                node=NODE,
                seq=5000 + n,
                start=first + timedelta(days=1),
                counts=(Count(place=place, road_user="car", count=count),),
            )
            for n, (place, count) in enumerate((("N", 41_200), ("S", 8_400), ("E", 22_000)))
        ]
        with self.store.write() as connection:
            keep_plan(connection, PLAN, now_s=1)
            keep(connection, new_events=[each for each, _ in made], new_counts=counted)
            for each, verdict in made:
                findings.decide(connection, str(each.id), verdict, reviewer="ada", now_s=end_s)  # type: ignore[arg-type]
            for name, role, site in (
                ("ada", "admin", SITE),
                ("ben", "viewer", SITE),
                ("cyd", "admin", "elm-2nd"),
            ):
                accounts.add(connection, name, role=role, sites=(site,), actor="console", now_s=1)  # type: ignore[arg-type]
        self.server = ReviewServer(self.store, ClipFolder(folder / "clips"), link=True)
        self.server.start()
        self.root = f"http://127.0.0.1:{self.server.port}"

    def session(self, name: str) -> str:
        with self.store.write() as connection:
            return sessions.begin(connection, name, times=Times(), now_s=int(time.time()))

    def browser(self, name: str) -> httpx.Client:
        headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{COOKIE}={self.session(name)}"}
        return httpx.Client(base_url=self.root, headers=headers, timeout=30)

    def close(self) -> None:
        self.server.close()
        self.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.close()


def form(rule: str = "red_light_entry", site: str = SITE) -> dict[str, str]:
    return {"site": site, "rule": rule, "start": QUARTER.start.isoformat()}


def test_an_administrator_sees_what_would_be_said_and_says_it_once(house: House) -> None:
    with house.browser("ada") as ada:
        page = ada.get("/publication").text
        assert "This is what would be said" in page and "41,200" in page and "&lt;10" in page
        assert "could be had by subtraction" in page
        answer = ada.post("/publication", data=form())
        assert (answer.status_code, answer.headers["location"]) == (303, "/publication?said=1")
        assert "Published:" in ada.get("/publication?said=1").text
        again = ada.post("/publication", data=form())
        assert again.status_code == 409 and "published already" in again.text
    with house.store.read() as connection:
        (entry,) = entries(connection)
        actor = connection.execute(select(audit.c.actor).where(audit.c.action == "publish")).scalar_one()
    assert (entry.record.cells[0].confirmed, entry.published_by, actor) == (205, "ada", "ada")


def test_others_see_what_is_published_and_publish_nothing(house: House) -> None:
    with house.browser("ben") as ben, house.browser("cyd") as cyd, house.browser("ada") as ada:
        before = ben.get("/publication").text
        assert "would be said" not in before and "Nothing has been published yet" in before
        assert ben.post("/publication", data=form()).status_code == 403
        assert cyd.post("/publication", data=form()).status_code == 404
        assert ada.post("/publication", data=form()).status_code == 303
        assert "Red-light entry" in ben.get("/publication").text
        assert SITE not in cyd.get("/publication").text
        assert ben.get("/learning").status_code == 403


@pytest.mark.parametrize(
    "change",
    [{"start": "2000-01-01"}, {"start": "2000-02-30"}, {"rule": "speed"}, {"site": "../x"}],
    ids=lambda change: str(change),
)
def test_nothing_but_what_is_due_is_published(house: House, change: dict[str, str]) -> None:
    with house.browser("ada") as ada:
        assert ada.post("/publication", data={**form(), **change}).status_code in (409, 422)
    with house.store.read() as connection:
        assert entries(connection) == []


def test_a_page_of_precision_and_advice_for_who_reviews(house: House) -> None:
    with house.browser("ada") as ada:
        page = ada.get("/learning").text
    assert "What decisions teach" in page and "Red-light entry" in page
    assert "rejecting into red &lt; 1.4 s would have removed" in page
    with house.browser("cyd") as cyd:
        assert "Nothing has been decided yet" in cyd.get("/learning").text


@pytest.mark.browser
def test_a_person_publishes_in_a_browser(house: House, chromium: Browser) -> None:
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(house.server.url)
    page.goto(f"{house.root}/statistics")
    page.get_by_role("link", name="Publication").click()
    expect(page.locator("h3")).to_contain_text("Red-light entry")
    assert violations(page) == [] and unreached(page) == []
    page.get_by_role("button", name="Publish, for ever").click()
    expect(page.get_by_role("status")).to_contain_text("Published: Red-light entry")
    expect(page.locator("details.published[open]")).to_have_count(1)
    page.get_by_role("link", name="Learning").click()
    expect(page.locator("h1")).to_have_text("What decisions teach")
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 740})
        for path in ("publication?said=1", "learning", "statistics"):
            page.goto(f"{house.root}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert (path, violations(page)) == (path, [])
    for path in ("publication", "learning"):
        page.goto(f"{house.root}/{path}")
        assert (path, unreached(page)) == (path, [])
    context.close()
    assert complaints == []
