"""The data dictionary: every published field, its type and what it means, from the models themselves.

``python -m broker.collector.publication.dictionary`` writes docs/data-dictionary.md; a test compares it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from broker.collector.publication.rows import Row
from broker.published import Cell, Period, Proportion, Publication, Rate
from broker.wire import Record

PAGE = Path(__file__).parents[3] / "docs" / "data-dictionary.md"
_HEAD = """# The data dictionary of what is published

Made from the models by `python -m broker.collector.publication.dictionary`; a test compares it. How the
numbers are rounded, hidden and tested: [publication.md](publication.md).

Nothing published carries the time of an event, a clip, a measure or anything about a person. The models are
closed: a field that is not here is refused.
"""


def page() -> str:
    """Return the page, in Markdown."""
    tables: list[tuple[str, type[Record]]] = [
        ("`published.csv`, `published.parquet`, GeoJSON properties", Row),
        ("A publication: a webhook's `data`, and the MQTT topic's payload", Publication),
        ("Its `period`", Period),
        ("A cell: of `cells`, `total` and `day_parts`", Cell),
        ("`rate`", Rate),
        ("`precision`", Proportion),
    ]
    return "\n".join([_HEAD, *(_table(title, record) for title, record in tables)])


def _table(title: str, record: type[Record]) -> str:
    schema = record.model_json_schema()
    required = set(schema.get("required", ()))
    lines = [f"## {title}", "", "| field | type | what it is |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        optional = "" if name in required else " (optional)"
        words = field.get("description", _WORDS.get(name, ""))
        lines.append(f"| `{name}` | {_type(field, schema)}{optional} | {words} |")
    return "\n".join([*lines, ""])


_WORDS = {
    "v": "Version of the record.",
    "period": "The fixed period of the calendar.",
    "cells": "Each event of the period is counted in exactly one of them.",
    "total": "All cells together, only where none of them is hidden.",
    "day_parts": "The same events by six hours of the day, only where nothing is hidden.",
}


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in field:
        return f"[{field['$ref'].rsplit('/', 1)[-1]}]"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(each, schema) for each in field["anyOf"]))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'], schema)}"
    names = {"null": "empty", "string": "text", "integer": "whole number"}
    kind = names.get(field["type"], str(field["type"]))
    if field.get("format") == "date":
        return "date"
    low, high, step = field.get("minimum"), field.get("maximum"), field.get("multipleOf")
    bounds = f" ≥ {low:g}" if low is not None else ""
    bounds += f" ≤ {high:g}" if high is not None and high < 1e6 else ""
    return kind + bounds + (f", a multiple of {step:g}" if step else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
