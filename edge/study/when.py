"""When a study found something: events per hour of video by hour of the day and by day, with intervals."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibration.site import Site
    from edge.study.results import Part, Study

# Before it a time is one since the recording's start, which no hour of day can be told from.
_CALENDAR_S = 1e8


def rate(count: int, exposure: float, *, level: float = 0.95) -> tuple[float, float, float] | None:
    """Return events per unit of exposure and the bounds of its exact interval; None without exposure.

    Source: Garwood (1936), Fiducial limits for the Poisson distribution, Biometrika 28.
    """
    from scipy.stats import chi2

    if exposure <= 0:
        return None
    tail = (1 - level) / 2
    low = chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(1 - tail, 2 * count + 2) / 2
    return count / exposure, float(low) / exposure, float(high) / exposure


def plot(study: Study, site: Site) -> str | None:
    """Return an SVG: events per hour of video by hour of the day and by day; None without dates."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    watched_h, watched_d = _watched(study.parts, site)
    if not watched_h:
        return None
    times = [
        datetime.fromtimestamp(event.time.timestamp(), UTC).astimezone(site.zone)
        for _, event in study.events
        if event.outcome == "occurred" and event.time.timestamp() >= _CALENDAR_S
    ]
    by_hour, by_day = Counter(time.hour for time in times), Counter(time.date() for time in times)
    settings: Any = {"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _points(left, watched_h, by_hour)
        left.set_xlim(-0.7, 23.7)
        left.set_xlabel(f"hour of the day, {site.site.timezone}")
        left.set_ylabel("events per hour of video")
        days = sorted(watched_d)
        _points(
            right,
            {n: watched_d[day] for n, day in enumerate(days)},
            {n: by_day[day] for n, day in enumerate(days)},
        )
        step = max(1, len(days) // 6)
        right.set_xticks(range(0, len(days), step), [f"{day:%d %b}" for day in days[::step]])
        right.set_xlabel("day")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def _points(axes: Any, watched_s: Mapping[int, float], found: Mapping[int, int]) -> None:
    for x, seconds in sorted(watched_s.items()):
        per = rate(found.get(x, 0), seconds / 3600)
        if per is not None:
            axes.plot([x, x], per[1:], color="#1b6ca8", linewidth=2, alpha=0.4)
            axes.plot(x, per[0], "o", color="#1b6ca8", markersize=4)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)


def _watched(parts: Sequence[Part], site: Site) -> tuple[dict[int, float], dict[date, float]]:
    """Return the seconds of video per hour of the day and per day."""
    by_hour: dict[int, float] = defaultdict(float)
    by_day: dict[date, float] = defaultdict(float)
    for part in parts:
        start, end = part.stretch.start, part.stretch.end
        while start >= _CALENDAR_S and start < end:
            until = min(end, (start // 900 + 1) * 900)  # time zones differ by quarters of an hour
            time = datetime.fromtimestamp(start, UTC).astimezone(site.zone)
            by_hour[time.hour] += until - start
            by_day[time.date()] += until - start
            start = until
    return by_hour, by_day
