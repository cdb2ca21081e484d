"""Exposure of a period is counted along the same index as all of it."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.drop_index("ix_counts_place", table_name="counts")
    columns = ["site", "place", "road_user", "start_s", "count"]
    op.create_index("ix_counts_place", "counts", columns, unique=False)
