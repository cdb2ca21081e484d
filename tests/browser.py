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
