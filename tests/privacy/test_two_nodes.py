"""The same street seen by two nodes: nothing they send can be joined but by what the place itself says.

Six nodes get one recording. Field by field, what is equal between any two of them has to be configuration,
one of a list, or a number on the coarse grid of the contract; ids, hashes and numbers of people never are.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.plane import plane_of
from edge.dispatch import Dispatch
from edge.events import local_event
from edge.outbox import Outbox
from edge.pipeline import Line
from edge.placing import Stage
from edge.recorder import Recorder
from edge.redact import Redactor
from edge.rules.engine import Engine
from edge.tracker import Tracker
from models.detections import KINDS, Detections
from tests.edge.streets import CarDetector, ListSource, street
from tests.privacy.test_contract import leaves
from tests.privacy.test_fail_closed import RED, SIZE

NODES = ("cam-a", "cam-b", "cam-c", "cam-d", "cam-e", "cam-f")

CONFIGURATION = (
    r"event\.(v|site|place|detector|software|signal\.group)",
    r"counts\.(v|site|minutes|start|counts\.\d+\.place)",
    r"clip\.(v|start_s|step_s|steps|cell_px|columns|lamps\.\d+\.group)",
    r"plate\.(v|site|image_size.*|background|zones.*|homography.*|bend|drive_on)",
)
LISTED = (
    r"event\.(rule|outcome|road_user2?|signal\.(state|source))",
    r"counts\.counts\.\d+\.road_user",
    r"clip\.(glyphs\.\d+\.(kind|role)|lamps\.\d+\.changes\.\d+\.state)",
)
# What the place itself says, no finer than the grid of the contract.
COARSE = (
    r"event\.(time|time_sigma_s|measures\..*\.(value|sigma))",
    r"counts\.counts\.\d+\.count",
    r"clip\.(glyphs\.\d+\.(keys|hollow).*|movers.*|blanks.*|spot.*|lamps\.\d+\.changes\.\d+\.at_s)",
)
# Random, or the node's own; a sequence number is a place in a random order.
NEVER = (r"event\.(id|node|clip)", r"clip\.plate", r"counts\.node", r"plate\.node")
ORDERS = (r"(event|counts)\.seq", r"clip\.glyphs\.\d+\.number")


class Crowd(CarDetector):
    """The car, and four people at the kerb who never move."""

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        car = super().detect(image)
        people = np.array([[x, 150, x + 8, 162] for x in (60, 140, 220, 300)], np.float32)
        kinds = [*car.kinds, *[KINDS.index("pedestrian")] * 4]
        return Detections(
            np.concatenate([car.boxes_px, people]),
            np.full(len(kinds), 0.9, np.float32),
            np.array(kinds, np.int8),
        )


def sent_by(node: str, folder: Path) -> dict[str, Any]:
    """Return what one node puts on the wire of the recording, message by message, as one document."""
    site = street(folder)
    plane = plane_of(site)
    line = Line(
        ListSource([index / 10 for index in range(110)]),
        detector=Crowd(),
        redactor=(redactor := Redactor(SIZE, plane=plane, mode="schematic")),
        tracker=Tracker(),
        stage=Stage(plane, site, RED),
        engine=(engine := Engine(site)),
        recorder=Recorder(site, image_size=SIZE, rng=secrets.SystemRandom()),
        min_frame_rate_hz=4.0,
    )
    with Outbox(folder / f"{node}.db") as outbox:
        dispatch = Dispatch(outbox, site=site.id, node=node, time_bin_s=60, clock=lambda: 120.0)
        dispatch.plate(redactor.plate(site))
        due = [each for moment in line for each in moment.due] + line.finish()
        for n, (finding, clip) in enumerate(due, 1):
            event = local_event(
                n, finding, site=site.id, node=node, detector="red-car", clip=None, caused_by=None
            )
            dispatch.event(event, clip)
        dispatch.counts(engine.exposures())
        messages = outbox.take(1e6, 100)
    kinds = {row.kind for row in messages}
    assert kinds == {"event", "clip", "counts", "plate"}
    return {row.kind: json.loads(row.payload) for row in messages}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return [sent_by(node, tmp_path_factory.mktemp(node)) for node in NODES]


def fields(document: dict[str, Any]) -> dict[str, Any]:
    return {".".join(map(str, path)): value for path, value in leaves(document)}


def one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def test_every_field_is_configuration_listed_coarse_or_random(sent: list[dict[str, Any]]) -> None:
    for name in fields(sent[0]):
        found = [one_of(name, each) for each in (CONFIGURATION, LISTED, COARSE, NEVER, ORDERS)]
        assert sum(found) == 1, f"{name}: what may it tell?"


def test_no_field_is_equal_but_configuration_lists_and_coarse_numbers(sent: list[dict[str, Any]]) -> None:
    for one, other in itertools.combinations(map(fields, sent), 2):
        equal = {
            name for name in one.keys() & other.keys() if one[name] == other[name] and one[name] is not None
        }
        for name in equal:
            assert one_of(name, (*CONFIGURATION, *LISTED, *COARSE, *ORDERS)), f"{name}: {one[name]}"


def test_people_have_other_numbers_in_every_clip(sent: list[dict[str, Any]]) -> None:
    """By their place, so that it is the same person each time."""
    orders = set()
    for document in sent:
        people = [each for each in document["clip"]["glyphs"] if each["number"] is not None]
        assert sorted(each["number"] for each in people) == [1, 2, 3, 4]
        orders.add(tuple(each["number"] for each in sorted(people, key=lambda each: each["keys"][0][1])))
    # Six draws of 24 orders: the chance that all are one is 24 ** -5.
    assert len(orders) > 1


def test_a_clip_says_neither_day_nor_hour(sent: list[dict[str, Any]]) -> None:
    """All its numbers are relative or places: none is a time since any epoch."""
    numbers = [value for _, value in leaves(sent[0]["clip"]) if isinstance(value, int | float)]
    assert max(map(abs, numbers)) < 5000
