"""The drawn road users as solids: prisms with coloured, outward faces in metres."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.scene import Kind

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]
GLASS: Colour = (70, 58, 48)
RUBBER: Colour = (38, 36, 36)
SKIN: Colour = (130, 160, 205)
TROUSERS: Colour = (74, 60, 52)
LAMP_WHITE: Colour = (215, 245, 250)
LAMP_RED: Colour = (40, 36, 190)


@dataclass(frozen=True, eq=False)
class Face:
    """A flat convex polygon (K, 3), counter-clockwise seen from outside."""

    points: Floats
    colour: Colour


@dataclass(frozen=True, eq=False)
class Ball:
    """A sphere: a head."""

    centre: Floats
    radius_m: float
    colour: Colour


@dataclass(frozen=True, eq=False)
class Solid:
    """A body: what is painted in order, and the convex parts (K, 3) that throw its shadow."""

    painted: tuple[Face | Ball, ...]
    shadow_parts: tuple[Floats, ...]


def solid(kind: Kind, colour: Colour, *, stride_m: float) -> Solid:
    """Return a road user standing at the origin, heading east; ``stride_m`` is how far it has come."""
    return _BUILDERS[kind](colour, stride_m)


def moved(body: Solid, x: float, y: float, heading_deg: float) -> Solid:
    """Return a body turned to a heading and moved to a place."""
    turn, shift = turn_matrix(heading_deg), np.array([x, y, 0.0])
    return Solid(
        tuple(
            Face(part.points @ turn + shift, part.colour)
            if isinstance(part, Face)
            else Ball(part.centre @ turn + shift, part.radius_m, part.colour)
            for part in body.painted
        ),
        tuple(part @ turn + shift for part in body.shadow_parts),
    )


def turn_matrix(heading_deg: float) -> Floats:
    """Return the matrix (3, 3) that turns row vectors from east to a heading."""
    angle = np.deg2rad(heading_deg)
    return np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])


def prism(
    bottom: Floats, top: Floats, low_m: float, high_m: float, colour: Colour, *, roof: Colour | None = None
) -> list[Face]:
    """Return sides and roof between two polygons (K, 2), counter-clockwise from above."""
    under = np.column_stack([bottom, np.full(len(bottom), low_m)])
    over = np.column_stack([top, np.full(len(top), high_m)])
    after = np.roll(np.arange(len(bottom)), -1)
    sides = [Face(np.stack([under[i], under[j], over[j], over[i]]), colour) for i, j in enumerate(after)]
    return [*sides, Face(over, roof or colour)]


def box(length: float, width: float, *, x: float = 0.0, y: float = 0.0, cut: float = 0.0) -> Floats:
    """Return a rectangle (K, 2) around (x, y), its corners cut off by ``cut`` metres."""
    half_l, half_w = length / 2, width / 2
    if cut == 0:
        corners = [(half_l, -half_w), (half_l, half_w), (-half_l, half_w), (-half_l, -half_w)]
    else:
        corners = [
            (half_l, -half_w + cut),
            (half_l, half_w - cut),
            (half_l - cut, half_w),
            (-half_l + cut, half_w),
            (-half_l, half_w - cut),
            (-half_l, -half_w + cut),
            (-half_l + cut, -half_w),
            (half_l - cut, -half_w),
        ]
    return np.asarray(np.array(corners) + np.array([x, y]))


def _ring(radius: float, x: float = 0.0, y: float = 0.0, *, squeeze: float = 1.0, corners: int = 8) -> Floats:
    angle = np.arange(corners) * 2 * np.pi / corners
    return np.stack([x + radius * squeeze * np.cos(angle), y + radius * np.sin(angle)], axis=-1)


def _upright(x1: float, x2: float, y: float, z1: float, z2: float, colour: Colour) -> Face:
    """Return a panel on the left (y > 0) or right side of a vehicle."""
    points = np.array([[x1, y, z1], [x2, y, z1], [x2, y, z2], [x1, y, z2]])
    return Face(points[::-1] if y > 0 else points, colour)


def _across(x: float, y1: float, y2: float, z1: float, z2: float, colour: Colour) -> Face:
    """Return a panel on the front (x > 0) or back of a vehicle."""
    points = np.array([[x, y1, z1], [x, y2, z1], [x, y2, z2], [x, y1, z2]])
    return Face(points if x > 0 else points[::-1], colour)


def _wheels(places: Iterable[float], half_width: float, radius: float) -> list[Face]:
    angle = np.arange(10) * 2 * np.pi / 10
    faces = []
    for x in places:
        for side in (half_width + 0.01, -half_width - 0.01):
            ring = np.stack(
                [x + radius * np.cos(angle), np.full(10, side), radius + radius * np.sin(angle)], axis=-1
            )
            faces.append(Face(ring[::-1] if side > 0 else ring, RUBBER))
    return faces


def _vertices(faces: Iterable[Face | Ball]) -> Floats:
    return np.concatenate([face.points for face in faces if isinstance(face, Face)])


def _shade(colour: Colour, factor: float) -> Colour:
    blue, green, red = (int(min(255, c * factor)) for c in colour)
    return blue, green, red


def _car(colour: Colour, _: float) -> Solid:
    length, width = 4.4, 1.8
    body = prism(
        box(length - 0.06, width, cut=0.22), box(length - 0.2, width - 0.1, cut=0.3), 0.22, 0.86, colour
    )
    sill = prism(box(length - 0.3, width - 0.2), box(length - 0.3, width - 0.2), 0.08, 0.22, RUBBER)
    cabin = prism(
        box(2.75, width - 0.14, x=-0.25),
        box(1.7, width - 0.46, x=-0.35),
        0.86,
        1.46,
        GLASS,
        roof=_shade(colour, 1.04),
    )
    lights = [
        _across(length / 2 - 0.02, side * 0.62 - 0.17, side * 0.62 + 0.17, 0.5, 0.68, LAMP_WHITE)
        for side in (1, -1)
    ] + [
        _across(-length / 2 + 0.02, side * 0.62 - 0.16, side * 0.62 + 0.16, 0.55, 0.75, LAMP_RED)
        for side in (1, -1)
    ]
    return Solid(
        (*sill, *body, *lights, *_wheels((-1.35, 1.35), width / 2, 0.32), *cabin),
        (_vertices(body), _vertices(cabin), np.column_stack([box(4.2, 1.7), np.zeros(4)])),
    )


def _bus(colour: Colour, _: float) -> Solid:
    length, width, height = 11.5, 2.5, 3.1
    body = prism(box(length, width, cut=0.15), box(length - 0.1, width - 0.06, cut=0.2), 0.3, height, colour,
                 roof=(214, 214, 210))  # fmt: skip
    half = width / 2 + 0.01
    windows = [
        _upright(x, x + 1.35, side, 1.35, 2.45, GLASS)
        for side in (half, -half)
        for x in np.arange(-5.4, 4.2, 1.55)
    ]
    ends = [
        _across(length / 2 + 0.01, -1.1, 1.1, 1.2, 2.6, GLASS),
        _across(length / 2 + 0.02, -0.8, 0.8, 2.68, 2.95, (60, 200, 240)),
        _across(-length / 2 - 0.01, -0.9, 0.9, 1.6, 2.5, GLASS),
        _across(length / 2 + 0.02, 0.75, 1.1, 0.6, 0.85, LAMP_WHITE),
        _across(length / 2 + 0.02, -1.1, -0.75, 0.6, 0.85, LAMP_WHITE),
    ]
    unit = prism(box(2.2, 1.5, x=-2), box(2.0, 1.4, x=-2), height, height + 0.22, (176, 178, 178))
    return Solid(
        (*body, *windows, *ends, *_wheels((-3.4, 3.4), width / 2, 0.48), *unit),
        (_vertices(body), np.column_stack([box(length, width), np.zeros(4)])),
    )


def _truck(colour: Colour, _: float) -> Solid:
    width, height = 2.4, 3.2
    chassis = prism(box(7.3, 2.1), box(7.3, 2.1), 0.35, 0.75, RUBBER)
    cab = prism(box(1.9, width - 0.1, x=2.8, cut=0.12), box(1.65, width - 0.2, x=2.7, cut=0.15), 0.45, 2.6,
                (168, 84, 30))  # fmt: skip
    glass = [
        _across(3.71, -0.95, 0.95, 1.45, 2.3, GLASS),
        _upright(2.35, 3.4, width / 2 - 0.02, 1.45, 2.2, GLASS),
        _upright(2.35, 3.4, -width / 2 + 0.02, 1.45, 2.2, GLASS),
        _across(3.76, 0.7, 1.05, 0.6, 0.85, LAMP_WHITE),
        _across(3.76, -1.05, -0.7, 0.6, 0.85, LAMP_WHITE),
    ]
    load = prism(box(5.35, width, x=-1.05), box(5.35, width, x=-1.05), 0.75, height, colour)
    tail = [_across(-3.74, side * 0.9 - 0.2, side * 0.9 + 0.2, 0.5, 0.7, LAMP_RED) for side in (1, -1)]
    return Solid(
        (*chassis, *_wheels((-2.6, 2.5), 1.15, 0.48), *load, *tail, *cab, *glass),
        (_vertices(load), _vertices(cab), np.column_stack([box(7.4, 2.3), np.zeros(4)])),
    )


def _pedestrian(colour: Colour, stride: float) -> Solid:
    swing = 0.26 * np.sin(stride * 2 * np.pi / 1.5)  # two steps of 0.75 m a cycle
    legs = [
        face
        for side, foot in ((0.1, swing), (-0.1, -swing))
        for face in prism(
            _ring(0.09, foot, side, corners=6), _ring(0.11, 0.0, side, corners=6), 0.0, 0.86, TROUSERS
        )
    ]
    arms = [
        face
        for side, hand in ((0.27, -swing * 0.8), (-0.27, swing * 0.8))
        for face in prism(
            _ring(0.05, hand, side, corners=6),
            _ring(0.07, 0.0, side * 0.9, corners=6),
            0.85,
            1.38,
            _shade(colour, 0.88),
        )
    ]
    torso = prism(_ring(0.2, squeeze=0.7), _ring(0.24, squeeze=0.65), 0.8, 1.45, colour)
    head = Ball(np.array([0.02, 0.0, 1.62]), 0.135, SKIN)
    hair = Ball(np.array([-0.02, 0.0, 1.68]), 0.12, (40, 52, 66))
    trunk = np.concatenate([_vertices(torso), [[0.1, 0, 1.75], [-0.1, 0, 1.75]]])
    return Solid((*legs, *arms, *torso, head, hair), (trunk, _vertices(legs)))


def _bicycle(colour: Colour, stride: float) -> Solid:
    pedal = 0.17 * np.sin(stride * 2 * np.pi / 4.0)
    angle = np.arange(12) * 2 * np.pi / 12
    wheels = []
    for x in (-0.55, 0.55):
        for side in (0.03, -0.03):
            ring = np.stack(
                [x + 0.34 * np.cos(angle), np.full(12, side), 0.34 + 0.34 * np.sin(angle)], axis=-1
            )
            wheels.append(Face(ring[::-1] if side > 0 else ring, RUBBER))
    frame = prism(box(1.0, 0.08), box(0.7, 0.08, x=-0.05), 0.4, 0.9, (150, 150, 150))
    bars = prism(box(0.1, 0.55, x=0.45), box(0.1, 0.55, x=0.42), 0.95, 1.05, RUBBER)
    legs = [
        face
        for side, foot in ((0.12, pedal), (-0.12, -pedal))
        for face in prism(
            _ring(0.08, 0.05 + foot, side, corners=6),
            _ring(0.11, -0.15, side, corners=6),
            0.3 + abs(foot),
            0.95,
            TROUSERS,
        )
    ]
    torso = prism(_ring(0.2, -0.2, squeeze=0.8), _ring(0.22, 0.12, squeeze=0.7), 0.88, 1.45, colour)
    helmet = Ball(np.array([0.22, 0.0, 1.62]), 0.15, _shade(colour, 0.7))
    face = Ball(np.array([0.26, 0.0, 1.58]), 0.12, SKIN)
    rider = np.concatenate([_vertices(torso), [[0.3, 0.0, 1.75]]])
    return Solid((*wheels, *frame, *legs, *bars, *torso, face, helmet), (rider, _vertices(wheels)))


_BUILDERS: Mapping[Kind, Callable[[Colour, float], Solid]] = {
    "pedestrian": _pedestrian,
    "bicycle": _bicycle,
    "motorcycle": _bicycle,
    "car": _car,
    "bus": _bus,
    "truck": _truck,
}
