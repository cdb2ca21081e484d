"""The report of a study: what was found per place and hour, how sure that is, what was not judged."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.wire import RULES, Clip, Plate
from edge import __version__
from edge.frame import Gap
from edge.report import MAX_CLIPS, Report, clock_of
from edge.report import write_report as write_events_page
from edge.rules.finding import Exposure
from edge.study.work import Settings
from edge.words import RULE_TITLES

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


def write_report(folder: Path, study: Study, settings: Settings) -> None:
    """Write ``report.html`` and, with a clip for each event, ``events.html``."""
    from calibration.site import load_site
    from edge.report import environment, text_of

    site = load_site(settings.site)
    _write_events_page(folder, study, site)
    page = environment().get_template("study.html.j2")
    html = page.render(
        site=site,
        study=study,
        occurred=len(study.events) - study.undecidable,
        hours=f"{study.seconds / 3600:.2f}",
        files=study.files,
        findings=_findings(study),
        plot=_plot(study, site),
        recordings=_recordings(study, site),
        problems=[str(row.problem) for row in study.unusable]
        + [f"{row.sequence}, {row.end - row.start:.0f} s: {row.problem}" for row in study.failed],
        facts={
            "Detector": Path(settings.model).stem,
            "Signals": settings.signals.name if settings.signals else "none given beside the site's own",
            "Software": f"nearmiss {__version__}",
        },
        style=text_of("report.css"),
    )
    (folder / "report.html").write_text(html, encoding="utf-8")


def _write_events_page(folder: Path, study: Study, site: Site) -> None:
    plate = folder / "plate.json"
    names = [event.clip for _, event in study.events if event.clip is not None][:MAX_CLIPS]
    clips = {
        name: Clip.decode((folder / "clips" / f"{name}.json").read_bytes()) for name in dict.fromkeys(names)
    }
    write_events_page(
        folder / "events.html",
        Report(
            site=site,
            plate=Plate.decode(plate.read_bytes()) if plate.exists() else None,
            events=[event for _, event in study.events],
            clips=clips,
            exposures=[
                Exposure(start, place, kind, count)  # type: ignore[arg-type] # kinds as they were written
                for (start, place, kind), count in sorted(study.counts.items())
            ],
            gaps=[Gap(*gap) for part in study.parts for gap in part.facts["gaps"]],
        ),
    )


def _findings(study: Study) -> list[dict[str, Any]]:
    """Return a row per rule and place: how many, of how many that entered or crossed there."""
    found = Counter((event.rule, event.place, event.outcome) for _, event in study.events)
    entered: Counter[str] = Counter()
    for (_, place, _), count in study.counts.items():
        entered[place] += count
    rows = []
    for rule, place in sorted({key[:2] for key in found}, key=lambda key: (RULES.index(key[0]), key[1])):
        occurred = found[rule, place, "occurred"]
        per = rate(occurred, entered[place] / 1000)
        rows.append(
            {
                "rule": RULE_TITLES[rule],
                "place": place,
                "occurred": occurred,
                "undecidable": found[rule, place, "undecidable"],
                "exposure": entered[place] or None,
                "rate": None if per is None else f"{per[0]:.1f}",
                "interval": None if per is None else f"{per[1]:.1f} to {per[2]:.1f}",
            }
        )
    return rows


def _recordings(study: Study, site: Site) -> list[dict[str, Any]]:
    """Return a row per file: when, how much of it was judged, what was found."""
    found = Counter(path for path, _ in study.events)
    rows: dict[Path, dict[str, Any]] = {}
    for part in study.parts:
        for each in part.files.during(part.stretch.start, part.stretch.end):
            rows.setdefault(
                each.path,
                {
                    "name": each.path.name,
                    "begins": clock_of(each.start, site),
                    "minutes": f"{each.duration_s / 60:.1f}",
                    "events": found[each.path],
                    "untrusted": 0,
                    "frames": 0,
                    "gaps": 0,
                },
            )
        # A stretch over the border of two files counts for the one it begins in.
        row = rows[part.files.at(part.stretch.start).path]
        row["frames"] += part.facts["frames"]
        row["untrusted"] += part.facts["untrusted"]
        row["gaps"] += len(part.facts["gaps"])
    return list(rows.values())


def _plot(study: Study, site: Site) -> str | None:
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
