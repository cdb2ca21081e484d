"""The plans of sites in the store: which places a publication tells of, in which time zone."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from broker.collector.publication.places import Plan
from broker.collector.store import upsert
from broker.collector.tables import plans


def keep_plan(connection: Connection, plan: Plan, *, now_s: int) -> None:
    """Keep a site's plan in place of the one before: what is published already stays as it is."""
    row = {"site": plan.site, "plan": plan.encode().decode(), "updated_s": now_s}
    upsert(connection, plans, [row], update=("plan", "updated_s"))


def plan_of(connection: Connection, site: str) -> Plan | None:
    """Return a site's plan; None where nobody has given one."""
    text = connection.execute(select(plans.c.plan).where(plans.c.site == site)).scalar()
    return None if text is None else Plan.decode(text.encode())


def all_plans(connection: Connection) -> list[Plan]:
    texts = connection.execute(select(plans.c.plan).order_by(plans.c.site)).scalars()
    return [Plan.decode(text.encode()) for text in texts]


def zones(connection: Connection) -> dict[str, tzinfo]:
    """Return the time zone of each site that has a plan."""
    return {plan.site: zone_of(plan) for plan in all_plans(connection)}


def zone_of(plan: Plan) -> tzinfo:
    return UTC if plan.timezone == "UTC" else ZoneInfo(plan.timezone)
