"""Many rows in one statement, the same on SQLite and PostgreSQL; a row whose key is there already stays.

Intake writes thousands of rows a second. The statement is compiled once per table and set of columns and
handed to the driver as it is: SQLAlchemy's own work per row costs as much as SQLite's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

# A statement as the driver takes it, and what makes its arguments of a row.
Prepared = tuple[str, Callable[[Mapping[str, Any]], Any]]
_PREPARED: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], Prepared] = {}


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all of the same columns; those whose key is there already are left as they are."""
    if rows:
        _execute(connection, table, rows, ())


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], update: Sequence[str]
) -> None:
    """Insert rows; where the key is there already, take these columns of the new row."""
    if rows:
        _execute(connection, table, rows, tuple(update))


def _execute(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], update: tuple[str, ...]
) -> None:
    key = (table.name, connection.dialect.name, tuple(rows[0]), update)
    if key not in _PREPARED:
        _PREPARED[key] = _prepared(connection, table, tuple(rows[0]), update)
    text, arguments = _PREPARED[key]
    connection.exec_driver_sql(text, [arguments(row) for row in rows])


def _prepared(
    connection: Connection, table: Table, columns: tuple[str, ...], update: tuple[str, ...]
) -> Prepared:
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)
    if update:
        statement = insert.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={name: insert.excluded[name] for name in update},
        )
    else:
        statement = insert.on_conflict_do_nothing()
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(columns))
    written_as_json = [name for name in columns if isinstance(table.c[name].type, JSON)]
    places = compiled.positiontup if compiled.positional else None

    def arguments(row: Mapping[str, Any]) -> Any:
        if written_as_json:
            row = {**row, **{name: json.dumps(row[name]) for name in written_as_json}}
        return row if places is None else tuple(row[name] for name in places)

    return str(compiled), arguments
