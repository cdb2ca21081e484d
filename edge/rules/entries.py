"""Vehicles entering over a stop line: who, over which line, at which instant, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge.rules.gate import Crossing, Gate, Instant, crossing_instant, set_off, standing
from edge.rules.identity import jumped, jumps
from edge.rules.path import (
    CX,
    CY,
    HALF_S,
    LENGTH,
    SIGMA,
    SPEED,
    SPEED_SIGMA,
    TIME,
    TIME_SIGMA,
    TRUSTED,
    Path,
    X,
    Y,
)
from edge.rules.places import LineFrame, Places
from edge.rules.samples import Floats
from edge.scene import Kind

# The front has entered for good this far beyond the line (plus twice its error): who stops nearer waits
# with the front over the line. The same metre as for a pedestrian's step back.
ENTERED_M = 1.0
# A front no farther than this over the line (and twice the error) lies on it.
ON_LINE_M = 0.1
# A front this far beside the end of a line is still taken as crossing it: lines are drawn by hand.
BESIDE_LINE_M = 0.5
# Cross traffic clips the end of a line at right angles; an entry goes along its heading.
ALONG_COSINE = math.cos(math.radians(75))
# Jitter is learnt from the samples this long before a crossing.
LEARN_S = 2.0


@dataclass(frozen=True, eq=False)
class Entry:
    """One vehicle's entry over one stop line, whatever the signal showed.

    Attributes:
        instant: when its front crossed the line for good.
        set_off: when it went on, where it stood with its front just over the line first.
        on_line: where it stood so, its front lay on the line, as far as can be told: it entered when it
            went on. Farther out it had entered, unless the signal let it go on.
        doubtful: the track, its position or the frame rate cannot carry a verdict.
    """

    path: Path
    frame: LineFrame
    instant: Instant
    set_off: Instant | None
    on_line: bool
    kind: Kind
    x: float
    y: float
    speed_mps: float
    speed_sigma_mps: float
    doubtful: bool


@dataclass(slots=True)
class _Watch:
    """``last``: which row of the track was the last one usable, counted from its first."""

    gate: Gate
    last: int = -2
    pending: list[Crossing] = field(default_factory=list)

    def window(self) -> tuple[float, float] | None:
        """Return the time around a crossing that is not decided yet."""
        open_ = [(each.before, each.after) for each in self.pending]
        if self.gate.side == "band":
            open_.append((self.gate.before, self.gate.after))
        if not open_:
            return None
        return min(before for before, _ in open_) - LEARN_S, max(after for _, after in open_) + HALF_S


class EntryWatch:
    """Watches every track at every stop line it is near."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._watches: dict[tuple[int, int], _Watch] = {}

    def forget(self, path: Path) -> None:
        for frame in self._places.lines:
            self._watches.pop((path.serial, frame.index), None)

    def feed(self, path: Path, fresh: slice) -> Iterator[Entry]:
        """Take the rows of a path that were just understood; return the entries they make certain."""
        near = path.near[fresh]
        seen = int(np.bitwise_or.reduce(near)) if len(near) else 0
        for frame in self._places.lines:
            watch = self._watches.get((path.serial, frame.index))
            if seen >> frame.index & 1:
                if watch is None:
                    watch = self._watches[path.serial, frame.index] = _Watch(self._new_gate())
                self._step(path, frame, fresh, watch)
            if watch is not None and watch.pending:
                yield from self._resolved(path, frame, watch)
            if watch is not None:
                path.keep(frame.index, watch.window())

    def _new_gate(self) -> Gate:
        back = self._places.site.thresholds.stop_line_hysteresis_m
        return Gate(real_m=max(ENTERED_M, back), back_m=back)

    def _step(self, path: Path, frame: LineFrame, fresh: slice, watch: _Watch) -> None:
        index = np.flatnonzero(path.near[fresh] >> frame.index & 1) + fresh.start
        rows = path.rows[index]
        along = rows[:, CX] * frame.ahead[0] + rows[:, CY] * frame.ahead[1] > ALONG_COSINE
        index, rows = index[along], rows[along]
        if not len(rows):
            return
        x, y = front(rows)
        f, beside = frame.beyond_m(x, y), frame.beside_m(x, y)
        sigma = np.nan_to_num(rows[:, SIGMA], nan=0.0)
        usable = (beside <= BESIDE_LINE_M + sigma) & np.isfinite(f)
        numbers, rows, f, sigma = index[usable] + path.forgotten, rows[usable], f[usable], sigma[usable]
        away = numbers - np.append(watch.last, numbers[:-1]) > 1
        columns = (rows[:, TIME], f, standing(rows[:, SPEED], rows[:, SPEED_SIGMA]), sigma, away)
        if len(rows):
            watch.last = int(numbers[-1])
        watch.pending.extend(watch.gate.feed_all(*columns))

    def _resolved(self, path: Path, frame: LineFrame, watch: _Watch) -> Iterator[Entry]:
        understood = path.rows[path.done - 1, TIME] if path.done else -math.inf
        waiting = []
        for crossing in watch.pending:
            if understood >= crossing.after + HALF_S or path.ended:
                yield self._entry(path, frame, crossing)
            else:
                waiting.append(crossing)
        watch.pending = waiting

    def _entry(self, path: Path, frame: LineFrame, crossing: Crossing) -> Entry:
        until = max(crossing.after + HALF_S, crossing.confirmed if crossing.stood is not None else 0.0)
        first, last = path.span(crossing.before - LEARN_S, until + 1e-6)
        rows = path.rows[first : min(last, path.done)]
        x, y = front(rows)
        f = frame.beyond_m(x, y)
        at = int(np.searchsorted(rows[:, TIME], crossing.after))
        series = (rows[:, TIME], f, rows[:, SIGMA], float(rows[min(at, len(rows) - 1), TIME_SIGMA]))
        instant = crossing_instant(crossing, *series)
        stood = at if crossing.stood is None else int(np.searchsorted(rows[:, TIME], crossing.stood))
        stood = min(stood, len(rows) - 1)
        return Entry(
            path=path,
            frame=frame,
            instant=instant,
            set_off=set_off(crossing, *series),
            on_line=bool(f[stood] <= ON_LINE_M + 2.0 * float(np.nan_to_num(rows[stood, SIGMA]))),
            kind=path.kind_at(instant.time),
            x=float(np.interp(instant.time, rows[:, TIME], x)),
            y=float(np.interp(instant.time, rows[:, TIME], y)),
            speed_mps=float(np.interp(instant.time, rows[:, TIME], rows[:, SPEED])),
            speed_sigma_mps=float(np.interp(instant.time, rows[:, TIME], rows[:, SPEED_SIGMA])),
            doubtful=instant.gap or doubtful(self._places, rows, crossing),
        )


def front(rows: Floats) -> tuple[Floats, Floats]:
    """Return the front-most ground points: centre plus half the length along the heading."""
    half = rows[:, LENGTH] / 2
    return rows[:, X] + half * rows[:, CX], rows[:, Y] + half * rows[:, CY]


def doubtful(places: Places, rows: Floats, crossing: Crossing) -> bool:
    """Return whether positions or frame rate around a crossing are under what a verdict needs."""
    limits = places.site.thresholds
    low = max(int(np.searchsorted(rows[:, TIME], crossing.before)), 0)
    high = int(np.searchsorted(rows[:, TIME], crossing.after, side="right"))
    around = rows[low:high]
    if (around[:, TRUSTED] < 0.5).any():
        return True
    sigma = around[:, SIGMA]
    if (sigma[np.isfinite(sigma)] > limits.max_position_sigma_m * 1.001).any():
        return True
    if jumped(rows) or jumps(rows, crossing.before, crossing.after):
        return True
    steps = np.diff(rows[:, TIME])
    return bool(len(steps) and np.median(steps) > 1.25 / limits.min_frame_rate_hz)
