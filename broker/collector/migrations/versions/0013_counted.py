"""What stands decided, and exposure, are counted along indexes; one that nobody asked by has gone."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.drop_index("ix_events_site", table_name="events")
    columns = ["site", "rule", "place", "road_user", "verdict"]
    op.create_index("ix_events_counted", "events", columns, unique=False)
    op.create_index("ix_counts_place", "counts", ["site", "place", "road_user", "count"], unique=False)
