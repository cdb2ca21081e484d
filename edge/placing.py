"""Where road users stand on the road: tracks in pixels become footprints in metres.

Each track is a solid of its kind's size (edge/shapes.py) that moves over the road; its box in the image says
where it stands (edge/boxfit.py). Everything is causal: a frame is judged by what came before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import camera_of
from calibration.geometry import direction
from calibration.plane import Plane
from calibration.site import Site
from edge.boxfit import STATE, Boxes, View, fitted
from edge.hiding import hidden_edges
from edge.scene import MOTOR_VEHICLES, PEDESTRIAN, Kind, RoadUser, Scene, Signals
from edge.shapes import SHAPES, Shape, padded
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
# What a box that stands still allows of speed, and of change to it.
_STILL_MPS, _STILL_MPS2 = 0.1, 0.5
_STEERING_SHARE = 0.5
# A small box tells no heading: a few pixels too wide would turn a bus by 40 degrees.
_TELLS_HEADING_PX = 90.0
_CERTAIN = 1e-4  # radians; nought would leave nothing to solve for
# A long vehicle that rolls goes where it points, but for this share of its speed.
_ROLLS_MPS, _CUTS_CORNERS = 1.5, 0.1
_FASTEST_RUNNER_MPS = 7.0
# Of a long vehicle the box tells the heading as well as the rope does, and the two are weighed: error of the
# rope, change of heading per root second, and what is too far off to be weighed, radians.
_ROPE_SIGMA, _TURN_PER_ROOT_S, _ANOTHER_HEADING = 0.07, 0.3, 0.9
# An edge this near to something in front of it may be where that begins, not where the road user ends.
_HIDDEN_PX = 5.0
_UNSURE_HEADING = math.sin(math.radians(20.0))
_HEADINGS: Floats = np.asarray(np.deg2rad(np.arange(0.0, 180.0, 15.0)))
# A vehicle that has not moved yet, this close behind a stop line, is taken to wait at it, turned as its lane
# roughly is.
_LANE_HEADINGS = np.array([0.0, 10.0, -10.0, 20.0, -20.0, 30.0, -30.0])
_WAITS_WITHIN_M, _LANE_MARGIN_M = 40.0, 1.5


@dataclass
class _Placed:
    """One track on the road.

    Attributes:
        state, covariance: as in edge.boxfit.
        moved: whether its heading is that of its movement; else it is only what fits its box.
        tail, tail_sigma_m: the end of the rope it drags: its heading is the direction of the taut rope.
    """

    kind: Kind
    time: float
    state: Floats
    covariance: Floats
    moved: bool
    tail: Floats
    tail_sigma_m: float

    @property
    def shape(self) -> Shape:
        return SHAPES[self.kind]

    @property
    def sigma_m(self) -> float:
        """Error of the place, but for what lasts: boxes always a little large, the ground plane."""
        filtered = max(float(np.linalg.eigvalsh(self.covariance[:2, :2])[-1]), 0.0)
        if self.moved or self.kind == PEDESTRIAN:
            return math.sqrt(filtered)
        # Fitted with a heading that is off so much, the middle of a long vehicle is off with it.
        turned_m = _UNSURE_HEADING * float(self.state[4] - self.state[5]) / 2
        return math.sqrt(filtered + turned_m**2)


class Stage:
    """Places confirmed tracks on the road."""

    def __init__(self, plane: Plane | None, site: Site, signals: Signals) -> None:
        self._road = None if plane is None else _Road(plane, site)
        self._longest_s = 1.0 / site.thresholds.min_frame_rate_hz
        self._signals = signals
        self._last: float | None = None

    def place(self, tracks: Sequence[Track], time: float, time_sigma_s: float) -> Scene:
        """Return the scene at a frame: each confirmed track that stands before the horizon.

        Args:
            tracks: of this frame, as ``edge.tracker`` gives them.
            time: seconds UTC at capture.
            time_sigma_s: its 1-sigma error.

        Returns:
            The scene; not trusted where there is no ground plane, and at a frame that came later after the
            one before than the site's least frame rate allows.
        """
        interval_s = math.inf if self._last is None else time - self._last
        self._last = time
        if self._road is None:
            return Scene(time, time_sigma_s, (), self._signals, trusted=False)
        users = self._road.users(tracks, time, interval_s)
        late = math.isfinite(interval_s) and interval_s > self._longest_s
        return Scene(time, time_sigma_s, users, self._signals, trusted=not late)


class _Road:
    """What stands on the road, from frame to frame."""

    def __init__(self, plane: Plane, site: Site) -> None:
        self._plane = plane
        self._site = site
        self._view, self._solid = _view(plane)
        heads = [head.region_px for head in site.signal_heads]
        self._heads_px: Floats = np.asarray(heads, np.float64).reshape(-1, 4)
        self._placed: dict[int, _Placed] = {}

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
                _become(placed, track.kind)
            step = time - placed.time
            _move(placed, step, still=track.still)
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
            _roll(placed)
            self._turn(placed)

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
        covariance = np.diag(np.r_[reach, shape.size_sigma_m, _heading_sigma(shape)] ** 2)
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
        placed = _Placed(
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
        width, height = self._plane.image_size
        margin = _BORDER_SHARE * width
        border = np.array([margin, margin, width - margin, height - margin])
        cut = np.concatenate([edges[:, :2] <= border[:2], edges[:, 2:] >= border[2:]], axis=1)
        cut |= hidden_edges(edges, self._heads_px, margin_px=_HIDDEN_PX)
        size = (edges[:, 2:] - edges[:, :2])[:, [0, 1, 0, 1]]
        share = np.array([SHAPES[track.kind].misfit for track in tracks])[:, None]
        sigma = np.hypot(_EDGE_PX, share * size)
        sigma *= math.sqrt(max(1.0, _ERRS_ALIKE_S / interval_s))
        if not self._solid:
            sigma = sigma * np.array([2.0, np.inf, 2.0, 1.0])
        return Boxes(edges, sigma, cut)

    def _turn(self, placed: _Placed) -> None:
        """Let the rope follow: a heading changes only when the road user has gone on."""
        here, sigma = placed.state[:2], placed.sigma_m
        if not placed.moved and sigma < 0.5 * placed.tail_sigma_m:
            placed.tail, placed.tail_sigma_m = here.copy(), sigma
        gone = here - placed.tail
        distance = float(np.linalg.norm(gone))
        # A place that is unsure, as of a bus half in view, wanders without the bus turning.
        if distance < max(placed.shape.rope_m, 2.0 * math.hypot(sigma, placed.tail_sigma_m)):
            return
        placed.tail, placed.tail_sigma_m = here - gone / distance * placed.shape.rope_m, sigma
        _head(placed, math.atan2(gone[1], gone[0]), max(_ROPE_SIGMA, 2.0 * sigma / distance))

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


def _become(placed: _Placed, kind: Kind) -> None:
    """Take another kind's size, and doubt the place as much as the sizes differ."""
    change = np.abs(SHAPES[kind].size_m[:2] - placed.state[4:6]) / 2
    placed.kind = kind
    placed.state[4:7] = placed.shape.size_m
    placed.covariance[4:, :] = placed.covariance[:, 4:] = 0.0
    placed.covariance[(4, 5, 6), (4, 5, 6)] = placed.shape.size_sigma_m**2
    placed.covariance[7, 7] = _heading_sigma(placed.shape) ** 2
    placed.covariance[(0, 1), (0, 1)] += float(change.max()) ** 2


def _heading_sigma(shape: Shape) -> float:
    """Return how unsure a heading that fits the box is; all but sure where the box is not to change it."""
    return max(shape.heading_sigma, _CERTAIN)


def _move(placed: _Placed, step_s: float, *, still: bool) -> None:
    """Foresee where a track is after a step: it goes on, and what is known of its size fades.

    What stands still in the image has no speed; else flickering boxes would make parked cars dart about.
    """
    if still:
        spread = placed.covariance[:, 2:4]
        gain = spread @ np.linalg.inv(placed.covariance[2:4, 2:4] + _STILL_MPS**2 * np.eye(2))
        placed.state = placed.state - gain @ placed.state[2:4]
        placed.covariance = placed.covariance - gain @ spread.T
    shape = placed.shape
    kept = np.exp(-step_s / shape.size_lasts_s)
    moves = np.eye(STATE)
    moves[0, 2] = moves[1, 3] = step_s
    moves[(4, 5, 6), (4, 5, 6)] = kept
    placed.state = moves @ placed.state
    placed.state[4:7] += (1.0 - kept) * shape.size_m
    # White noise of acceleration as strong as if each lasted a second, so that the growth of the error does
    # not depend on how many frames the second has.
    noise = np.zeros((STATE, STATE))
    power = _unforeseen(placed, still=still)
    noise[:2, :2] = power * step_s**3 / 3
    noise[:2, 2:4] = noise[2:4, :2] = power * step_s**2 / 2
    noise[2:4, 2:4] = power * step_s
    noise[(4, 5, 6), (4, 5, 6)] = (1.0 - kept**2) * shape.size_sigma_m**2
    if shape.heading_sigma > 0 and not still:
        noise[7, 7] = _TURN_PER_ROOT_S**2 * step_s
    placed.covariance = moves @ placed.covariance @ moves.T + noise


def _unforeseen(placed: _Placed, *, still: bool) -> Floats:
    """Return the variance (2, 2) of the acceleration nobody foresees: wheels brake harder than they steer."""
    if still:
        return _STILL_MPS2**2 * np.eye(2)
    along = placed.shape.acceleration_mps2**2 * np.eye(2)
    if placed.kind == PEDESTRIAN or not placed.moved:
        return along
    left = np.array([-math.sin(placed.state[7]), math.cos(placed.state[7])])
    return np.asarray(
        along - (1.0 - _STEERING_SHARE**2) * placed.shape.acceleration_mps2**2 * np.outer(left, left)
    )


def _as_told(placed: _Placed, track: Track) -> Floats:
    """Return the covariance a box is fitted with: a small box tells a place, but no heading."""
    if _tells_heading(track):
        return placed.covariance
    told = placed.covariance.copy()
    told[7, :] = told[:, 7] = 0.0
    told[7, 7] = _CERTAIN**2
    return told


def _tells_heading(track: Track) -> bool:
    left, top, right, bottom = track.box_px
    return max(right - left, bottom - top) >= _TELLS_HEADING_PX


def _roll(placed: _Placed) -> None:
    """Long vehicles roll where they point, or nearly: their middle cuts corners."""
    along = np.array([math.cos(placed.state[7]), math.sin(placed.state[7])])
    speed_mps = float(placed.state[2:4] @ along)
    if placed.shape.heading_sigma == 0 or not placed.moved or speed_mps < _ROLLS_MPS:
        return
    slope = np.zeros(STATE)
    slope[2], slope[3], slope[7] = -along[1], along[0], -speed_mps
    sideways_mps = float(placed.state[3] * along[0] - placed.state[2] * along[1])
    spread = placed.covariance @ slope
    gain = spread / (float(slope @ spread) + (0.2 + _CUTS_CORNERS * speed_mps) ** 2)
    placed.state = placed.state - gain * sideways_mps
    placed.covariance = placed.covariance - np.outer(gain, spread)


def _head(placed: _Placed, heading: float, sigma: float) -> None:
    """Take in the direction a road user went, with its error, both in radians."""
    turn = math.remainder(heading - float(placed.state[7]), math.tau)
    if placed.shape.heading_sigma > 0 and not placed.moved and abs(turn) > math.pi / 2:
        # The box tells front from back as little as a brick does.
        placed.state[7] += math.copysign(math.pi, turn)
        turn = math.remainder(heading - float(placed.state[7]), math.tau)
    if placed.shape.heading_sigma > 0 and abs(turn) < _ANOTHER_HEADING:
        gain = placed.covariance[:, 7] / (placed.covariance[7, 7] + sigma**2)
        placed.state = placed.state + gain * turn
        placed.covariance = placed.covariance - np.outer(gain, placed.covariance[7])
    else:
        wrong = abs(math.sin(turn))
        if wrong > _UNSURE_HEADING:
            # Fitted with a wholly other heading until now, it stood elsewhere.
            shift_m = wrong * float(placed.state[4] - placed.state[5]) / 4
            placed.covariance[(0, 1), (0, 1)] += shift_m**2
        placed.state[7] = heading
        placed.covariance[7, :] = placed.covariance[:, 7] = 0.0
        placed.covariance[7, 7] = max(sigma * bool(placed.shape.heading_sigma), _CERTAIN) ** 2
    placed.moved = True
