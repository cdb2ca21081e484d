"""The measures of docs/calibrate.md say what they claim, on few trials."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from calibration.tsai import load_tsai
from edge.bench import drift, pets, plane
from tests.calibration.test_drift import STREET, STRUCTURE, seen, street, turned

LOOKS = tuple(seen(STREET, turned(), seed=seed) for seed in range(6))
MADE = drift.Street("made", STRUCTURE, None, LOOKS)


def test_a_move_is_noticed_from_the_watchs_limit_on() -> None:
    least, most, off_px = drift.noticed(MADE, "shift", (0.5, 3.0, 8.0), drift.LIGHTS["as recorded"], trials=2)
    assert (least, most) == (3.0, 8.0) and off_px < 0.3


def test_where_nothing_is_noticed_there_is_no_number() -> None:
    assert math.isnan(drift.noticed(MADE, "turn", (0.01,), drift.LIGHTS["dusk"], trials=1)[0])


@pytest.mark.parametrize("light", drift.LIGHTS)
def test_no_light_moves_a_camera(light: str) -> None:
    found = drift.unmoved(MADE, drift.LIGHTS[light], looks=3)
    assert (found.looks, found.alarms, found.doubts) == (3, 0, 0)


def test_an_alarm_that_is_false_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.camera_watch.LOST_LOOKS", 3)
    moved = tuple(seen(STREET, turned(x=6.0), seed=seed) for seed in range(6))
    found = drift.unmoved(drift.Street("moved", STRUCTURE, None, moved), drift.LIGHTS["as recorded"], looks=6)
    assert found.alarms == 1 and found.doubts == 6
    elsewhere = drift.Street("elsewhere", STRUCTURE, None, (street(seed=7),))
    assert drift.unmoved(elsewhere, drift.LIGHTS["as recorded"], looks=5).alarms == 1


def test_the_table_has_a_row_a_camera_a_light_and_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOVES", {"shift": (4.0,)})
    kept = {light: drift.LIGHTS[light] for light in ("as recorded", "dusk", "rain")}
    monkeypatch.setattr(drift, "LIGHTS", kept)
    section = drift.section([MADE], trials=1, looks=3)
    assert [row[0] for row in section.rows] == [
        f"made, {light}: shift" for light in ("as recorded", "dusk", "rain")
    ]
    told = section.numbers["unmoved"]
    assert isinstance(told, dict) and told["alarms"] == 0 and told["looks"] == 3 * len(drift.LIGHTS)
    # No alarm in so many looks bounds them: three over the time looked at.
    assert told["alarms_per_hour_95"] == pytest.approx(3.0 * 3600 / told["looks"], rel=0.01)


@pytest.mark.data
@pytest.mark.parametrize(("count", "wrong"), [(8, False), (8, True), (20, True)])
def test_pets_is_recovered_from_point_pairs(data: Path, count: int, wrong: bool) -> None:
    camera = load_tsai(data / pets.CALIBRATION)
    feet = plane.feet_px(data / plane.TRUTH)
    assert len(feet) == 4650
    found = plane.recovered(camera, feet, count, wrong=wrong, trials=6)
    assert found.median_m < 0.12 and found.p95_m < 0.3 and found.within_two_sigma > 0.8
    assert found.named == 1.0 if wrong else np.isnan(found.named)
