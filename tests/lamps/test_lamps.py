"""Drawn lamps of the whole family: never a wrong state, onsets within their errors, little unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.lamps.scenes import FAMILY, Scene
from tests.lamps.score import calibration, read

# Of `python -m tests.lamps` the first seconds of each scene, at a seed of its own.
SECONDS = 22.0
SEED = 7
# A vote takes up to a second and a half after something stood before the head.
LEARNING = 20
# Where nobody can tell for a part of the time, and how much of it may be unknown.
HARD = {
    "flashing green before amber": 0.25,
    "dark": 0.7,
    "countdown, night": 0.4,
    "LEDs on mains, beating": 0.4,
    "LEDs on mains, slow beat": 0.8,
    "LEDs on mains, 25 a second": 0.7,
    "power fails": 0.5,
    "power fails at night": 0.6,
}


@pytest.mark.parametrize("scene", FAMILY, ids=lambda scene: scene.name)
def test_no_lamp_is_ever_misread(scene: Scene) -> None:
    score = read(replace(scene, seconds=min(scene.seconds, SECONDS)), SEED)
    assert score.wrong == []
    assert score.unknown <= HARD.get(scene.name, 0.1) * score.in_sight + LEARNING
    assert np.all(np.abs(score.errors) <= 2.5)
    if scene.name not in HARD:
        assert score.seen == score.changes


def test_the_stated_error_of_an_onset_is_the_true_one() -> None:
    """A change lies evenly anywhere between two frames: 58 % within 1 sigma, all within 2."""
    plain = replace(FAMILY[0], seconds=44.0)
    rms, one, two = calibration(read(plain, seed) for seed in range(20, 26))
    assert 0.8 < rms < 1.2 and 0.35 < one < 0.8 and two == 1.0
