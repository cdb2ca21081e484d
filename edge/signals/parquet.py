"""Rows of a Parquet file; the only importer of DuckDB, which comes with the extra ``[parquet]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 10_000


def parquet_columns(path: Path) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        InputError: not a Parquet file, or DuckDB is not installed.
    """
    return [name for name, _ in _schema(_connection(path), path)]


def parquet_rows(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the columns named, row by row in the file's order.

    A time with a zone comes as an aware datetime, one without as a naive one.

    Raises:
        InputError: not a Parquet file, or DuckDB is not installed.
    """
    import duckdb

    connection = _connection(path)
    kinds = dict(_schema(connection, path))
    zoned = [index for index, name in enumerate(columns) if kinds[name] == "TIMESTAMP WITH TIME ZONE"]
    # DuckDB needs another library (pytz) to hand over a time with a zone; microseconds need none.
    picked = ", ".join(
        f"epoch_us({_quoted(name)})" if index in zoned else _quoted(name)
        for index, name in enumerate(columns)
    )
    try:
        cursor = connection.execute(f"SELECT {picked} FROM read_parquet(?)", [_literal(path)])
        while batch := cursor.fetchmany(BATCH):
            for row in batch:
                yield tuple(_aware(value) if index in zoned else value for index, value in enumerate(row))
    except duckdb.Error as error:
        raise InputError(f"{path}: not a Parquet file that can be read: {_first_line(error)}") from error


def _connection(path: Path) -> DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise InputError(
            f"{path}: reading Parquet needs DuckDB: pip install 'nearmiss[parquet]', or export the log as CSV"
        ) from error
    # One thread keeps the file's order; nothing is ever fetched from anywhere.
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(config=settings)


def _schema(connection: DuckDBPyConnection, path: Path) -> list[tuple[str, str]]:
    import duckdb

    try:
        rows = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [_literal(path)]).fetchall()
    except duckdb.Error as error:
        raise InputError(f"{path}: not a Parquet file that can be read: {_first_line(error)}") from error
    return [(str(row[0]), str(row[1])) for row in rows]


def _literal(path: Path) -> str:
    """Return a path as DuckDB takes it, which reads ``*?[`` as a pattern over many files."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.resolve()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _aware(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
