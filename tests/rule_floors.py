"""How seldom a rule may be looked at: F1 of every rule on made scenes against the rate they are sampled at.

``python -m tests.rule_floors`` prints the table of docs/speed.md, from which edge/rates.py has its floors. A
rule's floor is the lowest rate from which on it has 95 % of the F1 it has at 12.5 Hz, and claims nothing
wrongly more often than one time in twenty. An event that is left undecidable counts as not found here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from edge.rates import FLOOR_HZ
from tests.rule_scores import measured

RATES_HZ = (1.5, 2.0, 3.0, 4.0, 5.0, 12.5)
ENOUGH, MOST_WRONG = 0.95, 0.05
SEED = 6203


@dataclass(frozen=True)
class Point:
    """One rule at one rate; undecidable counts as not found."""

    f1: float
    wrong: float


def curves(per_maker: int, *, rates_hz: tuple[float, ...] = RATES_HZ) -> dict[str, dict[float, Point]]:
    """Return each rule's points by rate."""
    found: dict[str, dict[float, Point]] = {}
    for rate_hz in rates_hz:
        for rule, score in measured(per_maker, seed=SEED, rate_hz=rate_hz).scores.items():
            tally = score.tally
            missed = tally.misses + tally.undecidable_truths
            claims = tally.hits + tally.false_alarms
            found.setdefault(rule, {})[rate_hz] = Point(
                2 * tally.hits / max(2 * tally.hits + missed + tally.false_alarms, 1),
                tally.false_alarms / max(claims, 1),
            )
    return found


def floor_hz(points: Mapping[float, Point]) -> float:
    """Return the lowest rate from which on a rule does well enough."""
    best = points[max(points)].f1
    lowest = max(points)
    for rate_hz in sorted(points, reverse=True):
        if points[rate_hz].f1 < ENOUGH * best or points[rate_hz].wrong > MOST_WRONG:
            break
        lowest = rate_hz
    return lowest


def table(found: Mapping[str, Mapping[float, Point]]) -> str:
    rates_hz = sorted(next(iter(found.values())))
    lines = [
        "| rule | " + " | ".join(f"{rate:g} Hz" for rate in rates_hz) + " | floor measured | floor set |",
        "|---|" + "---|" * (len(rates_hz) + 2),
    ]
    for rule, points in found.items():
        cells = [
            f"{points[rate].f1:.2f}" + ("*" if points[rate].wrong > MOST_WRONG else "") for rate in rates_hz
        ]
        set_hz = dict[str, float](FLOOR_HZ).get(rule)
        lines.append(f"| {rule} | {' | '.join(cells)} | {floor_hz(points):g} | {set_hz or '':} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(curves(int(sys.argv[1]) if len(sys.argv) > 1 else 40)) + "\n")
