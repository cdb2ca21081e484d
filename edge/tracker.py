"""Tracks: which box of this frame is the road user of which box before.

A track lives in one recording, for as long as the road user is in view; its number is a small count that
never leaves the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.merging import FOUR_WHEELED, Merged, merged
from edge.scene import Kind
from models.detections import KINDS, Detections

if TYPE_CHECKING:
    from trackers import CBIoUTracker

Box = tuple[float, float, float, float]

# Best MOTA and IDF1 on PETS S2L1 (docs/tracking.md). A box under this score keeps a track alive, starts none.
STARTS_A_TRACK_SCORE = 0.45
_LOST_S = {"four-wheeled": 3.0, "other": 2.0}
_CONFIRM_HITS = 3
_CONFIRM_S = 0.08
# Who moves is predicted this long without a box. Who stands is where they stood, as long as the track lives.
_COAST_S = 1.0
_STANDS_AFTER_S = 1.0
_STANDS_WITHIN = 0.06
_VOTE_FADES_S = 6.0
_DRIFT_OVER_S = 0.5
# Whoever was once seen riding stays a cyclist through many frames that show the rider alone.
_RIDING_VOTE = 3.0
_FRAME_RATES_HZ = (4.0, 60.0)


@dataclass(frozen=True, slots=True)
class Track:
    """One road user in one frame.

    Attributes:
        number: 1, 2, 3, ... in the order they were first seen.
        box_px: left, top, right, bottom: as detected, or predicted where ``detection`` is None.
        kind: the class most of the recent boxes had.
        confirmed: seen often enough to be judged by a rule.
        detection: index of its box in the frame's detections; None while it is not detected.
        still: its box has not moved for a second.
    """

    number: int
    box_px: Box
    kind: Kind
    confirmed: bool
    detection: int | None
    still: bool = False


class RoadUserTracker(Protocol):
    """Joins the boxes of successive frames to tracks."""

    def update(self, detections: Detections, time: float) -> tuple[Track, ...]:
        """Return the tracks alive after a frame, in order of their number.

        Args:
            detections: of this frame.
            time: seconds UTC at capture, growing from call to call by any interval.
        """
        ...

    def foresee(self, time: float) -> tuple[Track, ...]:
        """Return the tracks as they are foreseen at a frame the detector did not look at.

        Args:
            time: seconds UTC at capture, after that of the last update.
        """
        ...

    @property
    def unsure(self) -> bool:
        """Whether the last update left a box that may be the first one of somebody's."""
        ...


@dataclass
class _Seen:
    """What is remembered of a track from frame to frame."""

    number: int
    votes: NDArray[np.float64]
    first: float
    last: float
    box: NDArray[np.float64]
    anchor: NDArray[np.float64]
    anchored: float
    hits: int = 0
    drift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))

    @property
    def kind(self) -> Kind:
        return KINDS[int(self.votes.argmax())]

    @property
    def confirmed(self) -> bool:
        return self.hits >= _CONFIRM_HITS and self.last - self.first >= _CONFIRM_S

    @property
    def still(self) -> bool:
        return self.last - self.anchored >= _STANDS_AFTER_S

    def see(self, box: NDArray[np.float32], kind: int, weight: float, time: float) -> None:
        self.votes *= math.exp(-(time - self.last) / _VOTE_FADES_S)
        self.votes[kind] += weight
        now = box.astype(np.float64)
        if time > self.last:
            # Pixels a second, over the last half second or so: boxes flicker from frame to frame.
            share = min((time - self.last) / _DRIFT_OVER_S, 1.0)
            self.drift = (1.0 - share) * self.drift + share * (now - self.box) / (time - self.last)
        self.box, self.last, self.hits = now, time, self.hits + 1
        reach = max(2.0, _STANDS_WITHIN * float((self.box[2:] - self.box[:2]).max()))
        # Both lower corners: a box whose one side flickers has not moved, one whose sides both shift has.
        if (np.abs(self.box - self.anchor)[[0, 2]] > reach).all() or abs(
            self.box[3] - self.anchor[3]
        ) > reach:
            self.anchor, self.anchored = self.box, time


class Tracker:
    """Tracks by buffered intersection over union (C-BIoU), four-wheeled vehicles apart from all others.

    Apart, because a pedestrian who passes in front of a car whose box is missing for a frame must not
    inherit the car's track.

    Source: Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier
    by Buffering the Matching Space", WACV 2023; the implementation is that of the package ``trackers``.
    """

    def __init__(self) -> None:
        self._groups = (_Group(_LOST_S["other"]), _Group(_LOST_S["four-wheeled"]))
        self._started = 0
        self._last = -math.inf

    def update(self, detections: Detections, time: float) -> tuple[Track, ...]:
        """See ``RoadUserTracker``."""
        time = max(time, self._last + 1e-3)
        self._last = time
        users = merged(detections)
        four_wheeled = np.isin(users.detections.kinds, FOUR_WHEELED)
        tracks: list[Track] = []
        for group, member in zip(self._groups, (~four_wheeled, four_wheeled), strict=True):
            tracks.extend(group.update(users, np.flatnonzero(member), time, self._number))
        return tuple(sorted(tracks, key=lambda track: track.number))

    def foresee(self, time: float) -> tuple[Track, ...]:
        """See ``RoadUserTracker``."""
        tracks = [track for group in self._groups for track in group.foreseen(time)]
        return tuple(sorted(tracks, key=lambda track: track.number))

    @property
    def unsure(self) -> bool:
        """Whether the last update left a box that may be the first one of somebody's."""
        return any(group.unsure for group in self._groups)

    def _number(self) -> int:
        self._started += 1
        return self._started


class _Count(Protocol):
    def __call__(self) -> int: ...


class _Group:
    """The tracks of one group of kinds, wrapped around the library's tracker."""

    def __init__(self, lost_s: float) -> None:
        self._lost_s = lost_s
        self._matcher: CBIoUTracker | None = None
        self._first: tuple[Merged, NDArray[np.intp], float] | None = None
        self._usual_s = self._before = math.inf
        self._seen: dict[int, _Seen] = {}
        self.unsure = False

    def update(
        self, users: Merged, members: NDArray[np.intp], time: float, number: _Count
    ) -> Iterable[Track]:
        if self._matcher is None:
            # The matcher's motion model counts in frames of a nominal rate (IDF1 on PETS S2L1, 10 frames a
            # second: .75 at that rate, .57 at the library's default 30): the first interval tells the rate.
            if self._first is None:
                self._first = (users, members, time)
                self.unsure = True
                return ()
            self._usual_s = time - self._first[2]
            self._matcher = _matcher(1.0 / self._usual_s, self._lost_s)
            self._match(*self._first, number)
        matched = self._match(users, members, time, number)
        return self._tracks(users, matched, time)

    def _match(self, users: Merged, members: NDArray[np.intp], time: float, number: _Count) -> dict[int, int]:
        """Return the member each of the library's tracks was matched to, and count the votes."""
        import supervision

        assert self._matcher is not None
        boxes, scores = users.detections.boxes_px[members], users.detections.scores[members]
        given = supervision.Detections(xyxy=boxes, confidence=scores, data={"member": members})
        pause_s = time - self._before - self._usual_s
        self._before = time
        result = self._matcher.update(given, timestamp=time)
        matched: dict[int, int] = {}
        for name, member in zip(_numbers(result.tracker_id), result.data.get("member", ()), strict=True):
            if name >= 0:
                matched[name] = int(member)
        for name in sorted(matched):
            member = matched[name]
            box = users.detections.boxes_px[member]
            seen = self._seen.get(name)
            if seen is None:
                start = box.astype(np.float64)
                seen = _Seen(number(), np.zeros(len(KINDS)), time, time, start, start, time)
                self._seen[name] = seen
            weight = float(users.detections.scores[member]) + _RIDING_VOTE * bool(users.ridden[member])
            seen.see(box, int(users.detections.kinds[member]), weight, time)
        if pause_s > self._usual_s / 2:
            self._steady()
        known = set(matched.values())
        self.unsure = any(not self._seen[name].confirmed for name in matched) or any(
            int(member) not in known for member in members[scores >= STARTS_A_TRACK_SCORE]
        )
        return matched

    def _steady(self) -> None:
        """After a pause, give the matcher's filter our own velocities.

        It takes the difference of the last two boxes for one, of their sizes too: a pedestrian's box that was
        a pixel narrower twice is foreseen without any width a pause later.
        """
        assert self._matcher is not None
        for tracklet in self._matcher.tracks:
            seen = self._seen.get(tracklet.tracker_id)
            if seen is not None:
                left, top, right, bottom = seen.drift * self._usual_s
                tracklet.state_estimator.kf.state[4:, 0] = (left + right) / 2, (top + bottom) / 2, 0.0, 0.0

    def foreseen(self, time: float) -> Iterable[Track]:
        """Give the tracks where they are foreseen: who stands where they stood, who moves moved on."""
        for seen in self._seen.values():
            ahead_s = time - seen.last
            if seen.still:
                yield Track(seen.number, _box(seen.box), seen.kind, seen.confirmed, None, still=True)
            elif ahead_s <= _COAST_S:
                yield Track(
                    seen.number, _box(seen.box + ahead_s * seen.drift), seen.kind, seen.confirmed, None
                )

    def _tracks(self, users: Merged, matched: dict[int, int], time: float) -> Iterable[Track]:
        assert self._matcher is not None
        alive = {
            tracklet.tracker_id: tracklet for tracklet in self._matcher.tracks if tracklet.tracker_id >= 0
        }
        self._seen = {name: seen for name, seen in self._seen.items() if name in alive}
        for name, seen in self._seen.items():
            member = matched.get(name)
            if member is not None:
                box, detection = users.detections.boxes_px[member], int(users.origin[member])
                yield Track(seen.number, _box(box), seen.kind, seen.confirmed, detection, seen.still)
                continue
            if seen.still:
                yield Track(seen.number, _box(seen.box), seen.kind, seen.confirmed, None, still=True)
            elif time - seen.last <= _COAST_S:
                box = alive[name].get_state_bbox()
                yield Track(seen.number, _box(box), seen.kind, seen.confirmed, None)


def _matcher(frame_rate_hz: float, lost_s: float) -> CBIoUTracker:
    from trackers import CBIoUTracker

    low, high = _FRAME_RATES_HZ
    return CBIoUTracker(
        lost_track_buffer=round(lost_s * 30),
        frame_rate=min(max(frame_rate_hz, low), high),
        track_activation_threshold=STARTS_A_TRACK_SCORE,
        high_conf_det_threshold=STARTS_A_TRACK_SCORE,
        minimum_consecutive_frames=2,
        instant_first_frame_activation=False,
    )


def _box(box: NDArray[np.float32] | NDArray[np.float64]) -> Box:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom


def _numbers(names: NDArray[np.integer[Any]] | None) -> list[int]:
    return [] if names is None else [int(name) for name in names]
