"""Which events two people look at, and which come up once more: by a number nobody can guess, not by chance.

Whether an event is drawn follows from its id and a number of the store's own: it is the same whenever it is
asked, and neither a node nor a reviewer can tell before.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import Connection

from broker.collector.own_secret import own_secret
from broker.collector.severity import SEVERE

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is looked at twice: severe events, a share of all, and a share of what is decided once more."""

    severe: bool = False
    share: float = 0.0
    recheck_share: float = 0.0
    recheck_after_s: int = DAY_S

    def wants_second(self, connection: Connection, event: str, severity: int) -> bool:
        return (self.severe and severity >= SEVERE) or _drawn(connection, "second", event, self.share)

    def wants_recheck(self, connection: Connection, event: str) -> bool:
        return _drawn(connection, "recheck", event, self.recheck_share)


ONE_LOOK = Policy()


def _drawn(connection: Connection, what: str, event: str, share: float) -> bool:
    if share <= 0:
        return False
    digest = hmac.new(
        own_secret(connection, "looks").encode(), f"{what} {event}".encode(), hashlib.sha256
    ).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
