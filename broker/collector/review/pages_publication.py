"""What is published: what would be said next, as it would be said, and what has been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from broker.collector.accounts import Who
from broker.collector.config import PublicationSettings
from broker.collector.publication import webhooks
from broker.collector.publication.ledger import LedgerError, due, entries, prepared, publish
from broker.collector.publication.page import DETAILS, PARTS
from broker.collector.publication.places import Plan
from broker.collector.publication.plans import all_plans
from broker.collector.review.desk import Desk
from broker.collector.review.roles import at, needs
from broker.collector.wording import N_, Told
from broker.published import FEW, Period, Publication
from broker.wire import Rule

Viewer = Annotated[Who, needs("viewer")]
Admin = Annotated[Who, needs("admin")]
SiteName = Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")]


class _Chosen(BaseModel):
    """The query: which of what is due is shown; none: the first."""

    site: SiteName = ""
    rule: Annotated[str, Field(pattern=r"^[a-z_]{0,40}$")] = ""
    start: date | None = None
    said: Annotated[int, Field(ge=0, le=2**53)] | None = None


class _Said(BaseModel):
    """The form: what is published."""

    site: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    rule: Rule
    start: date


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that may be published."""

    plan: Plan
    rule: Rule
    period: Period

    @property
    def query(self) -> str:
        return urlencode({"site": self.plan.site, "rule": self.rule, "start": self.period.start.isoformat()})


def routes(desk: Desk, settings: PublicationSettings, *, event_d: float) -> APIRouter:
    router = APIRouter()

    @router.get("/publication", response_model=None)
    def publication(request: Request, who: Viewer, chosen: Annotated[_Chosen, Query()]) -> Response:
        with desk.store.read() as connection:
            waiting = _waiting(connection, who, desk.now_s())
            item = _pick(waiting, chosen)
            shown, problems = _preview(connection, item, desk.now_s()) if item else (None, ())
            sites = who.sites("viewer")
            said = [
                entry
                for entry in sorted(entries(connection), key=lambda entry: entry.n, reverse=True)
                if sites is None or entry.record.site in sites
            ]
            sent = webhooks.counts(connection) if who.sites("admin") is None else None
            without = _without_plan(connection, who)
        return desk.page(
            request,
            "publication.html",
            waiting=waiting,
            item=item,
            shown=shown,
            problems=problems,
            notes=notes(shown) if shown else (),
            said=said,
            told=next((entry for entry in said if entry.n == chosen.said), None),
            sent=sent,
            without=without,
            details=DETAILS,
            parts=PARTS,
        )

    @router.post("/publication", response_model=None)
    def say(who: Admin, form: Annotated[_Said, Form()]) -> Response:
        at(who, "admin", form.site)
        now_s = desk.now_s()
        try:
            with desk.store.write() as connection:
                item = next(
                    (
                        each
                        for each in _waiting(connection, who, now_s)
                        if (each.plan.site, each.rule, each.period.start)
                        == (form.site, form.rule, form.start)
                    ),
                    None,
                )
                choice = settings.of(form.rule)
                if item is None or choice is None:
                    raise HTTPException(409, Told("this is not due: it was published already, or is not yet"))
                entry = publish(
                    connection,
                    item.plan,
                    item.rule,
                    item.period,
                    choice.detail,
                    actor=who.name,
                    now_s=now_s,
                    event_d=event_d,
                )
        except LedgerError as error:
            raise HTTPException(409, error.problems[0]) from error
        return RedirectResponse(f"/publication?said={entry.n}", 303)

    def _waiting(connection: Connection, who: Who, now_s: int) -> list[Item]:
        return [
            Item(plan, rule, period)
            for plan in all_plans(connection)
            if who.may("admin", plan.site)
            for rule, period in due(connection, plan, settings, now_s=now_s, event_d=event_d)
        ]

    def _preview(
        connection: Connection, item: Item, now_s: int
    ) -> tuple[Publication | None, tuple[str, ...]]:
        choice = settings.of(item.rule)
        assert choice is not None
        try:
            made, _ = prepared(
                connection, item.plan, item.rule, item.period, choice.detail, now_s=now_s, event_d=event_d
            )
        except LedgerError as error:
            return None, error.problems
        return made, ()

    return router


def notes(made: Publication) -> Sequence[str]:
    """Return why some of it is hidden, a sentence each."""
    few = [cell for cell in made.cells if cell.confirmed == FEW]
    found = []
    if few:
        found.append(N_("Fewer than 10 confirmed are shown as <10, whether there were none or nine."))
        found.append(
            N_("No total and no parts of the day: with them, what is hidden could be had by subtraction.")
        )
    elif made.period.kind == "four_weeks":
        found.append(N_("Parts of the day are published over a quarter or a year only."))
    elif not made.day_parts:
        found.append(
            N_("No parts of the day: fewer than 10 fall into one of them, or for some it is not known.")
        )
    if any(cell.exposure is not None and not isinstance(cell.exposure, int) for cell in made.cells):
        found.append(N_("Fewer than 100 were counted at a place: too few for a rate."))
    if any(cell.exposure is None for cell in made.cells):
        found.append(
            N_("Where nothing was counted, or counting would give a hidden number away, there is no rate.")
        )
    if made.reviewed == "part":
        found.append(
            N_("More than one in twenty events of this period has not been decided: the counts are too low.")
        )
    return found


def _pick(waiting: Sequence[Item], chosen: _Chosen) -> Item | None:
    wanted = (chosen.site, chosen.rule, chosen.start)
    named = [each for each in waiting if (each.plan.site, each.rule, each.period.start) == wanted]
    return next(iter([*named, *waiting]), None)


def _without_plan(connection: Connection, who: Who) -> list[str]:
    """Return the sites somebody administers of which there is no plan yet."""
    from sqlalchemy import select

    from broker.collector.tables import nodes

    known = {plan.site for plan in all_plans(connection)}
    heard = connection.execute(select(nodes.c.site).distinct().order_by(nodes.c.site)).scalars()
    return [site for site in heard if site not in known and who.may("admin", site)]
