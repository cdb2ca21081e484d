"""Every name a message may hold: what else stands where a name belongs is the sender's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from broker import drawing, wire

_RECORDS = (wire.Event, wire.LocalEvent, wire.Counts, wire.Status, wire.Receipt, drawing.Clip, drawing.Plate)


def _within(record: type[wire.Record]) -> Iterator[str]:
    for name, field in record.model_fields.items():
        yield name
        yield from _of(field.annotation)


def _of(annotation: object) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, wire.Record):
        yield from _within(annotation)
    for part in get_args(annotation):
        yield from _of(part)


FIELD_NAMES: frozenset[str] = frozenset(
    {name for record in _RECORDS for name in _within(record)} | set(get_args(wire.MeasureName))
)
