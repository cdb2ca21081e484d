"""When two were in their conflict area: exact where places are, as sure as noise allows elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from edge.rules.conflict_area import Stay, stays
from edge.rules.engine import Engine
from edge.rules.meetings import Meeting
from edge.rules.pair_errors import unbent
from tests.scenes import ListSignals, cross_site, drive, scenes


def met(monkeypatch: pytest.MonkeyPatch, *, noise_m: float, seed: int = 0, speed_mps: float = 8.0) -> Meeting:
    """Return two cars at right angles: the first leaves at 100 + 6.3 / 8, the second comes in at 102."""
    first = drive(at=(-0.9, 0), time=100.0, heading_deg=0, speed_mps=8.0, before_s=3, after_s=3)
    second = drive(at=(0, -0.9), time=102.0, heading_deg=90, speed_mps=speed_mps, before_s=3, after_s=3)
    seen: list[Meeting] = []

    def keep(meeting: Meeting, *_: object) -> None:
        seen.append(meeting)

    monkeypatch.setattr("edge.rules.engine.near_miss", keep)
    engine = Engine(cross_site(), beat_s=0.5)
    for scene in scenes(
        (first, second), ListSignals(), sigma_m=noise_m or 0.01, jitter_m=noise_m, seed=seed, phase=0.03
    ):
        engine.judge(scene)
    engine.finish()
    [meeting] = seen
    return meeting


def stay_of(meeting: Meeting) -> tuple[Stay, Stay]:
    found = stays(unbent(meeting.first), unbent(meeting.second))
    assert found is not None
    return found


def test_exact_ways_give_exact_instants(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stay_of(met(monkeypatch, noise_m=0.0))
    assert (first.enter.time, first.leave.time) == pytest.approx((100.0, 100.0 + 6.3 / 8), abs=0.002)
    assert (second.enter.time, second.leave.time) == pytest.approx((102.0, 102.0 + 6.3 / 8), abs=0.002)
    assert first.leave.sigma_s == pytest.approx(0.01 * 2**0.5 / 8, rel=0.3)


def test_an_instant_errs_by_its_own_place_and_the_others_over_the_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fast, slow = (
        stay_of(met(monkeypatch, noise_m=0.2, speed_mps=speed))[1].enter.sigma_s for speed in (12.0, 4.0)
    )
    assert 2.0 < slow / fast < 4.5


@pytest.mark.slow
def test_noise_moves_no_edge_on_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = []
    for seed in range(80):
        first, second = stay_of(met(monkeypatch, noise_m=0.3, seed=seed))
        errors += [
            (first.leave.time - 100.0 - 6.3 / 8) / first.leave.sigma_s,
            (second.enter.time - 102.0) / second.enter.sigma_s,
        ]
    assert abs(np.mean(errors)) < 0.3
    assert 0.55 < np.mean(np.abs(errors) <= 1) < 0.8 and np.mean(np.abs(errors) <= 2) > 0.9


def test_ways_that_do_not_meet_have_no_area(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = met(monkeypatch, noise_m=0.0)
    before = meeting.second.between(meeting.second.start, meeting.second.start + 10)
    assert stays(unbent(meeting.first), unbent(before)) is None
