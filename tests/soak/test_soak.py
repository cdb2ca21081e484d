"""A short soak: the whole of it is `make soak`."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from broker.embedded import mosquitto_path
from tests.soak.__main__ import soak, table
from tests.soak.rig import PARTS, Result, plan

pytestmark = pytest.mark.broker


@pytest.mark.slow
@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_eight_faults_lose_and_double_nothing() -> None:
    result = soak("mosquitto", "sqlite", 8, seed=7, rate_hz=40.0)
    assert result.well, table([result])
    assert result.stored >= result.promised


def test_every_part_gets_its_share_of_faults() -> None:
    faults = Counter(part for part, _ in plan(50, random.Random(1)))
    assert max(faults.values()) - min(faults.values()) <= 2
    assert set(faults) == set(PARTS)
    assert plan(50, random.Random(1)) == plan(50, random.Random(1))


@pytest.mark.parametrize(
    "wrong", ["lost", "invented", "doubled", "gaps", "clips_missing", "refused", "quarantined"]
)
def test_whatever_is_wrong_fails_the_soak(wrong: str) -> None:
    assert Result("mosquitto", "sqlite", Counter(), promised=5, stored=5).well
    assert not Result("mosquitto", "sqlite", Counter(), promised=5, stored=5, **{wrong: 1}).well
    assert not Result("mosquitto", "sqlite", Counter()).well, "nothing put proves nothing"
