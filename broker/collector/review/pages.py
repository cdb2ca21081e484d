"""The pages in the bar at the top: address, name, and the role it takes to see them."""

from __future__ import annotations

from broker.collector.accounts import Role

PAGES: tuple[tuple[str, str, Role], ...] = (
    ("/", "Review", "reviewer"),
    ("/statistics", "Statistics", "viewer"),
    ("/publication", "Publication", "viewer"),
    ("/learning", "Learning", "reviewer"),
    ("/nodes", "Nodes", "viewer"),
    ("/plates", "Plates", "admin"),
)
