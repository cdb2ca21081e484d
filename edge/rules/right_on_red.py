"""Right turn on red: legal only after a complete stop, where not prohibited; its own rule.

The turn into the near-side road (right where one drives on the right, left where on the left) is known only
after the entry, so an entry on red is held until the vehicle has turned, gone straight on, or is lost. Three
legal profiles stand at each stop line:

=============  ==================================  =========================================
right_on_red   turn with a complete stop before    turn without one
=============  ==================================  =========================================
allowed        nothing                             nothing
after_stop     nothing                             ``right_on_red_without_stop``
prohibited     ``red_light_entry``                 ``red_light_entry``
=============  ==================================  =========================================

Source: Uniform Vehicle Code 11-202(c)3; FHWA MUTCD (11th ed.) 2B.61.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.site import Site, StopLine
from edge.rules.entries import Entry, front
from edge.rules.finding import Finding, Measure
from edge.rules.gate import noise_split
from edge.rules.path import CX, CY, HALF_S, SIGMA, TIME, X, Y
from edge.rules.red_light_entry import red_finding, red_verdict
from edge.rules.samples import Floats
from edge.rules.stopping import slowest
from edge.scene import Signals

# From here on a change of heading against the line's is a turn; a through lane bends less.
TURNED_DEG = 40.0
TURNED_M = 2.0
# Unless the road straight on itself bends: no more than this, and by so much less than the next.
MOST_BEND_DEG = 60.0
APART_DEG = 40.0
# Beyond this it is the road one came from.
BACK_DEG = 150.0
# Who is this far past the line without having turned goes straight on.
STRAIGHT_M = 30.0
# A track that ends earlier: straight if it is at least this far and heads no farther off than this.
ENDED_M = 12.0
ENDED_DEG = 15.0
# A stop counts within this distance before the line: the first place in the queue, not the second.
STOP_ZONE_M = 5.0
STOPPED_MPS = 0.5


def held(entry: Entry) -> bool:
    """Return whether an entry on red at this line is judged only once its turn is known."""
    return entry.frame.line.right_on_red != "prohibited"


def turned_deg(line: StopLine, site: Site) -> float:
    """Return the change of heading from which on an entry over a line has turned to the near side.

    Where the least bent way on bends to the near side and another road lies beyond it there, it is halfway
    between the two. Roads are told by the stop lines of the other approaches.
    """
    side = _near_side(site)
    bends = [((each.heading_deg - line.heading_deg) % 360.0 - 180.0) * side for each in site.stop_lines]
    bends = [bend for bend in bends if abs(bend) < BACK_DEG]
    straight_on = min(bends, key=abs, default=0.0)
    beyond = min((bend for bend in bends if bend >= straight_on + APART_DEG), default=None)
    if beyond is None or not 0 < straight_on <= MOST_BEND_DEG:
        return TURNED_DEG
    return max((straight_on + beyond) / 2, TURNED_DEG)


def _near_side(site: Site) -> float:
    return 1.0 if site.site.drive_on == "left" else -1.0


def judge_held(entry: Entry, signals: Signals, site: Site) -> tuple[bool, Finding | None]:
    """Return whether the entry's turn is known by now, and the finding it then makes."""
    verdict = red_verdict(entry, signals)
    if verdict is None:
        return True, None
    turn = _turn(entry, near_side=_near_side(site), least_deg=turned_deg(entry.frame.line, site))
    if turn is None and not entry.path.ended:
        return False, None
    if turn == "near_side":
        return True, _turn_finding(entry, signals)
    if turn is None:
        # Lost before it showed where it goes: a violation or a legal turn.
        verdict = "undecidable"
    return True, red_finding("red_light_entry", entry, signals, verdict)


def _turn(entry: Entry, *, near_side: float, least_deg: float) -> str | None:
    path = entry.path
    first, _ = path.span(entry.instant.time, math.inf)
    rows = path.rows[first : path.done]
    if not len(rows):
        return None
    ahead = entry.frame.ahead
    along = rows[:, CX] * ahead[0] + rows[:, CY] * ahead[1]
    left = ahead[0] * rows[:, CY] - ahead[1] * rows[:, CX]
    angle = np.rad2deg(np.arctan2(left, along)) * near_side
    away = np.hypot(rows[:, X] - entry.x, rows[:, Y] - entry.y)
    straight = np.flatnonzero(away >= STRAIGHT_M)
    for side, towards, least in (("near_side", angle, least_deg), ("far_side", -angle, TURNED_DEG)):
        turned = _stays(towards >= least, rows[:, X], rows[:, Y])
        if turned is not None and (not len(straight) or turned <= straight[0]):
            return side
    if len(straight):
        return "straight"
    if path.ended and away[-1] >= ENDED_M and abs(angle[-1]) <= ENDED_DEG:
        return "straight"
    return None


def _stays(turned: NDArray[np.bool_], x: Floats, y: Floats) -> int | None:
    """Return the first sample from which on it is turned for some metres; None where it never is so long.

    What stands or slides aside may face anywhere for a moment.
    """
    for first in np.flatnonzero(turned & ~np.concatenate((np.zeros(1, bool), turned[:-1]))).tolist():
        back = np.flatnonzero(~turned[first:])
        last = first + int(back[0]) if len(back) else len(turned) - 1
        if np.hypot(x[first : last + 1] - x[first], y[first : last + 1] - y[first]).max() >= TURNED_M:
            return int(first)
    return None


def _turn_finding(entry: Entry, signals: Signals) -> Finding | None:
    verdict = red_verdict(entry, signals)
    if verdict is None or entry.frame.line.right_on_red != "after_stop":
        return None
    lowest = slowest_before(entry)
    if lowest is None:
        verdict = "undecidable"
    else:
        if lowest.value <= STOPPED_MPS:
            return None
        if lowest.value - 2 * lowest.sigma <= STOPPED_MPS:
            verdict = "undecidable"
    finding = red_finding("right_on_red_without_stop", entry, signals, verdict)
    if lowest is None:
        return finding
    return replace(finding, measures={**finding.measures, "min_speed_mps": lowest})


def slowest_before(entry: Entry) -> Measure | None:
    """Return the lowest speed in the last metres before the line; None where it was not seen there."""
    path = entry.path
    first, last = path.span(entry.instant.time - 30.0, entry.instant.time + HALF_S)
    rows = path.rows[first : min(last, path.done)]
    before_m = -entry.frame.beyond_m(*front(rows))
    end = int(np.searchsorted(rows[:, TIME], entry.instant.time, side="right"))
    # Only the last approach counts: what lies before the last time it was farther away does not.
    outside = np.flatnonzero(before_m[:end] > STOP_ZONE_M)
    start = int(outside[-1]) + 1 if len(outside) else 0
    if end - start < 2 or rows[end - 1, TIME] - rows[start, TIME] < 0.05:
        return None
    jitter_m, _ = noise_split(rows[start:, TIME], before_m[start:], rows[start:, SIGMA])
    return slowest(rows[:, TIME], rows[:, X], rows[:, Y], sigma_m=jitter_m, within=slice(start, end))
