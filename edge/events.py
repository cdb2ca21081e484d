"""A finding as one line of ``events.jsonl``: exact times, kept by whoever made the recording."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import cast

from broker.wire import LocalEvent, LocalSignal, Measure, MeasureName, Rule
from edge import __version__
from edge.rules.finding import Finding

LARGEST = 10_000.0


def local_event(
    n: int,
    finding: Finding,
    *,
    site: str,
    node: str,
    detector: str,
    clip: str | None,
    caused_by: int | None = None,
) -> LocalEvent:
    """Return a finding as the event number ``n``.

    Args:
        clip: hash of its clip, or None.
        caused_by: number of the event ``finding.caused_by`` became, where that one was written.
    """
    signal = finding.signal
    return LocalEvent(
        n=n,
        site=site,
        node=node,
        rule=cast(Rule, finding.rule),
        outcome=finding.outcome,
        time=_instant(finding.time),
        time_sigma_s=_sigma(finding.time_sigma_s),
        place=finding.place,
        road_user=finding.road_user,
        road_user2=finding.road_user2,
        signal=None
        if signal is None
        else LocalSignal(
            group=signal.group,
            state=signal.state,
            since=None if signal.since is None else _instant(signal.since),
            source=signal.source,
        ),
        measures={
            cast(MeasureName, name): Measure(value=_number(measure.value), sigma=_sigma(measure.sigma))
            for name, measure in finding.measures.items()
            if math.isfinite(measure.value)
        },
        clip=clip,
        detector=detector,
        software=f"nearmiss {__version__}",
        caused_by=caused_by,
    )


def _instant(time: float) -> datetime:
    # Rounded first: 101.2 s as a float is 101.19999…, and milliseconds are cut off when written.
    return datetime.fromtimestamp(round(time, 3), UTC)


def _number(value: float) -> float:
    return round(min(max(value, -LARGEST), LARGEST), 3) + 0.0  # no minus zero


def _sigma(sigma: float) -> float | None:
    """Return an error to a thousandth; None, never a guess, where it is unknown."""
    return round(min(sigma, LARGEST), 3) if math.isfinite(sigma) else None
