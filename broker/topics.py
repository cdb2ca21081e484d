"""The topics: where each kind of message of a node travels.

``nearmiss/v1/{site}/{node}/{kind}``; everything but the receipt goes from the node to the collector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["event", "counts", "clip", "plate", "status", "receipt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What the collector stores; a receipt is its own word, and a status is kept by the broker (retained).
INTAKE: tuple[Kind, ...] = ("event", "counts", "clip", "plate", "status")

# The largest payload of each kind: a node keeps back what is larger, a collector refuses it. A drawing of ten
# seconds is 5–15 kB, a plate one small PNG in base64, counts at most 2,000 rows.
MAX_BYTES: dict[Kind, int] = {
    "event": 16_000,
    "counts": 400_000,
    "clip": 400_000,
    "plate": 4_200_000,
    "status": 8_000,
    "receipt": 400_000,
}

_TOPIC = re.compile(r"nearmiss/v1/([a-z0-9-]{1,40})/([a-z0-9-]{1,40})/([a-z]{1,10})")


@dataclass(frozen=True, slots=True)
class Address:
    """Which node of which site a message belongs to, and what it is."""

    site: str
    node: str
    kind: Kind

    @property
    def topic(self) -> str:
        return f"nearmiss/v1/{self.site}/{self.node}/{self.kind}"

    def to(self, kind: Kind) -> Address:
        """Return the same node's address for another kind of message."""
        return Address(self.site, self.node, kind)


def address(topic: str) -> Address:
    """Return what a topic names.

    Raises:
        ValueError: a topic that is none of ours.
    """
    match = _TOPIC.fullmatch(topic)
    if match is None or match[3] not in KINDS:
        raise ValueError("the topic is not nearmiss/v1/{site}/{node}/{kind}")
    kind: Kind = next(kind for kind in KINDS if kind == match[3])
    return Address(match[1], match[2], kind)


def intake_filters(group: str | None = None) -> tuple[str, ...]:
    """Return the subscriptions of a collector: every site, every node, all it stores.

    Args:
        group: collectors of one group share the messages. A status goes to each of them: it is
            retained, which a shared subscription is never told.
    """
    filters = [f"nearmiss/v1/+/+/{kind}" for kind in INTAKE]
    if group is not None:
        shared = [f"$share/{group}/{each}" for each in filters if not each.endswith("/status")]
        filters = [*shared, "nearmiss/v1/+/+/status"]
    return tuple(filters)


# What is published is another contract than what a node sends, under a name of its own: no filter of a
# collector and no right of a node reaches it.
PUBLICATION_ADDRESS = "nearmiss/published/v1/{site}/{rule}"


def publication_topic(site: str, rule: str) -> str:
    """Return where the last publication of a rule at a site stands, retained."""
    return PUBLICATION_ADDRESS.format(site=site, rule=rule)
