"""Which road users are about to meet: those whose courses cross closely, or who run into each other.

::

    ──→ ─ ─ ─ ─ ×      both reach × within ``within_s`` (or left it ``since_s`` ago), less than
                ╎      ``apart_s`` apart
                ↑

    ■■──→ ─ ─ ─ ■■     or they touch within ``collides_s``, or pass each other within ``near_m``

Everybody is taken to go on as they do. The extremes of a time to collision are those of a moment, so who
meets is looked at more often than anybody else (edge/attention.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.measures import Footprints, time_to_collision_s
from edge.scene import PEDESTRIAN, Kind

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOVES_MPS = 0.5
# Slower than this together, no vehicle of the two moves as a near miss asks (edge/rules/near_miss.py).
_LEAST_MPS = 1.0
_CROSSING = math.sin(math.radians(15.0))


@dataclass(frozen=True, slots=True)
class Meeting:
    """Which courses count as meeting.

    Attributes:
        within_s, since_s: both are at the place where their courses cross this soon, or were this long ago.
        apart_s: one after the other by no more than this.
        near_m: or they pass each other as near as this,
        collides_s: within this time.
    """

    within_s: float
    since_s: float
    apart_s: float
    near_m: float
    collides_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A road user as foreseen at a frame nobody has looked at yet.

    Attributes:
        length_m, width_m: of the footprint.
        heading_deg: NaN where it is not known yet.
        stirs: something changed in its box since the last look.
        overlaps_s: how long a box of it still overlaps the last one by as much as the tracker needs.
        parked: it has not moved for longer than any light is red.
    """

    kind: Kind
    x: float
    y: float
    vx: float
    vy: float
    length_m: float
    stirs: bool
    overlaps_s: float = math.inf
    width_m: float = 1.8
    heading_deg: float = math.nan
    parked: bool = False

    @property
    def speed_mps(self) -> float:
        return math.hypot(self.vx, self.vy)

    @property
    def active(self) -> bool:
        return self.stirs or self.speed_mps > MOVES_MPS


def any_meet(users: Sequence[Watched], limits: Meeting) -> bool:
    """Return whether any two road users meet, of whom one at least is no pedestrian."""
    if len(users) < 2 or not any(user.active for user in users):
        return False
    place = np.array([(user.x, user.y) for user in users])
    velocity = np.array([(user.vx, user.vy) if user.active else (0.0, 0.0) for user in users])
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    riding = np.array([user.kind != PEDESTRIAN for user in users])
    one, other = np.triu_indices(len(users), 1)
    some = (riding[one] | riding[other]) & (speed[one] + speed[other] > _LEAST_MPS)
    one, other = one[some], other[some]
    if not len(one):
        return False
    shapes = _shapes(users, place, velocity, speed, limits.near_m / 2)
    towards = velocity[other] - velocity[one]
    ttc_s = time_to_collision_s(shapes[one], shapes[other], towards[:, 0], towards[:, 1])
    approach = ((place[other] - place[one]) * towards).sum(axis=1) < 0
    if bool(((ttc_s < limits.collides_s) & approach).any()):
        return True
    size = np.array([user.length_m / 2 for user in users])
    return bool(
        _cross(
            place[other] - place[one], velocity[one], velocity[other], size[one], size[other], limits
        ).any()
    )


def _shapes(
    users: Sequence[Watched], place: Floats, velocity: Floats, speed: Floats, margin_m: float
) -> Footprints:
    """Return the footprints, wider by a margin; of whom nobody knows the heading it may be any."""
    heading = np.deg2rad([user.heading_deg for user in users])
    moves = speed > MOVES_MPS
    heading = np.where(moves, np.arctan2(velocity[:, 1], velocity[:, 0]), heading)
    length = np.array([user.length_m for user in users])
    width = np.where(np.isnan(heading), length, np.array([user.width_m for user in users]))
    heading = np.nan_to_num(heading)
    return Footprints(
        place[:, 0],
        place[:, 1],
        np.cos(heading),
        np.sin(heading),
        length / 2 + margin_m,
        width / 2 + margin_m,
    )


def _cross(apart: Floats, v: Floats, w: Floats, size: Floats, other_size: Floats, limits: Meeting) -> Bools:
    """Return which pairs' straight courses cross, one soon after the other."""
    turn = v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]
    speed, other = np.linalg.norm(v, axis=1), np.linalg.norm(w, axis=1)
    crossing = np.abs(turn) > _CROSSING * speed * other
    safe = np.where(np.abs(turn) > 1e-6, turn, 1.0)
    at = (apart[:, 0] * w[:, 1] - apart[:, 1] * w[:, 0]) / safe
    other_at = (apart[:, 0] * v[:, 1] - apart[:, 1] * v[:, 0]) / safe
    apart_s = np.abs(at - other_at) - size / np.maximum(speed, 0.5) - other_size / np.maximum(other, 0.5)
    last, first = np.maximum(at, other_at), np.minimum(at, other_at)
    soon = (last < limits.within_s) & (first > -limits.since_s) & (last > -0.5)
    return np.asarray(crossing & soon & (apart_s < limits.apart_s))
