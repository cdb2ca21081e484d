"""The keys of a glyph: the few snapped places between which it moves in straight lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from broker.drawing import GlyphKey
from edge.instants import Seen

# The grids of the contract: 4 px, 0.25 m, 15 degrees.
_PX, _M, _DEG = 4.0, 0.25, 15.0
# How far, in steps of its grid, a straight line may pass by a place: a resting road user whose place
# flickers over a border of the grid rests.
_TOLERANCE = 0.75
# A glyph this far beside the image is not drawn in the camera's view, in image widths.
_BESIDE = 0.5

_Place = tuple[float, ...]


def keys(users: Sequence[Seen | None], image_size: tuple[int, int]) -> tuple[GlyphKey, ...]:
    """Return the keys of one road user seen (or not) at each step."""
    found: list[GlyphKey] = []
    step = 0
    while step < len(users):
        if users[step] is None:
            step += 1
            continue
        end = step
        places = []
        pattern = None
        while end < len(users) and (user := users[end]) is not None:
            place = _place(user, image_size)
            if pattern is not None and pattern != tuple(map(math.isnan, place)):
                break
            pattern = tuple(map(math.isnan, place))
            places.append(place)
            end += 1
        found += _straight(places, start=step)
        if end < len(users) and users[end] is None:
            found.append((end, None, None, None, None, -1))
        step = end
    return tuple(found)


def _place(user: Seen, image_size: tuple[int, int]) -> _Place:
    """Return x, y in 4 px, x, y in 0.25 m and the heading in 15 degrees, not yet rounded."""
    width, height = image_size
    u, v = user.px
    seen = -_BESIDE * width <= u <= (1 + _BESIDE) * width and -_BESIDE * height <= v <= (1 + _BESIDE) * height
    u, v = (u, v) if seen else (math.nan, math.nan)
    x, y = user.ground
    return (u / _PX, v / _PX, x / _M, y / _M, user.heading_deg / _DEG)


def _straight(places: Sequence[_Place], *, start: int) -> list[GlyphKey]:
    """Return the keys of a stretch seen without a break.

    From each key the line to a later place is kept open as long as it passes all places between within
    the tolerance: the cone of slopes that do so narrows with each place.
    """
    places = _unwound(places)
    known = [n for n in range(5) if not math.isnan(places[0][n])]
    anchor = 0
    found = [_key(places[0], start)]
    while anchor < len(places) - 1:
        origin = _snapped(places[anchor])
        low, high = dict.fromkeys(known, -math.inf), dict.fromkeys(known, math.inf)
        reached = anchor + 1
        for n in range(anchor + 1, len(places)):
            length = n - anchor
            target = _snapped(places[n])
            if all(low[d] <= (target[d] - origin[d]) / length <= high[d] for d in known):
                reached = n
            for d in known:
                low[d] = max(low[d], (places[n][d] - _TOLERANCE - origin[d]) / length)
                high[d] = min(high[d], (places[n][d] + _TOLERANCE - origin[d]) / length)
            if any(low[d] > high[d] for d in known):
                break
        found.append(_key(places[reached], start + reached))
        anchor = reached
    return found


def _unwound(places: Sequence[_Place]) -> list[_Place]:
    """Return the places with headings that run on past a full turn instead of jumping back."""
    unwound: list[_Place] = []
    for place in places:
        heading = place[4]
        if unwound:
            before, full = unwound[-1][4], 360.0 / _DEG
            heading = before + (heading - before + full / 2) % full - full / 2
        unwound.append((*place[:4], heading))
    return unwound


def _snapped(place: _Place) -> _Place:
    return tuple(math.nan if math.isnan(n) else float(round(n)) for n in place)


def _key(place: _Place, step: int) -> GlyphKey:
    u, v, x, y = (None if math.isnan(n) else round(n) for n in place[:4])
    heading = -1 if math.isnan(place[4]) else round(place[4]) % round(360.0 / _DEG)
    return (step, u, v, x, y, heading)
