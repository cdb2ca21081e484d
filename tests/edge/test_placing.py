"""Road users stand where they stand: driven past a known camera, with the errors of real boxes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from calibration.plane import Plane, fit
from calibration.site import Site
from edge.demo.camera import Camera
from edge.demo.solids import Ball, moved, solid
from edge.placing import Stage
from edge.scene import Kind, RoadUser, Scene
from edge.signals.history import SignalHistory
from edge.tracker import Track

SIZE = (1280, 720)
STREET = Camera((-18.0, -26.0, 9.0), (2.0, 2.0, 0.0), SIZE, 62.0)
RATE_HZ = 12.5
GRID = np.array([[x, y] for x in np.linspace(-14, 14, 6) for y in np.linspace(-10, 18, 6)])
SITE = Site.model_validate(
    {
        "site": {"id": "street"},
        "stop_lines": ({"id": "W", "line": ((-8.0, -4.0), (-8.0, 0.0)), "heading_deg": 0.0},),
    }
)

Way = Callable[[float], tuple[float, float, float]]


def plane(camera: Camera = STREET) -> Plane:
    pixel = camera.image(np.c_[GRID, np.zeros(len(GRID))])
    shown = camera.sees(np.c_[GRID, np.zeros(len(GRID))])
    return fit(pixel[shown], GRID[shown], image_size=SIZE)


def box_of(kind: Kind, x: float, y: float, heading_deg: float) -> np.ndarray:
    """Return left, top, right, bottom around a drawn road user, as far as the image goes."""
    body = moved(solid(kind, (0, 0, 0), stride_m=0.0), x, y, heading_deg)
    corners = [
        part.centre + np.array([[0, 0, part.radius_m], [0, 0, -part.radius_m]])
        if isinstance(part, Ball)
        else part.points
        for part in body.painted
    ]
    pixel = STREET.image(np.concatenate(corners))
    return np.clip(np.r_[pixel.min(axis=0), pixel.max(axis=0)], 0, [*SIZE, *SIZE])


def drive(
    kind: Kind,
    way: Way,
    *,
    seconds: float,
    noise_px: float = 1.0,
    seen: Callable[[int], bool] = lambda index: True,
    still: Callable[[int], bool] = lambda index: False,
    ground: Plane | None = None,
    seed: int = 0,
) -> list[tuple[float, Scene]]:
    """Film one road user; return time and scene of each frame."""
    rng = np.random.default_rng(seed)
    stage = Stage(plane() if ground is None else ground, SITE, SignalHistory(()))
    scenes = []
    for index in range(int(seconds * RATE_HZ)):
        time = index / RATE_HZ
        left, top, right, bottom = box_of(kind, *way(time)) + rng.normal(0, noise_px, 4)
        box = (float(left), float(top), float(right), float(bottom))
        track = Track(1, box, kind, index > 1, 0 if seen(index) else None, still(index))
        scenes.append((time, stage.place((track,), time, 0.01)))
    return scenes


def users(scenes: Sequence[tuple[float, Scene]]) -> list[tuple[float, RoadUser]]:
    return [(time, scene.users[0]) for time, scene in scenes if scene.users]


def front(user: RoadUser) -> np.ndarray:
    angle = np.deg2rad(user.heading_deg)
    return np.array([user.x, user.y]) + user.length_m / 2 * np.array([np.cos(angle), np.sin(angle)])


def eastbound(speed_mps: float, *, y: float = -2.0, start: float = -13.0) -> Way:
    return lambda time: (start + speed_mps * time, y, 0.0)


def braking(time: float) -> tuple[float, float, float]:
    """12 m/s, then 4 m/s² from t = 0.5 s until it stands at t = 3.5 s."""
    into = np.clip(time - 0.5, 0.0, 3.0)
    return float(-22.0 + 12 * min(time, 0.5) + 12 * into - 2 * into**2), -2.0, 0.0


@pytest.mark.parametrize(
    ("kind", "way", "length_m", "error_m"),
    [
        pytest.param("car", eastbound(8.0), 4.4, 0.4, id="a car"),
        pytest.param("car", braking, 4.4, 0.5, id="a car that brakes hard"),
        pytest.param("truck", eastbound(6.0), 7.5, 0.6, id="a truck"),
        pytest.param("bicycle", eastbound(4.0), 1.8, 0.35, id="a bicycle"),
        pytest.param("pedestrian", eastbound(1.4, start=-6.0), 0.5, 0.3, id="a pedestrian"),
    ],
)
def test_the_front_is_where_the_front_is(kind: Kind, way: Way, length_m: float, error_m: float) -> None:
    placed = [(time, user) for time, user in users(drive(kind, way, seconds=3.4)) if time > 0.8]
    errors = [front(user)[0] - (way(time)[0] + length_m / 2) for time, user in placed]
    assert np.abs(np.median(errors)) < error_m / 2
    assert np.percentile(np.abs(errors), 95) < error_m


def test_the_stated_sigma_holds_the_error() -> None:
    ratios = []
    for seed in range(12):
        way = eastbound(3.0 + seed * 0.7, y=-3.0 + seed % 4)
        for time, user in users(drive("car", way, seconds=2.5, noise_px=2.0, seed=seed)):
            if time > 0.6:
                ratios.append(np.linalg.norm(np.subtract((user.x, user.y), way(time)[:2])) / user.sigma_m)
    assert 0.3 < np.sqrt(np.mean(np.square(ratios))) < 1.5
    assert np.mean(np.array(ratios) < 2.0) > 0.93


def test_who_stands_keeps_place_and_heading() -> None:
    def arriving(time: float) -> tuple[float, float, float]:
        return min(-14.0 + 6.0 * time, -6.0), -2.0, 0.0

    scenes = drive("car", arriving, seconds=8.0, still=lambda index: index > 36)
    held = [user for time, user in users(scenes) if time > 4.0]
    assert np.ptp([user.x for user in held]) < 0.25
    assert np.ptp([user.y for user in held]) < 0.25
    assert max(abs(user.heading_deg) for user in held) < 8.0
    assert np.ptp([user.heading_deg for user in held]) < 1.0


def test_who_never_moved_has_no_heading() -> None:
    parked = [user for _, user in users(drive("car", lambda time: (-12.0, -2.0, 0.0), seconds=4.0))]
    assert all(np.isnan(user.heading_deg) for user in parked)
    assert np.linalg.norm([parked[-1].x + 12.0, parked[-1].y + 2.0]) < 0.5


def test_a_turn_is_followed() -> None:
    """At 6 m/s on a radius of 10 m. The rope of 1.3 m is that of a car, whose body points less far into the
    turn than its middle moves: the drawn one, which points where its middle moves, is followed 10° late.
    """

    def turning(time: float) -> tuple[float, float, float]:
        angle = 0.6 * time
        return -6.0 + 10 * np.sin(angle), 8.0 - 10 * np.cos(angle), np.rad2deg(angle)

    late = [(time, user) for time, user in users(drive("car", turning, seconds=3.0)) if time > 1.0]
    off = [(user.heading_deg - turning(time)[2] + 180) % 360 - 180 for time, user in late]
    assert np.abs(off).max() < 15
    assert -12 < np.median(off) < 0


def test_an_unseen_road_user_goes_on_and_grows_unsure() -> None:
    way = eastbound(6.0)
    placed = users(drive("car", way, seconds=2.5, seen=lambda index: index < 20))
    coasting = [(time, user) for time, user in placed if user.detection is None]
    assert [user.sigma_m for _, user in coasting] == sorted(user.sigma_m for _, user in coasting)
    assert coasting[-1][1].sigma_m > 2 * placed[18][1].sigma_m
    time, last = coasting[-1]
    assert abs(last.x - way(time)[0]) < 2 * last.sigma_m


def test_half_a_car_at_the_image_border_is_less_sure() -> None:
    placed = users(drive("car", lambda time: (-16.5 + 5.0 * time, -9.0, 0.0), seconds=3.0))
    cut = [user for time, user in placed if box_of("car", -16.5 + 5.0 * time, -9.0, 0.0)[0] < 1]
    whole = [user for _, user in placed if user not in cut]
    assert cut and whole
    assert cut[0].sigma_m > 2 * whole[-1].sigma_m


def test_nobody_stands_beyond_the_horizon() -> None:
    stage = Stage(plane(), SITE, SignalHistory(()))
    above = Track(1, (600.0, 10.0, 640.0, 40.0), "pedestrian", True, 0)
    assert stage.place((above,), 0.0, 0.0).users == ()


def test_an_unconfirmed_track_is_placed_for_nobody() -> None:
    stage = Stage(plane(), SITE, SignalHistory(()))
    left, top, right, bottom = box_of("car", 0.0, -2.0, 0.0)
    box = (float(left), float(top), float(right), float(bottom))
    assert stage.place((Track(1, box, "car", False, 0),), 0.0, 0.0).users == ()
    assert len(stage.place((Track(1, box, "car", True, 0),), 0.1, 0.0).users) == 1


def test_without_a_plane_nothing_can_be_trusted() -> None:
    scene = Stage(None, SITE, SignalHistory(())).place((), 5.0, 0.01)
    assert (scene.users, scene.trusted, scene.time_sigma_s) == ((), False, 0.01)


def test_a_frame_that_comes_too_late_is_not_trusted() -> None:
    stage = Stage(plane(), SITE, SignalHistory(()))
    assert [stage.place((), time, 0.0).trusted for time in (0.0, 0.2, 0.4, 0.9, 1.1)] == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_without_a_camera_feet_are_still_on_the_ground() -> None:
    """A plane that looks straight down tells no heights; the box's foot and sides do."""
    pixel = GRID * [30.0, -30.0] + [640.0, 360.0]
    flat = fit(pixel, GRID, image_size=SIZE)
    stage = Stage(flat, SITE, SignalHistory(()))
    for index in range(20):
        x, y = 640.0 + 4.0 * index, 360.0
        track = Track(1, (x - 66, y - 27, x + 66, y + 27), "car", True, 0)
        scene = stage.place((track,), index / RATE_HZ, 0.0)
    user = scene.users[0]
    assert (user.x, user.y) == pytest.approx((4.0 * 19 / 30, 0.0), abs=0.6)
    assert user.heading_deg == pytest.approx(0.0, abs=8.0)


def test_a_change_of_class_takes_the_new_size() -> None:
    stage = Stage(plane(), SITE, SignalHistory(()))
    left, top, right, bottom = box_of("bus", 2.0, 2.0, 0.0)
    box = (float(left), float(top), float(right), float(bottom))
    for index in range(10):
        kind: Kind = "car" if index < 3 else "bus"
        scene = stage.place((Track(1, box, kind, True, 0),), index / RATE_HZ, 0.0)
    assert scene.users[0].length_m > 9.0
    assert np.hypot(scene.users[0].x - 2.0, scene.users[0].y - 2.0) < 1.5


def test_the_same_boxes_give_the_same_scenes() -> None:
    first, second = (users(drive("car", eastbound(8.0), seconds=2.0)) for _ in range(2))
    assert repr(first) == repr(second)  # repr, for headings that are NaN at first


def test_a_bus_that_comes_into_view_is_soon_known() -> None:
    """For two seconds only part of it is in the image: unsure until it is whole, and without a heading."""
    placed = users(drive("bus", eastbound(7.0, y=-4.0, start=-24.0), seconds=3.6))
    for time, user in placed:
        middle = -24.0 + 7.0 * time
        if box_of("bus", middle, -4.0, 0.0)[0] < 1:
            assert np.isnan(user.heading_deg)
            assert np.hypot(user.x - middle, user.y + 4.0) < 4 * user.sigma_m
    late = [(time, user) for time, user in placed if time > 2.8]
    assert all(abs(user.heading_deg) < 10.0 for _, user in late)
    assert max(abs(front(user)[0] - (-24.0 + 7.0 * time + 5.75)) for time, user in late) < 0.6


def test_a_bus_that_leaves_goes_on_straight() -> None:
    """Only its tail is still in the image: the lowest corner one sees is not the bus's lowest any more."""
    way = eastbound(8.0, y=-14.0, start=-6.0)
    leaving = [
        (time, user)
        for time, user in users(drive("bus", way, seconds=2.2))
        if time > 1.0 and box_of("bus", *way(time))[2] > SIZE[0] - 2
    ]
    assert leaving
    for time, user in leaving:
        assert abs(user.heading_deg) < 10.0
        assert np.hypot(user.x - way(time)[0], user.y - way(time)[1]) < 3 * user.sigma_m + 0.3


def test_nobody_walks_at_forty_kilometres_an_hour() -> None:
    """A piece of a vehicle that is called a pedestrian reaches no rule."""
    fast = drive("pedestrian", eastbound(11.0, start=-8.0), seconds=1.4)
    assert all(scene.users == () for time, scene in fast if time > 0.6)


def test_a_far_parked_car_whose_box_flickers_does_not_dart_about() -> None:
    scenes = drive(
        "car", lambda time: (10.0, 16.0, 0.0), seconds=6.0, noise_px=2.0, still=lambda index: index > 12
    )
    held = [user for time, user in users(scenes) if time > 2.0]
    steps = [np.hypot(b.x - a.x, b.y - a.y) * RATE_HZ for a, b in itertools.pairwise(held)]
    assert np.percentile(steps, 95) < 0.5
