"""The rules against SUMO's own lane changes and lamps, on junctions and seeds never used for tuning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.sumo.junctions import FOUR_LEG, JAMMED, JAMMED_TEE, JUNCTIONS, LEFT_HAND, Junction
from tests.sumo.noise import Noise, degraded

pytest.importorskip("libsumo", reason="the sumo extra is not installed")

from tests.sumo.mirror import with_wrong_ways
from tests.sumo.truths import rfc3339
from tests.sumo.world import World, simulate

RULES = (
    "red_light_entry",
    "right_on_red_without_stop",
    "amber_entry",
    "pedestrian_against_signal",
    "pedestrian_late_start",
    "crossing_outside_crosswalk",
    "wrong_way",
    "blocking_box",
)
# Seeds below 100 are for tuning; these are for testing alone.
TEST_SEED = 3301

pytestmark = pytest.mark.slow


def nearmiss(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def scores(world: World, tracks: Path, signals: Path, out: Path) -> dict[str, dict[str, Any]]:
    """Return per rule how `nearmiss judge` did, for the rules SUMO knows the truth of."""
    nearmiss("judge", tracks, "--site", world.site, "--signals", signals, "--out", out)
    judged = out.with_suffix(".of-sumo.jsonl")
    unsure = [rfc3339(time)[:19] for time in world.unsure]
    with judged.open("w") as file:
        for line in out.read_text().splitlines():
            event = json.loads(line)
            doubtful = event["rule"] == "blocking_box" and event["time"][:19] in unsure
            if event["rule"] in RULES and not doubtful:
                file.write(line + "\n")
    answer = json.loads(nearmiss("evaluate", judged, "--truth", world.truth, "--json"))
    rules: dict[str, dict[str, Any]] = answer["rules"]
    return rules


@pytest.fixture(scope="module", params=JUNCTIONS, ids=lambda junction: junction.name)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    junction: Junction = request.param
    return simulate(junction, tmp_path_factory.mktemp(junction.name), seed=TEST_SEED, minutes=10)


def test_verdicts_agree_with_sumo(world: World, tmp_path: Path) -> None:
    assert world.counts["red_light_entry"] >= 5
    assert world.counts["pedestrian_against_signal"] >= 5
    found = scores(world, world.tracks, world.signals, tmp_path / "events.jsonl")
    for rule in RULES:
        if rule in found:
            # Of a dozen one may differ by definition: a front that lies on the line enters when it goes on.
            claimed, truths = found[rule]["hits"] + found[rule]["false_alarms"], found[rule]["truth"]
            allowed = 1 if world.counts.get(rule) else 0
            assert found[rule]["false_alarms"] <= max(allowed, 0.02 * claimed), (rule, found[rule])
            assert found[rule]["misses"] <= max(allowed, 0.05 * truths), (rule, found[rule])


def test_with_noise_doubt_rises_and_precision_holds(world: World, tmp_path: Path) -> None:
    """Jitter of 0.15 m, a tenth of the rows lost, a signal clock that may be 0.3 s off and is."""
    noise = Noise(sigma_m=0.15, dropped=0.1, swaps_per_1000_rows=0.5, clock_offset_s=0.25, signal_sigma_s=0.3)
    tracks, signals = degraded(world, noise, tmp_path / "noisy", seed=TEST_SEED)
    found = scores(world, tracks, signals, tmp_path / "events.jsonl")
    for rule in ("red_light_entry", "pedestrian_against_signal"):
        # In ten minutes there may be eight of a kind: one of them is more than a tenth.
        claimed, truths = found[rule]["hits"] + found[rule]["false_alarms"], found[rule]["truth"]
        assert found[rule]["false_alarms"] <= max(1, 0.1 * claimed), (rule, found[rule])
        assert found[rule]["misses"] <= max(1, 0.15 * truths), (rule, found[rule])


@pytest.mark.parametrize("junction", [FOUR_LEG, LEFT_HAND, JAMMED_TEE], ids=lambda junction: junction.name)
def test_who_drives_up_an_approach_is_told_and_who_backs_up_it_is_not(
    junction: Junction, tmp_path: Path
) -> None:
    """Vehicles of another run played backwards, their heading turned round or not; no allowance."""
    runs = [
        simulate(junction, tmp_path / f"{number}", seed=TEST_SEED + number, minutes=4) for number in (1, 2)
    ]
    world = with_wrong_ways(*runs, tmp_path / "mirrored", seed=TEST_SEED)
    assert world.counts["wrong_way"] >= 8
    found = scores(world, world.tracks, world.signals, tmp_path / "events.jsonl")["wrong_way"]
    assert (found["hits"], found["false_alarms"], found["misses"]) == (world.counts["wrong_way"], 0, 0)


def test_who_enters_without_room_blocks_the_box(tmp_path: Path) -> None:
    """Exits that jam, entered without room, straight on and turning; no allowance."""
    truths = 0
    for junction in (JAMMED, JAMMED_TEE):
        world = simulate(junction, tmp_path / junction.name, seed=TEST_SEED, minutes=8)
        found = scores(world, world.tracks, world.signals, tmp_path / f"{junction.name}.jsonl")
        box = found.get("blocking_box", {"hits": 0, "false_alarms": 0, "misses": 0})
        truths += world.counts.get("blocking_box", 0)
        assert box["hits"] == world.counts.get("blocking_box", 0), (junction.name, box)
        assert (box["false_alarms"], box["misses"]) == (0, 0), (junction.name, box)
    assert truths >= 1
