"""PET and TTC agree with SUMO's SSM device, once what is measured differently is taken out."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

pytest.importorskip("libsumo", reason="the sumo extra is not installed")

from tests.sumo.junctions import FOUR_LEG, Junction
from tests.sumo.ssm_pairs import CROSS, OBLIQUE, Compared, compared
from tests.sumo.world import simulate

# Never used while this was written.
TEST_SEED = 3319

pytestmark = pytest.mark.slow


def pairs(junction: Junction, folder: Path, *, minutes: float) -> Compared:
    return compared(junction, simulate(junction, folder, seed=TEST_SEED, minutes=minutes, ssm=True))


def test_pet_of_straight_ways_at_right_angles_is_that_of_the_device(tmp_path: Path) -> None:
    found = pairs(CROSS, tmp_path, minutes=4)
    pets = [pair for pair in found.pets if pair.ours_s is not None]
    assert len(pets) >= 40
    assert all(pair.ours_s == pytest.approx(pair.device_s, abs=0.03) for pair in pets)
    assert {pair.why for pair in found.pets} == {""}, "none that the device has is missing"
    crossing = [pair for pair in found.ttcs if pair.way == "crossing" and pair.footprints_s < 3]
    assert crossing
    assert all(pair.footprints_s == pytest.approx(pair.device_s, abs=0.05) for pair in crossing)


def test_pet_of_oblique_ways_is_that_of_the_device_with_bodies_as_wide_as_they_are(tmp_path: Path) -> None:
    pets = [pair for pair in pairs(OBLIQUE, tmp_path, minutes=4).pets if pair.ours_s is not None]
    assert len(pets) >= 40
    assert all(pair.defined_s == pytest.approx(pair.device_s, abs=0.03) for pair in pets)
    straight = [pair for pair in pets if pair.straight]
    assert len(straight) >= 0.9 * len(pets)
    assert all(pair.ours_s == pytest.approx(pair.bands_s, abs=0.03) for pair in straight)
    assert all(pair.ours_s is not None and pair.ours_s < pair.device_s for pair in straight), (
        "bodies are wide"
    )


def test_turns_differ_by_what_the_device_takes_for_their_area(tmp_path: Path) -> None:
    found = pairs(FOUR_LEG, tmp_path, minutes=8)
    assert len(found.pets) >= 20
    told = [abs(pair.defined_s - pair.device_s) for pair in found.pets]
    assert statistics.median(told) <= 0.02
    assert sum(value <= 0.05 for value in told) >= 0.75 * len(told)
    assert max(told) <= 0.3
    following = [pair for pair in found.ttcs if pair.way == "following" and not pair.bend]
    assert len(following) >= 40
    close = [abs(pair.footprints_s - pair.device_s) <= 0.05 for pair in following]
    assert sum(close) >= 0.97 * len(close)
    late = [pair.ours_s - pair.device_s for pair in following if pair.ours_s is not None]
    assert 0.0 <= statistics.median(late) <= 0.12, "our speeds are those of the second around"
