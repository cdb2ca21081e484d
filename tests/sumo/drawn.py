"""SUMO's junctions filmed: its tracks drawn by the demo's painter, as a video file with site and signals.

The ground is painted from the site file alone; who moves, where and when is SUMO's.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.site import Site, load_site
from edge.demo.camera import Camera
from edge.demo.film import write_video
from edge.demo.paint import Light, Mesh, Painter, mesh
from edge.demo.solids import solid
from edge.demo.story import Actor
from edge.scene import Kind
from models.detections import KINDS
from tests.sumo.world import World

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

IMAGE_SIZE = (848, 480)
CAMERA = Camera((-23.0, -20.0, 13.0), (-2.0, -1.5, 0.0), IMAGE_SIZE, 70.0)
FRAME_RATE_HZ = 12.5
GRASS, ASPHALT, PAINT = (78, 112, 92), (98, 96, 94), (226, 230, 230)
COLOURS = ((232, 232, 228), (120, 116, 112), (44, 40, 196), (168, 92, 36), (40, 178, 226), (136, 64, 104))
_PX_PER_M, _REACH_M = 12.0, 70.0
_NOISE = 2.2


@dataclass(frozen=True, eq=False)
class Seen:
    """A movement as SUMO told it, step by step."""

    times: Floats
    places: Floats
    headings_deg: Floats
    along_m: Floats

    def at(self, time: float) -> tuple[Floats, Floats]:
        """Return the footprint's centre (2,) and the heading."""
        x, y = (np.interp(time, self.times, self.places[:, axis]) for axis in (0, 1))
        return np.array([x, y]), np.asarray(np.interp(time, self.times, self.headings_deg))

    def travelled_m(self, time: float) -> float:
        return float(np.interp(time, self.times, self.along_m))


def actors(world: World, *, start_s: float, end_s: float) -> tuple[Actor, ...]:
    """Return who is in SUMO's tracks in a stretch of it; times count from its start."""
    rows: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    kinds: dict[str, Kind] = {}
    with world.tracks.open(newline="") as file:
        for row in csv.DictReader(file):
            time = float(row["time"]) - start_s
            if -1.0 <= time <= end_s - start_s + 1.0:
                rows[row["track"]].append((time, float(row["x"]), float(row["y"]), float(row["heading_deg"])))
                kinds[row["track"]] = row["kind"]  # type: ignore[assignment]  # one of KINDS, as SUMO's classes are
    there = []
    for number, steps in rows.items():
        if len(steps) < 2 or kinds[number] not in KINDS:
            continue
        table = np.array(steps)
        headings = np.rad2deg(np.unwrap(np.deg2rad(table[:, 3])))
        hops = np.linalg.norm(np.diff(table[:, 1:3], axis=0), axis=1)
        seen = Seen(table[:, 0], table[:, 1:3], headings, np.concatenate([[0.0], np.cumsum(hops)]))
        colour = COLOURS[int(number) % len(COLOURS)]
        span = (float(table[0, 0]), float(table[-1, 0]))
        there.append(Actor(number, kinds[number], seen, colour, span))  # type: ignore[arg-type]  # moves alike
    return tuple(there)


def film(world: World, folder: Path, *, start_s: float, end_s: float, seed: int) -> tuple[Actor, ...]:
    """Write video.mp4, site.toml (with the camera's ground plane) and signals.csv; return who is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.toml").write_text(world.site.read_text() + _ground_plane(CAMERA))
    (folder / "signals.csv").write_text(_signals(world.signals, start_s))
    people = actors(world, start_s=start_s, end_s=end_s)
    count = round((end_s - start_s) * FRAME_RATE_HZ)
    write_video(
        folder / "video.mp4",
        _frames(load_site(folder / "site.toml"), people, count, seed=seed),
        image_size=IMAGE_SIZE,
        frame_rate_hz=FRAME_RATE_HZ,
    )
    return people


def _frames(site: Site, people: Sequence[Actor], count: int, *, seed: int) -> Iterator[Image]:
    painter, chance = Painter(CAMERA, Light()), np.random.default_rng(seed)
    ground, shapes = _ground(site), dict[tuple[str, int], Mesh]()
    grain = chance.normal(0.0, _NOISE, (IMAGE_SIZE[1] + 64, IMAGE_SIZE[0] + 64, 1))
    for index in range(count):
        time, image, bodies = index / FRAME_RATE_HZ, ground.copy(), []
        for actor in people:
            if not actor.span_s[0] <= time <= actor.span_s[1]:
                continue
            (x, y), heading_deg = actor.movement.at(time)
            middle = np.array([x, y, 0.8])
            depth = float(CAMERA.depth(middle))
            if depth < 4.0 or not CAMERA.sees(middle, margin_px=-260.0):
                continue
            stride = (
                int(actor.movement.travelled_m(time) / 1.5 * 16) % 16 if actor.kind == "pedestrian" else 0
            )
            key = (actor.name, stride)
            if key not in shapes:
                shapes[key] = mesh(solid(actor.kind, actor.colour, stride_m=stride / 16 * 1.5))
            bodies.append((depth, painter.place(shapes[key], float(x), float(y), float(heading_deg))))
        bodies.sort(key=lambda each: -each[0])
        painter.cast_shadows(image, [body for _, body in bodies])
        for _, body in bodies:
            painter.paint(image, body)
        dy, dx = chance.integers(0, 64, 2)
        noise = grain[dy : dy + IMAGE_SIZE[1], dx : dx + IMAGE_SIZE[0]]
        yield np.clip(image + noise, 0, 255).astype(np.uint8)


def _ground(site: Site) -> Image:
    """Return the still picture of a site: grass, road, stripes and lines."""
    side = round(2 * _REACH_M * _PX_PER_M)
    plan = np.full((side, side, 3), GRASS, np.uint8)
    metres = np.array([[_PX_PER_M, 0, side / 2], [0, -_PX_PER_M, side / 2], [0, 0, 1.0]])

    def fill(points: object, colour: tuple[int, int, int]) -> None:
        corners = np.column_stack([np.asarray(points, np.float64), np.ones(len(points))]) @ metres.T  # type: ignore[arg-type]  # a sequence
        cv2.fillPoly(plan, [np.round(corners[:, :2] * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)

    for road in site.roadways:
        fill(road.polygon, ASPHALT)
    for walk in site.crosswalks:
        corners = np.asarray(walk.polygon, np.float64)
        # Stripes along the shorter sides.
        long = corners[1] - corners[0], corners[2] - corners[1]
        if np.linalg.norm(long[0]) < np.linalg.norm(long[1]):
            corners = np.roll(corners, -1, axis=0)
        stripes = max(int(np.linalg.norm(corners[1] - corners[0]) / 1.0), 1)
        for stripe in range(stripes):
            a, b = (stripe + 0.25) / stripes, (stripe + 0.75) / stripes
            near, far = corners[1] - corners[0], corners[2] - corners[3]
            fill(
                [corners[0] + a * near, corners[0] + b * near, corners[3] + b * far, corners[3] + a * far],
                PAINT,
            )
    for line in site.stop_lines:
        ends = np.asarray(line.line, np.float64)
        back = 0.4 * np.array([np.cos(np.deg2rad(line.heading_deg)), np.sin(np.deg2rad(line.heading_deg))])
        fill([ends[0], ends[-1], ends[-1] - back, ends[0] - back], PAINT)
    to_image = CAMERA.ground_homography() @ np.linalg.inv(metres)
    picture = cv2.warpPerspective(plan, to_image, IMAGE_SIZE, flags=cv2.INTER_LINEAR, borderValue=GRASS)
    return np.asarray(picture, np.uint8)


def _ground_plane(camera: Camera) -> str:
    places = [(x, y) for x in (-12.0, -4.0, 4.0, 12.0, 24.0) for y in (-12.0, -4.0, 4.0, 12.0, 24.0)]
    pairs = []
    for number, (x, y) in enumerate(places):
        point = np.array([x, y, 0.0])
        if camera.sees(point, margin_px=4.0) and float(camera.depth(point)) > 4.0:
            u, v = np.round(camera.image(point), 1)
            held = ", held_out = true" if number % 5 == 4 else ""
            pairs.append(f"  {{ px = [{u}, {v}], m = [{x}, {y}]{held} }},")
    size = f"image_size = [{camera.image_size[0]}, {camera.image_size[1]}]"
    return "\n".join(["", "[ground_plane]", size, "osd = []", "points = [", *pairs, "]", ""])


def _signals(file: Path, start_s: float) -> str:
    """Return the log of a stretch: what every group shows at its start, and what changes from then on."""
    before: dict[str, str] = {}
    rows = []
    for line in file.read_text().splitlines()[1:]:
        time, group, state = line.split(",")
        if float(time) <= start_s:
            before[group] = state
        else:
            rows.append(f"{float(time) - start_s:.2f},{group},{state}")
    first = [f"0.00,{group},{state}" for group, state in before.items()]
    return "\n".join(["time,signal_group,state", *first, *rows]) + "\n"
