"""Painting solids: projected, lit by the sun, farthest face hidden, shadows on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.demo.camera import Camera
from edge.demo.solids import Ball, Face, Solid, turn_matrix

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
_SUB = 4  # sub-pixel bits of OpenCV's drawing functions


@dataclass(frozen=True)
class Light:
    """The weather: where the sun stands, how dark shadows are, how the light drifts, and the sensor's noise.

    ``azimuth_deg`` is where the sun stands, counter-clockwise from east; ``shadow`` what is left of the
    light in it; ``drift`` the share by which exposure comes and goes; ``noise`` is in grey levels.
    """

    azimuth_deg: float = 255.0
    elevation_deg: float = 52.0
    shadow: float = 0.58
    drift: float = 0.05
    noise: float = 2.2

    @property
    def toward_sun(self) -> Floats:
        azimuth, elevation = np.deg2rad([self.azimuth_deg, self.elevation_deg])
        return np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )


@dataclass(frozen=True, eq=False)
class Mesh:
    """A solid made ready for painting many times: all corners in one array.

    Attributes:
        corners: (N, 3), the faces' corners first, then the balls' centres, then the shadow parts' corners.
        faces: start and end of each face in ``corners``, None for a ball, in the order of painting.
        normals, middles: (F, 3) of the faces; ``colours`` of faces and balls, in the order of painting.
        balls: index into ``corners`` and radius of each ball.
        shadows: start and end of each shadow part.
    """

    corners: Floats
    faces: tuple[tuple[int, int] | None, ...]
    normals: Floats
    first: NDArray[np.int64]
    colours: Floats
    balls: tuple[tuple[int, float], ...]
    shadows: tuple[tuple[int, int], ...]


def mesh(body: Solid) -> Mesh:
    """Make a solid ready for painting."""
    faces = [part for part in body.painted if isinstance(part, Face)]
    balls = [part for part in body.painted if isinstance(part, Ball)]
    arrays = [*(face.points for face in faces), *(ball.centre[None] for ball in balls), *body.shadow_parts]
    ends = np.cumsum([len(array) for array in arrays])
    spans = [(int(end - len(array)), int(end)) for array, end in zip(arrays, ends, strict=True)]
    face_spans = iter(spans[: len(faces)])
    three = np.array([face.points[:3] for face in faces]).reshape(-1, 3, 3)
    across = np.cross(three[:, 1] - three[:, 0], three[:, 2] - three[:, 1])
    return Mesh(
        corners=np.concatenate(arrays),
        faces=tuple(next(face_spans) if isinstance(part, Face) else None for part in body.painted),
        normals=across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9),
        first=np.array([start for start, _ in spans[: len(faces)]], np.int64),
        colours=np.array([part.colour for part in body.painted], np.float64).reshape(-1, 3),
        balls=tuple(
            (span[0], ball.radius_m)
            for span, ball in zip(spans[len(faces) : len(faces) + len(balls)], balls, strict=True)
        ),
        shadows=tuple(spans[len(faces) + len(balls) :]),
    )


@dataclass(frozen=True, eq=False)
class Placed:
    """A mesh at its place: corners in metres and pixels, and each face's normal."""

    mesh: Mesh
    corners: Floats
    normals: Floats


class Painter:
    """Paints meshes as one camera sees them in one light."""

    def __init__(self, camera: Camera, light: Light) -> None:
        self._camera, self._light = camera, light
        self._eye = np.asarray(camera.position)
        self._sun = light.toward_sun
        self._axes = camera.rotation
        self._centre = np.array(camera.image_size) / 2

    def place(self, shape: Mesh, x: float, y: float, heading_deg: float) -> Placed:
        turn = turn_matrix(heading_deg)
        return Placed(shape, shape.corners @ turn + [x, y, 0.0], shape.normals @ turn)

    def paint(self, image: Image, body: Placed) -> None:
        """Paint the faces that look at the camera, in their order."""
        shape = body.mesh
        seen = (body.corners - self._eye) @ self._axes.T
        if (seen[:, 2] < 0.5).any():
            return
        fixed = _fixed(seen[:, :2] / seen[:, 2:] * self._camera.focal_px + self._centre)
        toward = ((self._eye - body.corners[shape.first]) * body.normals).sum(axis=1) > 0
        strength = 0.62 + 0.42 * np.maximum(body.normals @ self._sun, 0.0)
        face = ball = 0
        for span, colour in zip(shape.faces, shape.colours, strict=True):
            if span is None:
                corner, radius_m = shape.balls[ball]
                ball += 1
                radius = radius_m * self._camera.focal_px / seen[corner, 2]
                centre = (int(fixed[corner, 0]), int(fixed[corner, 1]))
                cv2.circle(image, centre, round(radius * 2**_SUB), tuple(colour), -1, cv2.LINE_AA, _SUB)
                continue
            if toward[face]:
                lit = tuple(np.minimum(colour * strength[face], 255.0))
                cv2.fillConvexPoly(image, fixed[span[0] : span[1]], lit, cv2.LINE_AA, _SUB)
            face += 1

    def cast_shadows(self, image: Image, bodies: Sequence[Placed]) -> None:
        """Darken the ground on which the bodies' shadows fall."""
        shaded = np.zeros(image.shape[:2], np.uint8)
        low = self._centre * 2
        high = np.zeros(2)
        for body in bodies:
            for start, end in body.mesh.shadows:
                part = body.corners[start:end]
                cast = part - part[:, 2:] * (self._sun / self._sun[2])
                pixel = self._camera.image(cast)
                if np.isnan(pixel).any():
                    continue
                low, high = np.minimum(low, pixel.min(axis=0)), np.maximum(high, pixel.max(axis=0))
                cv2.fillConvexPoly(shaded, cv2.convexHull(_fixed(pixel)), 255, cv2.LINE_AA, _SUB)
        left, top = np.clip(low - 2, 0, None).astype(int)
        right, bottom = np.clip(high + 2, 0, None).astype(int)
        if right <= left or bottom <= top:
            return
        part_px = np.s_[top:bottom, left:right]
        # Skylight is bluer than sunlight: a shadow darkens red most.
        share = self._light.shadow
        dark = cv2.multiply(image[part_px], np.array([share * 1.05, share, share * 0.96, 0.0]))
        _, umbra = cv2.threshold(shaded[part_px], 127, 255, cv2.THRESH_BINARY)
        cv2.copyTo(dark, umbra, image[part_px])


def _fixed(pixels: Floats) -> NDArray[np.int32]:
    # OpenCV draws pixel centres at whole numbers; a camera's pixel 0 spans 0..1.
    return np.asarray(np.round((pixels - 0.5) * 2**_SUB), np.int32)
