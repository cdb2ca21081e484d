"""Holds, what a person said of a plate, and when was swept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("clip", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("held_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("clip", name=op.f("pk_holds")),
    )
    op.create_table(
        "plate_states",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("instead", sa.String(length=64)),
        sa.Column("actor", sa.String(length=80)),
        sa.Column("came_s", sa.BigInteger(), nullable=False),
        sa.Column("decided_s", sa.BigInteger()),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'painted', 'refused')", name=op.f("ck_plate_states_state")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_plate_states")),
    )
    op.create_index("ix_plate_states_site", "plate_states", ["site", "state"])
    op.create_table(
        "sweeps",
        sa.Column("collector", sa.String(length=40), nullable=False),
        sa.Column("tried_s", sa.BigInteger(), nullable=False),
        sa.Column("swept_s", sa.BigInteger()),
        sa.Column("error", sa.String(length=200)),
        sa.PrimaryKeyConstraint("collector", name=op.f("pk_sweeps")),
    )
