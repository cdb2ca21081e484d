"""The player of scene clips: ES modules of one idea each, for the review page and the report."""

from __future__ import annotations

import re
from importlib import resources

ENTRY = "player.js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)


def modules() -> dict[str, str]:
    """Return the text of each module by its file's name, what is imported before what imports it."""
    folder = resources.files(__name__)
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in found:
            text = (folder / name).read_text(encoding="utf-8")
            for needed in _IMPORT.findall(text):
                add(needed)
            found[name] = text

    add(ENTRY)
    return found


def script() -> str:
    """Return all modules as one: a page on disk has no address that a module could be imported from."""
    return "".join(_IMPORT.sub("", text) for text in modules().values())


def style() -> str:
    return (resources.files(__name__) / "player.css").read_text(encoding="utf-8")
