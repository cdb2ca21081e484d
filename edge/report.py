"""The report: one HTML page, whole in itself, that a traffic engineer would forward."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from broker import player
from broker.drawing import Clip, Plate
from broker.wire import ROAD_USERS, RULES, LocalEvent
from calibration.site import Point, Site
from edge.frame import Gap
from edge.rules.finding import Exposure
from edge.scene import Kind
from edge.site_map import Mark, site_map
from edge.words import KIND_TITLES, MEASURES, RULE_MEANINGS, RULE_TITLES, STATE_TITLES, clock, number

if TYPE_CHECKING:
    from jinja2 import Environment

# A page that holds more is slow to open; the files beside it hold all of them.
MAX_CLIPS = 500
# Before this year a time is one since the recording's start, not one of a calendar.
_FIRST_YEAR = 1990


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        plate: what clips are drawn on; None where there are no clips.
        clips: by hash, as ``LocalEvent.clip`` names them.
        exposures: how many entered or crossed.
        paths: kind and thinned polyline in metres of each track.
        facts: what was analysed and how, label to text, in the order they are shown.
        gaps: stretches of the recording that could not be read.
        notes: further things the reader has to know, a sentence each.
    """

    site: Site
    plate: Plate | None
    events: Sequence[LocalEvent]
    clips: Mapping[str, Clip] = field(default_factory=dict)
    exposures: Sequence[Exposure] = ()
    paths: Sequence[tuple[Kind, Sequence[Point]]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    notes: Sequence[str] = ()


def write_report(path: Path, report: Report) -> None:
    """Write the page: no file beside it and no network is needed to read it."""
    path.write_text(html(report), encoding="utf-8")


def html(report: Report) -> str:
    """Return the page."""
    events = sorted(report.events, key=lambda event: event.n)
    embedded = [event.clip for event in events if event.clip is not None and event.clip in report.clips]
    chosen = dict.fromkeys(embedded[:MAX_CLIPS])
    script = player.script() + text_of("page.js")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            site=report.site,
            facts=report.facts,
            notes=report.notes,
            occurred=[_shown(event, report, chosen) for event in events if event.outcome == "occurred"],
            undecidable=[_shown(event, report, chosen) for event in events if event.outcome != "occurred"],
            findings=_findings(events),
            exposure=_exposure(report.exposures),
            gaps=[(clock_of(gap.start, report.site), gap.end - gap.start, gap.reason) for gap in report.gaps],
            map=site_map(report.site, paths=report.paths, marks=_marks(report, events)),
            path_count=len(report.paths),
            left_out=len(set(embedded)) - len(chosen),
            plate=None if report.plate is None else _embedded(report.plate.encode()),
            has_background=report.plate is not None and report.plate.background is not None,
            clips={hash_: _embedded(report.clips[hash_].encode()) for hash_ in chosen},
            meanings=[
                (RULE_TITLES[rule], RULE_MEANINGS[rule])
                for rule in RULES
                if any(event.rule == rule for event in events)
            ],
            style=player.style() + text_of("report.css"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def clock_of(time: float, site: Site) -> str:
    """Return an instant as local time of the site, or as time since the start of the recording."""
    when = datetime.fromtimestamp(time, UTC)
    if when.year < _FIRST_YEAR:
        return clock(time)
    local = when.astimezone(site.zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 100_000} {local:%Z}"


def _shown(event: LocalEvent, report: Report, clips: Mapping[str, None]) -> dict[str, object]:
    """Return what the template shows of an event, in words."""
    users = [KIND_TITLES[event.road_user][0]]
    users += [] if event.road_user2 is None else [KIND_TITLES[event.road_user2][0]]
    signal = event.signal
    return {
        "n": event.n,
        "title": RULE_TITLES[event.rule],
        "place": event.place,
        "users": " and ".join(users),
        "time": clock_of(event.time.timestamp(), report.site),
        "time_sigma": None if event.time_sigma_s is None else f"{event.time_sigma_s:.2f}",
        "signal": None
        if signal is None
        else f"{signal.group} {STATE_TITLES[signal.state]} (from {signal.source})",
        "measures": [
            (MEASURES[name][0], number(measure.value, measure.sigma, MEASURES[name][1]))
            for name, measure in event.measures.items()
        ],
        "caused_by": event.caused_by,
        "clip": event.clip if event.clip in clips else None,
        "json": _embedded(event.encode()),
    }


def _findings(events: Sequence[LocalEvent]) -> list[tuple[str, str, int, int]]:
    """Return rule, place, how many occurred and how many could not be decided."""
    counts = Counter((event.rule, event.place, event.outcome) for event in events)
    places = sorted({(RULES.index(event.rule), event.place) for event in events})
    return [
        (
            RULE_TITLES[RULES[rule]],
            place,
            counts[RULES[rule], place, "occurred"],
            counts[RULES[rule], place, "undecidable"],
        )
        for rule, place in places
    ]


def _exposure(exposures: Sequence[Exposure]) -> dict[str, object]:
    """Return how many of each kind entered or crossed each place."""
    counts: Counter[tuple[str, str]] = Counter()
    for exposure in exposures:
        counts[exposure.place, exposure.road_user] += exposure.count
    kinds = [kind for kind in ROAD_USERS if any(road_user == kind for _, road_user in counts)]
    rows = [
        (place, [counts[place, kind] for kind in kinds], sum(counts[place, kind] for kind in kinds))
        for place in sorted({place for place, _ in counts})
    ]
    return {"kinds": [KIND_TITLES[kind][1] for kind in kinds], "rows": rows, "total": counts.total()}


def _marks(report: Report, events: Sequence[LocalEvent]) -> list[Mark]:
    """Return where each event is marked on the map: where it happened, else the middle of its place."""
    site = report.site
    outlines: list[tuple[str | None, Sequence[Point]]] = [
        *((line.id, line.line) for line in site.stop_lines),
        *((crosswalk.id, crosswalk.polygon) for crosswalk in site.crosswalks),
        *((roadway.id, roadway.polygon) for roadway in site.roadways),
    ]
    middles = {name: _middle(points) for name, points in outlines if name}
    marks: list[Mark] = []
    for event in events:
        clip = report.clips.get(event.clip or "")
        spot = None if clip is None else clip.spot
        place = (spot[0] * 0.25, spot[1] * 0.25) if spot is not None else middles.get(event.place)
        if place is not None:
            marks.append((event.n, place, event.outcome == "occurred"))
    return marks


def _middle(points: Sequence[Point]) -> Point:
    return (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))


def _embedded(record: bytes) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(json.loads(record), separators=(",", ":")).replace("<", "\\u003c")


def text_of(name: str) -> str:
    """Return a style sheet or script of the report as text."""
    return (resources.files("edge") / "templates" / name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Return what renders our templates."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("edge", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
