"""What is published, as a table: one row a cell, with what a hidden or rounded number can stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from broker.collector.publication import figures
from broker.published import Cell, Day, DayPart, PeriodKind, PerThousand, Publication, Share
from broker.wire import PlaceId, Record, RoadUser, Rule, SiteId

Whole = Annotated[int, Field(ge=0)]


class Row(Record):
    """One row of ``published.csv`` and ``published.parquet``, and the properties of a GeoJSON feature."""

    site: Annotated[SiteId, Field(description="The site.")]
    rule: Annotated[Rule, Field(description="What happened, by the definition of docs/rules.")]
    period: Annotated[PeriodKind, Field(description="Kind of the fixed period.")]
    start: Annotated[Day, Field(description="First day of the period, in the site's time zone.")]
    end: Annotated[Day, Field(description="First day after the period.")]
    reviewed: Annotated[
        Literal["most", "part"],
        Field(description="How much of the period people had decided: at least 95 %, or less."),
    ]
    view: Annotated[
        Literal["cell", "total", "day_part"],
        Field(
            description="cell: each event is in one of them. total, day_part: the same events summed "
            "otherwise, published only where nothing is hidden; never add them to cells."
        ),
    ]
    place: Annotated[
        PlaceId | None, Field(description="Stop line (approach) or crosswalk; empty: the whole site.")
    ]
    road_user: Annotated[RoadUser | None, Field(description="Kind of road user; empty: all kinds.")]
    day_part: Annotated[
        DayPart | None,
        Field(description="night 0–6, morning 6–12, afternoon 12–18, evening 18–24; empty: all day."),
    ]
    confirmed: Annotated[
        Whole | None, Field(description="Events a person confirmed, rounded to 5; empty where fewer than 10.")
    ]
    confirmed_least: Annotated[Whole, Field(description="The fewest there can have been.")]
    confirmed_most: Annotated[Whole, Field(description="The most there can have been.")]
    rejected: Annotated[
        Whole | None,
        Field(description="Events a person rejected, rounded to 5; empty where fewer than 10 or not told."),
    ]
    exposure: Annotated[
        Whole | None,
        Field(
            description="Road users counted there (vehicles over a stop line, pedestrians starting on a "
            "crosswalk), rounded to 100; empty where fewer than 100 or not counted."
        ),
    ]
    rate_per_1000: Annotated[
        PerThousand | None, Field(description="Confirmed per 1,000 counted, from the rounded numbers.")
    ]
    rate_low: Annotated[
        PerThousand | None, Field(description="Lower end of its 95 % interval (exact Poisson).")
    ]
    rate_high: Annotated[
        PerThousand | None, Field(description="Upper end of its 95 % interval (exact Poisson).")
    ]
    precision: Annotated[
        Share | None, Field(description="Confirmed of confirmed and rejected, from the rounded numbers.")
    ]
    precision_low: Annotated[Share | None, Field(description="Lower end of its 95 % interval (Wilson).")]
    precision_high: Annotated[Share | None, Field(description="Upper end of its 95 % interval (Wilson).")]


COLUMNS = tuple(Row.model_fields)


def rows(publications: Iterable[Publication]) -> Iterator[Row]:
    """Yield a row a cell, total and part of the day."""
    for said in publications:
        for cell in said.cells:
            yield _row(said, cell, "cell")
        if said.total is not None:
            yield _row(said, said.total, "total")
        for cell in said.day_parts:
            yield _row(said, cell, "day_part")


def plain(row: Row) -> dict[str, Any]:
    """Return a row's values as JSON has them."""
    return row.model_dump(mode="json")


def _row(said: Publication, cell: Cell, view: Literal["cell", "total", "day_part"]) -> Row:
    least, most = figures.possible(cell.confirmed)
    return Row(
        site=said.site,
        rule=said.rule,
        period=said.period.kind,
        start=said.period.start,
        end=said.period.end,
        reviewed=said.reviewed,
        view=view,
        place=cell.place,
        road_user=cell.road_user,
        day_part=cell.day_part,
        confirmed=_number(cell.confirmed),
        confirmed_least=least,
        confirmed_most=most,
        rejected=_number(cell.rejected),
        exposure=_number(cell.exposure),
        rate_per_1000=cell.rate.value if cell.rate else None,
        rate_low=cell.rate.low if cell.rate else None,
        rate_high=cell.rate.high if cell.rate else None,
        precision=cell.precision.value if cell.precision else None,
        precision_low=cell.precision.low if cell.precision else None,
        precision_high=cell.precision.high if cell.precision else None,
    )


def _number(shown: int | str | None) -> int | None:
    return shown if isinstance(shown, int) else None
