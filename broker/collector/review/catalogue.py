"""`python -m broker.collector.review.catalogue`: bring languages/*.po up to what the pages say.

New sentences are added without a translation, those nobody says any more are dropped; it prints what is
missing and exits 1 where something is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from broker.collector.review.language import LANGUAGES

COLLECTOR = Path(__file__).parents[1]
PLAYER = COLLECTOR.parent / "player"
# What marks a text: `_` in templates and Python, `say` in scripts and where Python has it under that name.
MARKS: dict[str, Any] = {"_": None, "N_": None, "Told": None, "say": None}
_KINDS = {".py": "python", ".js": "javascript", ".html": "jinja2.ext:babel_extract"}
_OPTIONS: dict[str, Any] = {"silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}


def sources() -> Iterator[Path]:
    """Yield every file of the pages that may say something."""
    for folder in (COLLECTOR, PLAYER):
        for path in sorted(folder.rglob("*")):
            # The report that is printed is English; the pages are in the reader's language.
            if path.suffix in _KINDS and "publication/templates" not in path.as_posix():
                yield path


def said() -> dict[str, set[str]]:
    """Return every English text of the pages, with the files that say it."""
    from babel.messages.extract import extract

    found: dict[str, set[str]] = {}
    for path in sources():
        kind = _KINDS[path.suffix]
        told = extract(kind, BytesIO(path.read_bytes()), keywords=MARKS, options=_OPTIONS)
        for _line, message, _comments, _context in told:
            for text in (message,) if isinstance(message, str) else message:
                if text:
                    found.setdefault(text, set()).add(path.relative_to(COLLECTOR.parent).as_posix())
    return found


def updated(path: Path, texts: dict[str, set[str]]) -> list[str]:
    """Write a catalogue with exactly these texts; return those it has no translation of."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    with path.open("rb") as file:
        old = read_po(file, locale=path.stem)
    made = Catalog(locale=path.stem, project="nearmiss", version="0", fuzzy=False)
    made.header_comment = old.header_comment
    made.creation_date = made.revision_date = old.creation_date  # the same texts make the same file
    for text in sorted(texts):
        before = old.get(text)
        made.add(
            text,
            str(before.string) if before and not before.fuzzy else "",
            [(f, 0) for f in sorted(texts[text])],
        )
    with path.open("wb") as file:
        write_po(file, made, width=110, include_lineno=False, omit_header=False)
    return [str(each.id) for each in made if each.id and not each.string]


def main() -> int:
    texts, missing = said(), 0
    for path in sorted(LANGUAGES.glob("*.po")):
        for text in updated(path, texts):
            missing += 1
            print(f"{path.name}: no translation of {text!r}")  # noqa: T201
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
