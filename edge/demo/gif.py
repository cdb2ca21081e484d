"""The README's picture: the drawn street beside what the node makes of it, as an animated GIF.

The only place of the demo that writes pictures. The street is drawn, so its frames may be shown; of a real
one only the right half would exist.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from broker.wire import LocalEvent
from calibration.geometry import footprint
from edge.demo.draw import Film
from edge.demo.junction import APPROACHES, CROSSWALKS, IN_VIEW, ROADWAYS, START
from edge.demo.paint import Light
from edge.demo.setting import Setting
from edge.demo.story import PLAN, actors
from edge.scene import State

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Row = Mapping[str, str]

SPAN_S = (35.0, 51.5)
RATE_HZ = 6.25
_STREET_PX, _PLAN_PX, _BAND_PX = (509, 288), (288, 288), 30
_PLAN_PX_PER_M = 6.4
_TOLD_S = 3.0
_COLOURS = 160
_PAPER, _ROAD, _LINE, _INK = (247, 246, 244), (222, 220, 216), (196, 194, 190), (60, 52, 44)
_STATES: Mapping[State, Colour] = {"red": (48, 48, 214), "amber": (30, 160, 240), "green": (96, 160, 52)}
_KINDS: Mapping[str, Colour] = {
    "pedestrian": (36, 110, 235),
    "bicycle": (150, 110, 20),
    "motorcycle": (150, 110, 20),
    "car": (150, 90, 60),
    "bus": (120, 70, 110),
    "truck": (90, 80, 80),
}


def write_gif(path: Path, *, out: Path, setting: Setting) -> None:
    """Write the picture from what the demo left in ``out`` (tracks.csv, events.jsonl)."""
    start_time = datetime.fromisoformat(START).timestamp()
    # Without noise and drifting light the still parts of the picture cost nothing.
    light = Light(setting.light.azimuth_deg, setting.light.elevation_deg, setting.light.shadow, 0.0, 0.0)
    film = Film(setting.camera, actors(), PLAN, light=light, seed=setting.seed)
    tracks = _tracks(out / "tracks.csv", start_time)
    events = [LocalEvent.decode(line) for line in (out / "events.jsonl").read_bytes().splitlines()]
    told = [
        (event.time.timestamp() - start_time, _sentence(event))
        for event in events
        if event.outcome == "occurred"
    ]
    times = np.arange(*SPAN_S, 1.0 / RATE_HZ)
    frames = [_frame(film.frame(float(time)), float(time), tracks, told) for time in times]
    _write(path, frames)


def _frame(
    street: Image, time: float, tracks: Mapping[int, list[Row]], told: Sequence[tuple[float, str]]
) -> Image:
    users = tracks.get(round(time * 100), tracks.get(_nearest(tracks, time), []))
    left = cv2.resize(street, _STREET_PX, interpolation=cv2.INTER_AREA)
    picture = np.concatenate([left, _plan(time, users)], axis=1)
    band = np.full((_BAND_PX, picture.shape[1], 3), _INK, np.uint8)
    now = [sentence for at, sentence in told if at <= time < at + _TOLD_S]
    text = now[-1] if now else "what happened, where and when, never who"
    colour = (120, 200, 255) if now else (190, 186, 180)
    cv2.putText(band, text, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.47, colour, 1, cv2.LINE_AA)
    clock = f"{time:5.1f} s"
    cv2.putText(
        band,
        clock,
        (picture.shape[1] - 70, 20),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.47,
        (190, 186, 180),
        1,
        cv2.LINE_AA,
    )
    return np.concatenate([picture, band]).astype(np.uint8)


def _plan(time: float, users: Sequence[Row]) -> Image:
    """Return the junction from above with everybody's footprint and what the signals show."""
    plan = np.full((_PLAN_PX[1], _PLAN_PX[0], 3), _PAPER, np.uint8)
    for polygon in ROADWAYS.values():
        _fill(plan, polygon, _ROAD)
    for crosswalk in CROSSWALKS:
        _fill(plan, crosswalk.polygon, _PAPER)
        outline = _STATES.get(PLAN.state(crosswalk.group, time), _LINE)
        cv2.polylines(plan, [_pixels(crosswalk.polygon)], True, outline, 1, cv2.LINE_AA, 4)
    for approach in APPROACHES:
        width = 4 if approach.leg in IN_VIEW else 2
        shown = _STATES.get(PLAN.state(approach.group, time), _LINE)
        cv2.polylines(plan, [_pixels(approach.line)], False, shown, width, cv2.LINE_AA, 4)
    for user in users:
        colour = _KINDS[user["kind"]]
        x, y = float(user["x"]), float(user["y"])
        if user["kind"] == "pedestrian":
            (u, v) = _pixels([(x, y)])[0]
            cv2.circle(plan, (int(u), int(v)), 52, colour, -1, cv2.LINE_AA, 4)
            continue
        heading = float(user["heading_deg"] or 0.0)
        _fill(plan, footprint(x, y, heading, float(user["length_m"]), float(user["width_m"])), colour)
    return plan


def _fill(
    picture: Image, polygon: Sequence[tuple[float, float]] | NDArray[np.float64], colour: Colour
) -> None:
    cv2.fillPoly(picture, [_pixels(polygon)], colour, cv2.LINE_AA, 4)


def _pixels(points: Sequence[tuple[float, float]] | NDArray[np.float64]) -> NDArray[np.int32]:
    middle = np.array(_PLAN_PX) / 2
    flat = np.asarray(points, np.float64) * [_PLAN_PX_PER_M, -_PLAN_PX_PER_M] + middle
    return np.asarray(np.round(flat * 16), np.int32)


def _tracks(path: Path, start_time: float) -> dict[int, list[Row]]:
    """Return the rows of tracks.csv by hundredths of a second of the recording."""
    rows: dict[int, list[Row]] = defaultdict(list)
    with path.open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            rows[round((float(row["time"]) - start_time) * 100)].append(row)
    return dict(rows)


def _nearest(tracks: Mapping[int, list[Row]], time: float) -> int:
    return min(tracks, key=lambda each: abs(each - time * 100), default=0)


def _sentence(event: LocalEvent) -> str:
    users = event.road_user if event.road_user2 is None else f"{event.road_user} and {event.road_user2}"
    numbers = {
        "into_red_s": "{:.1f} s into red",
        "into_amber_s": "{:.1f} s into amber",
        "into_clearance_s": "{:.1f} s into flashing",
        "into_dont_walk_s": "{:.1f} s into don't walk",
        "pet_s": "PET {:.1f} s",
        "ttc_s": "TTC {:.1f} s",
        "outside_m": "{:.1f} m outside",
    }
    said = [
        text.format(event.measures[name].value) for name, text in numbers.items() if name in event.measures
    ]
    return "  |  ".join([event.rule.replace("_", " "), event.place, users, *said[:1]])


def _write(path: Path, frames: Sequence[Image]) -> None:
    # One palette for all, so that what stands still is the same in every frame and is left out of it.
    sample = np.concatenate([frame[::2, ::2] for frame in frames[:: max(1, len(frames) // 8)]])
    swatches = np.array([*_STATES.values(), *_KINDS.values(), _PAPER, _ROAD, _LINE, _INK], np.uint8)
    bar = np.repeat(np.repeat(swatches, 60, axis=0)[None], 40, axis=0)
    sample = np.concatenate([sample, np.resize(bar, (40, sample.shape[1], 3))])
    palette = Pictures.fromarray(sample[..., ::-1]).quantize(_COLOURS, method=Pictures.Quantize.MEDIANCUT)
    pictures = [
        Pictures.fromarray(frame[..., ::-1]).quantize(palette=palette, dither=Pictures.Dither.NONE)
        for frame in frames
    ]
    first, *others = pictures
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(
        path, save_all=True, append_images=others, duration=round(1000 / RATE_HZ), loop=0, optimize=True
    )
