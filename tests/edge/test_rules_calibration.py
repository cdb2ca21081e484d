"""Stated errors are true: 68 ± 5 % of true values lie within 1 sigma, 95 ± 3 % within 2."""

from __future__ import annotations

import pytest

from tests.uncertainty import KINDS, errors_in_sigmas, within

# Seed 5 was looked at while the rules were written; this one was not.
TEST_SEED = 11


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_true_values_lie_within_the_stated_errors(kind: str) -> None:
    errors = errors_in_sigmas(kind, 600, seed=TEST_SEED)
    assert len(errors) > 500, "nearly all are decided"
    assert within(errors, 1) == pytest.approx(0.68, abs=0.05)
    assert within(errors, 2) == pytest.approx(0.95, abs=0.03)
