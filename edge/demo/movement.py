"""How the drawn road users move: paths over the junction, and courses along them, exact at any instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.demo.junction import APPROACHES, LANE_M, LEG_M, STOP_LINE_M

Floats = NDArray[np.float64]
Turn = Literal["straight", "left", "right"]
_STEP_M = 0.05
_TURN_RADIUS_M = 6.0


@dataclass(frozen=True, eq=False)
class Path:
    """A line to travel on: ``s`` metres along it (0 at the stop line), points, and unwrapped headings."""

    s: Floats
    points: Floats
    heading_deg: Floats

    def at(self, s: ArrayLike) -> tuple[Floats, Floats]:
        """Return points (..., 2) and headings (...) at ``s`` metres."""
        along = np.asarray(s, np.float64)
        x, y = (np.interp(along, self.s, self.points[:, axis]) for axis in (0, 1))
        return np.stack([x, y], axis=-1), np.interp(along, self.s, self.heading_deg)


def lane_path(leg: str, turn: Turn, *, lane_m: float = LANE_M) -> Path:
    """Return the path from a leg over its stop line and on, ``lane_m`` right of the road's middle."""
    approach = next(each for each in APPROACHES if each.leg == leg)
    start = np.array([-LEG_M, -lane_m])
    if turn == "straight":
        local = _line(start, np.array([LEG_M, -lane_m]))
    else:
        side = 1.0 if turn == "left" else -1.0
        # Into the lane on the right of the road that is crossed: x = +lane to the left, -lane to the right.
        out_x = side * lane_m
        begin = np.array([out_x - _TURN_RADIUS_M, -lane_m])
        centre = begin + np.array([0.0, side * _TURN_RADIUS_M])
        angle = np.linspace(0.0, np.pi / 2, 200)
        arc = centre + _TURN_RADIUS_M * np.stack([np.sin(angle), -side * np.cos(angle)], axis=-1)
        local = np.concatenate(
            [_line(start, begin)[:-1], arc, _line(arc[-1], np.array([out_x, side * LEG_M]))[1:]]
        )
    turned = np.deg2rad(approach.heading_deg)
    rotation = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    step = np.diff(local, axis=0)
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(step, axis=1))]) - (LEG_M - STOP_LINE_M)
    heading = np.rad2deg(np.unwrap(np.arctan2(step[:, 1], step[:, 0])))
    return Path(s, local @ rotation.T, np.append(heading, heading[-1]) + approach.heading_deg)


def _line(start: Floats, end: Floats) -> Floats:
    count = max(2, round(float(np.linalg.norm(end - start)) / _STEP_M))
    return np.linspace(start, end, count)


@dataclass
class Course:
    """Where a front is along its path over time: stretches of constant acceleration, joined smoothly.

    A course is told step by step: ``Course.passing(18.8, 13.0)`` passes the stop line at 18.8 s with 13 m/s;
    ``.stop(-1.0, 2.0)`` brakes with 2 m/s² to stand 1 m before it; ``.wait(21.0).go(1.8, 10.0)`` moves off.
    """

    pieces: list[tuple[float, float, float, float]] = field(default_factory=list)  # time, front, speed, accel

    @classmethod
    def passing(cls, time: float, speed_mps: float, *, front_m: float = 0.0) -> Self:
        start = time - 200.0
        return cls([(start, front_m - 200.0 * speed_mps, speed_mps, 0.0)])

    def _now(self, time: float) -> tuple[float, float]:
        began, front, speed, accel = self.pieces[-1]
        run = time - began
        return front + speed * run + accel * run**2 / 2, speed + accel * run

    def _then(self, time: float, accel: float) -> None:
        front, speed = self._now(time)
        self.pieces.append((time, front, speed, accel))

    def to_speed(self, speed_mps: float, accel_mps2: float, *, front_m: float) -> Self:
        """From ``front_m`` on, change to another speed."""
        began, front, speed, _ = self.pieces[-1]
        start = began + (front_m - front) / speed
        self._then(start, float(np.copysign(accel_mps2, speed_mps - speed)))
        self._then(start + abs(speed_mps - speed) / accel_mps2, 0.0)
        return self

    def stop(self, front_m: float, brake_mps2: float) -> Self:
        """Brake so that the front comes to rest at ``front_m``."""
        began, front, speed, _ = self.pieces[-1]
        start = began + (front_m - speed**2 / (2 * brake_mps2) - front) / speed
        self._then(start, -brake_mps2)
        self.pieces.append((start + speed / brake_mps2, front_m, 0.0, 0.0))
        return self

    def go(self, time: float, accel_mps2: float, speed_mps: float) -> Self:
        """Move off at an instant and reach a speed."""
        self._then(time, accel_mps2)
        self._then(time + speed_mps / accel_mps2, 0.0)
        return self

    def creep(self, time: float, distance_m: float, seconds: float) -> Self:
        """Roll a little way and stand again."""
        accel = 4 * distance_m / seconds**2
        self._then(time, accel)
        self._then(time + seconds / 2, -accel)
        front, _ = self._now(time + seconds)
        self.pieces.append((time + seconds, front, 0.0, 0.0))
        return self

    def front_m(self, time: ArrayLike) -> Floats:
        """Return the front's place (...) along the path, metres past the stop line."""
        when = np.asarray(time, np.float64)
        piece = np.asarray(self.pieces)
        index = np.clip(np.searchsorted(piece[:, 0], when, side="right") - 1, 0, None)
        run = when - piece[index, 0]
        return np.asarray(piece[index, 1] + piece[index, 2] * run + piece[index, 3] * run**2 / 2)


@dataclass(frozen=True, eq=False)
class Ride:
    """A vehicle's movement: its front follows a course along a path."""

    path: Path
    course: Course
    length_m: float

    def at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        """Return footprint centres (..., 2) and headings (...)."""
        return self.path.at(self.course.front_m(time) - self.length_m / 2)

    def travelled_m(self, time: float) -> float:
        return float(self.course.front_m(time))

    @property
    def span_s(self) -> tuple[float, float]:
        """From and to when the whole vehicle is on its path."""
        when = np.arange(-60.0, 240.0, 0.25)
        front = self.course.front_m(when)
        there = (front - self.length_m > self.path.s[0]) & (front < self.path.s[-1])
        return float(when[there][0]), float(when[there][-1])


@dataclass(frozen=True, eq=False)
class Walk:
    """A pedestrian's movement: straight from knot (time, x, y) to knot."""

    knots: Sequence[tuple[float, float, float]]

    def at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        """Return points (..., 2) and headings (...); standing keeps the heading of the next step."""
        when = np.asarray(time, np.float64)
        knot = np.asarray(self.knots, np.float64)
        x, y = (np.interp(when, knot[:, 0], knot[:, axis]) for axis in (1, 2))
        step = np.diff(knot[:, 1:], axis=0)
        heading = np.rad2deg(np.arctan2(step[:, 1], step[:, 0]))
        index = np.clip(np.searchsorted(knot[:, 0], when, side="right") - 1, 0, len(step) - 1)
        return np.stack([x, y], axis=-1), heading[index]

    def travelled_m(self, time: float) -> float:
        knot = np.asarray(self.knots, np.float64)
        step = np.linalg.norm(np.diff(knot[:, 1:], axis=0), axis=1)
        return float(np.interp(time, knot[:, 0], np.concatenate([[0.0], np.cumsum(step)])))

    @property
    def span_s(self) -> tuple[float, float]:
        return self.knots[0][0], self.knots[-1][0]


def walk(start_time: float, start: tuple[float, float], *legs: tuple[float, float, float]) -> Walk:
    """Return a walk from a place through ``legs`` of (x, y, speed_mps); speed 0 waits x seconds."""
    knots = [(start_time, *start)]
    for x, y, speed_mps in legs:
        time, from_x, from_y = knots[-1]
        if speed_mps == 0:
            knots.append((time + x, from_x, from_y))
            continue
        knots.append((time + float(np.hypot(x - from_x, y - from_y)) / speed_mps, x, y))
    return Walk(tuple(knots))
