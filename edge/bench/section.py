"""One benchmark's result: a table to read, and the same numbers for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Section:
    """What one benchmark measured.

    Attributes:
        columns, rows: the table; the first column is text, the others are numbers as text.
        numbers: the same for ``--json``.
        remarks: what a reader has to know beside the table, a sentence each.
        picture: an SVG of the same; empty where there is none.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Mapping[str, object]
    remarks: Sequence[str] = field(default=())
    picture: str = ""

    def table(self) -> Table:
        from rich.table import Table

        table = Table(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in self.rows:
            table.add_row(*row)
        return table
