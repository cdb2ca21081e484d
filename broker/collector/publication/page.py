"""The report: one HTML page, whole in itself, that prints well; of publications alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from broker.collector.publication import figures, pictures
from broker.collector.publication.comparing import Change, changes
from broker.collector.publication.periods import label
from broker.collector.publication.places import Plan
from broker.collector.review import words
from broker.collector.wording import N_
from broker.published import Cell, Publication

HERE = Path(__file__).parent
DETAILS = {
    "site": N_("the whole site"),
    "place": N_("each place"),
    "road_user": N_("each road user at each place"),
}
PARTS = {
    "night": N_("Night, 0–6"),
    "morning": N_("Morning, 6–12"),
    "afternoon": N_("Afternoon, 12–18"),
    "evening": N_("Evening, 18–24"),
}
# So many of the last periods are drawn and tabled; the files beside the page hold all.
SHOWN = 13


@dataclass(frozen=True)
class Shown:
    """One rule at one site as the page shows it."""

    title: str
    latest: Publication
    heat_map: str | None
    trend: str | None
    before: Publication | None
    after: Publication | None
    changes: Sequence[Change]
    forest: str | None
    history: Sequence[Publication]


def html(plans: Sequence[Plan], publications: Sequence[Publication], *, changed: date | None = None) -> str:
    """Return the page.

    Args:
        changed: the day something was changed: the last period before it is compared with the first after
            it; without it the last two periods are.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = {plan.site: plan for plan in plans}
    sites = list(dict.fromkeys(each.site for each in publications))

    def rules_of(site: str) -> list[Shown]:
        here = [each for each in publications if each.site == site]
        told = [[each for each in here if each.rule == rule] for rule in words.RULES]
        return [_shown(names.get(site), said, changed) for said in told if said]

    return environment.get_template("report.html").render(
        sites=[(site, names[site].name if site in names else "", rules_of(site)) for site in sites],
        label=label,
        details=DETAILS,
        parts=PARTS,
        bounds=figures.possible,
        name=_name,
        ratio=_ratio,
        changed=changed,
    )


def _shown(plan: Plan | None, said: Sequence[Publication], changed: date | None) -> Shown:
    history = sorted(said, key=lambda each: each.period.start)
    latest = history[-1]
    before, after = _pair(history, changed)
    found = changes(before, after) if before is not None and after is not None else []
    placed = plan is not None and latest.detail == "place"
    return Shown(
        title=words.RULES[latest.rule],
        latest=latest,
        heat_map=pictures.heat_map(plan, latest) if plan is not None and placed else None,
        trend=pictures.trend(history[-SHOWN:]) if len(history) > 1 else None,
        before=before,
        after=after,
        changes=found,
        forest=pictures.before_and_after(found) if found else None,
        history=history[-SHOWN:],
    )


def _pair(
    history: Sequence[Publication], changed: date | None
) -> tuple[Publication | None, Publication | None]:
    if changed is None:
        return (history[-2], history[-1]) if len(history) > 1 else (None, None)
    earlier = [each for each in history if each.period.end <= changed]
    later = [each for each in history if each.period.start >= changed]
    return (earlier[-1], later[0]) if earlier and later else (None, None)


def _name(cell: Cell | Change) -> str:
    place = cell.place or "All places"
    return f"{place}, {cell.road_user}" if cell.road_user else place


def _ratio(change: Change) -> dict[str, Any]:
    """Return how a change is told: by its interval, in words."""
    if change.high < 1:
        verdict = "fewer"
    elif change.low > 1:
        verdict = "more"
    else:
        verdict = "no difference shown"
    p = "< 0.001" if change.p < 0.001 else f"{change.p:.3f}"
    return {"verdict": verdict, "p": p}
