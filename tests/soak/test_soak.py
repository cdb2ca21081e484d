"""A short soak of each kind: the whole of them is `make soak` and `make soak-live`."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from broker.embedded import mosquitto_path
from tests.soak import live
from tests.soak.__main__ import soak, table
from tests.soak.rig import PARTS, Result, plan

pytestmark = pytest.mark.broker


@pytest.mark.slow
@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_eight_faults_lose_and_double_nothing() -> None:
    result = soak("mosquitto", "sqlite", 8, seed=7, rate_hz=40.0)
    assert result.well, table([result])
    assert result.stored >= result.promised


@pytest.mark.slow
@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_a_live_node_with_a_fault_or_two() -> None:
    result = live.live(0.7, seed=3, every_s=10.0)
    assert result.well, live.table(result)
    assert sum(result.faults.values()) > 0
    assert len(result.samples) > 5


def held(count: int, **grows: float) -> list[live.Sample]:
    """A node that holds more of something at every look."""
    return [
        live.Sample(
            live.WARM_S + 5 * n,
            200 + n * grows.get("memory_mb", 0),
            20 + round(n * grows.get("files", 0)),
            9 + round(n * grows.get("threads", 0)),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("grows", "well"),
    [
        pytest.param({}, True, id="flat"),
        pytest.param({"memory_mb": 0.2}, False, id="memory"),
        pytest.param({"files": 0.1}, False, id="files that stay open"),
        pytest.param({"threads": 0.1}, False, id="threads that do not end"),
    ],
)
def test_what_grows_fails_the_live_soak(grows: dict[str, float], well: bool) -> None:
    assert live.Result(true=3, found=3, told=3, samples=held(200, **grows)).well is well
    assert live.Result(true=3, found=3, told=3, samples=held(5, **grows)).well, "too short to tell"


@pytest.mark.parametrize("wrong", ["lost", "doubled", "invented", "gaps", "refused", "true"])
def test_whatever_is_wrong_fails_the_live_soak(wrong: str) -> None:
    assert live.Result(told=1).well
    assert not live.Result(told=1, **{wrong: 1}).well  # type: ignore[arg-type]
    assert not live.Result().well, "nothing told proves nothing"


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
