"""The first row of a CSV file: its columns, or what is wrong with them."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from edge.signals.lines import shortened

# What some programs write between values instead of a comma.
SEPARATORS = {";": "semicolons", "\t": "tabs"}


def columns(line: str) -> list[str]:
    """Return the names in a row.

    Raises:
        csv.Error: it is no row of CSV.
    """
    return [cell.strip() for cell in next(csv.reader([line.removeprefix("\ufeff")], strict=True), [])]


def column_problems(header: Sequence[str], *, needed: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return what is wrong with the columns of a file, a line each; empty where nothing is."""
    known = (*needed, *optional)
    expected = f"expected {','.join(needed)}{''.join(f'[,{name}]' for name in optional)}"
    if not set(known) & set(header):
        for separator, name in SEPARATORS.items():
            if any(separator in cell for cell in header):
                return [f"its values are separated by {name}, expected commas"]
        return [f"{shortened(','.join(header))} names no column of this file, {expected}"]
    wrong = []
    for column in needed:
        if column not in header:
            near = next((each for each in header if each.lower() == column and each not in known), None)
            came = "" if near is None else f" (came: {shortened(near)})"
            wrong.append(f"column {column!r} is missing{came}, {expected}")
    wrong += [
        f"column {shortened(column)} is not known, {expected}"
        for column in header
        if column not in known and column.lower() not in needed
    ]
    wrong += [f"column {column!r} stands twice, {expected}" for column in known if header.count(column) > 1]
    return wrong
