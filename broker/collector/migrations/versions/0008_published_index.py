"""An index from which a site's year is counted without the rows."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    columns = ["site", "time_s", "rule", "place", "road_user", "id"]
    op.create_index("ix_events_published", "events", columns, unique=False)
