"""The gate on a drawn near miss: a truck through red before a car off on fresh green, a cyclist behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from calibration.plane import plane_of
from calibration.site import Site, load_site
from edge.attention import USUAL, Policy
from edge.bench.gate import differing
from edge.bench.knowing import KnowingDetector
from edge.demo.draw import Film
from edge.demo.setting import SETTINGS, write_signals, write_site
from edge.demo.story import PLAN, Actor, actors
from edge.frame import Frame, Gap
from edge.lookout import Lookout
from edge.pipeline import Line, Moment
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.rules.finding import Finding
from edge.scene import Signals
from edge.signals.csv_file import load_signals_csv
from edge.tracker import Tracker

RATE_HZ = 12.5
START_S, SECONDS = 33.0, 12.0
FILMED = SETTINGS["afternoon"]
# Looks every half second, whoever is about to meet: what this test must tell from the gate.
LAZY = Policy(close_s=0.5, near_s=0.5, on_road_s=0.5)
NAMES = ("truck through red", "car off on fresh green", "cyclist on green, southbound")


class Filmed:
    """Frames that were drawn once and are shown twice."""

    gaps: tuple[Gap, ...] = ()

    def __init__(self, people: tuple[Actor, ...]) -> None:
        film = Film(FILMED.camera, people, PLAN, light=FILMED.light, seed=FILMED.seed)
        times = [START_S + index / RATE_HZ for index in range(round(SECONDS * RATE_HZ))]
        self._frames = [Frame(index, time, 0.01, film.frame(time)) for index, time in enumerate(times)]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)


def passed(
    film: Filmed, people: tuple[Actor, ...], site: Site, signals: Signals, *, policy: Policy | None
) -> tuple[list[Moment], list[Finding]]:
    size, plane = FILMED.camera.image_size, plane_of(site)
    detector = KnowingDetector(people, FILMED.camera, start_time=0.0)
    line = Line(
        detector.shown(film),
        detector=detector,
        redactor=Redactor(size, plane=plane, mode="schematic"),
        tracker=Tracker(),
        stage=Stage(plane, site, signals),
        engine=Engine(site),
        recorder=Recorder(site, image_size=size, rng=random.Random(1)),
        min_frame_rate_hz=site.thresholds.min_frame_rate_hz,
        lookout=Lookout(site, plane=plane, image_size=size, policy=policy) if policy is not None else None,
    )
    moments = list(line)
    due = [each for moment in moments for each in moment.due] + line.finish()
    return moments, [finding for finding, _ in due]


def test_a_drawn_near_miss_is_the_same_with_fewer_looks(tmp_path: Path) -> None:
    people = tuple(actor for actor in actors() if actor.name in NAMES)
    write_site(tmp_path / "site.toml", FILMED.camera)
    write_signals(tmp_path / "signals.csv", PLAN)
    site = load_site(tmp_path / "site.toml")
    signals = load_signals_csv(tmp_path / "signals.csv", site=site, start_time=0.0)
    film = Filmed(people)
    (_, every), (moments, some), (_, lazy) = (
        passed(film, people, site, signals, policy=policy) for policy in (None, USUAL, LAZY)
    )
    assert {(each.rule, each.outcome) for each in every} >= {
        ("red_light_entry", "occurred"),
        ("near_miss", "occurred"),
    }
    assert differing(every, some) == []
    assert differing(every, lazy) != []
    assert sum(moment.looked for moment in moments) < 0.8 * len(moments)
