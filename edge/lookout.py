"""Decides frame by frame whether the detector looks: gathers what the policy (edge/attention.py) asks for.

It sees where something moves (the redactor's glance), who was there when the detector looked last, and the
lights.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.plane import Plane
from calibration.site import Site
from edge.attention import EVERY_FRAME_S, USUAL, Outlook, Policy, Reason, is_busy, wait_s
from edge.courses import Watched
from edge.redact import Glance
from edge.rules.places import Places
from edge.scene import RoadUser, Scene, Signals
from edge.tracker import Box, Track
from edge.zones import zone_mask

Bools = NDArray[np.bool_]

# The first second of a recording, and after a gap: tracks begin, and the frame rate is learnt.
SETTLES_S = 1.0
GAP_S = 0.5
# Quarter pixels: so many of nine neighbours have to change, else it is noise.
_NEIGHBOURS = 3
# A box reaches this far beyond itself, in its size and in quarter pixels: shadows, and boxes a little small.
_MARGIN, _MARGIN_CELLS = 0.15, 1
_STIRS_SHARE, _SUPPORT_SHARE = 0.03, 0.1
# Of its size; boxes of a thin pedestrian far away flicker by a third of it, too.
_BRIDGED_SHARE = 0.6
# Whoever was missed this near to the border of the picture has left it.
_BORDER_PX = 4.0
# A street that was busy is taken to be busy for so long: it is not left between two conflicts.
BUSY_S = 15.0
# Whoever has not moved for longer than any light is red is parked.
PARKED_S = 150.0
# Motion that nobody explains is another one after this long without.
_CALM_S = 1.0
# A look is known of so much later: the detector takes its time, and meanwhile frames are glanced at.
BEHIND_S = 0.32
# Times are sums of fractions: a look that is due a hair after this frame is due at it.
_HAIR_S = 1e-3


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the detector looks at a frame, and what for (or why not)."""

    look: bool
    reason: Reason


class Lookout:
    """Asked once a frame, in their order, before its detection; told once a frame what came of it.

    It decides by what the looks up to ``behind_s`` before the frame have shown, which hangs on the frames'
    times alone: a replay looks at the same frames, however long the detector takes.
    """

    behind_s = BEHIND_S

    def __init__(
        self,
        site: Site,
        *,
        plane: Plane | None,
        image_size: tuple[int, int],
        policy: Policy = USUAL,
    ) -> None:
        self.policy = policy
        self._places = Places.of(site)
        self._zone = zone_mask(site, plane, image_size)
        self._image_size = image_size
        self._start = math.nan
        self._before = math.nan
        self._looked = -math.inf
        self._stirred = -math.inf
        self._fruitless = 0
        self._newest = 0
        self._unsure = False
        self._tracks: dict[int, Track] = {}
        self._users: Mapping[int, RoadUser] = {}
        self._velocities: Mapping[int, tuple[float, float]] = {}
        self._seen_at = math.nan
        self._busy_at = -math.inf
        self._close_at = -math.inf
        self._moved_at: dict[int, float] = {}
        self._signals: Signals | None = None
        self.reasons: Counter[Reason] = Counter()
        self.passed_over = 0

    @property
    def zone_share(self) -> float:
        """How much of the picture matters."""
        return float(self._zone.mean())

    @property
    def looked_share(self) -> float | None:
        """The share of the frames so far that the detector looked at; None before the first."""
        looked = self.reasons.total()
        return looked / (looked + self.passed_over) if looked else None

    def decide(self, time: float, glance: Glance, foreseen: Sequence[Track]) -> Decision:
        """Return whether the detector looks at a frame.

        Args:
            foreseen: the tracks as the tracker foresees them at that time.
        """
        if not time - self._before <= GAP_S:
            self._start = time
        self._before = time
        wait, reason = self._wait(time, glance, foreseen)
        if time - self._looked < wait - _HAIR_S:
            self.passed_over += 1
            return Decision(False, reason)
        self._looked = time
        self._fruitless += reason == "newcomer"
        self.reasons[reason] += 1
        return Decision(True, reason)

    def saw(
        self,
        time: float,
        tracks: Sequence[Track],
        scene: Scene,
        velocities: Mapping[int, tuple[float, float]],
        *,
        unsure: bool,
    ) -> None:
        """Take in what a look has shown.

        Args:
            velocities: metres a second, by track.
            unsure: the tracker saw a box that may be the first of somebody's.
        """
        newest = max((track.number for track in tracks), default=0)
        if newest > self._newest:
            self._fruitless, self._newest = 0, newest
        self._tracks, self._seen_at = {track.number: track for track in tracks}, time
        self._users = {user.track: user for user in scene.users}
        self._moved_at = {number: moved for number, moved in self._moved_at.items() if number in self._tracks}
        self._velocities = velocities
        self._unsure = unsure
        self._signals = scene.signals

    def _has_left(self, box: Box) -> bool:
        """Return whether a box reaches the border of the picture, or beyond."""
        left, top, right, bottom = box
        width, height = self._image_size
        return min(left, top, width - right, height - bottom) < _BORDER_PX

    def _is_parked(self, number: int, time: float, *, active: bool) -> bool:
        if active:
            self._moved_at[number] = time
        return time - self._moved_at.setdefault(number, time) > PARKED_S

    def _wait(self, time: float, glance: Glance, foreseen: Sequence[Track]) -> tuple[float, Reason]:
        if time - self._start < SETTLES_S or glance.motion is None:
            return EVERY_FRAME_S, "start"
        changed = _dense(glance.motion.changed)
        unexplained, moving = changed & self._zone, glance.motion.moving
        ahead_s = time - self._seen_at
        users, adrift = [], 0
        # Who moves comes first: a pedestrian who passes a waiting car explains what changes in its box.
        for track in sorted(foreseen, key=lambda track: track.still):
            stirs = supported = False
            for box in {track.box_px, self._tracks.get(track.number, track).box_px}:
                window = _window(box)
                inside = changed[window]
                stirs |= int(inside.sum()) >= max(_STIRS_SHARE * inside.size, 2)
                supported |= int(moving[window].sum()) >= _SUPPORT_SHARE * inside.size
                unexplained[window] = False
                if not track.still:
                    changed[window] = False
            user = self._users.get(track.number)
            if user is None:
                adrift += stirs or not track.still
                continue
            if user.detection is None and self._has_left(track.box_px):
                continue
            # Who is told from the road and has not changed by a pixel's breadth has not moved, whatever the
            # filter still thinks of their speed.
            stands = not stirs and (supported or track.still)
            vx, vy = (0.0, 0.0) if stands else self._velocities.get(track.number, (0.0, 0.0))
            x, y = user.x + ahead_s * vx, user.y + ahead_s * vy
            overlaps_s = _overlaps_s(self._tracks.get(track.number, track).box_px, track.box_px, ahead_s)
            watched = Watched(
                user.kind, x, y, vx, vy, user.length_m, stirs, overlaps_s, user.width_m, user.heading_deg
            )
            parked = self._is_parked(track.number, time, active=watched.active)
            users.append(dataclasses.replace(watched, parked=parked))
        newcomers = bool(unexplained.any())
        if newcomers:
            self._stirred = time
        elif time - self._stirred > _CALM_S:
            self._fruitless = 0
        outlook = Outlook(
            time=time,
            users=users,
            signals=self._signals,
            adrift=adrift,
            unsure=self._unsure,
            newcomers=newcomers,
            fruitless=self._fruitless,
        )
        if is_busy(outlook, self.policy):
            self._busy_at = time
        outlook = dataclasses.replace(outlook, busy=time - self._busy_at < BUSY_S)
        return self._held(time, *wait_s(outlook, self._places, self.policy))

    def _held(self, time: float, wait: float, reason: Reason) -> tuple[float, Reason]:
        """Return how old the last look may be, where two were about to meet a moment ago."""
        if reason == "conflict" and wait == self.policy.close_s:
            self._close_at = time
        if time - self._close_at < self.policy.held_s and wait > self.policy.near_s:
            return self.policy.near_s, "conflict"
        return wait, reason


def _overlaps_s(last: Box, foreseen: Box, ahead_s: float) -> float:
    """Return in what time a box moves by the share of its size that a tracker still bridges."""
    across = abs(foreseen[0] + foreseen[2] - last[0] - last[2]) / 2
    down = abs(foreseen[1] + foreseen[3] - last[1] - last[3]) / 2
    moved = max(across / max(last[2] - last[0], 1.0), down / max(last[3] - last[1], 1.0))
    return _BRIDGED_SHARE * ahead_s / moved if moved > 0 and ahead_s > 0 else math.inf


def _window(box: Box) -> tuple[slice, slice]:
    """Return the quarter pixels of a box with its margin."""
    left, top, right, bottom = (edge / 4 for edge in box)
    across = _MARGIN * (right - left) + _MARGIN_CELLS
    down = _MARGIN * (bottom - top) + _MARGIN_CELLS
    return (
        slice(max(int(top - down), 0), max(int(bottom + down) + 1, 0)),
        slice(max(int(left - across), 0), max(int(right + across) + 1, 0)),
    )


def _dense(changed: Bools) -> Bools:
    """Return what changed together with its neighbours: single cells are noise."""
    counts = cv2.boxFilter(
        changed.view(np.uint8), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(changed & (counts >= _NEIGHBOURS))
