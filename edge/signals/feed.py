"""Signal states that arrive as messages: one plain record a change, or SPaT.

A feed is given each message by whoever holds the connection (``edge.signal_listener``), and keeps the history
a rule may ask.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from calibration.site import PlaceId, SignalFeed, SignalState, Site
from edge.scene import SignalReading
from edge.signals.history import LiveHistory, Shown, unknown
from edge.signals.spat import LONGEST_MESSAGE, SpatError, SpatReader

logger = logging.getLogger(__name__)

LONGEST_RECORD = 10_000
# A clock that runs ahead by more than this would shut out every message after it.
MOST_AHEAD_S = 10.0
# SPaT repeats itself ten times a second: what is older than this tells nothing about now.
MOST_OFF_S = 30.0
# Rules judge half a second behind the frames: what is told later than this after a change came too late.
LATE_S = 0.5


class PlainState(BaseModel):
    """``{"group": "N", "state": "red", "time": "2026-11-20T08:15:01.1Z", "sigma_s": 0.05}``.

    ``time`` is the change's, RFC 3339 with a zone or seconds UTC; ``sigma_s`` may be left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    group: PlaceId
    state: SignalState
    time: AwareDatetime | Annotated[float, Field(ge=1e8, le=1e11)]
    sigma_s: Annotated[float, Field(ge=0, le=60)] | None = None


class Feed(Protocol):
    """A source of signal states that listens to messages.

    Attributes:
        refused: messages that could not be used.
        delay_s: how long after its own time the last message with news came: the way of the message, and
            by how much the sender's clock is behind; None before the first.
    """

    history: LiveHistory
    refused: int
    delay_s: float | None

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics to listen to."""
        ...

    def receive(self, topic: str, payload: bytes) -> None:
        """Take one message; one that cannot be used is counted in ``refused`` and changes nothing."""
        ...

    def lost(self) -> None:
        """Take that messages may be missed from now on: what was said last holds no longer."""
        ...


def feed_of(site: Site, *, now: Callable[[], float]) -> Feed | None:
    """Return the feed of a site, None where it has none; ``now`` is the clock, seconds UTC."""
    if site.signal_feed is None:
        return None
    if site.signal_feed.format == "spat":
        return SpatFeed(site, site.signal_feed, now=now)
    return PlainFeed(site, site.signal_feed, now=now)


class PlainFeed:
    """One record a message; a repeated one says that the sender is alive."""

    def __init__(self, site: Site, feed: SignalFeed, *, now: Callable[[], float]) -> None:
        self.history = LiveHistory(stale_after_s=feed.stale_after_s or float("inf"))
        self.refused = 0
        self.delay_s: float | None = None
        self.subscriptions = (feed.topic,)
        self._groups = site.signal_groups
        self._sigma_s = feed.clock_sigma_s
        self._now = now
        self._said: dict[str, SignalReading] = {}
        self._lost: dict[str, float] = {}
        self._complaint = _Complaint()

    def receive(self, topic: str, payload: bytes) -> None:
        try:
            record = _plain(payload)
        except ValidationError as error:
            self._refuse(f"{error.error_count()} mistakes, the first: {error.errors()[0]['msg']}")
            return
        time = record.time if isinstance(record.time, float) else record.time.timestamp()
        now = self._now()
        if record.group not in self._groups:
            self._refuse("a group the site lacks")
        elif time > now + MOST_AHEAD_S:
            self._refuse(f"a time {time - now:.0f} s ahead of the clock")
        else:
            sigma_s = self._sigma_s if record.sigma_s is None else record.sigma_s
            self._take(SignalReading(record.group, record.state, time, sigma_s, "mqtt"), time, now)
            # A repetition carries the time of the change; that it arrived shows the sender is alive.
            self.history.heard(record.group, now)
            self._complaint.over()

    def lost(self) -> None:
        now = self._now()
        for group in self._said.keys() - self._lost.keys():
            if self.history.append(Shown(now, unknown(group))):
                self._lost[group] = now

    def _take(self, reading: SignalReading, time: float, now: float) -> None:
        last, lost = self._said.get(reading.group), self._lost.pop(reading.group, None)
        same = last is not None and (last.state, last.since) == (reading.state, reading.since)
        if lost is not None and (same or time < lost):
            # Nothing was missed, or only this very change: the time it tells is known.
            self.history.retract(reading.group, lost)
        if self.history.append(reading):
            self._said[reading.group] = reading
            if last is not None and lost is None:
                self.delay_s = round(now - time, 1)
                self._complaint.late(now - time)

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self._complaint.about(reason)


class SpatFeed:
    """SPaT messages as they come."""

    def __init__(self, site: Site, feed: SignalFeed, *, now: Callable[[], float]) -> None:
        stale_after_s = site.spat.stale_after_s if site.spat.sends == "always" else float("inf")
        self.history = LiveHistory(stale_after_s=stale_after_s)
        self.refused = 0
        self.delay_s: float | None = None
        self.subscriptions = (feed.topic,)
        self._now = now
        self._reader = SpatReader(site, near=now, most_off_s=MOST_OFF_S)
        self._complaint = _Complaint()

    def receive(self, topic: str, payload: bytes) -> None:
        try:
            if len(payload) > LONGEST_MESSAGE:
                raise SpatError(f"{len(payload)} bytes, expected at most {LONGEST_MESSAGE}")
            shown, heard = self._reader.read(payload)
        except SpatError as error:
            self.refused += 1
            self._complaint.about(str(error))
            return
        add(self.history, shown, heard)
        if heard:
            delay_s = self._now() - max(heard.values())
            self.delay_s = round(delay_s, 1)
            self._complaint.late(delay_s)
        self._complaint.over()

    def lost(self) -> None:
        add(self.history, self._reader.lost(self._now()), {})


def add(history: LiveHistory, shown: list[Shown], heard: dict[str, float]) -> None:
    """Add changes to a live history, and that groups were heard of."""
    for each in shown:
        history.append(each)
    for group, time in heard.items():
        history.heard(group, time)


class _Complaint:
    """Says once that messages are refused or late, not for each."""

    def __init__(self) -> None:
        self._said = False
        self._late = False

    def about(self, reason: str) -> None:
        if not self._said:
            logger.warning("a signal message was refused: %s", reason)
        self._said = True

    def over(self) -> None:
        self._said = False

    def late(self, delay_s: float) -> None:
        if delay_s > LATE_S and not self._late:
            logger.warning(
                "signal states come %.1f s after their own time: the sender's clock is behind, or they are "
                "late for what happened in between",
                delay_s,
            )
        self._late = delay_s > LATE_S


def _plain(payload: bytes) -> PlainState:
    # Too long a payload is cut, and thereby no JSON any more.
    return PlainState.model_validate_json(payload[:LONGEST_RECORD])
