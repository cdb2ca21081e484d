"""The history of signal groups: what each showed at any instant, as far as it is known."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.scene import SignalReading, SourceKind, State

# A live history forgets what no rule asks about any more; the reading in force is always kept.
KEEP_S = 3600.0


def unknown(group: str, *, since: float | None = None, source: SourceKind = "none") -> SignalReading:
    """Return the reading of a group of which nothing is known.

    With ``since`` the source itself says that from then on no state holds (preemption, flash, a row
    ``unknown``): where two sources are compared that counts, while mere ignorance leaves it to the other.
    """
    return SignalReading(group=group, state="unknown", since=since, sigma_s=math.inf, source=source)


@dataclass(frozen=True, slots=True)
class Shown:
    """From ``time`` on a group showed ``reading``, whose ``since`` is None if the change was not seen."""

    time: float
    reading: SignalReading


@dataclass(frozen=True, slots=True)
class _Timeline:
    """What one group showed: ``readings[i]`` from ``times[i]`` until ``times[i + 1]``."""

    times: tuple[float, ...]
    readings: tuple[SignalReading, ...]


class SignalHistory:
    """What signal groups showed, fixed once made; satisfies ``edge.scene.Signals``.

    Before a group's first change its state is unknown. A change into the state a group already shows is
    none: ``since`` stays that of the first.
    """

    def __init__(self, changes: Iterable[SignalReading | Shown] = ()) -> None:
        """Take changes in any order; of two at one instant for one group the later given counts.

        Raises:
            ValueError: a change whose time is unknown or not finite.
        """
        self._timelines: dict[str, _Timeline] = {}
        self._last: dict[str, tuple[float, float, SignalReading]] = {}
        grouped: dict[str, list[Shown]] = {}
        for change in changes:
            shown = _shown(change)
            grouped.setdefault(shown.reading.group, []).append(shown)
        for group, entries in grouped.items():
            entries.sort(key=lambda shown: shown.time)
            times: list[float] = []
            readings: list[SignalReading] = []
            for entry in entries:
                _put(times, readings, entry)
            self._timelines[group] = _Timeline(tuple(times), tuple(readings))

    @property
    def groups(self) -> frozenset[str]:
        """The groups of which anything is known."""
        return frozenset(self._timelines)

    def at(self, group: str, time: float) -> SignalReading:
        """Return what a group showed at an instant; state unknown where nothing is known."""
        # A rule asks for every frame and a state lasts for seconds, so the last answer mostly holds.
        start, end, reading = self._last.get(group, (math.inf, math.inf, _NOTHING))
        if start <= time < end:
            return reading
        return self._look_up(group, time)

    def changes(self, group: str, start: float, end: float) -> Sequence[SignalReading]:
        """Return the changes with ``start < since <= end``, in order of time.

        A state whose change was not seen is none of them; ``at`` tells it.
        """
        line = self._timelines.get(group)
        if line is None:
            return ()
        between = line.readings[bisect_right(line.times, start) : bisect_right(line.times, end)]
        return tuple(reading for reading in between if reading.since is not None)

    def shown(self, group: str) -> tuple[Shown, ...]:
        """Return all that is known of a group, in order of time."""
        line = self._timelines.get(group)
        return () if line is None else tuple(map(Shown, line.times, line.readings))

    def _look_up(self, group: str, time: float) -> SignalReading:
        line = self._timelines.get(group)
        if line is None or not line.times or not time >= line.times[0]:  # NaN is at no time
            return unknown(group)
        index = bisect_right(line.times, time) - 1
        end = line.times[index + 1] if index + 1 < len(line.times) else math.inf
        reading = line.readings[index]
        self._last[group] = (line.times[index], end, reading)
        return reading


class LiveHistory(SignalHistory):
    """A history that grows while the street is watched: one writer, any number of readers.

    Readers always see a whole timeline: it is replaced, never changed. With ``stale_after_s`` a source that
    repeats itself is trusted that long after it was last heard; then its groups are unknown.
    """

    def __init__(
        self,
        changes: Iterable[SignalReading | Shown] = (),
        *,
        stale_after_s: float = math.inf,
        keep_s: float = KEEP_S,
    ) -> None:
        super().__init__(changes)
        self._stale_after_s = stale_after_s
        self._keep_s = keep_s
        self._heard = {group: line.times[-1] for group, line in self._timelines.items()}

    def append(self, change: SignalReading | Shown) -> bool:
        """Add a change; returns whether it was one (not late, not the state already shown).

        Raises:
            ValueError: its time is unknown or not finite.
        """
        shown = _shown(change)
        group = shown.reading.group
        line = self._timelines.get(group, _Timeline((), ()))
        if line.times and shown.time < line.times[-1]:
            return False
        self._heard[group] = max(shown.time, self._heard.get(group, -math.inf))
        times, readings = list(line.times), list(line.readings)
        if not _put(times, readings, shown):
            return False
        forget = max(0, bisect_right(times, shown.time - self._keep_s) - 1)
        self._timelines[group] = _Timeline(tuple(times[forget:]), tuple(readings[forget:]))
        self._last.pop(group, None)
        return True

    def retract(self, group: str, time: float) -> None:
        """Take back what was said of a group from an instant on, for a source that knows better now."""
        line = self._timelines.get(group)
        if line is not None:
            kept = bisect_left(line.times, time)
            self._timelines[group] = _Timeline(line.times[:kept], line.readings[:kept])

    def heard(self, group: str, time: float) -> None:
        """Note that the source still says what it said of a group."""
        self._heard[group] = max(time, self._heard.get(group, -math.inf))

    def at(self, group: str, time: float) -> SignalReading:
        """Return what a group showed at an instant; state unknown where nothing is known or heard."""
        heard = self._heard.get(group)
        if heard is not None and time > heard + self._stale_after_s:
            return unknown(group)
        # No memory of the last answer here: the writer may change the timeline between two looks at it.
        line = self._timelines.get(group)
        if line is None or not line.times or not time >= line.times[0]:
            return unknown(group)
        return line.readings[bisect_right(line.times, time) - 1]


class Sightings:
    """Turns states seen at instants into changes with the time and error of each.

    A change happened somewhere between two sightings: ``since`` is the middle, its error that of a uniform
    distribution over the interval, and the source's own. Where sightings are further apart than
    ``stale_after_s`` the state in between is unknown and the change was not seen. A source that only speaks
    ``on_change`` has its word taken for the instant, and is never stale.
    """

    def __init__(
        self, *, source: SourceKind, sigma_s: float, stale_after_s: float, on_change: bool = False
    ) -> None:
        self._source = source
        self._sigma_s = sigma_s
        self._stale_after_s = math.inf if on_change else stale_after_s
        self._on_change = on_change
        self._seen: dict[str, tuple[float, State]] = {}

    def see(self, group: str, state: State, time: float) -> list[Shown]:
        """Return what a sighting adds to the history of its group; nothing where it is late."""
        last = self._seen.get(group)
        if last is not None and time < last[0]:
            return []
        self._seen[group] = (time, state)
        if last is None:
            return [self._unseen(group, state, time)]
        gap_s = time - last[0]
        if gap_s > self._stale_after_s:
            lost = self._unseen(group, "unknown", last[0] + self._stale_after_s)
            return [lost, self._unseen(group, state, time)]
        if state == last[1]:
            return []
        if state == "unknown":
            return [Shown(time, unknown(group, since=time, source=self._source))]
        if last[1] == "unknown":
            return [self._unseen(group, state, time)]
        if self._on_change:
            return [Shown(time, SignalReading(group, state, time, self._sigma_s, self._source))]
        sigma_s = math.hypot(self._sigma_s, gap_s / math.sqrt(12.0))
        since = time - gap_s / 2
        return [Shown(since, SignalReading(group, state, since, sigma_s, self._source))]

    def end(self) -> list[Shown]:
        """Return that nothing is known past the last sightings, for a recording that ends there."""
        if math.isinf(self._stale_after_s):
            return []
        return [
            self._unseen(group, "unknown", time + self._stale_after_s)
            for group, (time, _) in self._seen.items()
        ]

    def lost(self, time: float) -> list[Shown]:
        """Return that nothing is known from an instant on, until the next sighting of each group."""
        lost = [self._unseen(group, "unknown", time) for group in self._seen]
        self._seen = {}
        return lost

    def _unseen(self, group: str, state: State, time: float) -> Shown:
        return Shown(time, SignalReading(group, state, None, math.inf, self._source))


_NOTHING = unknown("")


def _shown(change: SignalReading | Shown) -> Shown:
    if isinstance(change, SignalReading):
        if change.since is None:
            raise ValueError(f"{change.group}: a change needs its time; give Shown(time, reading)")
        change = Shown(change.since, change)
    if not math.isfinite(change.time):
        raise ValueError(f"{change.reading.group}: a change at {change.time} has no place in a history")
    return change


def _put(times: list[float], readings: list[SignalReading], shown: Shown) -> bool:
    """Add to a timeline what is no earlier than its end; returns whether that changed it."""
    if readings and readings[-1].state == shown.reading.state:
        return False
    if times and times[-1] == shown.time:
        times.pop()
        readings.pop()
        if readings and readings[-1].state == shown.reading.state:
            return True
    times.append(shown.time)
    readings.append(shown.reading)
    return True
