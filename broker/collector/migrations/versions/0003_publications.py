"""What is published, and what it needs to outlive the rows it is counted from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _retired_by_day_part()
    op.create_table(
        "retired_counts",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("month_s", sa.BigInteger(), nullable=False),
        sa.Column("day_part", sa.String(length=10), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site", "place", "road_user", "month_s", "day_part", name=op.f("pk_retired_counts")
        ),
    )
    op.create_table(
        "plans",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("updated_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_plans")),
    )
    op.create_table(
        "publications",
        sa.Column("n", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("start", sa.String(length=10), nullable=False),
        sa.Column("end", sa.String(length=10), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("published_s", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.String(length=80), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_publications")),
        sa.UniqueConstraint("site", "rule", "start", name=op.f("uq_publications_start")),
    )
    op.create_table(
        "publication_counts",
        sa.Column("n", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("publication", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("day_part", sa.String(length=10), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("retired", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_publication_counts")),
    )
    op.create_index("ix_publication_counts_publication", "publication_counts", ["publication"], unique=False)
    op.create_table(
        "publication_decisions",
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("counted", "decision", name=op.f("pk_publication_decisions")),
    )


def _retired_by_day_part() -> None:
    """Give the aggregates a part of the day; of those there are it is not known any more."""
    names = "site, place, rule, road_user, month_s, verdict"
    op.execute(f"CREATE TABLE retired_before AS SELECT {names}, count FROM retired")
    op.drop_table("retired")
    op.create_table(
        "retired",
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("road_user", sa.String(length=12), nullable=False),
        sa.Column("month_s", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("day_part", sa.String(length=10), server_default="", nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site",
            "place",
            "rule",
            "road_user",
            "month_s",
            "verdict",
            "day_part",
            name=op.f("pk_retired"),
        ),
    )
    op.execute(
        f"INSERT INTO retired ({names}, day_part, count) SELECT {names}, '', count FROM retired_before"
    )
    op.drop_table("retired_before")
