"""A document as TOML text: what `tomllib` reads again as the same document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONG = 100


def toml_text(document: Mapping[str, Any]) -> str:
    """Return TOML in the shape people write site files in: tables, and a point a line.

    Raises:
        TypeError: a value TOML has no form for, such as None.
    """
    plain = [f"{_key(key)} = {_value(value)}" for key, value in document.items() if not _is_table(value)]
    parts = ["\n".join(plain)] if plain else []
    for key, value in document.items():
        if isinstance(value, Mapping):
            parts.append(_table(f"[{_key(key)}]", value))
        elif _is_table(value):
            parts += [_table(f"[[{_key(key)}]]", row) for row in value]
    return "\n\n".join(parts) + "\n"


def _is_table(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    rows = isinstance(value, Sequence) and not isinstance(value, str)
    return rows and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _table(header: str, table: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {_value(value)}" for key, value in table.items())])


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any, depth: int = 0) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(each, depth + 1)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return _array(value, depth)
    raise TypeError(f"{value!r} has no form in TOML")


def _array(value: Sequence[Any], depth: int) -> str:
    parts = [_value(each, depth + 1) for each in value]
    line = f"[{', '.join(parts)}]"
    # Within an inline table no line may end; elsewhere a long list has an element a line.
    if depth or (len(line) <= _LONG and not any(isinstance(each, Mapping) for each in value)):
        return line
    return "[\n" + "".join(f"  {part},\n" for part in parts) + "]"


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for the one control character JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
