"""Every sentence of the pages and their scripts is in every language; none stands outside the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import httpx
import pytest
from babel.messages.jslexer import Token, tokenize

from broker.collector.review import words
from broker.collector.review.catalogue import COLLECTOR, PLAYER, said
from broker.collector.review.language import LANGUAGES, chosen, known, language
from broker.collector.review.server import ReviewServer
from broker.collector.review.settings import Review
from broker.collector.store import Store
from broker.collector.wording import Told
from broker.wire import ROAD_USERS, RULES, STATES, SignalSourceKind, Status
from tests.broker.test_review import Desk

TEMPLATES = sorted((COLLECTOR / "review" / "templates").glob("*.html"))
SCRIPTS = sorted([*(COLLECTOR / "review" / "static").glob("*.js"), *PLAYER.glob("*.js")])
OTHERS = [code for code in known() if code != "en"]
# Names, units and what is the same in every language.
PLAIN = {"nearmiss", "UTC"}
SHOWN = {"aria-label", "title", "alt", "placeholder", "data-label", "label", "aria-description"}


def test_there_is_a_second_language() -> None:
    assert OTHERS == ["de"]


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_every_sentence_and_no_other(code: str) -> None:
    """`python -m broker.collector.review.catalogue` adds what is missing and drops what nobody says."""
    table = language(code).table
    assert sorted(set(said()) - set(table)) == []
    assert sorted(set(table) - set(said())) == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_keeps_what_is_put_into_it(code: str) -> None:
    def places(text: str) -> list[str]:
        return sorted(re.findall(r"\{(\w+)\}", text))

    wrong = {text: told for text, told in language(code).table.items() if places(text) != places(told)}
    assert wrong == {}


class Outside(HTMLParser):
    """Collects words that stand in a template as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("code", "kbd"):
            self._inside.append(tag)
        for name, value in attrs:
            if name in SHOWN and value:
                self.handle_data(value)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        words = set(re.findall(r"[A-Za-z][A-Za-z.]+", data)) - PLAIN
        if words and not self._inside:
            self.found.append(data.strip())


def outside(template: str) -> list[str]:
    told = Outside()
    told.feed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", template, flags=re.DOTALL))
    told.close()
    return told.found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_words_stand_in_a_template_outside_the_catalogue(path: Path) -> None:
    assert outside(path.read_text()) == []


def test_words_in_a_template_would_be_found() -> None:
    assert outside('<p title="Go on">{{ _("Fine") }} {% if x %}Nodes{% endif %}</p>') == ["Go on", "Nodes"]


def unsaid(script: str) -> Iterator[str]:
    """Yield literals of a script that look like words for people, and are not said."""
    before: list[Token] = []
    for token in tokenize(script, jsx=False):
        if token.type in ("string", "template_string"):
            text = token.value[1:-1]
            marked = [each.value for each in before[-2:]] in (["say", "("], ["N_", "("])
            # A sentence, or one word with a capital that is no key or element of the browser's.
            sentence = re.search(r"[a-z]{2,} [a-z]{2,}", re.sub(r"\$\{[^}]*\}|nm-[\w-]+", "", text))
            word = re.fullmatch(r"[A-Z][a-z]+", text) and text not in ("Home", "End", "Escape", "Enter")
            code = re.search(r"[.#\[=]", text) if sentence else None
            if (sentence or word) and not marked and not code:
                yield text
        if token.type not in ("linecomment", "multilinecomment", "whitespace"):
            before.append(token)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_words_stand_in_a_script_outside_the_catalogue(path: Path) -> None:
    assert list(unsaid(path.read_text())) == []


def test_words_in_a_script_would_be_found() -> None:
    script = 'a.title = "Play"; b.textContent = `not ${x} again later`; c = say("All fine"); d = "nm-a nm-b";'
    assert list(unsaid(script)) == ["Play", "not ${x} again later"]


@pytest.mark.parametrize(
    ("setting", "accepted", "code"),
    [
        pytest.param(None, "", "en", id="asked for nothing"),
        pytest.param(None, "de-AT,de;q=0.9,en;q=0.8", "de", id="a country's own kind of it"),
        pytest.param(None, "fr, en;q=0.5, de;q=0.7", "de", id="the dearest there is"),
        pytest.param(None, "de;q=0, en", "en", id="not wanted at all"),
        pytest.param(None, "de;q=x, ..;;, *", "en", id="no header at all"),
        pytest.param("de", "en", "de", id="the setting goes before the browser"),
        pytest.param("fr", "de", "en", id="a setting nobody has translated"),
    ],
)
def test_which_language_is_spoken(setting: str | None, accepted: str, code: str) -> None:
    assert chosen(setting, accepted).code == code


def test_numbers_and_days_are_written_as_the_language_does() -> None:
    german, english = language("de"), language("en")
    assert (english.number(41_200.5, 1), german.number(41_200.5, 1)) == ("41,200.5", "41.200,5")
    assert (english.day(1_790_000_000), german.day(1_790_000_000)) == ("Sep 21, 2026", "21.09.2026")
    assert words.measure("speed_mps", 11.1, 0.6, german) == "40 ± 2 km/h"
    assert words.measure("into_red_s", 1.25, None, german) == "1,2 s, Fehler unbekannt"


def test_a_problem_is_told_in_the_readers_language() -> None:
    told = Told("{reason}: not a reason at this site", reason="moon")
    assert (str(told), language("de")(told)) == (
        "moon: not a reason at this site",
        "moon: kein Grund an diesem Standort",
    )


def test_every_name_of_the_contract_has_its_words() -> None:
    told = (set(words.RULES), set(words.STATES), set(words.KINDS))
    assert told == (set(RULES), set(STATES), set(ROAD_USERS))
    assert set(words.SOURCES) == set(get_args(SignalSourceKind))
    assert set(words.NODE_STATES) == set(get_args(Status.model_fields["state"].annotation))


def test_a_page_says_which_language_it_is_in(sqlite_store: Store, tmp_path: Path) -> None:
    from broker.collector.clips import ClipFolder

    desk = Desk(sqlite_store, ClipFolder(tmp_path / "clips"))
    german = desk.browser.get("/", headers={"Accept-Language": "de"})
    english = desk.browser.get("/", headers={"Accept-Language": "fr"})
    missing = desk.browser.get("/nothing", headers={"Accept-Language": "de", "Accept": "text/html"})
    table = desk.browser.get("/words/de").json()
    desk.close()
    assert '<html lang="de">' in german.text and "Einfahrt bei Rot" in german.text
    assert '<html lang="en">' in english.text and "Red-light entry" in english.text
    assert german.headers["vary"] == "accept-language"
    assert "Nicht hier" in missing.text
    assert table["Play"] == "Abspielen"


def test_a_collector_may_settle_on_one_language(sqlite_store: Store, tmp_path: Path) -> None:
    from broker.collector.clips import ClipFolder

    server = ReviewServer(sqlite_store, ClipFolder(tmp_path), settings=Review(language="de"))
    server.start()
    page = httpx.get(server.url + "login", headers={"Accept-Language": "en"}).text
    server.close()
    assert '<html lang="de">' in page and "Anmelden" in page


def test_the_catalogues_lie_where_the_pages_look() -> None:
    assert [path.name for path in LANGUAGES.iterdir()] == ["de.po"]
