"""When the detector looks again: a table of what is seen, and the longest wait it allows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calibration.site import Site
from edge.attention import (
    BEAT_S,
    EVERY_FRAME_S,
    USUAL,
    Outlook,
    is_busy,
    wait_s,
)
from edge.courses import Watched
from edge.rules.places import Places
from edge.scene import Kind, SignalReading
from edge.signals.history import SignalHistory
from tests.edge.streets import street

# The street: stop line at x = 20 (eastwards, y 8..12), zebra x 22..26, road y 6..14.
NOW = 100.0
SIGNALS = SignalHistory(
    [
        SignalReading("E", "green", 50.0, 0.0, "file"),
        SignalReading("ped", "red", 50.0, 0.0, "file"),
    ]
)
RED = SignalHistory([SignalReading("E", "red", 90.0, 0.0, "file")])
FRESH_GREEN = SignalHistory([SignalReading("E", "green", NOW - 0.2, 0.0, "file")])
WALK = SignalHistory([SignalReading("ped", "green", 90.0, 0.0, "file")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder: Path = tmp_path_factory.mktemp("attention")
    return street(folder)


@pytest.fixture(scope="module")
def places(site: Site) -> Places:
    return Places.of(site)


def car(front_m: float, speed_mps: float = 10.0, *, y: float = 10.0, stirs: bool = True) -> Watched:
    """Return a car in the lane, its front so far beyond the stop line."""
    return Watched("car", 20.0 + front_m - 2.25, y, speed_mps, 0.0, 4.5, stirs)


def walker(x: float, y: float, vx: float = 0.0, vy: float = 0.0, *, kind: Kind = "pedestrian") -> Watched:
    return Watched(kind, x, y, vx, vy, 0.5, stirs=vx != 0.0 or vy != 0.0)


def wait(places: Places, *users: Watched, signals: SignalHistory = SIGNALS, **seen: object) -> float:
    return wait_s(Outlook(NOW, users, signals, **seen), places)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("users", "signals", "longest"),
    [
        pytest.param([], SIGNALS, BEAT_S, id="nobody there"),
        pytest.param([car(-1.0, 0.0, stirs=False)], RED, BEAT_S, id="a car waits at red"),
        pytest.param([car(-6.0)], RED, USUAL.near_s, id="a car comes up to a line at red"),
        pytest.param([car(-6.0)], SIGNALS, USUAL.on_road_s, id="a car comes up to a line on settled green"),
        pytest.param([car(-6.0)], FRESH_GREEN, USUAL.near_s, id="a car comes up to a line on fresh green"),
        pytest.param(
            [car(-6.0)], SignalHistory(), USUAL.on_road_s, id="nobody tells the light: no verdict is near"
        ),
        pytest.param([car(-15.0)], RED, USUAL.on_road_s, id="a car more than a second before a line at red"),
        pytest.param([car(3.0)], RED, USUAL.near_s, id="a car just over a line at red"),
        pytest.param([car(9.5)], RED, USUAL.on_road_s, id="a car well over a line at red"),
        pytest.param([car(-6.0, -10.0)], RED, USUAL.on_road_s, id="a car that drives away from the line"),
        pytest.param([car(-1.0, 0.0)], RED, USUAL.near_s, id="a waiting car stirs"),
        pytest.param(
            [walker(24.0, 5.0, vy=1.4)], SIGNALS, USUAL.near_s, id="a step from the kerb at don't walk"
        ),
        pytest.param([walker(24.0, 5.0, vy=1.4)], WALK, USUAL.on_road_s, id="a step from the kerb at walk"),
        pytest.param(
            [walker(10.0, 5.0, vy=1.4)], WALK, USUAL.near_s, id="a step from the kerb beside the crosswalk"
        ),
        pytest.param([walker(24.0, 5.0, vx=1.4)], SIGNALS, USUAL.on_road_s, id="along the kerb"),
        pytest.param(
            [walker(24.0, 13.3, vy=1.4)], SIGNALS, USUAL.on_road_s, id="off the road by the crosswalk"
        ),
        pytest.param([walker(10.0, 13.3, vy=1.4)], SIGNALS, USUAL.near_s, id="off the road beside it"),
        pytest.param(
            [walker(24.0, 10.0, vy=1.4)], SIGNALS, USUAL.on_road_s, id="in the middle of the crosswalk"
        ),
        pytest.param([walker(24.0, 0.0, vx=1.4)], SIGNALS, USUAL.elsewhere_s, id="far from the road"),
        pytest.param(
            [car(-14.0), walker(24.0, 8.0, vy=1.4)],
            WALK,
            EVERY_FRAME_S,
            id="a car and a pedestrian will meet",
        ),
        pytest.param([car(-14.0), car(-24.0)], SIGNALS, USUAL.on_road_s, id="two cars in a platoon"),
        pytest.param(
            [car(-2.0, 0.0, stirs=False), car(-12.0, 8.0)],
            SIGNALS,
            EVERY_FRAME_S,
            id="closing on a standing car",
        ),
    ],
)
def test_how_soon_to_look_again(
    places: Places, users: list[Watched], signals: SignalHistory, longest: float
) -> None:
    assert wait(places, *users, signals=signals) == longest


@pytest.mark.parametrize(
    ("users", "busy"),
    [
        pytest.param([car(-3.0 * n) for n in range(6)], False, id="six, as in an ordinary minute"),
        pytest.param([car(-3.0 * n) for n in range(7)], True, id="seven"),
        pytest.param([car(-6.0 * n, 0.0, stirs=False) for n in range(9)], False, id="nine who wait"),
        pytest.param(
            [
                car(0.0),
                *(dataclasses.replace(car(-6.0 * n, 0.0, stirs=False), parked=True) for n in range(9)),
            ],
            False,
            id="one who passes nine that are parked",
        ),
    ],
)
def test_a_street_is_busy_by_who_is_on_it(users: list[Watched], busy: bool) -> None:
    assert is_busy(Outlook(NOW, users, SIGNALS)) is busy


def test_on_a_busy_street_every_frame_is_looked_at(places: Places) -> None:
    assert wait(places, walker(24.0, 0.0, vx=1.4), busy=True) == EVERY_FRAME_S


def test_what_nobody_explains_is_looked_at_and_given_up_slowly(places: Places) -> None:
    waits = [wait(places, newcomers=True, fruitless=looks) for looks in (0, 2, 3, 7, 8, 100)]
    assert waits == [
        USUAL.near_s,
        USUAL.near_s,
        USUAL.on_road_s,
        USUAL.on_road_s,
        USUAL.elsewhere_s,
        USUAL.elsewhere_s,
    ]


def test_a_box_nobody_knows_yet_is_looked_at_again(places: Places) -> None:
    assert wait(places, unsure=True) == USUAL.near_s


def test_who_would_slip_out_of_the_last_box_is_looked_at_sooner(places: Places) -> None:
    thin = Watched("pedestrian", 24.0, 0.0, 1.4, 0.0, 0.5, stirs=True, overlaps_s=0.2)
    assert wait(places, thin) == 0.2


def test_no_wait_is_longer_than_a_clip_may_hold_a_box() -> None:
    assert BEAT_S <= 1.0
