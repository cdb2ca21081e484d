"""What is published, as files for other programs: CSV, Parquet and GeoJSON."""

from __future__ import annotations

import csv
import io
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from broker.collector.publication.places import Place, Plan
from broker.collector.publication.rows import COLUMNS, Row, plain, rows
from broker.published import Publication


class NoParquet(RuntimeError):
    """DuckDB is not installed; ``problems`` says what to do."""

    def __init__(self) -> None:
        self.problems = ("published.parquet: pip install 'nearmiss[parquet]'",)
        super().__init__(self.problems[0])


def csv_text(publications: Iterable[Publication]) -> str:
    """Return one header and a row a cell; what is hidden or not told is empty (RFC 4180)."""
    target = io.StringIO()
    writer = csv.DictWriter(target, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows(publications):
        writer.writerow(plain(row))
    return target.getvalue()


def write_parquet(path: Path, publications: Iterable[Publication]) -> None:
    """Write the same rows with their types.

    Raises:
        NoParquet: DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise NoParquet from error
    columns = ", ".join(f'"{name}" {_type_of(name)}' for name in COLUMNS)
    values = [list(plain(row).values()) for row in rows(publications)]
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE published ({columns})")
        if values:
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(f"INSERT INTO published VALUES ({marks})", values)
        target = str(path).replace("'", "''")
        connection.execute(f"COPY published TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def geojson(plans: Sequence[Plan], publications: Sequence[Publication]) -> dict[str, Any]:
    """Return a feature a cell that has a place on the globe (RFC 7946), all its numbers as properties.

    Stop lines are lines, crosswalks and roadways polygons. Sites without an origin are left out.
    """
    known = {(plan.site, place.id): place for plan in plans for place in plan.places}
    features = []
    for row in rows(publications):
        place = known.get((row.site, row.place or ""))
        if row.view == "cell" and place is not None and place.globe is not None:
            features.append({"type": "Feature", "geometry": _geometry(place), "properties": plain(row)})
    return {"type": "FeatureCollection", "features": features}


def geojson_text(plans: Sequence[Plan], publications: Sequence[Publication]) -> str:
    return json.dumps(geojson(plans, publications), separators=(",", ":")) + "\n"


def _geometry(place: Place) -> Mapping[str, Any]:
    assert place.globe is not None
    points = [[round(lon, 7), round(lat, 7)] for lon, lat in place.globe]
    if place.kind == "stop_line":
        return {"type": "LineString", "coordinates": points}
    return {"type": "Polygon", "coordinates": [points]}


def _type_of(name: str) -> str:
    kinds = {int: "BIGINT", float: "DOUBLE", date: "DATE"}
    annotation = Row.model_fields[name].annotation
    inside = {annotation, *typing.get_args(annotation)}
    for part in list(inside):
        inside |= {*typing.get_args(part)}
    return next((kinds[kind] for kind in kinds if kind in inside), "VARCHAR")
