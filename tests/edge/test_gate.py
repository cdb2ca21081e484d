"""The line with a lookout: fewer looks, the same verdicts, no image kept for longer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.plane import plane_of
from edge.between import between
from edge.frame import Frame, Gap
from edge.lookout import Lookout
from edge.pipeline import Due, Line, Moment
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.scene import RoadUser, Scene, SignalReading
from edge.signals.history import SignalHistory
from edge.tracker import Tracker
from edge.zones import zone_mask
from tests.edge.streets import CarDetector, car_image, street

RATE_HZ = 20.0
RED = SignalHistory(
    [SignalReading("E", "green", 0.0, 0.05, "file"), SignalReading("E", "red", 4.0, 0.05, "file")]
)


class Street:
    """Three empty seconds, then the car at 8 m/s, then empty again; grain on every picture."""

    gaps: tuple[Gap, ...] = ()

    def __init__(self, seconds: float = 16.0, *, seed: int = 1) -> None:
        self._count, self._seed = round(seconds * RATE_HZ), seed

    def __iter__(self) -> Iterator[Frame]:
        grain = np.random.default_rng(self._seed)
        for index in range(self._count):
            image = car_image(index - 60)
            noise = grain.integers(-3, 4, image.shape)
            yield Frame(index, index / RATE_HZ, 0.01, np.clip(image + noise, 0, 255).astype(np.uint8))


def line(folder: Path, detector: CarDetector, *, gated: bool, source: Street | None = None) -> Line:
    site = street(folder)
    plane = plane_of(site)
    return Line(
        source or Street(),
        detector=detector,
        redactor=Redactor((400, 200), plane=plane, mode="schematic"),
        tracker=Tracker(),
        stage=Stage(plane, site, RED),
        engine=Engine(site),
        recorder=Recorder(site, image_size=(400, 200), before_s=2, after_s=2, rng=random.Random(1)),
        min_frame_rate_hz=4.0,
        lookout=Lookout(site, plane=plane, image_size=(400, 200)) if gated else None,
    )


def run(folder: Path, *, gated: bool) -> tuple[list[Moment], list[Due], CarDetector]:
    detector = CarDetector()
    passing = line(folder, detector, gated=gated)
    moments = list(passing)
    return moments, [due for moment in moments for due in moment.due] + passing.finish(), detector


def test_the_same_verdict_from_a_fraction_of_the_looks(tmp_path: Path) -> None:
    _, every, busy = run(tmp_path, gated=False)
    _, some, gated = run(tmp_path, gated=True)
    ((expected, _),), ((found, clip),) = every, some
    assert (found.rule, found.outcome, found.place) == (expected.rule, expected.outcome, expected.place)
    assert found.time == pytest.approx(expected.time, abs=0.1)
    assert clip is not None and {glyph.kind for glyph in clip.glyphs} == {"car"}
    # Counted work, the same on every machine: what a change to the policy has to answer for.
    assert busy.calls == 320
    assert gated.calls <= 0.45 * busy.calls


def test_every_frame_comes_out_once_and_in_order(tmp_path: Path) -> None:
    moments, _, detector = run(tmp_path, gated=True)
    assert [moment.index for moment in moments] == list(range(320))
    assert sum(moment.looked for moment in moments) == detector.calls


def test_where_nothing_moves_it_looks_once_a_second(tmp_path: Path) -> None:
    moments, _, _ = run(tmp_path, gated=True)
    looks = [moment.time for moment in moments if moment.looked and 1.0 <= moment.time < 3.0]
    assert len(looks) <= 3
    assert max(np.diff([moment.time for moment in moments if moment.looked])) <= 1.0 + 1e-6


def test_a_replay_looks_at_the_same_frames(tmp_path: Path) -> None:
    first, second = ([moment.looked for moment in run(tmp_path, gated=True)[0]] for _ in range(2))
    assert first == second


def test_between_two_looks_the_car_is_where_it_was(tmp_path: Path) -> None:
    every, some = (run(tmp_path, gated=gated)[0] for gated in (False, True))
    true = {moment.index: moment.scene.users for moment in every}
    off_m = [
        math.dist((user.x, user.y), (true[moment.index][0].x, true[moment.index][0].y)) / user.sigma_m
        for moment in some
        if not moment.looked
        for user in moment.scene.users
        if true[moment.index]
    ]
    assert len(off_m) > 50
    assert np.quantile(off_m, 0.95) < 2.0  # its stated error is honest


def test_no_image_of_a_frame_nobody_looks_at_is_kept(tmp_path: Path) -> None:
    import gc
    import weakref

    alive: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    class Watched(Street):
        def __iter__(self) -> Iterator[Frame]:
            nonlocal most
            for frame in Street(4.0):
                if frame.index % 10 == 0:
                    gc.collect()
                most = max(most, sum(ref() is not None for ref in alive[-40:]) + 1)
                alive.append(weakref.ref(frame.image))
                yield frame
                del frame

    for _ in line(tmp_path, CarDetector(), gated=True, source=Watched()):
        pass
    assert most <= 3


def test_frames_that_come_too_far_apart_are_distrusted_as_ever(tmp_path: Path) -> None:
    class Halting(Street):
        def __iter__(self) -> Iterator[Frame]:
            for frame in Street(8.0):
                if not 4.0 < frame.time < 4.5:
                    yield frame

    moments = list(line(tmp_path, CarDetector(), gated=True, source=Halting()))
    doubted = [moment.time for moment in moments if not moment.scene.trusted]
    # And so are those that waited for the look after the gap.
    assert 3.5 <= doubted[0] <= 4.5 and doubted[-1] == pytest.approx(5.45)


def user(time: float, x: float, *, sigma_m: float = 0.1, track: int = 1) -> RoadUser:
    return RoadUser(track, "car", x, 0.0, 350.0 if time == 0 else 10.0, 4.5, 1.8, sigma_m, 0, (x, 0.0))


def test_between_is_a_straight_line_with_an_error_that_bows() -> None:
    a = Scene(0.0, 0.0, (user(0.0, 0.0), user(0.0, 9.0, track=2)), RED)
    b = Scene(0.4, 0.0, (user(0.4, 4.0, sigma_m=0.3),), RED)
    (middle,) = between(a, b, time=0.2, time_sigma_s=0.01, trusted=True).users
    assert (middle.x, middle.px, middle.detection) == (2.0, (2.0, 0.0), None)
    assert middle.heading_deg == pytest.approx(0.0)
    assert 0.2 < middle.sigma_m < 0.3


def test_zones_are_the_road_and_what_stands_on_it(tmp_path: Path) -> None:
    site = street(tmp_path)
    zone = zone_mask(site, plane_of(site), (400, 200))
    # 10 px are a metre, y = 6..14 m is the road: rows 60..140 of 200, 3 m more on either side.
    assert zone[25].all() and not zone[48].any()
    assert zone_mask(site, None, (400, 200)).all()
