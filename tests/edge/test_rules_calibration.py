"""Stated errors are true: of every number 68 ± 5 % of true values lie within 1 sigma, 95 ± 3 % within 2."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from broker.wire import RULES, MeasureName
from tests.uncertain_scenes import MAKERS
from tests.uncertainty import WITHIN, errors_in_sigmas, within

# Seed 5 was looked at while the rules were written; this one was not.
TEST_SEED = 11
SCENES = 100


@pytest.fixture(scope="module")
def errors() -> dict[tuple[str, str], np.ndarray]:
    return errors_in_sigmas(SCENES, seed=TEST_SEED)


@pytest.mark.slow
def test_every_rule_and_every_number_is_held_against_truth(errors: dict[tuple[str, str], np.ndarray]) -> None:
    assert {rule for rule, _ in errors} == set(RULES)
    assert {name for _, name in errors} - {"time"} == set(get_args(MeasureName))
    assert len(MAKERS) >= len(RULES)
    assert all(len(each) > 0.6 * SCENES for each in errors.values()), "most are decided"


@pytest.mark.slow
def test_true_values_lie_within_the_stated_errors(errors: dict[tuple[str, str], np.ndarray]) -> None:
    for number, each in errors.items():
        assert np.isfinite(each).all(), number
        for sigmas, (share, off) in WITHIN.items():
            # `python -m tests.uncertainty` holds each to that over 600 scenes; over fewer a share errs more,
            # and of seventy shares one is nearly three sigmas off. All together are many again.
            chance = 3.0 * float(np.sqrt(share * (1 - share) / len(each)))
            assert within(each, sigmas) == pytest.approx(share, abs=max(off, chance)), (number, sigmas)
    together = np.concatenate(list(errors.values()))
    assert within(together, 1) == pytest.approx(0.68, abs=0.03)
    assert within(together, 2) == pytest.approx(0.95, abs=0.015)
