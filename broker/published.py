"""The contract of what is published: one closed record per site, rule and period.

Numbers about places, rounded, and hidden where they are few (shared PRIVACY §5). No field holds the time of
an event, a clip, a measure or anything about a person.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PlainSerializer, field_validator, model_validator

from broker.wire import PlaceId, Record, RoadUser, Rule, SiteId

# Below this many a count is hidden. Others are rounded to ROUND_TO, exposure to EXPOSURE_TO.
K = 10
ROUND_TO = 5
EXPOSURE_TO = 100
PER = 1000

PeriodKind = Literal["four_weeks", "quarter", "year"]
Detail = Literal["site", "place", "road_user"]
DayPart = Literal["night", "morning", "afternoon", "evening"]
DAY_PARTS: tuple[DayPart, ...] = get_args(DayPart)
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)
DETAILS: tuple[Detail, ...] = get_args(Detail)
Few = Literal["<10"]
FEW: Few = "<10"
FewExposed = Literal["<100"]
FEW_EXPOSED: FewExposed = "<100"

Day = Annotated[date, PlainSerializer(lambda day: day.isoformat(), return_type=str)]
ShownCount = Few | Annotated[int, Field(ge=10, le=1_000_000_000, multiple_of=5)]
ShownExposure = FewExposed | Annotated[int, Field(ge=100, le=1_000_000_000_000, multiple_of=100)]
PerThousand = Annotated[float, Field(ge=0, le=100_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Period(Record):
    """A fixed period of the calendar; ``end`` is the first day that is not in it."""

    kind: Annotated[PeriodKind, Field(description="Four weeks, a quarter or a year of the calendar.")]
    start: Annotated[Day, Field(description="First day, in the site's time zone.")]
    end: Annotated[Day, Field(description="First day after it.")]


class Rate(Record):
    """Confirmed findings per 1,000 road users counted, from the published numbers, with a 95 % interval.

    Source of the interval: exact Poisson, Garwood (1936), Biometrika 28.
    """

    value: Annotated[PerThousand, Field(description="Confirmed per 1,000 counted.")]
    low: Annotated[PerThousand, Field(description="Lower end of the 95 % interval (exact Poisson).")]
    high: Annotated[PerThousand, Field(description="Upper end of the 95 % interval (exact Poisson).")]


class Proportion(Record):
    """A share with its 95 % interval, from the published numbers.

    Source of the interval: Wilson (1927), Journal of the American Statistical Association 22.
    """

    value: Annotated[Share, Field(description="The share.")]
    low: Annotated[Share, Field(description="Lower end of the 95 % interval (Wilson).")]
    high: Annotated[Share, Field(description="Upper end of the 95 % interval (Wilson).")]


class Cell(Record):
    """One published count: of a place, a road user there, or a part of the day; None is "all of them"."""

    place: Annotated[
        PlaceId | None, Field(description="Stop line (approach) or crosswalk; empty: the whole site.")
    ]
    road_user: Annotated[RoadUser | None, Field(description="Kind of road user; empty: all kinds.")] = None
    day_part: Annotated[
        DayPart | None, Field(description="Six hours of the day, over the whole period; empty: all day.")
    ] = None
    confirmed: Annotated[ShownCount, Field(description="Events a person confirmed: <10, else rounded to 5.")]
    rejected: Annotated[
        ShownCount | None,
        Field(description="Events a person rejected: <10, else rounded to 5; empty: not published here."),
    ] = None
    exposure: Annotated[
        ShownExposure | None,
        Field(description="Road users counted there: <100, else rounded to 100; empty: not published here."),
    ] = None
    rate: Annotated[
        Rate | None, Field(description="Empty where confirmed is <10 or exposure is not 100 or more.")
    ] = None
    precision: Annotated[
        Proportion | None,
        Field(description="Confirmed of confirmed and rejected; empty where one of the two is not shown."),
    ] = None

    @model_validator(mode="after")
    def _from_what_is_shown(self) -> Self:
        shown = isinstance(self.confirmed, int)
        if self.rate is not None and not (shown and isinstance(self.exposure, int)):
            raise ValueError("a rate needs a confirmed count and an exposure that are shown")
        if self.precision is not None and not (shown and isinstance(self.rejected, int)):
            raise ValueError("a precision needs confirmed and rejected counts that are shown")
        return self


class Publication(Record):
    """Everything that is ever said of one rule at one site in one period; published once, never restated."""

    v: Literal[1] = 1
    site: Annotated[SiteId, Field(description="The site.")]
    rule: Annotated[Rule, Field(description="What happened, by the definition of docs/rules.")]
    period: Period
    detail: Annotated[Detail, Field(description="How finely the period is told: site, place or road user.")]
    reviewed: Annotated[
        Literal["most", "part"],
        Field(description="How much of the period people had decided: at least 95 %, or less."),
    ]
    cells: Annotated[tuple[Cell, ...], Field(min_length=1, max_length=5000)]
    # Further views of the same events: only where neither they nor the cells hide anything.
    total: Cell | None = None
    day_parts: Annotated[tuple[Cell, ...], Field(max_length=len(DAY_PARTS))] = ()

    @field_validator("day_parts")
    @classmethod
    def _over_a_quarter(cls, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        if any(cell.day_part is None for cell in cells):
            raise ValueError("a cell of day_parts names its part of the day")
        return cells

    @model_validator(mode="after")
    def _hides_what_is_few(self) -> Self:
        if self.day_parts and self.period.kind == "four_weeks":
            raise ValueError("parts of the day are published over a quarter or a year, not over four weeks")
        if any(cell.day_part is not None for cell in (*self.cells, *filter(None, [self.total]))):
            raise ValueError("cells and total are of the whole day")
        if (self.total is not None or self.day_parts) and any(cell.confirmed == FEW for cell in self.cells):
            raise ValueError("no further view of events of which a cell is hidden")
        if any(cell.confirmed == FEW for cell in self.day_parts):
            raise ValueError("parts of the day are published only where none of them is few")
        keys = [(cell.place, cell.road_user) for cell in self.cells]
        if len(set(keys)) != len(keys):
            raise ValueError("each place and road user stands in one cell")
        return self
