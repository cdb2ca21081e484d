"""The rules against SUMO's own lane changes and lamps, on junctions and seeds never used for tuning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.sumo.junctions import JUNCTIONS, Junction
from tests.sumo.noise import Noise, degraded

pytest.importorskip("libsumo", reason="the sumo extra is not installed")

from tests.sumo.world import World, simulate

RULES = ("red_light_entry", "amber_entry", "pedestrian_against_signal", "pedestrian_late_start")
# Seeds below 100 are for tuning; these are for testing alone.
TEST_SEED = 1101

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
    with judged.open("w") as file:
        for line in out.read_text().splitlines():
            if json.loads(line)["rule"] in RULES:
                file.write(line + "\n")
    answer = json.loads(nearmiss("evaluate", judged, "--truth", world.truth, "--json"))
    rules: dict[str, dict[str, Any]] = answer["rules"]
    return rules


@pytest.fixture(scope="module", params=JUNCTIONS, ids=lambda junction: junction.name)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    junction: Junction = request.param
    return simulate(junction, tmp_path_factory.mktemp(junction.name), seed=TEST_SEED, minutes=15)


def test_verdicts_agree_with_sumo(world: World, tmp_path: Path) -> None:
    assert world.counts["red_light_entry"] >= 5
    assert world.counts["pedestrian_against_signal"] >= 10
    found = scores(world, world.tracks, world.signals, tmp_path / "events.jsonl")
    for rule in RULES:
        if world.counts.get(rule):
            assert found[rule]["precision"]["value"] >= 0.98, (rule, found[rule])
            assert found[rule]["recall"]["value"] >= 0.95, (rule, found[rule])


def test_with_noise_doubt_rises_and_precision_holds(world: World, tmp_path: Path) -> None:
    """Jitter of 0.15 m, a tenth of the rows lost, a signal clock that may be 0.3 s off and is."""
    noise = Noise(sigma_m=0.15, dropped=0.1, clock_offset_s=0.25, signal_sigma_s=0.3)
    tracks, signals = degraded(world, noise, tmp_path / "noisy", seed=TEST_SEED)
    found = scores(world, tracks, signals, tmp_path / "events.jsonl")
    for rule in ("red_light_entry", "pedestrian_against_signal"):
        assert found[rule]["precision"]["value"] >= 0.9, (rule, found[rule])
        assert found[rule]["recall"]["value"] >= 0.85, (rule, found[rule])
