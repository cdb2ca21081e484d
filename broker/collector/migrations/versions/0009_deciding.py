"""What the queue is ordered by, what stands behind a decision, and who looks at what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for column in (
        sa.Column("severity", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("urgency", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("tab", sa.String(length=8), nullable=False, server_default="open"),
        sa.Column("wants", sa.String(length=8), nullable=False, server_default="first"),
        sa.Column("second", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("verdict", sa.String(length=8), nullable=True),
    ):
        op.add_column("events", column)
    op.create_index("ix_events_tab", "events", ["tab", "urgency", "id"], unique=False)
    op.create_index("ix_events_site_tab", "events", ["site", "tab", "urgency", "id"], unique=False)
    op.create_index("ix_events_rule_tab", "events", ["site", "rule", "tab", "urgency", "id"], unique=False)
    for column in (
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("purpose", sa.String(length=8), nullable=True),
        sa.Column("took_s", sa.Integer(), nullable=True),
    ):
        op.add_column("decisions", column)
    op.create_table(
        "claims",
        sa.Column("event", sa.String(length=36), nullable=False),
        sa.Column("reviewer", sa.String(length=40), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_claims")),
    )
    op.create_table(
        "rechecks",
        sa.Column("event", sa.String(length=36), nullable=False),
        sa.Column("due_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_rechecks")),
    )
    op.create_index("ix_rechecks_due_s", "rechecks", ["due_s"], unique=False)
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
    # What was decided before: the last decision that was not taken back stands.
    op.execute(
        """UPDATE events SET wants = '', tab = stands.verdict, verdict = stands.verdict
        FROM (SELECT event, verdict FROM decisions WHERE n IN (
            SELECT max(n) FROM decisions WHERE verdict <> 'undo'
            AND n NOT IN (SELECT undoes FROM decisions WHERE undoes IS NOT NULL) GROUP BY event)) AS stands
        WHERE events.id = stands.event"""
    )
