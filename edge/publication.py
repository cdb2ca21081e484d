"""`nearmiss publish` and `nearmiss report`: what is published of a collector's sites, and as what files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calibration.geojson import origin_of
from calibration.site import Point, Site, load_site
from edge.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from broker.collector.config import CollectorConfig
    from broker.collector.publication.ledger import Known
    from broker.collector.publication.places import Place, PlaceKind, Plan
    from broker.collector.store import Store
    from broker.published import Period, Publication
    from broker.wire import Rule

# Who acts at a terminal: whoever can read the collector's file. Accounts act through the page.
CONSOLE = "console"


def write(collector: Path, *, out: Path, site: str | None, changed: str | None) -> int:
    """Write what has been published as report.html, CSV, Parquet and GeoJSON.

    Raises:
        InputError: a date that is none, a site nothing is published of, or a folder that cannot be written.
    """
    from broker.collector import audit
    from broker.collector.publication import files, page
    from broker.collector.publication.ledger import entries
    from broker.collector.publication.plans import all_plans

    day = _day(changed)
    _, store = opened(collector)
    with store.read() as connection:
        said = [entry.record for entry in entries(connection, site=site)]
        plans = all_plans(connection)
    if site is not None and not said and site not in {plan.site for plan in plans}:
        raise InputError(f"--site: {site!r} has no plan and nothing is published of it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").write_text(page.html(plans, said, changed=day), encoding="utf-8")
        (out / "published.csv").write_bytes(files.csv_text(said).encode())
        (out / "published.geojson").write_text(files.geojson_text(plans, said), encoding="utf-8")
        try:
            files.write_parquet(out / "published.parquet", said)
        except files.NoParquet as error:
            typer.echo(f"nearmiss: not written: {error}", err=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error
    with store.write() as connection:
        audit.append(
            connection,
            actor=CONSOLE,
            action="export",
            subject=site or "all sites",
            detail={"publications": len(said)},
            now_s=int(time.time()),
        )
    store.close()
    _tell_places_without_origin(plans, said)
    typer.echo(f"{len(said)} publications: {out}/report.html, published.csv, .parquet, .geojson")
    return 0


def take_site(collector: Path, site: Path) -> int:
    """Keep a site's plan in the store: which places are published, and in which time zone."""
    from broker.collector import audit
    from broker.collector.publication.plans import keep_plan

    plan = plan_of(load_site(site))
    _, store = opened(collector)
    with store.write() as connection:
        now_s = int(time.time())
        keep_plan(connection, plan, now_s=now_s)
        audit.append(
            connection,
            actor=CONSOLE,
            action="plan",
            subject=plan.site,
            detail={"places": len(plan.places), "timezone": plan.timezone},
            now_s=now_s,
        )
    store.close()
    counted = {kind: len(plan.ids(kind)) for kind in ("stop_line", "crosswalk", "roadway")}
    typer.echo(
        f"{plan.site}: {counted['stop_line']} stop lines, {counted['crosswalk']} crosswalks, "
        f"{plan.timezone}{'' if _on_globe(plan) else ', not on the globe: no GeoJSON'}"
    )
    return 0


def publish(
    collector: Path, *, site: str | None, rule: str | None, preview: bool, now_s: int | None = None
) -> int:
    """Publish what is due, or show it; 0 where all of it could be, 1 where something was refused."""
    from broker.collector.publication.ledger import LedgerError, due, lock
    from broker.collector.publication.periods import label
    from broker.collector.publication.plans import all_plans
    from broker.wire import RULES

    if rule is not None and rule not in RULES:
        raise InputError(f"--rule: {rule!r} is not one of {', '.join(RULES)}")
    config, store = opened(collector)
    now = int(time.time()) if now_s is None else now_s
    with store.read() as connection:
        plans = [plan for plan in all_plans(connection) if site in (None, plan.site)]
    if not plans:
        what = "no site has" if site is None else f"{site} has not"
        raise InputError(f"{what} a plan: nearmiss report site {collector} SITE.toml")
    said, refused = 0, 0
    for plan in plans:
        # One transaction a site: all that is due is counted from the same rows, and stands or falls together.
        with store.read() if preview else store.write() as connection:
            if not preview:
                lock(connection)
            known: Known = {}
            for each, period in due(
                connection, plan, config.publication, now_s=now, event_d=config.retention.event_d
            ):
                if rule not in (None, each):
                    continue
                try:
                    made = _made(connection, plan, each, period, config, now, preview=preview, known=known)
                except LedgerError as error:
                    refused += 1
                    for problem in error.problems:
                        typer.echo(f"nearmiss: {problem}", err=True)
                    continue
                said += 1
                verb = "would publish" if preview else "published"
                typer.echo(f"{verb} {made.site}, {each}, {label(period)}:")
                _show(made)
    if not said and not refused:
        typer.echo("nothing is due: a period may be published seven days after it has closed, once")
    store.close()
    return 1 if refused else 0


def _made(
    connection: Connection,
    plan: Plan,
    rule: Rule,
    period: Period,
    config: CollectorConfig,
    now_s: int,
    *,
    preview: bool,
    known: Known,
) -> Publication:
    from broker.collector.publication.ledger import prepared
    from broker.collector.publication.ledger import publish as publish_one

    choice = config.publication.of(rule)
    assert choice is not None
    event_d = config.retention.event_d
    if preview:
        made, _ = prepared(
            connection, plan, rule, period, choice.detail, now_s=now_s, event_d=event_d, known=known
        )
        return made
    return publish_one(
        connection,
        plan,
        rule,
        period,
        choice.detail,
        actor=CONSOLE,
        now_s=now_s,
        event_d=event_d,
        known=known,
    ).record


def recount(collector: Path) -> int:
    """Count the decisions behind every publication again; 0 where all agree, 1 where something differs."""
    from broker.collector.publication.periods import label
    from broker.collector.publication.recount import recount as counted_again

    _, store = opened(collector)
    with store.read() as connection:
        found, chain = counted_again(connection)
    store.close()
    for each in found:
        record = each.entry.record
        name = f"{record.site}, {record.rule}, {label(record.period)}"
        more = [f"{each.decisions} decisions counted again"]
        more += [f"{each.aggregates} were aggregates"] if each.aggregates else []
        more += [f"{each.forgotten} past the time they are kept"] if each.forgotten else []
        typer.echo(f"{name}: {'DIFFERS' if each.problems else 'agrees'} ({', '.join(more)})")
        for problem in each.problems:
            typer.echo(f"    {problem}")
    if chain:
        typer.echo(f"the ledger: {chain}")
    wrong = sum(bool(each.problems) for each in found)
    typer.echo(f"{len(found)} publications, {wrong} differ")
    return 1 if wrong or chain else 0


def opened(collector: Path) -> tuple[CollectorConfig, Store]:
    """Return a collector's settings and its store, brought to this version."""
    from broker.collector.config import database_url, load_collector
    from broker.collector.store import Store

    config = load_collector(collector)
    store = Store(database_url(collector, config))
    store.migrate()
    return config, store


def plan_of(site: Site) -> Plan:
    """Return a site file's plan: stop lines, crosswalks and roadways, on the globe where it has an origin."""
    from broker.collector.publication.places import Plan

    places: list[Place] = []
    for line in site.stop_lines:
        places.append(_place(site, "stop_line", line.id, line.line))
    for crosswalk in site.crosswalks:
        places.append(_place(site, "crosswalk", crosswalk.id, crosswalk.polygon))
    for number, road in enumerate(site.roadways, 1):
        places.append(_place(site, "roadway", road.id or f"roadway-{number}", road.polygon))
    return Plan(
        site=site.site.id,
        name=site.site.name,
        timezone=site.site.timezone,
        places=tuple(places),
    )


def _place(site: Site, kind: PlaceKind, id_: str, points: Sequence[Point]) -> Place:
    from broker.collector.publication.places import Place

    globe = None
    if site.site.origin_lat is not None:
        origin = origin_of(site.site)
        ring = points if kind == "stop_line" else (*points, points[0])
        globe = tuple(origin.globe(point) for point in ring)
    return Place(id=id_, kind=kind, outline_m=tuple((float(x), float(y)) for x, y in points), globe=globe)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--changed: {text!r} is no day, such as 2026-07-01") from error


def _on_globe(plan: Plan) -> bool:
    return any(place.globe is not None for place in plan.places)


def _tell_places_without_origin(plans: Sequence[Plan], said: Sequence[Publication]) -> None:
    sites = {each.site for each in said}
    without = sorted(sites - {plan.site for plan in plans if _on_globe(plan)})
    if without:
        typer.echo(
            f"nearmiss: not in published.geojson: {', '.join(without)}: its site file has no origin_lat, "
            "origin_lon",
            err=True,
        )


def _show(made: Publication) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("place", "road user", "part of the day", "confirmed", "counted there", "per 1,000 (95 %)")
    for cell in (*made.cells, *([made.total] if made.total else []), *made.day_parts):
        rate = cell.rate
        table.add_row(
            cell.place or "all places",
            cell.road_user or "all",
            cell.day_part or "all day",
            str(cell.confirmed),
            "–" if cell.exposure is None else str(cell.exposure),
            "–" if rate is None else f"{rate.value:.3g} ({rate.low:.3g}–{rate.high:.3g})",
        )
    Console().print(table)


def learn(collector: Path, *, site: str | None, as_json: bool, hours: bool = False) -> int:
    """Print how often each rule was confirmed, by hour where wanted, and thresholds that would do better."""
    from dataclasses import asdict

    from broker.collector.publication import learning
    from broker.collector.publication.advice_words import sentence
    from broker.collector.review import words

    _, store = opened(collector)
    with store.read() as connection:
        found = learning.decided(connection, sites=None if site is None else [site])
    store.close()
    right, told = learning.precisions(found), learning.advice(found)
    if hours:
        right = learning.by_hour(found)
    if as_json:
        import json

        rows = [{**asdict(each), "share": each.share.model_dump()} for each in right]
        typer.echo(json.dumps({"precision": rows, "advice": [asdict(each) for each in told]}, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "site", "rule", "hour" if hours else "part of the day", "confirmed", "rejected", "precision (95 %)"
    )
    for each in right:
        share = f"{each.share.value:.2f} ({each.share.low:.2f}–{each.share.high:.2f})"
        table.add_row(
            each.site,
            words.RULES[each.rule],
            each.day_part or "all day" if each.hour is None else f"{each.hour:02d}:00",
            str(each.confirmed),
            str(each.rejected),
            share,
        )
    Console().print(table)
    for one in told:
        typer.echo(sentence(one))
    if not told:
        typer.echo("no threshold would have removed many of the rejected and few of the confirmed")
    return 0
