"""Second looks are found without reading every decision."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("ix_decisions_purpose", "decisions", ["purpose", "event"], unique=False)
