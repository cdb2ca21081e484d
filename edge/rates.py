"""How often each rule gets a look where it needs one, and which rules that is too seldom for.

Near a decision the detector looks at every frame, or as often as the policy says (edge/attention.py); so
what a rule gets hangs on how many frames there are. Below its floor a rule says nothing for certain: what
it finds is undecidable, and the status says that it is suspended.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from broker.wire import Rule
from edge.attention import Policy
from edge.rules.finding import Finding

# Looks a second, none lower than `python -m tests.rule_floors` measures (docs/speed.md). What hangs on an
# instant keeps more than made scenes ask for: their tracks are never lost between two looks.
FLOOR_HZ: Mapping[Rule, float] = {
    "red_light_entry": 4.0,
    "right_on_red_without_stop": 4.0,
    "amber_entry": 4.0,
    "pedestrian_against_signal": 4.0,
    "pedestrian_late_start": 4.0,
    "crossing_outside_crosswalk": 2.0,
    "wrong_way": 2.0,
    "blocking_box": 4.0,
    "failure_to_yield": 4.0,
    "near_miss": 4.0,
}
# Of two about to meet every frame is looked at, or as the policy says.
_ABOUT_TO_MEET: frozenset[Rule] = frozenset({"near_miss", "failure_to_yield"})
_OVER_S = 2.0
# Frames come a little early and late: this share under the floor is still at it.
_SLACK = 0.9


@dataclass(frozen=True, slots=True)
class RuleRate:
    """One rule: looks a second near its decisions; None before there were frames."""

    rule: Rule
    rate_hz: float | None
    floor_hz: float
    suspended: bool


class Rates:
    """Counts frames over the last seconds of their own time."""

    def __init__(self, policy: Policy | None = None) -> None:
        """
        Args:
            policy: of the gate; None: every frame is looked at.
        """
        self._policy = policy
        self._times: deque[float] = deque()

    def frame(self, time: float) -> None:
        """Take note of a frame, looked at or glanced at."""
        self._times.append(time)
        while self._times[0] < time - _OVER_S:
            self._times.popleft()

    def frame_rate_hz(self) -> float | None:
        """Return frames a second; None before there were a few."""
        times = tuple(self._times)
        if len(times) < 3 or times[-1] <= times[0]:
            return None
        return (len(times) - 1) / (times[-1] - times[0])

    def of(self, rule: Rule) -> RuleRate:
        """Return how one rule fares now."""
        rate = self.frame_rate_hz()
        if rate is not None and self._policy is not None:
            wait_s = self._policy.close_s if rule in _ABOUT_TO_MEET else self._policy.near_s
            rate = min(rate, 1.0 / wait_s) if wait_s > 0 else rate
        floor = FLOOR_HZ[rule]
        return RuleRate(rule, rate, floor, suspended=rate is not None and rate < _SLACK * floor)

    def all(self) -> tuple[RuleRate, ...]:
        return tuple(self.of(rule) for rule in get_args(Rule))

    def judged(self, finding: Finding) -> Finding:
        """Return a finding as it may be said now: nothing for certain where its rule is suspended."""
        if finding.outcome == "undecidable" or not self.of(cast("Rule", finding.rule)).suspended:
            return finding
        return dataclasses.replace(finding, outcome="undecidable")
