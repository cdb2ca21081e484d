"""The report of a study: what was found per place and hour, how sure that is, what was not judged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.drawing import Clip, Plate
from broker.wire import RULES
from edge import __version__
from edge.frame import Gap
from edge.report import MAX_CLIPS, Report, clock_of
from edge.report import write_report as write_events_page
from edge.rules.finding import Exposure
from edge.study.when import plot, rate
from edge.study.work import Settings
from edge.words import RULE_TITLES

if TYPE_CHECKING:
    from calibration.site import Site
    from edge.study.results import Study


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
        plot=plot(study, site),
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
