"""Wrong way: a vehicle crosses a stop line against its direction of travel and goes on up the approach.

The front-most ground point crosses, the vehicle faces within 60° of the opposite direction, and it stays
within the ends of the line for five metres: a left turn that cuts the corner of the opposite approach leaves
them again at once, and a waiting car that backs up faces the other way.

Source: wrong-way driving as travel against the legal direction of flow, NTSB SIR-12/01 (2012), 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edge.rules.entries import LEARN_S, doubtful, front
from edge.rules.finding import Finding, Measure
from edge.rules.gate import Crossing, Gate, crossing_instant, standing
from edge.rules.path import (
    CX,
    CY,
    HALF_S,
    HX,
    HY,
    POSITION_SIGMA,
    SIGMA,
    SPEED,
    SPEED_SIGMA,
    TIME,
    TIME_SIGMA,
    UNTOLD_M,
    Path,
    settled,
)
from edge.rules.places import LineFrame, Places
from edge.rules.samples import Floats

WRONG_WAY_M = 5.0
AGAINST_COSINE = -math.cos(math.radians(60))
# How long it is followed to tell how far it went.
FOLLOW_S = 5.0
# The names under which rows are kept for it, below those of the kerb and of stop lines.
KEPT = -2
# Faster than this it is still on its way up, however far it got.
ROLLING_MPS = 0.3
# So many rows of standing still are averaged.
LEAST_STOOD = 5
# Nearer to the end of the line than this the centre line, not the lane, may have been crossed.
WITHIN_M = 0.3


class WrongWayWatch:
    """Watches every vehicle that faces up an approach."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._gates: dict[tuple[int, int], Gate] = {}
        self._last: dict[tuple[int, int], int] = {}
        self._pending: dict[tuple[int, int], Crossing] = {}

    def forget(self, path: Path) -> None:
        for frame in self._places.lines:
            self._gates.pop((path.serial, frame.index), None)
            self._last.pop((path.serial, frame.index), None)

    def feed(self, path: Path, fresh: slice) -> Iterator[Finding]:
        """Take the rows of a path that were just understood; return what they make certain."""
        near = path.near[fresh]
        seen = int(np.bitwise_or.reduce(near)) if len(near) else 0
        if seen:
            rows = path.rows[fresh]
            for frame in self._places.lines:
                if not seen >> frame.index & 1:
                    continue
                against = rows[:, CX] * frame.ahead[0] + rows[:, CY] * frame.ahead[1] < AGAINST_COSINE
                index = np.flatnonzero(against & (near >> frame.index & 1 == 1))
                if len(index):
                    self._step(path, frame, index + fresh.start)
        for key, crossing in list(self._pending.items()):
            if key[0] == path.serial and (
                path.ended or path.rows[path.done - 1, TIME] >= _followed(crossing) + HALF_S
            ):
                del self._pending[key]
                yield self._finding(path, self._places.lines[key[1]], crossing)
        for frame in self._places.lines:
            gate = self._gates.get((path.serial, frame.index))
            if gate is not None:
                pending = self._pending.get((path.serial, frame.index))
                path.keep(KEPT - frame.index, _window(gate, pending))

    def _step(self, path: Path, frame: LineFrame, index: np.ndarray[tuple[int], np.dtype[np.intp]]) -> None:
        key = (path.serial, frame.index)
        rows = path.rows[index]
        x, y = front(rows)
        within = frame.beside_m(x, y) < -WITHIN_M
        # A car that backs up faces its motion here, yet its tracker may know better.
        backing = rows[:, HX] * rows[:, CX] + rows[:, HY] * rows[:, CY] < -0.5
        usable = within & ~backing
        rows, up = rows[usable], -frame.beyond_m(x, y)[usable]
        if not len(rows):
            return
        gate = self._gates.get(key)
        if gate is None:
            back_m = self._places.site.thresholds.stop_line_hysteresis_m
            gate = self._gates[key] = Gate(real_m=WRONG_WAY_M, back_m=back_m)
        sigma = np.nan_to_num(rows[:, SIGMA], nan=0.0)
        numbers = index[usable] + path.forgotten
        away = numbers - np.append(self._last.get(key, -2), numbers[:-1]) > 1
        self._last[key] = int(numbers[-1])
        columns = (rows[:, TIME], up, standing(rows[:, SPEED], rows[:, SPEED_SIGMA]), sigma, away)
        for crossing in gate.feed_all(*columns):
            self._pending[key] = crossing

    def _finding(self, path: Path, frame: LineFrame, crossing: Crossing) -> Finding:
        first, last = path.span(crossing.before - LEARN_S, crossing.after + HALF_S + 1e-6)
        rows = path.rows[first : min(last, path.done)]
        x, y = front(rows)
        instant = crossing_instant(
            crossing, rows[:, TIME], -frame.beyond_m(x, y), rows[:, SIGMA], float(rows[0, TIME_SIGMA])
        )
        start, end = path.span(crossing.after, _followed(crossing) + 1e-6)
        seen = path.rows[start : min(end, path.done)]
        farthest = _farthest(frame, seen)
        at = min(int(np.searchsorted(rows[:, TIME], instant.time)), len(rows) - 1)
        return Finding(
            rule="wrong_way",
            outcome="undecidable" if instant.gap or doubtful(self._places, rows, crossing) else "occurred",
            time=instant.time,
            time_sigma_s=instant.sigma_s,
            place=frame.line.id,
            road_user=path.kind_at(instant.time),
            signal=None,
            measures={
                "wrong_way_m": farthest,
                "speed_mps": Measure(float(rows[at, SPEED]), float(rows[at, SPEED_SIGMA])),
            },
            x=float(x[at]),
            y=float(y[at]),
            tracks=(path.number,),
        )


def _followed(crossing: Crossing) -> float:
    return max(crossing.after + FOLLOW_S, crossing.confirmed)


def _window(gate: Gate, pending: Crossing | None) -> tuple[float, float] | None:
    """Return the time around a crossing that is not told yet: one may stand over the line for minutes."""
    if pending is not None:
        return pending.before - LEARN_S, _followed(pending) + HALF_S
    return (gate.before - LEARN_S, gate.after + HALF_S) if gate.side == "band" else None


def _farthest(frame: LineFrame, rows: Floats) -> Measure:
    """Return how far up the approach a front got: where it stands at the end, else the farthest it was."""
    # Jitter seldom looks like four sigmas of speed.
    moving = np.flatnonzero(rows[:, SPEED] > np.maximum(ROLLING_MPS, 4.0 * rows[:, SPEED_SIGMA]))
    stood = rows[int(moving[-1]) + 1 if len(moving) else 0 :]
    if len(stood) >= LEAST_STOOD:
        sigma = float(np.nan_to_num(stood[:, SIGMA], nan=UNTOLD_M).mean())
        return Measure(float((-frame.beyond_m(*front(stood))).mean()), sigma / math.sqrt(len(stood)))
    up = -frame.beyond_m(*front(settled(rows)))
    far = int(up.argmax())
    return Measure(float(up[far]), float(rows[far, POSITION_SIGMA]))
