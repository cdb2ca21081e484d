"""From a finding to the outbox: when a message may leave, under which id, with which clip.

An event leaves after the bin it lies in has closed, at a random instant of the following minute, so that its
arrival tells no more than its time does (shared PRIVACY §2).
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

from broker.drawing import Clip, Plate
from broker.wire import Count, Counts, LocalEvent
from edge.events_wire import bin_start, wire_event
from edge.outbox import Outbox, event_id, sha256
from edge.rules.finding import Exposure

# Events leave within this long after their bin has closed.
SPREAD_S = 60.0
# A finding waits for the seconds after it (the clip), so the last ones of a bin reach the outbox when it has
# closed already. Nothing leaves before they too are here, else they would always come last.
SETTLE_S = 15.0
# An event names its cause by number; causes lie seconds back, not thousands of events.
CAUSES_KEPT = 1000
COUNTS_PER_MESSAGE = 2000

Draw = Callable[[float, float], float]
_CHANCE = secrets.SystemRandom()


def leaves_at(bin_start_s: float, *, time_bin_s: int, now: float, draw: Draw) -> float:
    """Return when an event of a bin may leave, seconds UTC.

    Args:
        draw: a random number between two limits; from the system's own source on a real node.
    """
    closed = bin_start_s + time_bin_s
    if now <= closed + SETTLE_S:
        return closed + draw(SETTLE_S, SPREAD_S)
    return now + draw(0.0, SPREAD_S)


class Dispatch:
    """Puts what a node finds into its outbox.

    Args:
        at_once: do not wait for a bin to close. Only for the local chain, on loopback and with a made-up
            street: on a real one the instant of arrival would tell the instant of the event.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        site: str,
        node: str,
        time_bin_s: int,
        at_once: bool = False,
        clock: Callable[[], float] = time.time,
        draw: Draw = _CHANCE.uniform,
    ) -> None:
        self._outbox, self._site, self._node = outbox, site, node
        self._time_bin_s, self._at_once, self._clock, self._draw = time_bin_s, at_once, clock, draw
        self._ids: OrderedDict[int, UUID] = OrderedDict()
        self._plate: str | None = None

    def event(self, event: LocalEvent, clip: Clip | None) -> UUID:
        """Put an event and its clip into the outbox and return the event's id on the wire.

        Raises:
            ValueError: the event is of another site or node, which no collector takes from this one.
        """
        if (event.site, event.node) != (self._site, self._node):
            raise ValueError(f"an event of {event.site}/{event.node} at {self._site}/{self._node}")
        if clip is not None and clip.plate is None:
            clip = clip.model_copy(update={"plate": self._plate})
        id_ = event_id()
        self._ids[event.n] = id_
        while len(self._ids) > CAUSES_KEPT:
            self._ids.popitem(last=False)
        record = wire_event(
            event.model_copy(update={"clip": sha256(clip.encode()) if clip is not None else None}),
            id=id_,
            seq=1,  # given when it leaves
            time_bin_s=self._time_bin_s,
            caused_by=self._ids.get(event.caused_by) if event.caused_by is not None else None,
        )
        due = self._due(bin_start(event.time, self._time_bin_s).timestamp(), self._time_bin_s)
        self._outbox.put_event(record, clip, due=due)
        return id_

    def plate(self, plate: Plate) -> str:
        """Put a plate into the outbox; clips that name none are drawn on it from now on."""
        own = plate.model_copy(update={"node": self._node})
        self._plate = self._outbox.put_plate(own, due=self._clock())
        return self._plate

    def counts(self, exposures: Iterable[Exposure]) -> int:
        """Put counts into the outbox, a message a quarter of an hour; return how many messages that were."""
        quarters: defaultdict[float, list[Count]] = defaultdict(list)
        for each in exposures:
            quarters[each.start].append(Count(place=each.place, road_user=each.road_user, count=each.count))
        messages = 0
        for start, rows in sorted(quarters.items()):
            for first in range(0, len(rows), COUNTS_PER_MESSAGE):
                record = Counts(
                    site=self._site,
                    node=self._node,
                    seq=1,  # given when it leaves
                    start=datetime.fromtimestamp(start, UTC),
                    counts=tuple(rows[first : first + COUNTS_PER_MESSAGE]),
                )
                self._outbox.put_counts(record, due=self._due(start, 900))
                messages += 1
        return messages

    def _due(self, bin_start_s: float, time_bin_s: int) -> float:
        now = self._clock()
        if self._at_once:
            return now
        return leaves_at(bin_start_s, time_bin_s=time_bin_s, now=now, draw=self._draw)
