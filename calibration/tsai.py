"""Tsai's camera model as PETS 2009 gives it: world millimetres to distorted pixels, and back.

Source: Tsai, "A versatile camera calibration technique for high-accuracy 3D machine vision metrology", IEEE
Journal of Robotics and Automation 3 (1987); file format: PETS 2009, University of Reading.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TsaiCamera:
    """A camera with radial distortion; image points are of ``image_size``, world points in millimetres.

    Attributes:
        focal_mm, kappa1: focal length, and radial distortion per square millimetre on the sensor.
        centre_px: of the distortion and projection.
        pixel_mm: effective width and height of a pixel on the sensor.
        sx: uncertainty factor of the horizontal scale.
        rotation, translation_mm: (3, 3) and (3,), world to camera.
    """

    image_size: tuple[int, int]
    focal_mm: float
    kappa1: float
    centre_px: tuple[float, float]
    pixel_mm: tuple[float, float]
    sx: float
    rotation: Floats
    translation_mm: Floats

    def image(self, points_mm: ArrayLike) -> Floats:
        """Return distorted pixels (..., 2) for world points (..., 3); NaN behind the camera."""
        seen = np.asarray(points_mm, np.float64) @ self.rotation.T + self.translation_mm
        depth = seen[..., 2:]
        before = depth > 1e-9
        flat = np.where(before, self.focal_mm * seen[..., :2] / np.where(before, depth, 1.0), np.nan)
        sensor = self._distorted(flat)
        scale = np.array([self.sx / self.pixel_mm[0], 1.0 / self.pixel_mm[1]])
        return np.asarray(sensor * scale + np.array(self.centre_px))

    def ground(self, points_px: ArrayLike, *, height_mm: float = 0.0) -> Floats:
        """Return world points (..., 2) on the plane at a height for pixels; NaN at and beyond the horizon."""
        scale = np.array([self.pixel_mm[0] / self.sx, self.pixel_mm[1]])
        sensor = (np.asarray(points_px, np.float64) - np.array(self.centre_px)) * scale
        flat = sensor * (1.0 + self.kappa1 * (sensor**2).sum(axis=-1, keepdims=True))
        ray = np.concatenate([flat, np.full((*flat.shape[:-1], 1), self.focal_mm)], axis=-1) @ self.rotation
        position = self.position_mm
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (height_mm - position[2]) / ray[..., 2:]
            found = position[:2] + reach * ray[..., :2]
        return np.asarray(np.where(reach > 0, found, np.nan))

    @property
    def position_mm(self) -> Floats:
        """Where the camera is in the world (3,)."""
        return np.asarray(-self.rotation.T @ self.translation_mm)

    def _distorted(self, flat: Floats) -> Floats:
        """Return sensor points with distortion: the r with r (1 + kappa1 r^2) = the undistorted radius."""
        radius = np.linalg.norm(flat, axis=-1, keepdims=True)
        bent = radius.copy()
        for _ in range(20):
            # Newton; the slope is positive for barrel distortion (kappa1 > 0), so it always arrives.
            bent = bent - (bent * (1 + self.kappa1 * bent**2) - radius) / (1 + 3 * self.kappa1 * bent**2)
        return np.asarray(flat * np.where(radius > 0, bent / np.where(radius > 0, radius, 1.0), 1.0))


def load_tsai(path: Path) -> TsaiCamera:
    """Read a PETS 2009 calibration file such as View_001.xml.

    Raises:
        ValueError: the file is no such calibration; the message names it.
        OSError: it cannot be read.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
        geometry, inner, outer = (_numbers(root, name) for name in ("Geometry", "Intrinsic", "Extrinsic"))
        return TsaiCamera(
            image_size=(int(geometry["width"]), int(geometry["height"])),
            focal_mm=inner["focal"],
            kappa1=inner["kappa1"],
            centre_px=(inner["cx"], inner["cy"]),
            pixel_mm=(geometry["dpx"], geometry["dpy"]),
            sx=inner["sx"],
            rotation=_rotation(outer["rx"], outer["ry"], outer["rz"]),
            translation_mm=np.array([outer["tx"], outer["ty"], outer["tz"]]),
        )
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a Tsai calibration as of PETS 2009: {error}") from error


def _numbers(root: ElementTree.Element, name: str) -> dict[str, float]:
    element = root.find(name)
    if element is None:
        raise ValueError(f"no element {name}")
    return {key: float(value) for key, value in element.attrib.items()}


def _rotation(rx: float, ry: float, rz: float) -> Floats:
    """Return the rotation of Tsai's angles: about x first, then y, then z."""
    (sa, ca), (sb, cb), (sg, cg) = ((math.sin(angle), math.cos(angle)) for angle in (rx, ry, rz))
    return np.array(
        [
            [cb * cg, cg * sa * sb - ca * sg, sa * sg + ca * cg * sb],
            [cb * sg, sa * sb * sg + ca * cg, ca * sb * sg - cg * sa],
            [-sb, cb * sa, ca * cb],
        ]
    )
