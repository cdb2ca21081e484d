"""The whole camera behind a ground plane: where points above the road are in the image.

A ground plane alone says nothing about heights. With square pixels and the principal point at the middle of
the image, its homography K [r1 r2 t] holds two equations for the focal length; r3 = r1 x r2 is then the
direction of height, and the projection of ground points stays exactly that of the plane.

Source: Zhang, "A flexible new technique for camera calibration", IEEE PAMI 22 (2000), equations 3 and 4;
Hartley & Zisserman, Multiple View Geometry (2nd ed.), 8.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.lens import Lens
from calibration.plane import Plane

Floats = NDArray[np.float64]

# Lenses of street cameras: fisheye views are no pinhole, and beyond 3 degrees a view is all but parallel.
_VIEW_DEG = (3.0, 140.0)
_HEIGHT_M = (1.0, 300.0)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera over the road.

    Attributes:
        projection: (3, 4), metres (x, y, height, 1) to straight pixels; the third coordinate of the image is
            positive before the camera.
        lens: bends the straight pixels to those of the image.
        focal_px: focal length.
        position: (3,) of the camera, metres; the third is its height over the road.
    """

    projection: Floats
    lens: Lens
    focal_px: float
    position: Floats

    def image(self, points: ArrayLike) -> Floats:
        """Return image points (..., 2) in pixels for points (..., 3) in metres; NaN behind the camera."""
        mapped = np.asarray(points, np.float64) @ self.projection[:, :3].T + self.projection[:, 3]
        depth = mapped[..., 2:]
        before = depth > 1e-9
        return self.lens.bent(np.where(before, mapped[..., :2] / np.where(before, depth, 1.0), np.nan))


def camera_of(plane: Plane) -> Camera | None:
    """Return the camera that sees a ground plane so; None where its focal length cannot be told.

    It cannot be told from a view straight down, or from a plane so uncertain that the equations give no
    camera above the road.
    """
    to_image = np.linalg.inv(plane.to_metres)
    width, height = plane.image_size
    centre = np.array([[1.0, 0.0, -width / 2], [0.0, 1.0, -height / 2], [0.0, 0.0, 1.0]])
    centred = centre @ to_image
    focal_px = _focal_px(centred)
    if (
        focal_px is None
        or not _VIEW_DEG[0] < 2 * math.degrees(math.atan2(width / 2, focal_px)) < _VIEW_DEG[1]
    ):
        return None
    inner = np.diag([focal_px, focal_px, 1.0])
    motion = np.linalg.inv(inner) @ centred
    scale = math.sqrt(float(np.linalg.norm(motion[:, 0]) * np.linalg.norm(motion[:, 1])))
    along_x, along_y = motion[:, 0], motion[:, 1]
    up = np.cross(along_x, along_y) / scale
    position = -np.linalg.solve(np.stack([along_x, along_y, up], axis=1), motion[:, 2])
    if not _HEIGHT_M[0] < position[2] < _HEIGHT_M[1]:
        return None
    third = np.linalg.inv(centre) @ inner @ up
    projection = np.stack([to_image[:, 0], to_image[:, 1], third, to_image[:, 2]], axis=1)
    return Camera(projection=projection, lens=plane.lens, focal_px=focal_px, position=position)


def _focal_px(centred: Floats) -> float | None:
    """Return the focal length for which the first two columns are orthogonal and equally long."""
    first, second = centred[:, 0], centred[:, 1]
    size = float(np.linalg.norm(first[:2]) * np.linalg.norm(second[:2]))
    if size <= 0:
        return None
    image_part = np.array([first[:2] @ second[:2], (first[:2] @ first[:2] - second[:2] @ second[:2]) / 2])
    depth_part = np.array([first[2] * second[2], (first[2] ** 2 - second[2] ** 2) / 2])
    # depth_part * focal^2 = -image_part, in the mean of squares. Both vanish where the camera looks straight
    # down: the columns are then orthogonal and equally long whatever the focal length.
    weight = float(depth_part @ depth_part)
    if weight < 1e-18 * size**2 / max(np.abs(centred).max(), 1.0) ** 2:
        return None
    squared = -float(image_part @ depth_part) / weight
    return math.sqrt(squared) if squared > 0 else None
