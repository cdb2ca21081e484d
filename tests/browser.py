"""Debian's chromium, where it is installed: one for a file's tests, and pages whose complaints fail a test.

from tests.browser import chromium as chromium
pytestmark = pytest.mark.browser
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 20_000  # a loaded machine is no defect


def chromium_arguments() -> list[str]:
    """Return what chromium needs where it runs as root."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@contextmanager
def launched() -> Iterator[Browser]:
    """Open the browser."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=chromium_arguments())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with launched() as browser:
        yield browser


@contextmanager
def watched(
    browser: Browser, *, width: int = 1280, height: int = 800, also: bool = False, **context: Any
) -> Iterator[Page]:
    """Open a page; an error on its console or in a script fails the test.

    Args:
        also: anything written to the console is one, not errors alone.
        context: more of what Playwright's ``new_context`` takes, such as ``color_scheme``.
    """
    complaints: list[str] = []
    opened = browser.new_context(viewport={"width": width, "height": height}, **context)
    page = opened.new_page()
    page.on("console", lambda told: complaints.append(told.text) if also or told.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        opened.close()
    assert complaints == []


def violations(page: Page) -> list[tuple[str, str]]:
    """Return what axe-core finds on a page against WCAG 2.2 A and AA: the rule, and where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    return [(each["id"], each["nodes"][0]["html"][:160]) for each in found.response["violations"]]


_REACHABLE = """() => [...document.querySelectorAll(
    'a[href], button, select, input, textarea, summary, [tabindex="0"]')]
  .filter(e => !e.disabled && e.type !== 'hidden' && e.checkVisibility({visibilityProperty: true}))
  .map((e, n) => { e.dataset.n = n; return e.outerHTML.slice(0, 120); })"""
_FOCUSED = """() => {
  const e = document.activeElement, at = e.closest('tr:has(a:focus-visible)') || e;
  const look = [e, at].map(each => getComputedStyle(each));
  const ring = look.some(each => each.outlineStyle !== 'none' && parseFloat(each.outlineWidth) >= 2);
  return [e.dataset.n ?? '', ring];
}"""


def unreached(page: Page) -> list[str]:
    """Return what can be used on a page by mouse, and is not reached by Tab with its focus to be seen."""
    there = page.evaluate(_REACHABLE)
    seen: set[int] = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(len(there) + 5):
        page.keyboard.press("Tab")
        number, visible = page.evaluate(_FOCUSED)
        if number != "" and visible:
            seen.add(int(number))
    return [html for n, html in enumerate(there) if n not in seen]


_SMALL = """(least) => [...document.querySelectorAll('button, select, summary, nav a, .tally, .button')]
  .filter(e => e.checkVisibility() && !e.closest('dialog:not([open])'))
  .map(e => [e.getBoundingClientRect(), e])
  .filter(([box]) => Math.min(box.width, box.height) < least - 0.5)
  .map(([box, e]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${e.outerHTML.slice(0, 100)}`)"""


def too_small_to_touch(page: Page, least_px: int = 44) -> list[str]:
    """Return the buttons that a thumb would miss (WCAG 2.5.5 asks for 44 px, AA for 24)."""
    found: list[str] = page.evaluate(_SMALL, least_px)
    return found
