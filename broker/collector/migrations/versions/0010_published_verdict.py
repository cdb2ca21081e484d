"""The index a site's year is counted from holds the verdict that counts."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.drop_index("ix_events_published", table_name="events")
    columns = ["site", "time_s", "rule", "place", "road_user", "verdict"]
    op.create_index("ix_events_published", "events", columns, unique=False)
