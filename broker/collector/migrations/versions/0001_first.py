"""The first schema: events, counts, blobs, decisions, dead letters, nodes, runs, retired and proofs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_s", sa.BigInteger(), nullable=False),
        sa.Column("plate", sa.String(length=64), nullable=True),
        sa.CheckConstraint("kind IN ('clip', 'plate')", name=op.f("ck_blobs_kind")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_blobs")),
    )
    op.create_index("ix_blobs_stored", "blobs", ["kind", "stored_s"], unique=False)
    op.create_table(
        "counts",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site", "node", "start_s", "seq", "place", "road_user", name=op.f("pk_counts")
        ),
    )
    op.create_table(
        "dead_letters",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_s", sa.BigInteger(), nullable=False),
        sa.Column("last_s", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", "topic", name=op.f("pk_dead_letters")),
    )
    op.create_table(
        "decisions",
        sa.Column(
            "n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("event", sa.String(length=36), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("undoes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("decided_s", sa.BigInteger(), nullable=False),
        sa.Column("reviewer", sa.String(length=40), nullable=False),
        sa.CheckConstraint("(verdict = 'undo') = (undoes IS NOT NULL)", name=op.f("ck_decisions_undo")),
        sa.CheckConstraint(
            "verdict IN ('confirm', 'reject', 'unclear', 'undo')", name=op.f("ck_decisions_verdict")
        ),
        sa.ForeignKeyConstraint(["undoes"], ["decisions.n"], name=op.f("fk_decisions_undoes")),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_decisions")),
        sa.UniqueConstraint("undoes", name=op.f("uq_decisions_undoes")),
    )
    op.create_index("ix_decisions_event", "decisions", ["event", "n"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("time_sigma_s", sa.Float(), nullable=True),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("road_user2", sa.String(length=12), nullable=True),
        sa.Column("signal_group", sa.String(length=40), nullable=True),
        sa.Column("signal_state", sa.String(length=16), nullable=True),
        sa.Column("signal_source", sa.String(length=12), nullable=True),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("clip", sa.String(length=64), nullable=True),
        sa.Column("detector", sa.String(length=40), nullable=False),
        sa.Column("software", sa.String(length=40), nullable=False),
        sa.Column("caused_by", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_clip", "events", ["clip"], unique=False)
    op.create_index("ix_events_queue", "events", ["time_s", "id"], unique=False)
    op.create_index("ix_events_site", "events", ["site", "rule", "time_s"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("status", sa.JSON(), nullable=False),
        sa.Column("heard_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "node", name=op.f("pk_nodes")),
    )
    op.create_table(
        "proofs",
        sa.Column(
            "n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("swept_s", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("why", sa.String(length=80), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_proofs")),
    )
    op.create_table(
        "retired",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("month_s", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site", "place", "rule", "road_user", "month_s", "verdict", name=op.f("pk_retired")
        ),
    )
    op.create_table(
        "runs",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "node", "first", name=op.f("pk_runs")),
    )
