"""What stands at the demo's junction: buildings, trees, and the signal heads with their lamps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.demo.junction import Head
from edge.demo.solids import Ball, Colour, Face, Solid, box, moved, prism
from edge.scene import State

Floats = NDArray[np.float64]
LAMP_RADIUS_M = 0.19
_LAMPS: dict[State, Colour] = {"red": (50, 50, 255), "amber": (40, 180, 255), "green": (130, 240, 70)}
_DARK: Colour = (44, 42, 40)
_HOUSING: Colour = (34, 34, 34)
_STEEL: Colour = (120, 124, 124)
_WINDOW: Colour = (96, 84, 70)
_HOUSES = (  # x, y, length, width, height, colour
    (24.0, 22.0, 20.0, 18.0, 7.5, (128, 146, 168)),
    (48.0, 21.0, 22.0, 16.0, 9.5, (150, 156, 160)),
    (22.0, 45.0, 18.0, 22.0, 8.5, (120, 132, 156)),
    (-23.0, 30.0, 20.0, 30.0, 6.5, (132, 138, 142)),
    (36.0, -19.0, 30.0, 14.0, 6.0, (140, 150, 170)),
)
_TREES = ((11.5, 17.5), (11.0, 27.0), (17.5, 10.9), (29.0, 10.6), (41.0, 10.8), (-11.0, 20.0), (-10.8, 33.0))


def housing(head: Head) -> Floats:
    """Return the corners (4, 3) of a head's front, counter-clockwise seen from before it."""
    width = 0.52 if head.pedestrian else 0.62
    low, high = head.z - 0.3, head.z + (0.72 if head.pedestrian else 1.2)
    facing = np.deg2rad(head.facing_deg)
    across = np.array([-np.sin(facing), np.cos(facing)]) * width / 2
    left, right = np.array([head.x, head.y]) - across, np.array([head.x, head.y]) + across
    return np.array([[*left, low], [*right, low], [*right, high], [*left, high]])


def lamp_box(head: Head, lit: State | None) -> Solid:
    """Return a head with one lamp shining, or none."""
    front = housing(head)
    ahead = np.array([np.cos(np.deg2rad(head.facing_deg)), np.sin(np.deg2rad(head.facing_deg)), 0.0])
    deep = front - 0.25 * ahead
    sides = [
        Face(np.stack([front[j], front[i], deep[i], deep[j]]), _HOUSING)
        for i, j in ((0, 1), (1, 2), (2, 3), (3, 0))
    ]
    lamps = [
        Ball(np.array([head.x, head.y, head.z + up]) + 0.02 * ahead, LAMP_RADIUS_M, _LAMPS[state])
        if state == lit
        else Ball(np.array([head.x, head.y, head.z + up]) + 0.02 * ahead, LAMP_RADIUS_M, _DARK)
        for state, up in head.lamps
    ]
    return Solid((*sides, Face(front, _HOUSING), *lamps), ())


def post(head: Head) -> Solid:
    """Return the pole a pedestrian head is on."""
    facing = np.deg2rad(head.facing_deg)
    pole = Solid(tuple(prism(box(0.12, 0.12), box(0.12, 0.12), 0.0, head.z + 0.7, _STEEL)), ())
    return moved(pole, head.x - 0.2 * np.cos(facing), head.y - 0.2 * np.sin(facing), 0.0)


def mast(head: Head) -> Solid:
    """Return pole and arm of a head that hangs over the road."""
    side = np.array([7.6, head.y]) if head.facing_deg == -90.0 else np.array([head.x, -7.6])
    reach = np.array([head.x, head.y]) - side
    span = float(np.linalg.norm(reach))
    pole = prism(box(0.2, 0.2), box(0.16, 0.16), 0.0, 5.75, _STEEL)
    arm = prism(box(span + 0.3, 0.12, x=span / 2), box(span + 0.3, 0.12, x=span / 2), 5.55, 5.7, _STEEL)
    shadow = np.concatenate([face.points for face in pole])
    heading_deg = float(np.rad2deg(np.arctan2(reach[1], reach[0])))
    return moved(Solid((*pole, *arm), (shadow,)), float(side[0]), float(side[1]), heading_deg)


def buildings() -> list[Solid]:
    return [
        moved(_house(length, width, height, colour), x, y, 0.0)
        for x, y, length, width, height, colour in _HOUSES
    ]


def _house(length: float, width: float, height: float, colour: Colour) -> Solid:
    walls = prism(box(length, width), box(length, width), 0.0, height, colour, roof=(118, 120, 122))
    inner = box(length - 1, width - 1)
    roof = prism(inner, inner, height, height + 0.4, (136, 136, 138))
    windows, up = [], np.array([0.0, 0.0, 1.5])
    for z in np.arange(1.0, height - 1.6, 2.6):
        for at in np.arange(-width / 2 + 1.2, width / 2 - 1.6, 2.4):  # the west front
            low = np.array([[-length / 2 - 0.02, at + 1.3, z], [-length / 2 - 0.02, at, z]])
            windows.append(Face(np.concatenate([low, low[::-1] + up]), _WINDOW))
        for at in np.arange(-length / 2 + 1.2, length / 2 - 1.6, 2.4):  # the south front
            low = np.array([[at, -width / 2 - 0.02, z], [at + 1.3, -width / 2 - 0.02, z]])
            windows.append(Face(np.concatenate([low, low[::-1] + up]), _WINDOW))
    return Solid((*walls, *windows, *roof), (np.concatenate([face.points for face in walls]),))


def trees(rng: np.random.Generator) -> list[Solid]:
    return [moved(_tree(rng), x, y, 0.0) for x, y in _TREES]


def _tree(rng: np.random.Generator) -> Solid:
    trunk = prism(box(0.3, 0.3), box(0.25, 0.25), 0.0, 2.2, (52, 70, 88))
    crown = []
    for _ in range(26):
        place = rng.normal(0.0, 0.62, 3) * [1, 1, 0.75] + [0, 0, 3.3]
        tint = int(rng.integers(-14, 22))
        crown.append(
            Ball(place, float(rng.uniform(0.35, 0.75)), (52 + tint // 2, 104 + tint, 66 + tint // 2))
        )
    crown.sort(key=lambda ball: float(ball.centre[2] - 0.5 * (ball.centre[0] + ball.centre[1])))
    ring = np.array([[1.3 * np.cos(a), 1.3 * np.sin(a), 3.3] for a in np.arange(0, 6.2, 0.6)])
    return Solid((*trunk, *crown), (ring,))
