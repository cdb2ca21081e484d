"""The bar of every rule on made scenes it was never tuned on: precision ≥ 0.98, recall ≥ 0.95 at ± 0.5 s."""

from __future__ import annotations

import pytest

from broker.wire import RULES
from tests.rule_scores import measured


@pytest.mark.slow
def test_every_rule_reaches_the_bar() -> None:
    scores = measured(60).scores
    assert set(RULES) <= set(scores)
    for rule in RULES:
        score = scores[rule]
        assert score.precision.value is not None and score.precision.value >= 0.98, (rule, score.tally)
        assert score.recall.value is not None and score.recall.value >= 0.95, (rule, score.tally)
