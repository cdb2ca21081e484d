"""The fixed periods of the calendar: four weeks, a quarter, a year; when each may be published.

Fixed, so that no two periods of a kind overlap: nothing can be had by taking one from another.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from broker.published import DayPart, Period, PeriodKind

# Four-week periods are counted from this Monday, for ever.
FIRST_MONDAY = date(2001, 1, 1)
FOUR_WEEKS = timedelta(weeks=4)
WAIT_D = 7


def period_of(kind: PeriodKind, day: date) -> Period:
    """Return the period of a kind that a day lies in."""
    if kind == "four_weeks":
        start = FIRST_MONDAY + (day - FIRST_MONDAY) // FOUR_WEEKS * FOUR_WEEKS
        return Period(kind=kind, start=start, end=start + FOUR_WEEKS)
    if kind == "quarter":
        first = 3 * ((day.month - 1) // 3) + 1
        end = date(day.year + (first == 10), 1 if first == 10 else first + 3, 1)
        return Period(kind=kind, start=date(day.year, first, 1), end=end)
    return Period(kind=kind, start=date(day.year, 1, 1), end=date(day.year + 1, 1, 1))


def following(period: Period) -> Period:
    return period_of(period.kind, period.end)


def periods(kind: PeriodKind, first: date, last: date) -> Iterator[Period]:
    """Yield every period of a kind that has a day from ``first`` to ``last``."""
    period = period_of(kind, first)
    while period.start <= last:
        yield period
        period = following(period)


def is_fixed(period: Period) -> bool:
    """Return whether a period is one of the calendar's, not one somebody cut to fit."""
    return period == period_of(period.kind, period.start)


def overlap(first: Period, second: Period) -> bool:
    return first.start < second.end and second.start < first.end


def bounds_s(period: Period, zone: tzinfo) -> tuple[int, int]:
    """Return the first second and the first second after, UTC; days begin at midnight at the site."""
    start, end = (int(datetime.combine(day, time(), zone).timestamp()) for day in (period.start, period.end))
    return start, end


def may_be_published_s(period: Period, zone: tzinfo) -> int:
    """Return from when on a period may be published: seven days after it closed."""
    return int(datetime.combine(period.end + timedelta(days=WAIT_D), time(), zone).timestamp())


def months(period: Period) -> list[int]:
    """Return the months a quarter or a year is made of, as ``month_s`` names them; none for four weeks."""
    if period.kind == "four_weeks":
        return []
    count = 3 if period.kind == "quarter" else 12
    return [_month_s(date(period.start.year, period.start.month + n, 1)) for n in range(count)]


def month_of(time_s: int, zone: tzinfo) -> int:
    """Return the month at the site that an instant lies in: its first day's midnight in UTC, as a name."""
    return _month_s(datetime.fromtimestamp(time_s, zone).date().replace(day=1))


def day_part_of(time_s: int, zone: tzinfo) -> DayPart:
    """Return the six hours of the site's day that an instant lies in."""
    hour = datetime.fromtimestamp(time_s, zone).hour
    parts: tuple[DayPart, ...] = ("night", "morning", "afternoon", "evening")
    return parts[hour // 6]


def label(period: Period) -> str:
    """Return a period's name, such as ``2026-Q3``, ``2026`` or ``2026-09-07 to 2026-10-04``."""
    if period.kind == "quarter":
        return f"{period.start.year}-Q{(period.start.month + 2) // 3}"
    if period.kind == "year":
        return str(period.start.year)
    return f"{period.start.isoformat()} to {(period.end - timedelta(days=1)).isoformat()}"


def _month_s(first: date) -> int:
    return int(datetime.combine(first, time(), UTC).timestamp())
