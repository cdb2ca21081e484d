"""`python -m tests.screens [OUT] [--only NAME...]`: the docs' pictures of the pages, of a street at work.

Each page in light, in dark and as wide as a phone, on the events of tests/walk/street.py. Three minutes.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.broker.publication.test_pages import House
from tests.broker.records import SITE
from tests.browser import launched, watched
from tests.conftest import ROOT
from tests.walk.street import PUBLISHER, REVIEWER, Street, street
from tests.walk.test_walk import decide, keys_for, rule_shown, sign_in

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"width": 1280, "height": 860, "color_scheme": "light"},
    "dark": {"width": 1280, "height": 860, "color_scheme": "dark"},
    "phone": {"width": 390, "height": 844, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}
COLOURS = (160, 96, 64, 32)  # the fewest that make a picture small enough
MOST_BYTES, MOST_BYTES_ALL = 150_000, 2_000_000
Prepare = Callable[[Page], None]


def small(png: bytes) -> bytes:
    """Return the picture with a palette: drawn pages have few colours, and the docs are read over a wire."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in COLOURS:
        out = io.BytesIO()
        palette = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        palette.save(out, "PNG", optimize=True)
        if out.tell() < MOST_BYTES:
            break
    return out.getvalue()


@dataclass
class Photographer:
    """Takes one page in every look, signed in as somebody or not at all."""

    browser: Browser
    here: Street
    out: Path
    only: list[str]
    signed_in: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def at(self, who: str | None, **look: Any) -> Iterator[Page]:
        if who is not None and who not in self.signed_in:
            with watched(self.browser) as page:
                sign_in(page, self.here, who)
                self.signed_in[who] = page.context.storage_state()
        state = {} if who is None else {"storage_state": self.signed_in[who]}
        with watched(self.browser, reduced_motion="reduce", **look, **state) as page:
            yield page

    def take(self, name: str, address: str, who: str | None, prepare: Prepare | None = None) -> None:
        if self.only and name not in self.only:
            return
        for look, settings in LOOKS.items():
            with self.at(who, **settings) as page:
                page.goto(address if "://" in address else self.here.root + address)
                page.wait_for_load_state("networkidle")
                if page.locator("#player").count():
                    expect(page.locator("#player figure svg")).to_have_count(2)
                if prepare is not None:
                    prepare(page)
                (self.out / f"{name}-{look}.png").write_bytes(small(page.screenshot()))


def pictures(browser: Browser, here: Street, out: Path, only: list[str]) -> None:
    """Go through a day at the desk, and take each page on the way."""
    camera = Photographer(browser, here, out, only)
    camera.take("login", "/login", None)
    camera.take("plates", "/plates", PUBLISHER)
    with camera.at(PUBLISHER) as page:
        page.goto(f"{here.root}/plates")
        waiting = page.get_by_role("link", name="Look at it")
        candidate = waiting.get_attribute("href") if waiting.count() else None
    if candidate:
        camera.take("plate", candidate, PUBLISHER, paint)
        with camera.at(PUBLISHER) as page:
            page.goto(here.root + candidate)
            page.get_by_role("button", name="Approve as it is").click()
    camera.take("queue", "/", REVIEWER)
    with camera.at(REVIEWER) as page:
        page.goto(f"{here.root}/?rule=red_light_entry")
        first = page.locator("table.queue tbody a").first.get_attribute("href")
        page.goto(f"{here.root}/?rule=pedestrian_against_signal")
        walker = page.locator("table.queue tbody a").first.get_attribute("href")
    assert first and walker
    camera.take("event", first, REVIEWER)
    camera.take("reasons", walker, REVIEWER, lambda page: page.keyboard.press("r"))
    camera.take("keys", walker, REVIEWER, lambda page: page.keyboard.press("?"))
    camera.take("account", "/account", REVIEWER)
    camera.take("nodes", "/nodes", PUBLISHER)
    decide_all(camera)
    camera.take("statistics", "/statistics", REVIEWER)
    camera.take(
        "time", "/statistics", REVIEWER, lambda page: page.locator("h2").last.scroll_into_view_if_needed()
    )
    publish(camera, PUBLISHER, most=100)
    folder = here.config.parent / "report"
    here.nearmiss("report", str(here.config), "--out", str(folder))
    camera.take("report", next(folder.glob("*.html")).as_uri(), None)


def publish(camera: Photographer, who: str, *, most: int) -> None:
    with camera.at(who) as page:
        page.goto(f"{camera.here.root}/publication")
        while most and page.locator("#publish").count():
            page.locator("#publish").click()
            expect(page.get_by_role("status")).to_contain_text("Published: ")
            most -= 1


def quarter(browser: Browser, house: House, out: Path, only: list[str]) -> None:
    """Take the pages that need more than one film: a quarter's decisions, from the store of another test."""
    here = Street(house.root, Path(), SITE, 0)
    camera = Photographer(browser, here, out, only)
    with watched(browser) as page:
        page.goto(house.server.url)
        page.wait_for_url(f"{house.root}/")
        camera.signed_in["demo"] = page.context.storage_state()
    camera.take("learning", "/learning", "demo")
    camera.take("publication", "/publication", "demo")
    publish(camera, "demo", most=1)
    camera.take("published", "/publication?said=1", "demo")


def paint(page: Page) -> None:
    expect(page.locator("canvas[data-ready]")).to_be_visible()
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.74, box["y"] + box["height"] * 0.36, steps=6)
    page.mouse.up()


def decide_all(camera: Photographer) -> None:
    """Decide what there is, all but two."""
    with camera.at(REVIEWER, width=1280, height=860) as page:
        page.goto(camera.here.root + "/")
        left = int(page.locator(".tally.undecided strong").inner_text())
        if left <= 2:
            return
        page.keyboard.press("n")
        page.wait_for_url(re.compile("/events/"))
        for n in range(left - 2):
            decide(page, keys_for(rule_shown(page), n)[1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.screens", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "docs" / "pictures")
    parser.add_argument("--only", nargs="*", default=[], help="pages by name")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, street(Path(folder)) as here, launched() as browser:
        pictures(browser, here, given.out, given.only)
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        house = House(Path(folder))
        quarter(browser, house, given.out, given.only)
        house.close()
    made = [path for path in given.out.glob("*.png") if path.stem.rpartition("-")[2] in LOOKS]
    large = [f"{path.name}: {path.stat().st_size} bytes" for path in made if path.stat().st_size > MOST_BYTES]
    if sum(path.stat().st_size for path in made) > MOST_BYTES_ALL:
        large.append(f"more than {MOST_BYTES_ALL} bytes together")
    print("\n".join(large) or f"{len(made)} pictures in {given.out}")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
