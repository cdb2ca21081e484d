"""The demo's story: who moves where and when during 85 s, events and temptations alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.demo.junction import CYCLE_LANE_M, Plan
from edge.demo.movement import Course, Path, Ride, Walk, lane_path, walk
from edge.scene import Kind

DURATION_S = 84.0
FRAME_RATE_HZ = 12.5
PLAN = Plan(offset_s=0.0, duration_s=DURATION_S)

SIZE_M: Mapping[Kind, tuple[float, float, float]] = {  # length, width, height
    "pedestrian": (0.5, 0.5, 1.75),
    "bicycle": (1.8, 0.6, 1.75),
    "motorcycle": (2.1, 0.8, 1.6),
    "car": (4.4, 1.8, 1.5),
    "bus": (11.5, 2.5, 3.1),
    "truck": (7.5, 2.4, 3.2),
}


@dataclass(frozen=True)
class Actor:
    """One road user of the story.

    Attributes:
        name: what it does, in a few words; shown beside truth that was not found.
        colour: BGR.
        span_s: from and to when it is in the street, seconds.
    """

    name: str
    kind: Kind
    movement: Ride | Walk
    colour: tuple[int, int, int]
    span_s: tuple[float, float]


@dataclass(frozen=True)
class Temptation:
    """Something that looks like an event and is none: nothing may be claimed of this actor."""

    actor: str
    why: str


def _ride(name: str, kind: Kind, colour: tuple[int, int, int], path: Path, course: Course) -> Actor:
    ride = Ride(path, course, SIZE_M[kind][0])
    return Actor(name, kind, ride, colour, ride.span_s)


def _walk(name: str, colour: tuple[int, int, int], movement: Walk) -> Actor:
    return Actor(name, "pedestrian", movement, colour, movement.span_s)


WHITE, SILVER, GREY, BLACK = (232, 232, 228), (188, 186, 180), (120, 116, 112), (48, 44, 42)
RED, BLUE, GREEN, YELLOW = (44, 40, 196), (168, 92, 36), (84, 128, 52), (40, 178, 226)
ORANGE, TEAL, VIOLET, BROWN = (36, 116, 232), (140, 132, 32), (136, 64, 104), (60, 84, 124)


def actors() -> tuple[Actor, ...]:
    """Return everybody; times in seconds of the recording, signals as in ``junction``."""
    south, north = lane_path("N", "straight"), lane_path("S", "straight")
    west = lane_path("E", "straight")
    return (
        # First cycle, NS green 0-14, amber -17.5
        _ride("car through on green", "car", TEAL, south, Course.passing(0.8, 10.0)),
        _ride(
            "cyclist on green",
            "bicycle",
            BLUE,
            lane_path("S", "straight", lane_m=CYCLE_LANE_M),
            Course.passing(2.5, 6.0),
        ),
        _walk("first of two side by side", VIOLET, walk(-2.5, (-8.7, -10.0), (-8.7, 60.0, 1.35))),
        _walk("second of two side by side", GREEN, walk(-2.5, (-8.0, -10.0), (-8.0, 60.0, 1.35))),
        _walk(
            "finishes late after a legal start",
            BROWN,
            walk(-6.2, (-21.5, -6.6), (-7.3, -6.2, 1.3), (-7.3, 5.6, 1.0), (-7.3, 60.0, 1.1)),
        ),
        _ride(
            "left-turner over the line before red",
            "car",
            SILVER,
            lane_path("N", "left"),
            Course.passing(10.2, 7.0).stop(8.0, 2.2).go(15.2, 2.0, 7.0),
        ),
        _ride("car the left-turner waits for", "car", RED, north, Course.passing(12.8, 9.0)),
        _ride(
            "car waiting at red, first cycle",
            "car",
            WHITE,
            west,
            Course.passing(4.6, 9.0).stop(-0.8, 2.0).go(21.2, 1.8, 10.0),
        ),
        _walk(
            "walks along the kerb",
            ORANGE,
            walk(
                -8.0,
                (38.0, 5.75),
                (6.4, 5.75, 1.4),
                (5.8, 8.1, 1.2),
                (3.6, 0.0, 0.0),
                (-6.2, 8.1, 1.45),
                (-6.7, 50.0, 1.4),
            ),
        ),
        # First cycle, EW green 20-34, amber -37.5
        _ride(
            "right turn close behind a pedestrian",
            "car",
            RED,
            lane_path("W", "right"),
            Course.passing(8.0, 8.0).stop(-0.8, 2.0).go(21.5, 2.0, 5.5),
        ),
        _walk(
            "pedestrian cut off by the right turn",
            GREEN,
            Walk(
                (
                    (8.0, -20.0, -6.6),
                    (16.6, -6.4, -8.9),
                    (20.6, -5.8, -8.9),
                    (29.0, 5.8, -8.9),
                    (42.0, 6.8, -26.0),
                )
            ),
        ),
        _walk(
            "crosses far from the crosswalk",
            RED,
            walk(
                9.8,
                (19.5, -20.0),
                (19.5, -7.4, 1.4),
                (15.6, -5.7, 1.4),
                (2.0, 0.0, 0.0),
                (15.4, 6.6, 1.5),
                (95.0, 7.0, 1.5),
            ),
        ),
        _walk(
            "crosses against the signal, first cycle",
            BLACK,
            walk(20.0, (-8.1, -14.0), (-8.1, -5.6, 1.4), (-8.1, 60.0, 1.4)),
        ),
        _walk(
            "starts on flashing, first cycle",
            YELLOW,
            walk(20.0, (-20.0, -7.6), (-5.4, -7.9, 1.5), (5.6, -7.9, 1.4), (6.6, -26.0, 1.4)),
        ),
        _ride(
            "cyclist through red",
            "bicycle",
            ORANGE,
            lane_path("N", "straight", lane_m=CYCLE_LANE_M),
            Course.passing(30.2, 5.0),
        ),
        _ride("car over the line on amber", "car", BLUE, west, Course.passing(35.9, 11.0)),
        # Between the cycles: the truck's red-light entry, and who nearly meets it
        _ride("truck through red", "truck", WHITE, west, Course.passing(38.7, 10.0)),
        _ride("car off on fresh green", "car", ORANGE, north, Course.passing(40.3, 10.0)),
        # Second cycle, NS green 40-54, amber -57.5
        _walk(
            "legal, long before the right turn",
            TEAL,
            walk(33.0, (-8.1, -14.0), (-8.1, -5.9, 1.4), (2.1, 0.0, 0.0), (-8.1, 60.0, 1.45)),
        ),
        _ride(
            "cyclist on green, southbound",
            "bicycle",
            RED,
            lane_path("N", "straight", lane_m=CYCLE_LANE_M),
            Course.passing(43.5, 5.5),
        ),
        _walk(
            "crosses against the signal, second cycle",
            VIOLET,
            walk(
                28.9,
                (19.5, -20.0),
                (19.5, -7.8, 1.4),
                (5.8, -8.1, 1.4),
                (-6.0, -8.1, 1.45),
                (-26.0, -7.4, 1.4),
            ),
        ),
        _ride(
            "right turn long after the pedestrian",
            "car",
            BLACK,
            lane_path("N", "right"),
            Course.passing(50.6, 10.0).to_speed(5.5, 2.0, front_m=-25.0),
        ),
        _ride(
            "car creeping at the line",
            "car",
            GREEN,
            west,
            Course.passing(42.0, 9.0)
            .stop(-1.0, 2.0)
            .creep(50.0, 0.3, 3.0)
            .creep(55.0, 0.3, 3.0)
            .go(61.4, 1.8, 10.0),
        ),
        _walk(
            "starts on flashing, second cycle",
            BLUE,
            walk(
                32.2, (19.5, -20.0), (19.5, -7.0, 1.4), (8.1, -6.4, 1.4), (8.1, 5.6, 1.45), (95.0, 6.8, 1.45)
            ),
        ),
        _ride("car over the line on amber, southbound", "car", GREY, south, Course.passing(55.6, 11.0)),
        _ride("car through red", "car", YELLOW, south, Course.passing(59.0, 12.0)),
        # Second cycle, EW green 60-74, amber -77.5
        _walk(
            "steps off the kerb and back",
            ORANGE,
            walk(
                50.0,
                (-20.0, -6.0),
                (-8.4, -5.7, 1.3),
                (1.0, 0.0, 0.0),
                (-8.1, -4.45, 1.0),
                (0.4, 0.0, 0.0),
                (-8.1, -5.9, 1.0),
                (8.0, 0.0, 0.0),
                (-9.0, -24.0, 1.3),
            ),
        ),
        _walk(
            "legal, long before the truck turns",
            RED,
            walk(
                24.3,
                (-5.6, 58.0),
                (-5.6, 22.0, 1.4),
                (-5.9, 8.1, 1.4),
                (0.9, 0.0, 0.0),
                (5.9, 8.1, 1.45),
                (95.0, 6.8, 1.45),
            ),
        ),
        _ride("bus in the last second of green", "bus", YELLOW, west, Course.passing(73.2, 9.0)),
        _ride(
            "truck turning right on green",
            "truck",
            SILVER,
            lane_path("E", "right"),
            Course.passing(68.3, 9.0).to_speed(5.0, 2.0, front_m=-22.0),
        ),
        _ride(
            "stops for amber",
            "car",
            TEAL,
            west,
            Course.passing(77.4, 10.0).stop(-1.2, 2.4),
        ),
        _ride(
            "bus off on green",
            "bus",
            RED,
            north,
            Course.passing(72.0, 8.0).stop(-1.5, 1.6).go(81.0, 1.2, 9.0),
        ),
    )


TEMPTATIONS = (
    Temptation("cyclist on green", "enters on green"),
    Temptation("first of two side by side", "on walk, with a car stopping at the line beside"),
    Temptation("second of two side by side", "on walk, with a car stopping at the line beside"),
    Temptation("finishes late after a legal start", "started on walk, ends on steady don't walk"),
    Temptation("left-turner over the line before red", "already across at onset of red"),
    Temptation("bus in the last second of green", "enters 0.8 s before amber"),
    Temptation("car waiting at red, first cycle", "stands at the line through red"),
    Temptation("walks along the kerb", "never on the carriageway, then crosses on walk"),
    Temptation("legal, long before the right turn", "more than 5 s before the turning car"),
    Temptation("right turn long after the pedestrian", "more than 5 s after the pedestrian"),
    Temptation("car creeping at the line", "creeps towards the line during red, front stays short of it"),
    Temptation("steps off the kerb and back", "0.5 m onto the carriageway and back"),
    Temptation("truck turning right on green", "three seconds after the pedestrian"),
    Temptation("stops for amber", "brakes for amber and stands before the line"),
)
