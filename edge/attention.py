"""How soon the detector has to look again: the policy, a pure function of what was seen.

::

    nothing moves where it matters          once a second (whoever stands is remembered)
    somebody moves                          every 0.5 s, on the road or near it every 0.3 s
    near a decision                         every frame, or every 0.08 s of a faster camera
    two are about to meet                   every frame
    something moves that no track explains  as near a decision at first, then as if somebody moved

A decision is near where a rule may soon need an instant: a front at a stop line whose light is not settled on
green, a step over a kerb without a walk light, two road users on courses that meet. A car that follows its
lane at green decides nothing; two of its places tell the one between.

Nothing here has a clock or remembers anything: a replay looks at the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.rules.places import LineFrame, Places
from edge.scene import PEDESTRIAN, Kind, Signals

Floats = NDArray[np.float64]
Reason = Literal["start", "stop line", "kerb", "conflict", "newcomer", "unsure", "moving", "beat"]

EVERY_FRAME_S = 0.0
# No clip may show a box that is older (PRIVACY.md: a detector that stalls); a track lives through two.
BEAT_S = 1.0

# A light that has been green this long is settled: the next change is seen in the frame it comes with.
SETTLED_S = 0.5
MOVES_MPS = 0.5
# At a stop line: so many seconds and metres before it, and as far beyond it as an entry takes to be certain.
LINE_AHEAD_S, LINE_AHEAD_M, LINE_BEYOND_M, LINE_BEYOND_S, LINE_BESIDE_M = 0.7, 2.5, 2.0, 0.5, 2.0
# At a kerb: who will be over it in this time, was not long ago, or stands this near to it and stirs.
KERB_AHEAD_S, KERB_BEHIND_S, KERB_M = 0.9, 0.7, 0.4


@dataclass(frozen=True, slots=True)
class Meeting:
    """Which courses count as meeting.

    Attributes:
        within_s, since_s: both are at the place where their courses cross this soon, or were this long ago.
        apart_s: one after the other by no more than this.
        near_m: or they pass each other as near as this.
        queue_s: who goes the same way closes the gap within this time.
    """

    within_s: float
    since_s: float
    apart_s: float
    near_m: float
    queue_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """How long the detector may look away. Chosen by measurement: `nearmiss bench --only gate`.

    Attributes:
        close_s: where two are about to meet; 0 is every frame.
        near_s: near a decision. A car at 15 m/s goes 1.2 m in 0.08 s, a pedestrian 0.1 m: both in so straight
            a line that no instant between is off by more than its error.
        on_road_s: who moves on the road or beside it. A braking car is off its straight line by 0.04 m
            between two looks 0.3 s apart.
        elsewhere_s: who moves elsewhere, where nothing is decided.
        close, coming: which courses count as meeting. The extremes of a time to collision are those of a
            moment.
    """

    close_s: float = EVERY_FRAME_S
    near_s: float = 0.08
    on_road_s: float = 0.3
    elsewhere_s: float = 0.5
    close: Meeting = Meeting(within_s=2.5, since_s=1.5, apart_s=2.0, near_m=1.5, queue_s=1.5)
    coming: Meeting = Meeting(within_s=3.0, since_s=2.0, apart_s=3.0, near_m=2.5, queue_s=3.0)


USUAL = Policy()
# The ends of what was measured: more looks for fewer verdicts that differ, and the other way round.
CAREFUL = Policy(
    near_s=0.0,
    on_road_s=0.2,
    elsewhere_s=0.4,
    close=Meeting(within_s=3.0, since_s=2.0, apart_s=3.0, near_m=2.5, queue_s=3.0),
    coming=Meeting(within_s=4.0, since_s=2.0, apart_s=3.5, near_m=3.0, queue_s=4.0),
)
THRIFTY = Policy(close_s=0.08, near_s=0.12, on_road_s=0.4, elsewhere_s=0.7)


@dataclass(frozen=True, slots=True)
class Watched:
    """A road user as foreseen at a frame nobody has looked at yet.

    Attributes:
        length_m: of the footprint.
        stirs: something changed in its box since the last look.
        overlaps_s: how long a box of it still overlaps the last one by as much as the tracker needs.
    """

    kind: Kind
    x: float
    y: float
    vx: float
    vy: float
    length_m: float
    stirs: bool
    overlaps_s: float = math.inf

    @property
    def speed_mps(self) -> float:
        return math.hypot(self.vx, self.vy)

    @property
    def active(self) -> bool:
        return self.stirs or self.speed_mps > MOVES_MPS


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that decides whether a frame is looked at.

    Attributes:
        time: of the frame, seconds UTC.
        users: confirmed road users on the ground.
        adrift: how many tracks move that have no place on the ground.
        unsure: the last look saw somebody it did not know, or missed somebody who moves.
        newcomers: something moves in a zone that no track explains.
        fruitless: how many looks in a row at such motion have shown nobody.
    """

    time: float
    users: Sequence[Watched]
    signals: Signals | None
    adrift: int = 0
    unsure: bool = False
    newcomers: bool = False
    fruitless: int = 0


def wait_s(outlook: Outlook, places: Places, policy: Policy = USUAL) -> tuple[float, Reason]:
    """Return how old the last look may be at a frame, and what for."""
    active = [user for user in outlook.users if user.active]
    if _courses_meet(outlook.users, policy.close):
        return policy.close_s, "conflict"
    if outlook.unsure:
        return policy.near_s, "unsure"
    if any(_at_stop_line(user, places, outlook) for user in active if user.kind != PEDESTRIAN):
        return policy.near_s, "stop line"
    if _at_kerb([user for user in active if user.kind == PEDESTRIAN], places, outlook):
        return policy.near_s, "kerb"
    if _courses_meet(outlook.users, policy.coming):
        return policy.near_s, "conflict"
    if outlook.newcomers and outlook.fruitless < 3:
        return policy.near_s, "newcomer"
    held_s = max(min((user.overlaps_s for user in active), default=math.inf), policy.near_s)
    if active and _on_road(active, places):
        return min(policy.on_road_s, held_s), "moving"
    if outlook.newcomers and outlook.fruitless < 8:
        return policy.on_road_s, "newcomer"
    if active or outlook.adrift:
        return min(policy.elsewhere_s, held_s), "moving"
    if outlook.newcomers:
        return policy.elsewhere_s, "newcomer"
    return BEAT_S, "beat"


def _at_stop_line(user: Watched, places: Places, outlook: Outlook) -> bool:
    return any(
        _reaches(user, frame) and _undecided(frame.line.signal_group, outlook) for frame in places.lines
    )


def _reaches(user: Watched, frame: LineFrame) -> bool:
    """Return whether a front will be, is or just was at a line, in its direction of travel."""
    x, y = np.array([user.x]), np.array([user.y])
    if float(frame.beside_m(x, y)[0]) > LINE_BESIDE_M:
        return False
    along_mps = user.vx * float(frame.ahead[0]) + user.vy * float(frame.ahead[1])
    if along_mps < -MOVES_MPS:
        return False
    forward_mps = max(along_mps, 0.0)
    front_m = float(frame.beyond_m(x, y)[0]) + user.length_m / 2
    return (
        -(LINE_AHEAD_M + LINE_AHEAD_S * forward_mps) <= front_m <= LINE_BEYOND_M + LINE_BEYOND_S * forward_mps
    )


def _undecided(group: str | None, outlook: Outlook) -> bool:
    """Return whether the light of a group may still make a verdict of what happens now."""
    if group is None or outlook.signals is None:
        return False
    reading = outlook.signals.at(group, outlook.time)
    if reading.source == "none":
        return False  # nobody tells the light: no rule will say a word
    settled = reading.since is not None and outlook.time - reading.since >= SETTLED_S + reading.sigma_s
    return reading.state != "green" or not settled


def _at_kerb(walkers: Sequence[Watched], places: Places, outlook: Outlook) -> bool:
    road = places.carriageway
    if road is None or not walkers:
        return False
    steps = np.array([-KERB_BEHIND_S, 0.0, KERB_AHEAD_S])
    x = np.array([user.x + steps * user.vx for user in walkers])
    y = np.array([user.y + steps * user.vy for user in walkers])
    depth = road.depth_m(x.ravel(), y.ravel()).reshape(x.shape)
    crosses = (depth.min(axis=1) < 0) & (depth.max(axis=1) > -KERB_M)
    near = crosses | (np.abs(depth[:, 1]) <= KERB_M)
    leaves = depth[:, 2] < depth[:, 1] - KERB_M / 2
    return any(
        not _allowed(user, places, outlook, leaves=leaving)
        for user, here, leaving in zip(walkers, near.tolist(), leaves.tolist(), strict=True)
        if here
    )


def _allowed(user: Watched, places: Places, outlook: Outlook, *, leaves: bool) -> bool:
    """Return whether who is at a kerb leaves the road by a crosswalk, or has a walk light (or none) there."""
    off = places.off_crosswalks_m(np.array([user.x]), np.array([user.y]))[0]
    nearest = int(off.argmin())
    if not places.crosswalks or off[nearest] > places.site.thresholds.crosswalk_margin_m / 2:
        return False
    return leaves or not _undecided(places.crosswalks[nearest].signal_group, outlook)


def _on_road(users: Sequence[Watched], places: Places) -> bool:
    road = places.carriageway
    if road is None:
        return True
    x, y = np.array([user.x for user in users]), np.array([user.y for user in users])
    walking = np.array([user.kind == PEDESTRIAN for user in users])
    near = np.where(walking, 3.0, 0.0)
    within = road.depth_m(x, y) > -near
    lines = [
        (frame.beyond_m(x, y) > -APPROACH_M) & (frame.beyond_m(x, y) < BEYOND_M) for frame in places.lines
    ]
    if lines:
        within &= walking | np.any(lines, axis=0)
    return bool(within.any())


# On a leg of the junction nearer than this to its stop line, and in the middle.
APPROACH_M, BEYOND_M = 20.0, 30.0


def _courses_meet(users: Sequence[Watched], meeting: Meeting) -> bool:
    """Return whether two road users, both going on as they do, come near each other or cross closely behind.

    ::

        ──→ ─ ─ ─ ─ ×      both reach × within ``within_s`` (or left it ``since_s`` ago), less than
                    ╎      ``apart_s`` apart
                    ↑
    """
    count = len(users)
    if count < 2 or sum(user.active for user in users) < 1:
        return False
    place = np.array([(user.x, user.y) for user in users])
    velocity = np.array([(user.vx, user.vy) if user.active else (0.0, 0.0) for user in users])
    size = np.array([user.length_m / 2 for user in users])
    first, second = np.triu_indices(count, 1)
    some = np.array([user.kind != PEDESTRIAN for user in users])
    pair = (some[first] | some[second]) & (
        np.linalg.norm(velocity[first], axis=1) + np.linalg.norm(velocity[second], axis=1) > 2.0
    )
    first, second = first[pair], second[pair]
    apart = place[second] - place[first]
    closing = velocity[second] - velocity[first]
    speed2 = np.maximum((closing**2).sum(axis=1), 1e-6)
    nearest_s = np.clip(-(apart * closing).sum(axis=1) / speed2, 0.0, meeting.within_s)
    nearest_m = np.linalg.norm(apart + nearest_s[:, None] * closing, axis=1)
    approaching = (apart * closing).sum(axis=1) < 0
    collides = (
        approaching
        & (nearest_m < meeting.near_m + size[first] + size[second])
        & _no_queue(velocity[first], velocity[second], apart, meeting.queue_s)
    )
    return bool(
        collides.any() or _cross(apart, velocity[first], velocity[second], size[first], size[second], meeting)
    )


def _no_queue(v: Floats, w: Floats, apart: Floats, queue_s: float) -> NDArray[np.bool_]:
    """Return which pairs are no mere queue: who closes on a car ahead in the lane brakes, mostly."""
    speed, other = np.linalg.norm(v, axis=1), np.linalg.norm(w, axis=1)
    along = (v * w).sum(axis=1) / np.maximum(speed * other, 1e-6)
    same_way = along > 0.9
    closing = np.linalg.norm(v - w, axis=1)
    gap_s = np.linalg.norm(apart, axis=1) / np.maximum(closing, 1e-6)
    return np.asarray(np.where(same_way | (np.minimum(speed, other) < MOVES_MPS), gap_s < queue_s, True))


def _cross(apart: Floats, v: Floats, w: Floats, size: Floats, other_size: Floats, meeting: Meeting) -> bool:
    """Return whether two straight courses cross, one soon after the other."""
    turn = v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]
    speed, other = np.linalg.norm(v, axis=1), np.linalg.norm(w, axis=1)
    crossing = np.abs(turn) > 0.26 * speed * other  # by 15 degrees at least
    safe = np.where(np.abs(turn) > 1e-6, turn, 1.0)
    at = (apart[:, 0] * w[:, 1] - apart[:, 1] * w[:, 0]) / safe
    other_at = (apart[:, 0] * v[:, 1] - apart[:, 1] * v[:, 0]) / safe
    apart_s = np.abs(at - other_at) - size / np.maximum(speed, 0.5) - other_size / np.maximum(other, 0.5)
    soon = (np.maximum(at, other_at) < meeting.within_s) & (np.minimum(at, other_at) > -meeting.since_s)
    return bool((crossing & soon & (np.maximum(at, other_at) > -0.5) & (apart_s < meeting.apart_s)).any())
