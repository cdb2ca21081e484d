"""Blocking the box: entering a junction without room to leave it, confirmed by standing in it at red.

Judged at entry: the light was not red, and the vehicle that stands ahead of it at red was slow already then,
so that there was no room to see. Confirmed when the light turns red: it stands inside the box, close behind
another that stands, for a second at least. Who waits inside for a gap to turn has nobody standing ahead and
blocks nothing.

The box is drawn in the site file (``[[boxes]]``); without one it is the space between the stop lines.

Source: Uniform Vehicle Code 11-1112 (obstructing intersection); New York City Traffic Rules 4-07(b)(2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from calibration.site import Site
from edge.rules.entries import Entry
from edge.rules.finding import Finding, Measure
from edge.rules.pair_errors import SLOWEST_MPS
from edge.rules.path import POSITION_SIGMA, SPEED, SX, SY, TIME, TIME_SIGMA, X, Y
from edge.rules.red_light_entry import RED
from edge.rules.samples import Floats
from edge.rules.ticks import (
    TCX,
    TCY,
    TICK_S,
    TLENGTH,
    TVX,
    TVY,
    TX,
    TY,
    TickBoard,
    TickTrack,
)
from edge.rules.verdict import shown
from edge.scene import SignalReading, Signals

STANDING_MPS = 0.5
# It stands inside at red for at least this long.
CONFIRM_S = 1.0
# Who entered just before red may still be rolling up to the queue then.
COMING_S = 1.5
# Longer after red is not followed: the record says "at least".
FOLLOW_S = 10.0
# A red later than this after the entry is another story.
LONGEST_S = 60.0
# Who stands ahead: bumper to bumper no farther than this, facing much the same way.
AHEAD_M = 6.0
ASIDE_M = 2.5
SAME_WAY_COSINE = math.cos(math.radians(60))
# Slower than this at the moment of the entry the one ahead was seen to be stuck.
STUCK_MPS = 2.5


@dataclass(frozen=True, eq=False)
class Box:
    """The area to be kept clear; ``shape`` is a shapely polygon."""

    place: str
    shape: Any

    @classmethod
    def all_of(cls, site: Site) -> tuple[Box, ...]:
        """Return the drawn boxes, else the space between the stop lines; none if these face one way."""
        if site.boxes:
            return tuple(cls(box.id, _prepared(shapely.Polygon(box.polygon))) for box in site.boxes)
        headings = [math.radians(line.heading_deg) for line in site.stop_lines]
        turned = any(math.cos(a - b) < 0.5 for a in headings for b in headings)
        if len(headings) < 2 or not turned:
            return ()
        hull = shapely.MultiPoint([point for line in site.stop_lines for point in line.line]).convex_hull
        for walk in site.crosswalks:
            hull = hull.difference(shapely.make_valid(shapely.Polygon(walk.polygon)))
        return (cls("junction", _prepared(hull)),) if hull.area > 20 else ()


def _prepared(shape: Any) -> Any:
    shapely.prepare(shape)
    return shape


def judge_inside(
    entry: Entry, boxes: tuple[Box, ...], board: TickBoard, signals: Signals
) -> tuple[bool, Finding | None]:
    """Return whether the entry's end is known by now, and the finding it then makes."""
    group = entry.frame.line.signal_group
    path = entry.path
    if group is None or not boxes or not path.done:
        return True, None
    now = float(path.rows[path.done - 1, TIME])
    instant = entry.instant
    if RED & shown(signals, group, instant.time, instant.sigma_s).states:
        return True, None
    reds = [each for each in signals.changes(group, instant.time, now) if each.state == "red"]
    if not reds:
        # Who waits between the line and the box has it still before it.
        done = path.ended or now > instant.time + LONGEST_S or _been_through(entry, boxes, now)
        return done, None
    red = reds[0].since
    assert red is not None
    first, last = path.span(red, min(now, red + FOLLOW_S))
    rows = path.rows[first : min(last, path.done)]
    for box in boxes:
        inside = shapely.contains_xy(box.shape, rows[:, SX], rows[:, SY])
        still = inside & (rows[:, SPEED] < STANDING_MPS)
        if not still.any():
            continue
        came = int(np.flatnonzero(inside)[0])
        moved = came + np.flatnonzero(~inside[came:])
        if not len(moved) and now < red + FOLLOW_S and not path.ended:
            return False, None
        soon = rows[:, TIME] <= red + CONFIRM_S + COMING_S
        if _stood_s(rows[soon, TIME], still[soon]) < CONFIRM_S or not _stuck_behind(entry, red, board):
            return True, None
        stay = _stay(rows, int(moved[0]) if len(moved) else None, reds[0])
        return True, _finding(entry, box, signals, stay)
    known = path.ended or now > red + CONFIRM_S + 0.5
    return known, None


def _stay(rows: Floats, out: int | None, red: SignalReading) -> Measure:
    """Return how long it stayed after the onset of red; ``out`` is its first row outside.

    It left between two rows: an even chance over their distance errs by that over √12. Besides err the place,
    over the speed, and the clocks of frames and signal.
    """
    assert red.since is not None
    if out is None:
        error = math.hypot(red.sigma_s, float(rows[-1, TIME_SIGMA]))
        return Measure(float(rows[-1, TIME]) - red.since, error)
    step_s = float(rows[out, TIME] - rows[out - 1, TIME])
    place_s = float(rows[out, POSITION_SIGMA]) / max(float(rows[out, SPEED]), SLOWEST_MPS)
    error = math.hypot(step_s / math.sqrt(12), place_s, red.sigma_s, float(rows[out, TIME_SIGMA]))
    return Measure(float(rows[out, TIME]) - step_s / 2 - red.since, error)


def _been_through(entry: Entry, boxes: tuple[Box, ...], now: float) -> bool:
    """Return whether it has been in a box since its entry and is in none by now."""
    first, last = entry.path.span(entry.instant.time, now + 1e-6)
    rows = entry.path.rows[first : min(last, entry.path.done)]
    inside = np.any([shapely.contains_xy(box.shape, rows[:, X], rows[:, Y]) for box in boxes], axis=0)
    return bool(inside.any() and not inside[-1])


def _stood_s(times: Floats, still: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(np.diff(times)[still[1:] & still[:-1]].sum())


def _stuck_behind(entry: Entry, red: float, board: TickBoard) -> bool:
    """Return whether one stands ahead at red that was slow already when this one entered."""
    own = board.tracks.get(entry.path.serial)
    if own is None:
        return False
    at_red, at_entry = round((red + CONFIRM_S) / TICK_S), round(entry.instant.time / TICK_S)
    me = _row(own, at_red)
    if me is None:
        return False
    nearest: tuple[float, TickTrack] | None = None
    for other in board.tracks.values():
        there = _row(other, at_red)
        if other is own or other.pedestrian or there is None or _speed_mps(other, at_red) > STANDING_MPS:
            continue
        same = me[TCX] * there[TCX] + me[TCY] * there[TCY]
        ahead, aside = _bumper_to_bumper(me, there)
        in_its_way = -1.0 <= ahead <= AHEAD_M and aside < ASIDE_M and same > SAME_WAY_COSINE
        # Who stands farther ahead says nothing: the one in between came in after it, or from elsewhere.
        if in_its_way and (nearest is None or ahead < nearest[0]):
            nearest = (ahead, other)
    if nearest is None or _row(nearest[1], at_entry) is None:
        return False
    return _speed_mps(nearest[1], at_entry) < STUCK_MPS


def _bumper_to_bumper(me: Floats, there: Floats) -> tuple[float, float]:
    """Return how far the other's rear is ahead of the own front, and beside it, metres.

    Along the chord of the turn between the two headings: who turns behind another has it neither straight
    ahead nor at its side.
    """
    gap_x = there[TX] - there[TLENGTH] / 2 * there[TCX] - me[TX] - me[TLENGTH] / 2 * me[TCX]
    gap_y = there[TY] - there[TLENGTH] / 2 * there[TCY] - me[TY] - me[TLENGTH] / 2 * me[TCY]
    ux, uy = me[TCX] + there[TCX], me[TCY] + there[TCY]
    length = max(math.hypot(ux, uy), 1e-9)
    return float(gap_x * ux + gap_y * uy) / length, abs(float(gap_y * ux - gap_x * uy)) / length


def _row(track: TickTrack, tick: int) -> Floats | None:
    return np.asarray(track.rows[tick - track.start]) if track.start <= tick < track.end else None


def _speed_mps(track: TickTrack, tick: int) -> float:
    """Return the speed over the second around a tick, in which noise averages out."""
    rows = track.between(tick - 5, tick + 5).rows
    return float(np.hypot(rows[:, TVX].mean(), rows[:, TVY].mean()))


def _finding(entry: Entry, box: Box, signals: Signals, stay: Measure) -> Finding:
    instant = entry.instant
    group = entry.frame.line.signal_group or ""
    return Finding(
        rule="blocking_box",
        outcome="undecidable" if entry.doubtful else "occurred",
        time=instant.time,
        time_sigma_s=instant.sigma_s,
        place=entry.frame.line.id if box.place == "junction" else box.place,
        road_user=entry.kind,
        signal=signals.at(group, instant.time),
        measures={
            "inside_at_red_s": stay,
            "speed_mps": Measure(entry.speed_mps, entry.speed_sigma_mps),
        },
        x=entry.x,
        y=entry.y,
        tracks=(entry.path.number,),
    )
