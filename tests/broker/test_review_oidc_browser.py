"""A person signs in at another site's page and comes back, in Debian's chromium."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from broker.collector import accounts
from broker.collector.clips import ClipFolder
from broker.collector.review.oidc_settings import Oidc
from broker.collector.review.server import ReviewServer
from broker.collector.review.settings import Review
from broker.collector.store import Store
from tests.broker.openid import CLIENT, somebody_elses
from tests.broker.test_review_browser import chromium as chromium

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("NEARMISS_PICTURES")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    if importlib.util.find_spec("oidc_provider_mock") is None:
        pytest.skip("oidc-provider-mock is not installed")
    with somebody_elses() as issuer:
        yield issuer


def test_a_person_signs_in_elsewhere_and_comes_back(
    chromium: Browser, issuer: str, sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    with sqlite_store.write() as connection:
        accounts.add(
            connection, "kim", subject="kim-1", issuer=issuer, role="viewer", actor="console", now_s=1
        )
    secret = tmp_path / "oidc.secret"
    secret.write_text("any")
    secret.chmod(0o600)
    known = Oidc(issuer=issuer, client_id=CLIENT, client_secret_file=str(secret), name="City account")
    server = ReviewServer(sqlite_store, clips, settings=Review(oidc=known))
    server.start()
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    root = f"http://127.0.0.1:{server.port}"
    try:
        page.goto(f"{root}/nodes")
        button = page.get_by_role("link", name="Sign in with City account")
        expect(button).to_be_visible()
        assert Axe().run(page).response["violations"] == []
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / "sign-in.png")
        button.click()
        page.get_by_placeholder("sub").fill("stranger")
        page.get_by_role("button", name="Authorize").click()
        expect(page.get_by_role("alert")).to_contain_text("no account here")
        expect(page.locator("code").first).to_have_text("stranger")
        assert Axe().run(page).response["violations"] == []

        page.get_by_role("link", name="Sign in with City account").click()
        page.get_by_placeholder("sub").fill("kim-1")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{root}/nodes")
        expect(page.get_by_role("link", name="kim")).to_be_visible()
        page.get_by_role("link", name="kim").click()
        expect(page.get_by_text("This account has no password here.")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("may know you still")).to_be_visible()
        page.get_by_role("link", name="Sign out there too").click()
        page.wait_for_url(f"{issuer}/**")
    finally:
        context.close()
        server.close()
