"""Where road users stand on the road: tracks in pixels become footprints in metres.

Each track is a solid of its kind's size (edge/shapes.py) that moves over the road; its box in the image says
where it stands (edge/boxfit.py). Everything is causal: a frame is judged by what came before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.camera import camera_of
from calibration.geometry import direction
from calibration.plane import Plane
from calibration.site import Site
from edge.boxfit import STATE, Boxes, View, fitted
from edge.hiding import hidden_edges
from edge.placed import CERTAIN, Placed, become, heading_sigma, move, roll, turn
from edge.scene import MOTOR_VEHICLES, PEDESTRIAN, Kind, RoadUser, Scene, Signals
from edge.shapes import SHAPES, padded
from edge.tracker import Track

Floats = NDArray[np.float64]

# Errors of a detector's box edges: so many pixels and such a share of the box (PETS S2L1, docs/tracking.md).
# What stays over a whole track (boxes that are always a little large) no filter averages out.
_EDGE_PX = 1.0
_LASTING_PX, _LASTING_SHARE = 1.0, 0.01
# Boxes of neighbouring frames err alike: frames closer in time than this tell nothing new between them.
_ERRS_ALIKE_S = 0.15
_BORDER_SHARE = 0.006
_FORGET_S = 5.0
# Whoever is less surely known than this is placed afresh by the next box.
_AFRESH_M = 6.0
_SIZE_SIGMAS = 3.0
# A small box tells no heading: a few pixels too wide would turn a bus by 40 degrees.
_TELLS_HEADING_PX = 90.0
_FASTEST_RUNNER_MPS = 7.0
# An edge this near to something in front of it may be where that begins, not where the road user ends.
_HIDDEN_PX = 5.0
_HEADINGS: Floats = np.asarray(np.deg2rad(np.arange(0.0, 180.0, 15.0)))
# A vehicle that has not moved yet, this close behind a stop line, is taken to wait at it, turned as its lane
# roughly is.
_LANE_HEADINGS = np.array([0.0, 10.0, -10.0, 20.0, -20.0, 30.0, -30.0])
_WAITS_WITHIN_M, _LANE_MARGIN_M = 40.0, 1.5


class Stage:
    """Places confirmed tracks on the road."""

    def __init__(self, plane: Plane | None, site: Site, signals: Signals) -> None:
        self._road = None if plane is None else _Road(plane, site)
        self._longest_s = 1.0 / site.thresholds.min_frame_rate_hz
        self._signals = signals
        self._last: float | None = None

    @property
    def velocities(self) -> Mapping[int, tuple[float, float]]:
        """Metres a second along x and y, by track, of those on the road at the last frame."""
        return {} if self._road is None else self._road.velocities

    def place(
        self,
        tracks: Sequence[Track],
        time: float,
        time_sigma_s: float,
        *,
        frame_before: float | None = None,
    ) -> Scene:
        """Return the scene at a frame: each confirmed track that stands before the horizon.

        Args:
            tracks: of this frame, as ``edge.tracker`` gives them.
            time: seconds UTC at capture.
            time_sigma_s: its 1-sigma error.
            frame_before: when the frame before was captured, where that one was not placed because the
                detector did not look at it.

        Returns:
            The scene; not trusted where there is no ground plane, and at a frame that came later after the
            one before than the site's least frame rate allows.
        """
        interval_s = math.inf if self._last is None else time - self._last
        if self._last is not None and frame_before is not None:
            since_frame_s = time - max(frame_before, self._last)
        else:
            since_frame_s = interval_s
        self._last = time
        if self._road is None:
            return Scene(time, time_sigma_s, (), self._signals, trusted=False)
        users = self._road.users(tracks, time, interval_s)
        late = math.isfinite(since_frame_s) and since_frame_s > self._longest_s
        return Scene(time, time_sigma_s, users, self._signals, trusted=not late)


class _Road:
    """What stands on the road, from frame to frame."""

    def __init__(self, plane: Plane, site: Site) -> None:
        self._plane = plane
        self._site = site
        self._view, self._solid = _view(plane)
        heads = [head.region_px for head in site.signal_heads]
        self._heads_px: Floats = np.asarray(heads, np.float64).reshape(-1, 4)
        width, height = plane.image_size
        margin = _BORDER_SHARE * width
        self._border = np.array([margin, margin, width - margin, height - margin])
        self._placed: dict[int, Placed] = {}

    @property
    def velocities(self) -> Mapping[int, tuple[float, float]]:
        return {number: (float(each.state[2]), float(each.state[3])) for number, each in self._placed.items()}

    def users(self, tracks: Sequence[Track], time: float, interval_s: float) -> tuple[RoadUser, ...]:
        """Return the confirmed tracks as road users."""
        self._advance(tracks, time)
        self._fit([track for track in tracks if track.detection is not None], time, interval_s)
        shown = [track for track in tracks if track.confirmed and track.number in self._placed]
        self._placed = {
            number: placed for number, placed in self._placed.items() if time - placed.time <= _FORGET_S
        }
        return self._users(shown)

    def _advance(self, tracks: Sequence[Track], time: float) -> None:
        """Move every track that is still alive to the time of this frame, and its error with it."""
        for track in tracks:
            placed = self._placed.get(track.number)
            if placed is None:
                continue
            if placed.kind != track.kind:
                become(placed, track.kind)
            step = time - placed.time
            move(placed, step, still=track.still)
            placed.time = time

    def _fit(self, tracks: Sequence[Track], time: float, interval_s: float) -> None:
        """Take in the boxes of this frame."""
        for track in tracks:
            placed = self._placed.get(track.number)
            if placed is None or placed.sigma_m > _AFRESH_M:
                self._start(track, time)
        seen = [(track, self._placed[track.number]) for track in tracks if track.number in self._placed]
        seen = [(track, placed) for track, placed in seen if placed.time == time]
        if not seen:
            return
        state, covariance, _ = fitted(
            np.stack([placed.state for _, placed in seen]),
            np.stack([_as_told(placed, track) for track, placed in seen]),
            np.stack([_POINTS[placed.kind] for _, placed in seen]),
            self._view,
            self._boxes([track for track, _ in seen], interval_s),
            size_limits=_size_limits([placed.kind for _, placed in seen]),
            rounds=2,
        )
        for index, (track, placed) in enumerate(seen):
            unsure = float(placed.covariance[7, 7])
            placed.state, placed.covariance = state[index], covariance[index]
            if not _tells_heading(track):
                placed.covariance[7, 7] = unsure
            roll(placed)
            turn(placed, whole=not self._at_border(track))

    def _start(self, track: Track, time: float) -> None:
        """Place a track for the first time: at the foot of its box, turned as its box fits best."""
        left, _, right, bottom = track.box_px
        foot = self._plane.ground(((left + right) / 2, min(bottom, self._plane.image_size[1] - 1.0)))
        if not np.isfinite(foot).all():
            return
        shape = SHAPES[track.kind]
        headings = self._headings(track.kind, foot)
        count = len(headings)
        state = np.zeros((count, STATE))
        state[:, :2], state[:, 4:7], state[:, 7] = foot, shape.size_m, headings
        reach = np.array([15.0, 15.0, shape.fastest_mps, shape.fastest_mps])
        covariance = np.diag(np.r_[reach, shape.size_sigma_m, heading_sigma(shape)] ** 2)
        boxes = self._boxes([track] * count, math.inf)
        state, covariances, misfit = fitted(
            state,
            np.repeat(covariance[None], count, axis=0),
            np.repeat(_POINTS[track.kind][None], count, axis=0),
            self._view,
            boxes,
            size_limits=_size_limits([track.kind] * count),
            rounds=6,
            doubt=False,
        )
        best = int(np.argmin(misfit))
        if not np.isfinite(misfit[best]):
            return
        placed = Placed(
            kind=track.kind,
            time=time,
            state=state[best],
            covariance=covariances[best],
            moved=False,
            tail=state[best, :2].copy(),
            tail_sigma_m=math.inf,
        )
        placed.tail_sigma_m = placed.sigma_m
        self._placed[track.number] = placed

    def _headings(self, kind: Kind, foot: Floats) -> Floats:
        """Return the headings a road user that has not moved yet may have, radians."""
        if kind == PEDESTRIAN:
            return np.zeros(1)
        if kind in MOTOR_VEHICLES:
            for line in self._site.stop_lines:
                ends = np.asarray(line.line, np.float64)[[0, -1]]
                ahead = direction(line.heading_deg)
                across = np.array([-ahead[1], ahead[0]])
                to_line = (ends.mean(axis=0) - foot) @ ahead
                sides = (ends - foot) @ across
                if (
                    0 < to_line < _WAITS_WITHIN_M
                    and sides.min() - _LANE_MARGIN_M < 0 < sides.max() + _LANE_MARGIN_M
                ):
                    return np.asarray(np.deg2rad(line.heading_deg + _LANE_HEADINGS))
        return _HEADINGS

    def _boxes(self, tracks: Sequence[Track], interval_s: float) -> Boxes:
        edges = np.array([track.box_px for track in tracks], np.float64)
        cut = np.concatenate([edges[:, :2] <= self._border[:2], edges[:, 2:] >= self._border[2:]], axis=1)
        cut |= hidden_edges(edges, self._heads_px, margin_px=_HIDDEN_PX)
        size = (edges[:, 2:] - edges[:, :2])[:, [0, 1, 0, 1]]
        share = np.array([SHAPES[track.kind].misfit for track in tracks])[:, None]
        sigma = np.hypot(_EDGE_PX, share * size)
        sigma *= math.sqrt(max(1.0, _ERRS_ALIKE_S / interval_s))
        if not self._solid:
            sigma = sigma * np.array([2.0, np.inf, 2.0, 1.0])
        return Boxes(edges, sigma, cut)

    def _at_border(self, track: Track) -> bool:
        left, top, right, bottom = track.box_px
        low_x, low_y, high_x, high_y = self._border
        return bool(left <= low_x or top <= low_y or right >= high_x or bottom >= high_y)

    def _users(self, tracks: Sequence[Track]) -> tuple[RoadUser, ...]:
        if not tracks:
            return ()
        placed = [self._placed[track.number] for track in tracks]
        feet = np.stack([each.state[:2] for each in placed])
        pixels = self._plane.image(feet)
        boxes = np.array([track.box_px for track in tracks], np.float64)
        lasting = np.hypot(_LASTING_PX, _LASTING_SHARE * (boxes[:, 3] - boxes[:, 1]))
        systematic = self._plane.sigma_m(pixels, lasting)
        users = []
        for track, each, pixel, error in zip(tracks, placed, pixels, systematic, strict=True):
            if not np.isfinite(pixel).all() or not math.isfinite(error):
                continue
            if track.kind == PEDESTRIAN and float(np.linalg.norm(each.state[2:4])) > _FASTEST_RUNNER_MPS:
                continue  # part of a vehicle, by its speed
            footprint = each.shape.footprint_m or (float(each.state[4]), float(each.state[5]))
            users.append(
                RoadUser(
                    track=track.number,
                    kind=track.kind,
                    x=float(each.state[0]),
                    y=float(each.state[1]),
                    heading_deg=math.degrees(math.remainder(each.state[7], math.tau))
                    if each.moved
                    else math.nan,
                    length_m=footprint[0],
                    width_m=footprint[1],
                    sigma_m=math.hypot(each.sigma_m, float(error)),
                    detection=track.detection,
                    px=(float(pixel[0]), float(pixel[1])),
                )
            )
        return tuple(users)


def _view(plane: Plane) -> tuple[View, bool]:
    """Return the camera's view, and whether it knows heights."""
    camera = camera_of(plane)
    if camera is not None:
        return View(camera.projection, camera.lens), True
    # No camera, no heights: solids are flat, and the top of a box says nothing.
    flat = np.linalg.inv(plane.to_metres)
    return View(np.stack([flat[:, 0], flat[:, 1], np.zeros(3), flat[:, 2]], axis=1), plane.lens), False


_POINTS: dict[Kind, Floats] = {kind: padded(shape.points) for kind, shape in SHAPES.items()}


def _size_limits(kinds: Sequence[Kind]) -> tuple[Floats, Floats]:
    """Return the smallest and largest sizes (N, 3) of kinds."""
    middle = np.stack([SHAPES[kind].size_m for kind in kinds])
    reach = _SIZE_SIGMAS * np.stack([SHAPES[kind].size_sigma_m for kind in kinds])
    return np.maximum(middle - reach, 0.1), middle + reach


def _as_told(placed: Placed, track: Track) -> Floats:
    """Return the covariance a box is fitted with: a small box tells a place, but no heading."""
    if _tells_heading(track):
        return placed.covariance
    told = placed.covariance.copy()
    told[7, :] = told[:, 7] = 0.0
    told[7, 7] = CERTAIN**2
    return told


def _tells_heading(track: Track) -> bool:
    left, top, right, bottom = track.box_px
    return max(right - left, bottom - top) >= _TELLS_HEADING_PX
