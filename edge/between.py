"""Where road users were between two looks of the detector: on the straight line from one to the other.

::

    look a ────○────○────○──── look b        ○ frames nobody looked at

How far somebody was beside that line nobody saw; the error says so. Who is seen in one of the two looks alone
is shown in none of the frames between.
"""

from __future__ import annotations

import math
from dataclasses import replace

from edge.scene import RoadUser, Scene
from edge.shapes import SHAPES


def between(before: Scene, after: Scene, *, time: float, time_sigma_s: float, trusted: bool) -> Scene:
    """Return the scene at a frame between two looks.

    Args:
        before, after: the scenes of the looks.
        time: seconds UTC at capture of the frame, between theirs.
        trusted: as the line knows it; the scene is not trusted either where one of the looks is not.
    """
    there = {user.track: user for user in before.users}
    span_s = after.time - before.time
    share = (time - before.time) / span_s if span_s > 0 else 0.0
    users = tuple(
        _between(there[user.track], user, share, span_s) for user in after.users if user.track in there
    )
    return Scene(
        time, time_sigma_s, users, after.signals, trusted=trusted and before.trusted and after.trusted
    )


def _between(a: RoadUser, b: RoadUser, share: float, span_s: float) -> RoadUser:
    turn = (b.heading_deg - a.heading_deg + 180.0) % 360.0 - 180.0
    heading = (a.heading_deg + share * turn + 180.0) % 360.0 - 180.0
    # Braking or setting off all the way, the farthest from the chord is an eighth of acceleration times time
    # squared; and two errors that may be alike are not less than their mean.
    bow_m = SHAPES[b.kind].acceleration_mps2 * span_s**2 * share * (1.0 - share) / 2
    return replace(
        b,
        x=a.x + share * (b.x - a.x),
        y=a.y + share * (b.y - a.y),
        heading_deg=b.heading_deg if math.isnan(heading) else heading,
        sigma_m=math.hypot(a.sigma_m + share * (b.sigma_m - a.sigma_m), bow_m),
        detection=None,
        px=None if a.px is None or b.px is None else _mixed(a.px, b.px, share),
    )


def _mixed(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
