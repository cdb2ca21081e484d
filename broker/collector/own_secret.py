"""Numbers a store draws once and keeps for itself: nobody is told them, and all its collectors share them."""

from __future__ import annotations

import secrets as random

from sqlalchemy import Connection, select

from broker.collector.store import insert_new
from broker.collector.tables import secrets


def own_secret(connection: Connection, name: str) -> str:
    """Return the store's secret of this name, 32 bytes as hex, drawn where there is none yet."""
    wanted = select(secrets.c.value).where(secrets.c.name == name)
    found = connection.execute(wanted).scalar()
    if found is None:
        insert_new(connection, secrets, [{"name": name, "value": random.token_hex(32)}])
        found = connection.execute(wanted).scalar_one()
    return str(found)
