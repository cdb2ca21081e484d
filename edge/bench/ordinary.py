"""An ordinary minute at the drawn junction: what a camera sees most of the day; nobody does anything wrong.

Ten vehicles, a cyclist and two pedestrians in sixty seconds: 660 vehicles and 120 pedestrians an hour. Queues
at red, platoons at green, people who wait for the walk light. The demo's own story is no measure of speed: it
packs twelve events and fourteen temptations into eighty-four seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.demo.draw import Film
from edge.demo.film import write_video
from edge.demo.junction import CYCLE_LANE_M, Plan
from edge.demo.movement import Course, Ride, Walk, lane_path, walk
from edge.demo.setting import SETTINGS, Setting, write_signals, write_site
from edge.demo.story import (
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SILVER,
    SIZE_M,
    TEAL,
    VIOLET,
    WHITE,
    YELLOW,
    Actor,
)
from edge.scene import Kind

DURATION_S = 60.0
FRAME_RATE_HZ = 25.0
PLAN = Plan(offset_s=0.0, duration_s=DURATION_S)


def minute() -> tuple[Actor, ...]:
    """Return everybody; times in seconds, the signals those of ``PLAN``: north-south green 0-14 and 40-54."""
    south, north = lane_path("N", "straight"), lane_path("S", "straight")
    west, east = lane_path("E", "straight"), lane_path("W", "straight")
    cycle = lane_path("N", "straight", lane_m=CYCLE_LANE_M)
    return (
        _ride("first at green", "car", TEAL, south, Course.passing(2.5, 10.0)),
        _ride("second at green", "car", GREY, south, Course.passing(5.0, 10.0)),
        _ride("towards the north", "car", RED, north, Course.passing(8.5, 10.0)),
        _ride(
            "waits first", "car", WHITE, west, Course.passing(13.0, 9.0).stop(-1.0, 2.0).go(21.4, 1.8, 10.0)
        ),
        _ride(
            "waits second", "car", BLUE, west, Course.passing(16.0, 9.0).stop(-8.0, 2.0).go(22.9, 1.7, 10.0)
        ),
        _ride("towards the east", "truck", SILVER, east, Course.passing(27.5, 9.0)),
        _ride(
            "waits for the north",
            "car",
            BLACK,
            south,
            Course.passing(32.0, 9.0).stop(-1.0, 2.0).go(41.5, 1.8, 10.0),
        ),
        _ride("turns right at green", "car", ORANGE, lane_path("N", "right"), Course.passing(47.5, 6.0)),
        _ride("towards the north again", "bus", YELLOW, north, Course.passing(49.5, 9.0)),
        _ride("waits at the end", "car", GREEN, west, Course.passing(51.0, 9.0).stop(-1.0, 2.0)),
        _ride("cyclist at green", "bicycle", VIOLET, cycle, Course.passing(45.0, 5.5)),
        _walk("crosses at walk", BROWN, walk(-8.0, (8.1, -20.0), (8.1, -6.0, 1.4), (8.1, 60.0, 1.4))),
        _walk(
            "waits for the walk light",
            VIOLET,
            walk(4.0, (20.0, 8.1), (6.2, 8.1, 1.3), (6.6, 0.0, 0.0), (-6.2, 8.1, 1.4), (-60.0, 7.4, 1.4)),
        ),
    )


def draw(folder: Path, setting: str = "afternoon", *, frame_rate_hz: float = FRAME_RATE_HZ) -> Setting:
    """Write ``video.mp4``, ``site.toml`` and ``signals.csv`` of the minute, and return how it was filmed."""
    filmed = SETTINGS[setting]
    film_of(folder, minute(), filmed, PLAN, duration_s=DURATION_S, frame_rate_hz=frame_rate_hz)
    return filmed


def film_of(
    folder: Path,
    actors: Sequence[Actor],
    filmed: Setting,
    plan: Plan,
    *,
    duration_s: float,
    frame_rate_hz: float,
) -> None:
    """Film actors and write all that `analyze` needs of it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_site(folder / "site.toml", filmed.camera)
    write_signals(folder / "signals.csv", plan)
    film = Film(filmed.camera, actors, plan, light=filmed.light, seed=filmed.seed)
    count = round(duration_s * frame_rate_hz)
    write_video(
        folder / "video.mp4",
        (film.frame(index / frame_rate_hz) for index in range(count)),
        image_size=filmed.camera.image_size,
        frame_rate_hz=frame_rate_hz,
    )


def _ride(name: str, kind: Kind, colour: tuple[int, int, int], path: object, course: Course) -> Actor:
    ride = Ride(path, course, SIZE_M[kind][0])  # type: ignore[arg-type]
    return Actor(name, kind, ride, colour, ride.span_s)


def _walk(name: str, colour: tuple[int, int, int], movement: Walk) -> Actor:
    return Actor(name, "pedestrian", movement, colour, movement.span_s)
