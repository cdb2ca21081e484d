"""The language of the pages: English in the templates is the key, a table a language gives the rest.

``languages/xx.json`` maps each English text to its translation; what it lacks stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = Path(__file__).parent / "languages"


class Language:
    """Translates: ``say("Sign in")``, and ``say("{n} left", n=3)`` where numbers stand inside."""

    def __init__(self, code: str, table: Mapping[str, str] | None = None) -> None:
        self.code = code
        self._table = _read(code) if table is None else table

    def __call__(self, text: str, **values: object) -> str:
        found = self._table.get(text, text)
        return found.format(**values) if values else found


def known() -> list[str]:
    """Return the languages there are."""
    return ["en", *sorted(path.stem for path in LANGUAGES.glob("*.json"))]


def _read(code: str) -> Mapping[str, str]:
    path = LANGUAGES / f"{code}.json"
    table: Mapping[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    return table
