"""The street as the demo's camera films it: the still junction once, movers and lamps frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.demo.camera import Camera
from edge.demo.furniture import buildings, housing, lamp_box, mast, post, trees
from edge.demo.ground import plan_picture, to_plan_px
from edge.demo.junction import HEADS, Head, Plan
from edge.demo.paint import Light, Mesh, Painter, Placed, mesh
from edge.demo.solids import solid
from edge.demo.story import Actor
from edge.scene import State

Image = NDArray[np.uint8]
_GRAIN_SPARE_PX = 64
_STRIDE_STEPS = 16
_STRIDE_M = {"pedestrian": 1.5, "bicycle": 4.0}  # after which legs are where they were


class Film:
    """Draws any instant of a story; the still background is drawn once."""

    def __init__(
        self, camera: Camera, actors: Sequence[Actor], plan: Plan, *, light: Light, seed: int
    ) -> None:
        self._camera, self._actors, self._plan, self._light = camera, actors, plan, light
        self._rng = np.random.default_rng(seed)
        self._painter = Painter(camera, light)
        self._meshes: dict[object, Mesh] = {}
        self._still = self._background()
        width, height = camera.image_size
        spare = _GRAIN_SPARE_PX
        grain = self._rng.normal(0.0, light.noise, (height + spare, width + spare))
        grey = np.repeat(np.round(grain)[..., None], 3, axis=2)
        self._brighter = np.clip(grey, 0, 255).astype(np.uint8)
        self._darker = np.clip(-grey, 0, 255).astype(np.uint8)

    def frame(self, time: float) -> Image:
        """Return the picture at an instant, (H, W, 3) BGR; instants are asked for in order."""
        image = self._still.copy()
        bodies = self._bodies(time)
        self._painter.cast_shadows(image, bodies)
        for body in bodies:
            self._painter.paint(image, body)
        for head in HEADS:
            if not head.pedestrian:  # overhead: nothing on the road ever hides it
                self._painter.paint(image, self._standing(("mast", head)))
                self._painter.paint(image, self._standing(("lamps", head, _lit(head, self._plan, time))))
        return self._exposed(image, time)

    def head_region_px(self, head: Head) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom of a signal head in the image."""
        corners = self._camera.image(housing(head))
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def _background(self) -> Image:
        width, height = self._camera.image_size
        double = np.diag([2.0, 2.0, 1.0])
        to_image = double @ self._camera.ground_homography() @ np.linalg.inv(to_plan_px())
        ground = cv2.warpPerspective(
            plan_picture(self._rng), to_image, (2 * width, 2 * height), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        image = cv2.resize(ground, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        furniture = [self._painter.place(mesh(body), 0, 0, 0) for body in (*buildings(), *trees(self._rng))]
        furniture.sort(key=lambda body: -float(self._camera.depth(body.corners).min()))
        masts = [self._standing(("mast", head)) for head in HEADS if not head.pedestrian]
        self._painter.cast_shadows(image, [*furniture, *masts])
        for body in furniture:
            self._painter.paint(image, body)
        return image

    def _bodies(self, time: float) -> list[Placed]:
        """Return everything in view, farthest first."""
        bodies = []
        for actor in self._actors:
            if not actor.span_s[0] <= time <= actor.span_s[1]:
                continue
            (x, y), heading_deg = actor.movement.at(time)
            middle = np.array([x, y, 0.8])
            if self._camera.depth(middle) < 4.0 or not self._camera.sees(middle, margin_px=-260.0):
                continue
            body = self._painter.place(self._shape(actor, time), x, y, float(heading_deg))
            bodies.append((float(self._camera.depth(middle)), body))
        for head in HEADS:
            if head.pedestrian:
                depth = float(self._camera.depth([head.x, head.y, 0.8]))
                bodies.append((depth, self._standing(("post", head))))
                bodies.append((depth - 0.01, self._standing(("lamps", head, _lit(head, self._plan, time)))))
        return [body for _, body in sorted(bodies, key=lambda each: -each[0])]

    def _shape(self, actor: Actor, time: float) -> Mesh:
        cycle_m = _STRIDE_M.get(actor.kind)
        step = 0 if cycle_m is None else int(actor.movement.travelled_m(time) / cycle_m * _STRIDE_STEPS)
        step %= _STRIDE_STEPS
        key = (actor.name, step)
        if key not in self._meshes:
            stride_m = step / _STRIDE_STEPS * (cycle_m or 0.0)
            self._meshes[key] = mesh(solid(actor.kind, actor.colour, stride_m=stride_m))
        return self._meshes[key]

    def _standing(self, what: tuple[str, Head] | tuple[str, Head, State | None]) -> Placed:
        if what not in self._meshes:
            head = what[1]
            body = lamp_box(head, what[2]) if len(what) == 3 else {"mast": mast, "post": post}[what[0]](head)
            self._meshes[what] = mesh(body)
        return self._painter.place(self._meshes[what], 0.0, 0.0, 0.0)

    def _exposed(self, image: Image, time: float) -> Image:
        gain = 1.0 + self._light.drift * float(np.sin(2 * np.pi * time / 70.0))
        height, width = image.shape[:2]
        dy, dx = self._rng.integers(0, _GRAIN_SPARE_PX, 2)
        part = np.s_[dy : dy + height, dx : dx + width]
        exposed = cv2.add(cv2.convertScaleAbs(image, alpha=gain), self._brighter[part])
        return cv2.subtract(exposed, self._darker[part]).astype(np.uint8, copy=False)


def _lit(head: Head, plan: Plan, time: float) -> State | None:
    """Return the lamp that shines; a pedestrian's flashing don't walk is a flashing red lamp."""
    state = plan.state(head.group, time)
    if head.pedestrian and state == "amber":
        return "red" if time % 1.0 < 0.5 else None
    return state
