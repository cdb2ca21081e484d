"""The schema's history: `upgrade` brings a store of any earlier version to this one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Engine

_LOCK = 0x6E656172  # any number, the same for all


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing, in one transaction a step."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several collectors start at once; SQLite has one writer anyway.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
