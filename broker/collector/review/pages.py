"""The pages in the bar at the top: address, name, and the role it takes to see them."""

from __future__ import annotations

from broker.collector.accounts import Role
from broker.collector.wording import N_

PAGES: tuple[tuple[str, str, Role], ...] = (
    ("/", N_("Review"), "reviewer"),
    ("/statistics", N_("Statistics"), "viewer"),
    ("/publication", N_("Publication"), "viewer"),
    ("/learning", N_("Learning"), "reviewer"),
    ("/nodes", N_("Nodes"), "viewer"),
    ("/plates", N_("Plates"), "admin"),
)
