"""What the demo hands to `analyze`: the camera, the site file it gives, and the signal states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.demo.camera import Camera
from edge.demo.furniture import housing
from edge.demo.junction import APPROACHES, CROSSWALKS, GROUPS, HEADS, IN_VIEW, ROADWAYS, SITE_ID, Plan
from edge.demo.paint import Light

IMAGE_SIZE = (848, 480)
# Places a surveyor would take: corners of crosswalks, ends of stop lines, kerb corners.
_HELD_OUT_EVERY = 5
_SURVEY_DIGITS = 1  # a click on a marking is good to a fraction of a pixel, not to its hundredth


@dataclass(frozen=True)
class Setting:
    """One way to film the story: where from, in which light, with which noise."""

    camera: Camera
    light: Light = field(default_factory=Light)
    seed: int = 1


SETTINGS: Mapping[str, Setting] = {
    "afternoon": Setting(Camera((-16.0, -14.0, 10.5), (-2.2, -1.6, 0.0), IMAGE_SIZE, 74.0)),
    # A step aside, the sun lower and further west, more noise.
    "evening": Setting(
        camera=Camera((-16.6, -13.7, 10.9), (-2.1, -1.5, 0.0), IMAGE_SIZE, 73.0),
        light=Light(azimuth_deg=215.0, elevation_deg=40.0, shadow=0.54, drift=0.08, noise=3.0),
        seed=11,
    ),
    # Another pole, another lens, the sun lower and from the other side, more noise.
    "morning": Setting(
        camera=Camera((-14.5, -15.5, 11.5), (-1.8, -1.4, 0.0), IMAGE_SIZE, 70.0),
        light=Light(azimuth_deg=140.0, elevation_deg=43.0, shadow=0.52, drift=0.08, noise=3.0),
        seed=7,
    ),
}


def write_site(path: Path, camera: Camera) -> None:
    """Write the site file: the junction's places, and the ground plane as surveyed in this camera's image."""
    lines = [
        "# Written by `nearmiss demo`: a drawn junction, filmed by a pinhole camera.",
        "[site]",
        f'id = "{SITE_ID}"',
        'name = "Drawn junction"',
        'timezone = "Europe/Berlin"',
        'drive_on = "right"',
        "",
    ]
    for approach in APPROACHES:
        if approach.leg not in IN_VIEW:
            continue
        lines += [
            "[[stop_lines]]",
            f'id = "{approach.leg}"',
            f'signal_group = "{approach.group}"',
            f"line = {_points(approach.line)}",
            f"heading_deg = {approach.heading_deg}",
            "",
        ]
    for crosswalk in CROSSWALKS:
        lines += [
            "[[crosswalks]]",
            f'id = "{crosswalk.leg}-crosswalk"',
            f'signal_group = "{crosswalk.group}"',
            f"polygon = {_points(crosswalk.polygon)}",
            "",
        ]
    for name, polygon in ROADWAYS.items():
        lines += ["[[roadways]]", f'id = "{name}"', f"polygon = {_points(polygon)}", ""]
    for head in HEADS:
        corners = camera.image(housing(head))
        region = [*(corners.min(axis=0) - 2.0), *(corners.max(axis=0) + 2.0)]
        lines += [
            "[[signal_heads]]",
            f'signal_group = "{head.group}"',
            f"region_px = [{', '.join(f'{side:.1f}' for side in region)}]",
            "",
        ]
    lines += [
        "[ground_plane]",
        f"image_size = [{camera.image_size[0]}, {camera.image_size[1]}]",
        "osd = []",
        "points = [",
    ]
    lines += [f"  {pair}," for pair in _pairs(camera)]
    lines += ["]", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_signals(path: Path, plan: Plan) -> None:
    """Write the signal plan as a log of changes."""
    rows = sorted((time, group, state) for group in GROUPS for time, state in plan.changes(group))
    lines = [
        "time,signal_group,state,sigma_s",
        *(f"{time:.3f},{group},{state},0.02" for time, group, state in rows),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _points(points: Iterable[tuple[float, float]]) -> str:
    return "[" + ", ".join(f"[{x:g}, {y:g}]" for x, y in points) + "]"


def _pairs(camera: Camera) -> list[str]:
    places = {point for crosswalk in CROSSWALKS for point in crosswalk.polygon}
    places |= {point for approach in APPROACHES for point in approach.line}
    places |= {(x, y) for x in (-5.0, 5.0) for y in (-5.0, 5.0)}
    places |= {(x, y) for x in (20.0, 32.0) for y in (-5.0, 0.0, 5.0)}
    places |= {(x, y) for y in (20.0, 32.0) for x in (-5.0, 0.0, 5.0)}
    ground = np.array(sorted(places))
    solid = np.column_stack([ground, np.zeros(len(ground))])
    seen = camera.sees(solid, margin_px=4.0)
    pairs = []
    for index, (point, pixel) in enumerate(zip(ground[seen], camera.image(solid[seen]), strict=True)):
        held_out = ", held_out = true" if index % _HELD_OUT_EVERY == 2 else ""
        u, v = (round(float(side), _SURVEY_DIGITS) for side in pixel)
        pairs.append(f"{{ px = [{u}, {v}], m = [{point[0]:g}, {point[1]:g}]{held_out} }}")
    return pairs
