"""Who turns, and TTC of two of whom one does: each follows the way it really takes.

Projected straight on, a turning car runs into the oncoming lane.

Source: Gettman et al., FHWA-HRT-08-051 (2008).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.measures import Footprints, separation_m
from edge.rules.meetings import Meeting
from edge.rules.pair_errors import row_at
from edge.rules.samples import Floats, Integers
from edge.rules.ticks import TCX, TCY, TICK_S, TVX, TVY, TX, TY, TickTrack

# A vehicle that turns by this much within the next seconds is followed along its way.
TURNING_DEG = 20.0
TURN_AHEAD_S = 3.0
# Who turns by less is taken straight on, and from this much on where to is in doubt.
BENDING_DEG = 10.0


def drift_mps(track: TickTrack, tick: int) -> float:
    """Return how fast a vehicle at the end of a bend moves across its heading; 0 elsewhere.

    Its middle swings out, and the second around reaches into the bend: straight on is where it faces or
    where it moves, and from one lane into the next lie a few degrees.
    """
    if not turning(track, np.array([tick]), BENDING_DEG)[0]:
        return 0.0
    row = row_at(track, tick)
    return abs(float(row[TVX] * row[TCY] - row[TVY] * row[TCX]))


def turning(track: TickTrack, ticks: Integers, least_deg: float = TURNING_DEG) -> NDArray[np.bool_]:
    """Return at which of some ticks a track turns within the seconds before and after it."""
    rows = track.rows
    ahead = round(TURN_AHEAD_S / TICK_S)
    index = ticks - track.start
    later, earlier = np.minimum(index + ahead, len(rows) - 1), np.maximum(index - ahead // 3, 0)
    facing = rows[earlier, TCX] * rows[later, TCX] + rows[earlier, TCY] * rows[later, TCY]
    return np.asarray((facing < math.cos(math.radians(least_deg))) & (not track.pedestrian))


def along_ways(meeting: Meeting, ticks: Integers, *, less_m: float = 0.0) -> Floats:
    """Return TTC with each following its own way at its present speed, ``inf`` beyond the horizon."""
    horizon = np.arange(0.0, 3.0 + 1e-9, TICK_S)
    one, other = (_projected(track, ticks, horizon, less_m) for track in (meeting.first, meeting.second))
    apart = separation_m(one, other)
    touching = apart <= 0
    at = touching.argmax(axis=1)
    row = np.arange(len(apart))
    previous = np.maximum(at - 1, 0)
    now, before = apart[row, at], apart[row, previous]
    share = np.where(at > 0, before / np.maximum(before - now, 1e-9), 0.0)
    ttc = horizon[previous] + share * TICK_S
    return np.asarray(np.where(touching.any(axis=1), ttc, np.inf))


def _projected(track: TickTrack, ticks: Integers, horizon: Floats, less_m: float) -> Footprints:
    """Return where a track would be (ticks, horizon) on its own way, straight on beyond its end."""
    rows = track.rows
    steps = np.hypot(np.diff(rows[:, TX]), np.diff(rows[:, TY]))
    way = np.concatenate((np.zeros(1), np.cumsum(steps)))
    index = ticks - track.start
    reach = way[index][:, None] + track.speeds()[index][:, None] * horizon
    # Standing still makes no way: the last of equal distances is where it goes on from.
    keep = np.append(np.diff(way) > 1e-6, True)
    own, pose = way[keep], rows[keep]
    columns = [np.interp(reach, own, pose[:, column]) for column in (TX, TY, TCX, TCY)]
    norm = np.maximum(np.hypot(columns[2], columns[3]), 1e-9)
    over = np.maximum(reach - own[-1], 0.0)
    half = narrowed(rows[index][:, 4:6] / 2, less_m)
    shape = reach.shape
    return Footprints(
        columns[0] + over * pose[-1, TCX],
        columns[1] + over * pose[-1, TCY],
        columns[2] / norm,
        columns[3] / norm,
        np.broadcast_to(half[:, :1], shape),
        np.broadcast_to(half[:, 1:], shape),
    )


def narrowed(half_m: Floats, less_m: float) -> Floats:
    """Return half a length or width of a body that is less by so much."""
    return np.maximum(half_m - less_m / 2, 0.0)
