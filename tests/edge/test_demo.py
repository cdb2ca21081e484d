"""The drawn junction: its camera, its story and what is true of it."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
import shapely

from broker.wire import LocalEvent
from calibration.plane import plane_of
from calibration.site import load_site
from edge.demo.camera import Camera
from edge.demo.compare import compared
from edge.demo.draw import Film
from edge.demo.film import write_video
from edge.demo.junction import CROSSWALKS, GROUPS, IN_VIEW, START, Plan
from edge.demo.movement import Course, Ride, Walk, lane_path
from edge.demo.paint import Light
from edge.demo.setting import SETTINGS, write_signals, write_site
from edge.demo.story import DURATION_S, FRAME_RATE_HZ, PLAN, TEMPTATIONS, Actor, actors
from edge.demo.truth import TrueEvent, as_records, footprints, true_events
from edge.signals.files import load_signals

SIX_RULES = {
    "red_light_entry",
    "amber_entry",
    "pedestrian_against_signal",
    "pedestrian_late_start",
    "crossing_outside_crosswalk",
    "near_miss",
}
AFTERNOON = SETTINGS["afternoon"]


@pytest.fixture(scope="module")
def story() -> tuple[Actor, ...]:
    return actors()


@pytest.fixture(scope="module")
def truth(story: tuple[Actor, ...]) -> list[TrueEvent]:
    return true_events(story, PLAN)


def test_every_rule_is_broken_and_eight_events_happen(truth: list[TrueEvent]) -> None:
    assert {event.rule for event in truth} == SIX_RULES
    assert len(truth) >= 8
    assert all(2.0 < event.time < DURATION_S - 5.0 for event in truth)
    assert DURATION_S >= 60.0


def test_who_only_tempts_has_done_nothing(story: tuple[Actor, ...], truth: list[TrueEvent]) -> None:
    names = {actor.name for actor in story}
    guilty = {who.name for event in truth for who in (event.actor, event.second) if who is not None}
    tempting = {temptation.actor for temptation in TEMPTATIONS}
    assert len(tempting) >= 8
    assert tempting <= names
    assert tempting & guilty == set()


def test_nobody_goes_through_anybody(story: tuple[Actor, ...]) -> None:
    collisions = []
    for one, other in itertools.combinations(story, 2):
        start, end = max(one.span_s[0], other.span_s[0], 0.0), min(one.span_s[1], other.span_s[1], DURATION_S)
        when = np.arange(start, end, 0.1)
        if len(when) == 0:
            continue
        touch = shapely.intersects(
            footprints(one, *one.movement.at(when)), footprints(other, *other.movement.at(when))
        )
        if touch.any():
            collisions.append((one.name, other.name, float(when[touch][0])))
    assert collisions == []


def test_nobody_appears_or_vanishes_in_view(story: tuple[Actor, ...]) -> None:
    seen = []
    for setting in SETTINGS.values():
        for actor in story:
            for time in actor.span_s:
                if not 0.0 < time < DURATION_S:
                    continue
                (x, y), _ = actor.movement.at(time)
                if setting.camera.depth((x, y, 1.0)) < 70.0 and setting.camera.sees((x, y, 1.0)):
                    seen.append((actor.name, round(time, 1)))
    assert seen == []


def test_times_of_truth_follow_from_the_courses(truth: list[TrueEvent]) -> None:
    red = [event for event in truth if event.rule == "red_light_entry"]
    assert red
    for event in red:
        assert isinstance(event.actor.movement, Ride)
        assert event.actor.movement.course.front_m(event.time) == pytest.approx(0.0, abs=0.15)
        assert PLAN.state("NS" if event.place == "N" else "EW", event.time) == "red"


def test_conflicting_groups_are_never_green_together() -> None:
    for time in np.arange(0.0, DURATION_S, 0.25):
        shown = {group: PLAN.state(group, float(time)) for group in GROUPS}
        assert not (shown["NS"] != "red" and shown["EW"] != "red")
        assert not (shown["walk-NS"] != "red" and shown["EW"] != "red")
        assert not (shown["walk-EW"] != "red" and shown["NS"] != "red")


def test_a_course_does_what_it_is_told() -> None:
    course = Course.passing(10.0, 8.0).stop(20.0, 2.0).go(30.0, 2.0, 6.0)
    assert course.front_m(10.0) == pytest.approx(0.0)
    assert course.front_m(29.9) == pytest.approx(20.0)
    assert course.front_m(33.0) == pytest.approx(20.0 + 9.0)
    assert course.front_m(40.0) - course.front_m(39.0) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("leg", "turn", "end"), [("W", "right", "S"), ("W", "left", "N"), ("N", "right", "W")]
)
def test_a_turn_ends_on_the_leg_it_is_for(leg: str, turn: str, end: str) -> None:
    path = lane_path(leg, turn)  # type: ignore[arg-type]  # the table's strings are turns
    x, y = path.points[-1]
    assert {"N": y > 50, "S": y < -50, "E": x > 50, "W": x < -50}[end]


# -- the camera and what it draws ------------------------------------------------------------------------


def test_the_site_file_maps_the_drawn_ground(tmp_path: Path) -> None:
    write_site(tmp_path / "site.toml", AFTERNOON.camera)
    site = load_site(tmp_path / "site.toml")
    assert {line.id for line in site.stop_lines} == set(IN_VIEW)
    assert site.ground_plane is not None
    assert site.ground_plane.osd == ()
    plane = plane_of(site)
    assert plane is not None
    places = np.array([point for crosswalk in CROSSWALKS for point in crosswalk.polygon])
    exact = AFTERNOON.camera.image(np.column_stack([places, np.zeros(len(places))]))
    np.testing.assert_allclose(plane.image(places), exact, atol=0.15)
    assert np.nanmax(plane.held_out_error_m) < 0.05


def test_signals_csv_says_what_the_lamps_show(tmp_path: Path) -> None:
    write_site(tmp_path / "site.toml", AFTERNOON.camera)
    write_signals(tmp_path / "signals.csv", PLAN)
    start = datetime.fromisoformat(START).timestamp()
    signals = load_signals(tmp_path / "signals.csv", site=load_site(tmp_path / "site.toml"), start_time=start)
    for time in np.arange(0.1, DURATION_S, 1.37):
        for group in GROUPS:
            assert signals.at(group, start + float(time)).state == PLAN.state(group, float(time))


def test_a_pedestrian_is_drawn_where_the_camera_says() -> None:
    camera = Camera((-10.0, -10.0, 9.0), (0.0, 0.0, 0.0), (320, 240), 60.0)
    dark = Light(noise=0.0, drift=0.0, shadow=1.0)
    stander = Actor("stands", "pedestrian", Walk(((0.0, 2.0, 1.0), (9.0, 2.1, 1.0))), (0, 0, 255), (0.0, 9.0))
    empty = Film(camera, (), Plan(0.0, 10.0), light=dark, seed=1).frame(1.0)
    image = Film(camera, (stander,), Plan(0.0, 10.0), light=dark, seed=1).frame(1.0)
    rows, columns = np.nonzero((image != empty).any(axis=2))
    foot, head = camera.image([(2.0, 1.0, 0.0), (2.0, 1.0, 1.76)])
    assert rows.max() == pytest.approx(foot[1], abs=3.0)
    assert rows.min() == pytest.approx(head[1], abs=2.5)
    assert columns.mean() == pytest.approx((foot[0] + head[0]) / 2, abs=2.0)


def test_a_lamp_shines_in_its_head() -> None:
    film = Film(AFTERNOON.camera, (), PLAN, light=Light(noise=0.0, drift=0.0), seed=1)
    green, red = film.frame(1.0).astype(int), film.frame(30.0).astype(int)
    from edge.demo.junction import HEADS

    head = next(head for head in HEADS if head.group == "NS")
    left, top, right, bottom = (round(side) for side in film.head_region_px(head))
    part = np.s_[top:bottom, left:right]
    assert (green[part][..., 1] - green[part][..., 2]).max() > 80
    assert (red[part][..., 2] - red[part][..., 1]).max() > 80


def test_the_recording_has_the_times_it_says(tmp_path: Path) -> None:
    images = [np.full((64, 96, 3), 10 * index, np.uint8) for index in range(6)]
    write_video(tmp_path / "v.mp4", images, image_size=(96, 64), frame_rate_hz=FRAME_RATE_HZ)
    with av.open(tmp_path / "v.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(6) / FRAME_RATE_HZ, atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


# -- found against truth ---------------------------------------------------------------------------------

START_S = datetime.fromisoformat(START).timestamp()


def found(truth: list[TrueEvent], **change: object) -> list[LocalEvent]:
    return [record.model_copy(update=change) for record in as_records(truth, PLAN)]


def test_the_truth_agrees_with_itself(truth: list[TrueEvent]) -> None:
    comparison = compared(truth, found(truth), start_time=START_S)
    assert comparison.agrees
    assert Counter(row.verdict for row in comparison.rows) == {"found": len(truth)}


def test_a_missed_event_is_no_agreement(truth: list[TrueEvent]) -> None:
    comparison = compared(truth, found(truth)[1:], start_time=START_S)
    assert not comparison.agrees
    assert comparison.rows[0].verdict == "missed"


def test_an_undecided_event_is_not_found(truth: list[TrueEvent]) -> None:
    comparison = compared(truth, found(truth, outcome="undecidable"), start_time=START_S)
    assert {row.verdict for row in comparison.rows} == {"undecided"}
    assert not comparison.agrees


def test_what_is_claimed_of_nobody_is_an_error(truth: list[TrueEvent]) -> None:
    events = found(truth)
    moved = events[0].model_copy(update={"time": events[0].time + timedelta(seconds=20)})
    assert not compared(truth, [*events, moved], start_time=START_S).agrees
    doubted = moved.model_copy(update={"outcome": "undecidable"})
    comparison = compared(truth, [*events, doubted], start_time=START_S)
    assert comparison.agrees
    assert "doubted" in {row.verdict for row in comparison.rows}


def test_half_a_second_late_is_too_late(truth: list[TrueEvent]) -> None:
    late = [event.model_copy(update={"time": event.time + timedelta(seconds=0.6)}) for event in found(truth)]
    comparison = compared(truth, late, start_time=START_S)
    assert {row.verdict for row in comparison.rows} == {"late"}
