"""The drawing list of one event: shapes at snapped places, ten times a second, and the lamps from data."""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from broker.drawing import Clip, Glyph, GlyphKey, Lamp, LampChange, MoverCells
from calibration.site import Site
from edge.instants import KINDS, Instant, Seen
from edge.keys import keys
from edge.rules.finding import Finding
from edge.scene import VULNERABLE, Kind, Signals
from edge.strays import chains

STEP_S = 0.1
SNAP_M = 0.25
MAX_BYTES = 100_000
# Two frames further apart than this have a gap between them, and nothing is drawn in it.
GAP_S = 0.5
# Where fewer of the instants can be drawn than this, the clip would mislead.
_MIN_DRAWN_SHARE = 0.5
# Motion that no box explains is shown five times a second: it has no shape to move.
_MOVER_STEPS = 2
# A flicker in the motion support of one or two steps says nothing.
_MIN_HOLLOW_STEPS = 3
_MAX_GLYPHS, _MAX_SPANS = 300, 250

Role = Literal["first", "second", "other"]
Span = tuple[int, int]


@dataclass(frozen=True)
class _Drawn:
    """One glyph to be, with what decides whether it stays if the clip grows too large."""

    kind: Kind
    role: Role
    keys: tuple[GlyphKey, ...]
    hollow: tuple[Span, ...]
    away_m: float

    @property
    def order(self) -> tuple[object, ...]:
        """By kind and place alone: no order of tracks shows."""
        places = tuple(tuple(math.inf if n is None else n for n in key) for key in self.keys)
        return (KINDS.index(self.kind), self.role, places, self.hollow)


@dataclass(frozen=True)
class _Steps:
    """The instants of a clip and the frames beside each."""

    start_s: float
    times: tuple[float, ...]
    beside: tuple[tuple[Instant, Instant, float] | None, ...]

    @property
    def blanks(self) -> tuple[Span, ...]:
        return spans([each is None for each in self.beside])


def clip_of(
    finding: Finding,
    instants: Sequence[Instant],
    *,
    site: Site,
    signals: Signals,
    image_size: tuple[int, int],
    before_s: float,
    after_s: float,
    rng: random.Random,
) -> Clip | None:
    """Draw the seconds around an event.

    Args:
        instants: in order of time, around the event.

    Returns:
        None where the instant of the event, or half of the others, cannot be drawn: the redactor failed
        there, or no frame came. Single such instants are left blank and named in ``blanks``.
    """
    steps = _steps(finding.time, instants, before_s=before_s, after_s=after_s)
    if steps is None:
        return None
    drawn = [*_tracked(finding, steps, image_size), *_untracked(steps, image_size)]
    drawn = sorted(drawn, key=lambda each: (each.role == "other", each.away_m, each.order))[:_MAX_GLYPHS]
    clip = Clip(
        plate=None,
        start_s=steps.start_s,
        step_s=STEP_S,
        steps=len(steps.times),
        cell_px=instants[0].cell_px,
        columns=instants[0].columns,
        glyphs=(),
        movers=_movers(steps, instants[0]),
        lamps=_lamps(site, signals, event_time=finding.time, times=steps.times),
        blanks=steps.blanks,
        spot=_spot(finding),
    )
    numbers = list(range(1, 1 + sum(each.kind in VULNERABLE for each in drawn)))
    rng.shuffle(numbers)
    return _within_size(clip, drawn, numbers)


def spans(flags: Sequence[bool]) -> tuple[Span, ...]:
    """Return (from, to) of each run of True, ``to`` exclusive."""
    found: list[Span] = []
    for step, flag in enumerate(flags):
        if flag and found and found[-1][1] == step:
            found[-1] = (found[-1][0], step + 1)
        elif flag:
            found.append((step, step + 1))
    return tuple(found)


def _steps(
    event_time: float, instants: Sequence[Instant], *, before_s: float, after_s: float
) -> _Steps | None:
    if not instants:
        return None
    first, last = -round(before_s / STEP_S), round(after_s / STEP_S)
    frames = [instant.time for instant in instants]
    # A recording that starts or ends within the window makes a shorter clip, not a blank one.
    at = [
        step
        for step in range(first, last + 1)
        if frames[0] - STEP_S <= event_time + step * STEP_S <= frames[-1] + STEP_S
    ]
    if not at or at[0] > 0:
        return None
    times = tuple(event_time + step * STEP_S for step in at)
    beside = tuple(_beside(instants, frames, time) for time in times)
    drawn = [each is not None for each in beside]
    event_step = min(-at[0], len(at) - 1)
    if not drawn[event_step] or sum(drawn) < _MIN_DRAWN_SHARE * len(drawn):
        return None
    return _Steps(round(at[0] * STEP_S, 1), times, beside)


def _beside(
    instants: Sequence[Instant], frames: Sequence[float], time: float
) -> tuple[Instant, Instant, float] | None:
    """Return the frames before and after an instant and how far between them it lies; None: draw nothing."""
    after = bisect.bisect_right(frames, time)
    earlier, later = instants[max(after - 1, 0)], instants[min(after, len(instants) - 1)]
    if earlier.faulty or later.faulty or later.time - earlier.until > GAP_S:
        return None
    span = later.time - earlier.time
    return earlier, later, 0.0 if span <= 0 else min(max((time - earlier.time) / span, 0.0), 1.0)


def _tracked(finding: Finding, steps: _Steps, image_size: tuple[int, int]) -> list[_Drawn]:
    """Return a glyph for each confirmed track."""
    seen: dict[int, list[Seen | None]] = {}
    for step, beside in enumerate(steps.beside):
        if beside is None:
            continue
        for user in _between(*beside):
            if user.track is not None:
                seen.setdefault(user.track, [None] * len(steps.times))[step] = user
    roles: dict[int, Role] = {}
    for track, role in zip(finding.tracks, ("first", "second"), strict=False):
        roles.setdefault(track, "first" if role == "first" else "second")
    return [
        _drawn(users, image_size, role=roles.get(track, "other"), spot=(finding.x, finding.y))
        for track, users in seen.items()
    ]


def _untracked(steps: _Steps, image_size: tuple[int, int]) -> list[_Drawn]:
    """Return a glyph for each row of boxes, half a second or longer, that no track stands for."""
    nearest: list[list[Seen]] = []
    for beside in steps.beside:
        instant = None if beside is None else beside[0] if beside[2] < 0.5 else beside[1]
        nearest.append([] if instant is None else list(instant.strays()))
    nowhere = (math.nan, math.nan)
    return [_drawn(chain, image_size, role="other", spot=nowhere) for chain in chains(nearest)]


def _between(earlier: Instant, later: Instant, share: float) -> Iterable[Seen]:
    """Give the road users between two frames, moved in a straight line."""
    before = {user.track: user for user in earlier.users()}
    after = {user.track: user for user in later.users()}
    for track, user in (before | after).items():
        if track in before and track in after:
            yield _mixed(before[track], after[track], share)
        elif (track in before) == (share < 0.5):
            yield user


def _mixed(a: Seen, b: Seen, share: float) -> Seen:
    nearer = a if share < 0.5 else b
    turn = (b.heading_deg - a.heading_deg + 180.0) % 360.0 - 180.0
    heading = (a.heading_deg + share * turn) % 360.0
    return replace(
        nearer,
        px=_lerp(a.px, b.px, share),
        ground=_lerp(a.ground, b.ground, share),
        heading_deg=nearer.heading_deg if math.isnan(heading) else heading,
    )


def _lerp(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))


def _drawn(
    users: Sequence[Seen | None], image_size: tuple[int, int], *, role: Role, spot: tuple[float, float]
) -> _Drawn:
    there = [user for user in users if user is not None]
    counts = Counter(user.kind for user in there)
    kind = max(KINDS, key=lambda each: counts[each])
    hollow = tuple(
        span
        for span in spans([user is not None and not user.moved for user in users])
        if span[1] - span[0] >= _MIN_HOLLOW_STEPS
    )
    away = [math.dist(user.ground, spot) for user in there]
    nearest = min((each for each in away if math.isfinite(each)), default=math.inf)
    return _Drawn(kind, role, keys(users, image_size), hollow[:_MAX_SPANS], nearest)


def _movers(steps: _Steps, grid: Instant) -> tuple[MoverCells, ...]:
    """Return the unexplained cells; a cell counts if it or a neighbour moved one such step before, too."""
    found = []
    previous: frozenset[int] = frozenset()
    for step in range(0, len(steps.times), _MOVER_STEPS):
        beside = steps.beside[step]
        cells = () if beside is None else (beside[0] if beside[2] < 0.5 else beside[1]).cells
        near = {
            cell + down * grid.columns + across
            for cell in previous
            for down in (-1, 0, 1)
            for across in (-1, 0, 1)
            if 0 <= cell % grid.columns + across < grid.columns
        }
        lasting = tuple(cell for cell in cells if cell in near)
        if lasting:
            found.append(MoverCells(step=step, cells=lasting))
        previous = frozenset(cells)
    return tuple(found)


def _lamps(site: Site, signals: Signals, *, event_time: float, times: Sequence[float]) -> tuple[Lamp, ...]:
    start, end = times[0], times[-1]
    groups = site.signal_groups | {head.signal_group for head in site.signal_heads}
    lamps = []
    for group in sorted(groups)[:64]:
        changes = [LampChange(at_s=_relative(start, event_time), state=signals.at(group, start).state)]
        changes += [
            LampChange(at_s=_relative(reading.since, event_time), state=reading.state)
            for reading in signals.changes(group, start, end)
            if reading.since is not None
        ]
        lamps.append(Lamp(group=group, changes=tuple(changes[:200])))
    return tuple(lamps)


def _relative(time: float, event_time: float) -> float:
    return round(time - event_time, 1) + 0.0


def _spot(finding: Finding) -> tuple[int, int] | None:
    if not (math.isfinite(finding.x) and math.isfinite(finding.y)):
        return None
    return (round(finding.x / SNAP_M), round(finding.y / SNAP_M))


def _within_size(clip: Clip, drawn: Sequence[_Drawn], numbers: Sequence[int]) -> Clip | None:
    """Add the glyphs, leaving out what matters least until the clip is small enough to travel.

    First goes the unexplained motion, then road users without a part in the event, from the farthest on.
    """
    for movers, share in ((True, 1.0), (False, 1.0), (False, 0.5), (False, 0.25), (False, 0.0)):
        kept = [
            each
            for n, each in enumerate(drawn)
            if each.role != "other" or n < max(share * len(drawn), 1 if share else 0)
        ]
        whole = clip.model_copy(
            update={"glyphs": _glyphs(kept, numbers), "movers": clip.movers if movers else ()}
        )
        if len(whole.encode()) <= MAX_BYTES:
            return whole
    return None


def _glyphs(drawn: Sequence[_Drawn], numbers: Sequence[int]) -> tuple[Glyph, ...]:
    """Return the glyphs as they are drawn: vehicles first, vulnerable road users on top, by their number."""
    ordered = sorted(drawn, key=lambda each: each.order)
    vehicles = [each for each in ordered if each.kind not in VULNERABLE]
    vulnerable = [each for each in ordered if each.kind in VULNERABLE]
    numbered = sorted(zip(numbers, vulnerable, strict=False), key=lambda pair: pair[0])
    return tuple(
        Glyph(kind=each.kind, number=number, role=each.role, keys=each.keys, hollow=each.hollow)
        for number, each in [*((None, each) for each in vehicles), *numbered]
    )
