"""Surrogate safety measures on ground footprints: PET, TTC, DRAC.

A footprint is an oriented rectangle on the road. All functions are vectorised over leading axes.

Sources: Allen, Shin & Cooper, Analysis of traffic conflicts and collisions, Transportation Research Record
667 (1978); Gettman et al., Surrogate Safety Assessment Model, FHWA-HRT-08-051 (2008); separating axes:
Gottschalk, Lin & Manocha, OBBTree, SIGGRAPH (1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Footprints:
    """Oriented rectangles: centre, unit heading, half length and half width, metres, all of one shape."""

    x: Floats
    y: Floats
    cx: Floats
    cy: Floats
    half_length: Floats
    half_width: Floats

    def __getitem__(self, index: Any) -> Footprints:
        return Footprints(
            self.x[index], self.y[index], self.cx[index], self.cy[index], self.half_length[index],
            self.half_width[index],
        )  # fmt: skip


def _reaches(first: Footprints, second: Footprints) -> list[tuple[Floats, Floats, Floats]]:
    """Return the four axes that can separate two rectangles, each with how far both reach along it."""
    facing = np.abs(first.cx * second.cx + first.cy * second.cy)
    across = np.abs(first.cx * second.cy - first.cy * second.cx)
    return [
        (first.cx, first.cy, first.half_length + second.half_length * facing + second.half_width * across),
        (-first.cy, first.cx, first.half_width + second.half_length * across + second.half_width * facing),
        (second.cx, second.cy, second.half_length + first.half_length * facing + first.half_width * across),
        (-second.cy, second.cx, second.half_width + first.half_length * across + first.half_width * facing),
    ]


def separation_m(first: Footprints, second: Footprints) -> Floats:
    """Return how far footprints are apart along their best separating axis; negative where they overlap."""
    dx, dy = second.x - first.x, second.y - first.y
    gaps = [np.abs(dx * nx + dy * ny) - reach for nx, ny, reach in _reaches(first, second)]
    return np.asarray(np.maximum(np.maximum(gaps[0], gaps[1]), np.maximum(gaps[2], gaps[3])))


def time_to_collision_s(
    first: Footprints, second: Footprints, velocity_x_mps: Floats, velocity_y_mps: Floats
) -> Floats:
    """Return when footprints would touch if both kept their velocity.

    Args:
        velocity_x_mps, velocity_y_mps: of the second relative to the first.

    Returns:
        Seconds; 0 where they overlap already, ``inf`` where they never touch or do not move against each
        other.

    Source: Gettman et al. (2008), 2.1; here between whole footprints, not points.
    """
    dx, dy = second.x - first.x, second.y - first.y
    enter = np.full(np.broadcast(dx, velocity_x_mps).shape, -np.inf)
    leave = np.full(enter.shape, np.inf)
    for nx, ny, reach in _reaches(first, second):
        offset = dx * nx + dy * ny
        speed = velocity_x_mps * nx + velocity_y_mps * ny
        still = np.abs(speed) < 1e-9
        pace = np.where(still, 1.0, speed)
        one, other = (-reach - offset) / pace, (reach - offset) / pace
        apart = still & (np.abs(offset) > reach)
        enter = np.maximum(enter, np.where(still, np.where(apart, np.inf, -np.inf), np.minimum(one, other)))
        leave = np.minimum(leave, np.where(still, np.inf, np.maximum(one, other)))
    touches = (enter <= leave) & (leave >= 0)
    moving = np.hypot(velocity_x_mps, velocity_y_mps) > 1e-9
    return np.asarray(np.where(touches & moving, np.maximum(enter, 0.0), np.inf))


def deceleration_to_avoid_mps2(closing_mps: Floats, ttc_s: Floats) -> Floats:
    """Return DRAC: the constant braking of the follower that just avoids the collision; 0 without one.

    With the gap g = closing speed · TTC it is v² / 2g = v / 2·TTC.

    Source: Cooper & Ferguson, Traffic Engineering & Control 17 (1976).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.isfinite(ttc_s), closing_mps / (2 * np.maximum(ttc_s, 1e-3)), 0.0))


@dataclass(frozen=True, slots=True)
class Passage:
    """When one road user was in a conflict area, seconds: ``enter`` and ``leave``."""

    enter: float
    leave: float


def passages(
    first_times: Floats,
    first: Footprints,
    second_times: Floats,
    second: Footprints,
    *,
    slack_m: float = 0.0,
) -> tuple[Passage, Passage] | None:
    """Return when each of two road users was in their conflict area; None where their ways do not meet.

    The conflict area is what both swept. A road user is in it while its footprint touches anything the other
    swept, so that no polygon need be drawn::

            │ B │
        ────┼───┼────
         A →│▒▒▒│         ▒ swept by both
        ────┼───┼────
            │ ↑ │

    Args:
        first_times, second_times: (N,), (M,) of the footprints (N,), (M,), a tenth of a second apart.
        slack_m: by how much noise widens what was swept: the outermost of many noisy edges lies too far out.
    """
    met = touching(first, second, slack_m=slack_m)
    if met is None:
        return None
    return (
        _passage(first_times, first, second, met[0], slack_m),
        _passage(second_times, second, first, met[1], slack_m),
    )


def touching(
    first: Footprints, second: Footprints, *, slack_m: float = 0.0
) -> tuple[Indices, Indices] | None:
    """Return every pair of rows at which footprints touch, or miss by less than the slack; None without."""
    near = _may_touch(first, second)
    if near is None:
        return None
    touch = separation_m(first[near[0]], second[near[1]]) + slack_m <= 0
    return (near[0][touch], near[1][touch]) if touch.any() else None


def _may_touch(first: Footprints, second: Footprints) -> tuple[Indices, Indices] | None:
    """Return every pair of rows whose circles about the footprints meet; None where none do.

    Most ways that are compared never come near each other, and of those that cross only a few metres matter:
    all others are left out by the box around what the other may reach, then by distance.
    """
    reach = sum(float(np.hypot(each.half_length, each.half_width).max()) for each in (first, second))
    reach += 1e-6  # what rounding may take away
    one = _within(first, second, reach)
    if not len(one):
        return None
    other = _within(second, first[one], reach)
    if not len(other):
        return None
    dx = first.x[one][:, None] - second.x[other]
    dy = first.y[one][:, None] - second.y[other]
    row, column = np.nonzero(dx * dx + dy * dy <= reach * reach)
    return (one[row], other[column]) if len(row) else None


def _within(own: Footprints, other: Footprints, reach_m: float) -> Indices:
    inside = (own.x >= other.x.min() - reach_m) & (own.x <= other.x.max() + reach_m)
    return np.flatnonzero(inside & (own.y >= other.y.min() - reach_m) & (own.y <= other.y.max() + reach_m))


def _passage(times: Floats, own: Footprints, other: Footprints, inside: Indices, slack_m: float) -> Passage:
    """Return when ``own`` was in the area; ``inside``: the rows at which it touches what the other swept."""
    first, last = int(inside.min()), int(inside.max())
    edges = np.clip([first - 1, first, last, last + 1], 0, len(times) - 1)
    apart_m = separation_m(own[edges][:, None], other[None, :]).min(axis=1) + slack_m
    return Passage(
        enter=_zero(times, first - 1, first, apart_m[0], apart_m[1]),
        leave=_zero(times, last + 1, last, apart_m[3], apart_m[2]),
    )


def _zero(times: Floats, outside: int, inside: int, outside_m: float, inside_m: float) -> float:
    if not 0 <= outside < len(times):
        return float(times[inside])
    share = float(outside_m / max(outside_m - inside_m, 1e-9))
    return float(times[outside] + min(share, 1.0) * (times[inside] - times[outside]))


def post_encroachment_time_s(first: Passage, second: Passage) -> float | None:
    """Return the time from the first road user leaving the conflict area to the second entering it.

    Returns:
        Seconds; None if both were inside together, where PET is undefined, not zero.

    Source: Allen, Shin & Cooper (1978).
    """
    if second.enter < first.enter:
        first, second = second, first
    pet_s = second.enter - first.leave
    return pet_s if pet_s >= 0 else None
