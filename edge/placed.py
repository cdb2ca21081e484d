"""One track on the road from frame to frame: it moves, turns, and takes another kind's size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.boxfit import STATE
from edge.scene import PEDESTRIAN, Kind
from edge.shapes import SHAPES, Shape

Floats = NDArray[np.float64]

# What a box that stands still allows of speed, and of change to it.
_STILL_MPS, _STILL_MPS2 = 0.1, 0.5
_STEERING_SHARE = 0.5
CERTAIN = 1e-4  # radians; nought would leave nothing to solve for
# A long vehicle that rolls goes where it points, but for this share of its speed.
_ROLLS_MPS, _CUTS_CORNERS = 1.5, 0.1
# Of a long vehicle the box tells the heading as well as the rope does, and the two are weighed: error of the
# rope, change of heading per root second, and what is too far off to be weighed, radians.
_ROPE_SIGMA, _TURN_PER_ROOT_S, _ANOTHER_HEADING = 0.07, 0.3, 0.9
_UNSURE_HEADING = math.sin(math.radians(20.0))


@dataclass
class Placed:
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


def become(placed: Placed, kind: Kind) -> None:
    """Take another kind's size, and doubt the place as much as the sizes differ."""
    change = np.abs(SHAPES[kind].size_m[:2] - placed.state[4:6]) / 2
    placed.kind = kind
    placed.state[4:7] = placed.shape.size_m
    placed.covariance[4:, :] = placed.covariance[:, 4:] = 0.0
    placed.covariance[(4, 5, 6), (4, 5, 6)] = placed.shape.size_sigma_m**2
    placed.covariance[7, 7] = heading_sigma(placed.shape) ** 2
    placed.covariance[(0, 1), (0, 1)] += float(change.max()) ** 2


def heading_sigma(shape: Shape) -> float:
    """Return how unsure a heading that fits the box is; all but sure where the box is not to change it."""
    return max(shape.heading_sigma, CERTAIN)


def move(placed: Placed, step_s: float, *, still: bool) -> None:
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


def _unforeseen(placed: Placed, *, still: bool) -> Floats:
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


def turn(placed: Placed, *, whole: bool) -> None:
    """Let the rope follow: a heading changes only when the road user has gone on.

    ``whole`` tells that it does not reach out of the image. What of a vehicle is in view moves otherwise than
    the vehicle: no rope is laid out for half a bus.
    """
    here, sigma = placed.state[:2], placed.sigma_m
    in_part = not whole and placed.kind != PEDESTRIAN
    if in_part or (not placed.moved and sigma < 0.5 * placed.tail_sigma_m):
        placed.tail, placed.tail_sigma_m = here.copy(), sigma
    gone = here - placed.tail
    distance = float(np.linalg.norm(gone))
    # A place that is unsure, as of a bus half in view, wanders without the bus turning.
    if distance < max(placed.shape.rope_m, 2.0 * math.hypot(sigma, placed.tail_sigma_m)):
        return
    placed.tail, placed.tail_sigma_m = here - gone / distance * placed.shape.rope_m, sigma
    _head(placed, math.atan2(gone[1], gone[0]), max(_ROPE_SIGMA, 2.0 * sigma / distance))


def roll(placed: Placed) -> None:
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


def _head(placed: Placed, heading: float, sigma: float) -> None:
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
        placed.covariance[7, 7] = max(sigma * bool(placed.shape.heading_sigma), CERTAIN) ** 2
    placed.moved = True
