"""The audit trail, beginning with the decisions there are."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    audit = op.create_table(
        "audit",
        sa.Column("n", _SERIAL, autoincrement=False, nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "n"], unique=False)
    op.create_index("ix_audit_at_s", "audit", ["at_s", "n"], unique=False)
    ends = op.create_table(
        "audit_ends",
        sa.Column("part", sa.String(length=6), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_audit_ends")),
    )
    first = "0" * 64
    n, last = 0, first
    decided = op.get_bind().execute(
        sa.text("SELECT n, event, verdict, undoes, decided_s, reviewer FROM decisions ORDER BY n")
    )
    for row in decided.mappings().all():
        n += 1
        action = "undo" if row["verdict"] == "undo" else "decide"
        detail = json.dumps(dict(row), sort_keys=True)
        fields = [n, row["decided_s"], row["reviewer"], action, row["event"], detail, last]
        hash_ = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
        names = ("n", "at_s", "actor", "action", "subject", "detail", "previous")
        op.bulk_insert(audit, [{**dict(zip(names, fields, strict=True)), "hash": hash_}])
        last = hash_
    op.bulk_insert(ends, [{"part": "anchor", "n": 0, "hash": first}, {"part": "head", "n": n, "hash": last}])
