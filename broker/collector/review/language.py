"""The language of the pages: English where the text stands is the key, a catalogue a language has the rest.

``languages/xx.po`` is gettext's format, which translators have tools for; numbers and dates are written as
the CLDR says, like the browser's own Intl does in the scripts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from broker.collector.wording import Told

LANGUAGES = Path(__file__).parent / "languages"
DEFAULT = "en"


class Language:
    """Translates: ``say("Sign in")``, and ``say("{n} left", n=3)`` where numbers stand inside."""

    def __init__(self, code: str) -> None:
        self.code, self.table = code, _read(code)

    def __call__(self, text: str, **values: object) -> str:
        if isinstance(text, Told):
            return self(text.text, **text.values)
        found = self.table.get(text, text)
        return found.format(**values) if values else found

    def within(self, text: str) -> str:
        """Return a name as it stands within a sentence: English begins it small."""
        told = self(text)
        return told[0].lower() + told[1:] if self.code == DEFAULT else told

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with so many digits behind the point."""
        from babel.numbers import format_decimal

        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.code))

    def day(self, time_s: int) -> str:
        from babel.dates import format_date

        return str(format_date(datetime.fromtimestamp(time_s, UTC), format="medium", locale=self.code))

    def clock(self, time_s: int) -> str:
        """Return the bin an event lies in, by its start: nothing finer ever left the node."""
        return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M")


def known() -> list[str]:
    """Return the languages there are, the default first."""
    return [DEFAULT, *sorted(path.stem for path in LANGUAGES.glob("*.po"))]


@cache
def language(code: str) -> Language:
    return Language(code)


def chosen(setting: str | None, accepted: str) -> Language:
    """Return the setting's language, else the first there is of those the browser asks for, else English."""
    from babel.core import negotiate_locale

    wanted = [setting] if setting else _by_preference(accepted)
    return language(negotiate_locale(wanted, known(), sep="-") or DEFAULT)


def _by_preference(accepted: str) -> list[str]:
    """Return the languages of an Accept-Language header, the dearest first (RFC 9110 §12.5.4)."""
    found: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        code, _, weight = part.strip().partition(";q=")
        try:
            share = float(weight) if weight else 1.0
        except ValueError:
            continue
        if code.replace("-", "").isalnum() and share > 0:
            found.append((-share, code))
    return [code for _, code in sorted(found, key=lambda each: each[0])]


@cache
def _read(code: str) -> dict[str, str]:
    from babel.messages.pofile import read_po

    path = LANGUAGES / f"{code}.po"
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    return {
        str(each.id): str(each.string) for each in catalogue if each.id and each.string and not each.fuzzy
    }
