"""The schema's history: `upgrade` brings a store of any earlier version to this one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Engine


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing, in one transaction a step."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
