"""Two sources of one signal group, checked against each other.

The clock of the second is corrected to that of the first by the offset and drift of their changes. Where
they still disagree by more than their errors the state is unknown: one of them is wrong, nobody knows which.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.scene import SignalReading, Signals
from edge.signals.history import unknown

# Clocks further apart than this are not corrected but looked after: no set clock is.
MOST_OFFSET_S = 60.0
# Changes count as the same within this of the common offset; a phase hardly ever changes twice in a second.
SAME_CHANGE_S = 0.6
LEAST_PAIRS = 3
# Fewer pairs, or over a shorter time, tell an offset but no drift.
DRIFT_PAIRS = 8
DRIFT_SPAN_S = 600.0
# Offset and drift are those of this much time to either side; worked out anew so often.
WINDOW_S = 3600.0
RENEW_S = 10.0
# A difference counts as disagreement beyond this many sigmas of both; this much is always allowed.
SIGMAS = 3.0
LEAST_TOLERANCE_S = 0.1
# For the report the two are compared so often.
STEP_S = 0.1
MOST_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class ClockFit:
    """By how much the second clock is behind the first.

    Attributes:
        offset_s: to be added to a time of the second, at ``at``.
        drift: seconds a second, by which that grows; 0 where too little was seen.
        sigma_s: 1-sigma error of the corrected times; inf where nothing could be matched.
        pairs: changes that matched.
    """

    at: float
    offset_s: float
    drift: float
    sigma_s: float
    pairs: int

    def to_first(self, time: float) -> float:
        return time + self.offset_s + self.drift * (time - self.at)

    def to_second(self, time: float) -> float:
        return (time - self.offset_s + self.drift * self.at) / (1.0 + self.drift)


NO_FIT = ClockFit(at=0.0, offset_s=0.0, drift=0.0, sigma_s=math.inf, pairs=0)


@dataclass(frozen=True, slots=True)
class Check:
    """How two sources of one group got on with each other, for the status and the report."""

    group: str
    sources: tuple[str, str]
    fit: ClockFit
    agreed_s: float
    disagreed_s: float
    single_s: float
    unknown_s: float
    last_disagreement: float | None


class CrossChecked:
    """Two sources as one; satisfies ``edge.scene.Signals``, in the clock of the first.

    The better known onset counts where they agree, the one that knows where only one does.
    """

    def __init__(self, first: Signals, second: Signals) -> None:
        self._first = first
        self._second = second
        self._fits: dict[str, tuple[float, ClockFit]] = {}

    def at(self, group: str, time: float) -> SignalReading:
        """Return what a group showed at an instant; unknown where nothing is known or the two disagree."""
        return self._judged(group, time)[0]

    def changes(self, group: str, start: float, end: float) -> Sequence[SignalReading]:
        """Return the changes with ``start < since <= end``, in order of time."""
        found: dict[float, SignalReading] = {}
        for time in self._boundaries(group, start - MOST_OFFSET_S, end + MOST_OFFSET_S):
            reading = self.at(group, time)
            if reading.since is not None and start < reading.since <= end:
                found.setdefault(reading.since, reading)
        ordered = [found[since] for since in sorted(found)]
        return tuple(
            each for index, each in enumerate(ordered) if index == 0 or ordered[index - 1].state != each.state
        )

    def fit(self, group: str, time: float) -> ClockFit:
        """Return offset and drift of a group's second clock around an instant."""
        renewed, fit = self._fits.get(group, (-math.inf, NO_FIT))
        if not abs(time - renewed) < RENEW_S:
            fit = fit_clocks(
                self._first.changes(group, time - WINDOW_S, time + WINDOW_S),
                self._second.changes(group, time - WINDOW_S, time + WINDOW_S),
                at=time,
            )
            self._fits[group] = (time, fit)
        return fit

    def check(self, group: str, start: float, end: float) -> Check:
        """Return how the two sources got on between two instants."""
        seconds = dict.fromkeys(("agreed", "disagreed", "single", "unknown"), 0.0)
        last: float | None = None
        steps = max(1, min(MOST_STEPS, round((end - start) / STEP_S)))
        for step in range(steps):
            time = start + (step + 0.5) * (end - start) / steps
            how = self._judged(group, time)[1]
            seconds[how] += (end - start) / steps
            last = time if how == "disagreed" else last
        middle = (start + end) / 2
        return Check(
            group=group,
            sources=(
                _source(self._first, group, start, end),
                _source(self._second, group, start, end),
            ),
            fit=self.fit(group, middle),
            agreed_s=seconds["agreed"],
            disagreed_s=seconds["disagreed"],
            single_s=seconds["single"],
            unknown_s=seconds["unknown"],
            last_disagreement=last,
        )

    def _judged(self, group: str, time: float) -> tuple[SignalReading, str]:
        first = self._first.at(group, time)
        fit = self.fit(group, time) if math.isfinite(time) else NO_FIT
        second = _moved(self._second.at(group, fit.to_second(time)), fit)
        for each in (first, second):
            if each.state == "unknown" and each.since is not None:
                return each, "unknown"  # it is known that nothing holds, as under preemption
        if "unknown" in (first.state, second.state):
            if first.state == second.state:
                return unknown(group, source=first.source), "unknown"
            return (second if first.state == "unknown" else first), "single"
        if first.state == second.state:
            return min(first, second, key=_badness), "agreed"
        # One of them changed a little before the other: within their errors that is the same change.
        if self._changed_to(first, second, group, time, fit):
            return min(first, second, key=_badness), "agreed"
        return unknown(group), "disagreed"

    def _changed_to(
        self, first: SignalReading, second: SignalReading, group: str, time: float, fit: ClockFit
    ) -> bool:
        clock_s = fit.sigma_s if fit.pairs else 0.0
        sigmas = [each.sigma_s for each in (first, second) if math.isfinite(each.sigma_s)]
        tolerance_s = max(LEAST_TOLERANCE_S, SIGMAS * math.hypot(clock_s, *sigmas))
        around = (time - tolerance_s, time + tolerance_s)
        if any(self._first.at(group, instant).state == second.state for instant in around):
            return True
        return any(self._second.at(group, fit.to_second(each)).state == first.state for each in around)

    def _boundaries(self, group: str, start: float, end: float) -> list[float]:
        """Return the instants between which nothing changes, in order, all within (start, end)."""
        fit = self.fit(group, (start + end) / 2)
        first = [(each.since, each.sigma_s) for each in self._first.changes(group, start, end)]
        changes = self._second.changes(group, fit.to_second(start), fit.to_second(end))
        second = [(fit.to_first(each.since), each.sigma_s) for each in changes if each.since is not None]
        instants: set[float] = set()
        for since, sigma_s in [*first, *second]:
            if since is None:
                continue
            clock_s = fit.sigma_s if fit.pairs else 0.0
            spread_s = SIGMAS * math.hypot(clock_s, sigma_s if math.isfinite(sigma_s) else 0.0)
            for shift_s in (-spread_s, 0.0, LEAST_TOLERANCE_S, spread_s, 2 * spread_s):
                instants.add(since + shift_s)
        return sorted(instant for instant in instants if start < instant < end)


def fit_clocks(first: Sequence[SignalReading], second: Sequence[SignalReading], *, at: float) -> ClockFit:
    """Return offset and drift of the second clock from changes of one group that both saw.

    The offset most pairs of changes into the same state have in common wins, of several equally common ones
    (a fixed cycle repeats itself) the smallest; drift is the median of slopes (Theil, 1950; Sen, 1968), so
    that changes only one of the two saw, or saw wrongly, count for nothing.
    """
    pairs = _pairs(first, second)
    if len(pairs) < LEAST_PAIRS:
        return NO_FIT
    common = _most_common([difference for _, difference in pairs])
    near = [(time, difference) for time, difference in pairs if abs(difference - common) <= SAME_CHANGE_S]
    if len(near) < max(LEAST_PAIRS, 0.5 * min(len(first), len(second))):
        return NO_FIT
    times = [time for time, _ in near]
    drift = 0.0
    if len(near) >= DRIFT_PAIRS and max(times) - min(times) >= DRIFT_SPAN_S:
        drift = _median_slope(near)
    offset_s = statistics.median(difference - drift * (time - at) for time, difference in near)
    residuals = [abs(difference - offset_s - drift * (time - at)) for time, difference in near]
    # 1.4826 makes the median of absolute deviations that of a normal distribution's sigma.
    sigma_s = 1.4826 * statistics.median(residuals)
    return ClockFit(at, offset_s, drift, max(sigma_s, 0.01), len(near))


def _pairs(first: Sequence[SignalReading], second: Sequence[SignalReading]) -> list[tuple[float, float]]:
    """Return (time in the second clock, how much later in the first) of changes into the same state."""
    by_state: dict[str, list[float]] = {}
    for each in first:
        if each.since is not None and each.state != "unknown":
            by_state.setdefault(each.state, []).append(each.since)
    pairs = []
    for each in second:
        if each.since is None:
            continue
        instants = by_state.get(each.state, [])
        left = bisect_left(instants, each.since - MOST_OFFSET_S)
        right = bisect_right(instants, each.since + MOST_OFFSET_S)
        pairs += [(each.since, instant - each.since) for instant in instants[left:right]]
    return pairs


def _most_common(differences: list[float]) -> float:
    """Return the middle of the densest stretch of ``SAME_CHANGE_S``, the smallest of nearly equal ones."""
    ordered = sorted(differences)
    counts = [bisect_right(ordered, value + SAME_CHANGE_S) - index for index, value in enumerate(ordered)]
    most = max(counts)
    middles = [
        statistics.median(ordered[index : index + count])
        for index, count in enumerate(counts)
        if count >= 0.9 * most
    ]
    return min(middles, key=abs)


def _median_slope(points: list[tuple[float, float]]) -> float:
    # Pairs of points half the series apart: as many as points, and the longest levers.
    points = sorted(points)
    half = len(points) // 2
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in zip(points, points[half:], strict=False)
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


def _moved(reading: SignalReading, fit: ClockFit) -> SignalReading:
    """Return a reading of the second clock in the first."""
    if reading.since is None or not fit.pairs:
        return reading
    return replace(
        reading, since=fit.to_first(reading.since), sigma_s=math.hypot(reading.sigma_s, fit.sigma_s)
    )


def _badness(reading: SignalReading) -> tuple[bool, float]:
    return (reading.since is None, reading.sigma_s)


def _source(signals: Signals, group: str, start: float, end: float) -> str:
    kinds = [each.source for each in signals.changes(group, start, end) if each.source != "none"]
    return statistics.mode(kinds) if kinds else signals.at(group, end).source
