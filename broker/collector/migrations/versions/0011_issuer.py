"""An account's subject at an identity provider belongs to one provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("issuer", sa.String(length=300), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "issuer")
