"""How soon the detector has to look again: the policy, a pure function of what was seen.

::

    nothing moves where it matters          once a second (whoever stands is remembered)
    somebody moves                          every 0.5 s, on the road or near it every 0.3 s
    near a decision                         every frame, or every 0.08 s of a faster camera
    two are about to meet                   every frame
    the street is busy                      every frame
    something moves that no track explains  as near a decision at first, then as if somebody moved

A decision is near where a rule may soon need an instant: a front at a stop line whose light is not settled on
green, a step over a kerb without a walk light, two road users on courses that meet. A car that follows its
lane at green decides nothing; two of its places tell the one between. On a busy street any two may be about
to meet before anything says so, and nothing is left out of it.

Nothing here has a clock or remembers anything: a replay looks at the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.courses import MOVES_MPS, Meeting, Watched, any_meet
from edge.rules.places import LineFrame, Places
from edge.scene import PEDESTRIAN, Signals

Floats = NDArray[np.float64]
Reason = Literal["start", "busy", "stop line", "kerb", "conflict", "newcomer", "unsure", "moving", "beat"]

EVERY_FRAME_S = 0.0
# No clip may show a box that is older (PRIVACY.md: a detector that stalls); a track lives through two.
BEAT_S = 1.0

# A light that has been green this long is settled: the next change is seen in the frame it comes with.
SETTLED_S = 0.5
# At a stop line: so many seconds and metres before it, and as far beyond it as an entry takes to be certain.
LINE_AHEAD_S, LINE_AHEAD_M, LINE_BEYOND_M, LINE_BEYOND_S, LINE_BESIDE_M = 0.7, 2.5, 2.0, 0.5, 2.0
# At a kerb: who will be over it in this time, was not long ago, or stands this near to it and stirs.
KERB_AHEAD_S, KERB_BEHIND_S, KERB_M = 0.9, 0.7, 0.4


# A little more than what is flagged: TTC and PET of 1.5 s, with their errors. The side of a car in the next
# lane is two metres away, that of a cyclist it passes one.
_CLOSE = Meeting(within_s=2.5, since_s=1.5, apart_s=2.0, near_m=0.4, collides_s=2.2)
_COMING = Meeting(within_s=3.0, since_s=2.0, apart_s=3.0, near_m=1.0, collides_s=2.6)


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
        held_s: who were about to meet are near a decision for so long after: a least TTC that lasts is told
            from the readings after it, too.
        busy_users: so many on the street at once are a busy one. The ordinary minute has six at most
            (edge/bench/ordinary.py), a junction of SUMO's eight and more.
    """

    close_s: float = EVERY_FRAME_S
    near_s: float = 0.08
    on_road_s: float = 0.3
    elsewhere_s: float = 0.5
    close: Meeting = _CLOSE
    coming: Meeting = _COMING
    held_s: float = 0.5
    busy_users: int = 7


USUAL = Policy()
# The ends of what was measured: more looks for fewer verdicts that differ, and the other way round.
CAREFUL = Policy(
    near_s=0.0,
    on_road_s=0.2,
    elsewhere_s=0.4,
    close=Meeting(within_s=3.0, since_s=2.0, apart_s=3.0, near_m=1.4, collides_s=3.0),
    coming=Meeting(within_s=4.0, since_s=2.0, apart_s=3.5, near_m=2.0, collides_s=4.0),
)
THRIFTY = Policy(close_s=0.08, near_s=0.12, on_road_s=0.4, elsewhere_s=0.7, held_s=0.0, busy_users=12)


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that decides whether a frame is looked at.

    Attributes:
        time: of the frame, seconds UTC.
        users: confirmed road users on the ground.
        adrift: how many tracks move that have no place on the ground.
        busy: the street is busy, or was a few seconds ago (``is_busy``).
        unsure: the last look saw somebody it did not know, or missed somebody who moves.
        newcomers: something moves in a zone that no track explains.
        fruitless: how many looks in a row at such motion have shown nobody.
    """

    time: float
    users: Sequence[Watched]
    signals: Signals | None
    adrift: int = 0
    busy: bool = False
    unsure: bool = False
    newcomers: bool = False
    fruitless: int = 0


def wait_s(outlook: Outlook, places: Places, policy: Policy = USUAL) -> tuple[float, Reason]:
    """Return how old the last look may be at a frame, and what for."""
    if outlook.busy:
        return EVERY_FRAME_S, "busy"
    active = [user for user in outlook.users if user.active]
    if any_meet(outlook.users, policy.close):
        return policy.close_s, "conflict"
    if outlook.unsure:
        return policy.near_s, "unsure"
    if any(_at_stop_line(user, places, outlook) for user in active if user.kind != PEDESTRIAN):
        return policy.near_s, "stop line"
    if _at_kerb([user for user in active if user.kind == PEDESTRIAN], places, outlook):
        return policy.near_s, "kerb"
    if any_meet(outlook.users, policy.coming):
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


def is_busy(outlook: Outlook, policy: Policy = USUAL) -> bool:
    """Return whether so many are on the street at once, somebody on the move, that any two may meet soon."""
    present = [user for user in outlook.users if not user.parked]
    return len(present) >= policy.busy_users and any(user.active for user in present)


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
