"""An event as it may leave the node: a random id, the time floored to the site's bin, rounded measures.

Source: shared PRIVACY §2; the rounding is what the error justifies: 0.1 s, 1 km/h, 0.5 m.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

from broker.wire import Event, LocalEvent, Measure, WireSignal, on_grid, steps_per_unit


def wire_event(
    event: LocalEvent, *, id: UUID, seq: int, time_bin_s: int, caused_by: UUID | None = None
) -> Event:
    """Return a local event as it travels.

    Args:
        id: random (UUIDv4).
        seq: the node's sequence number.
        time_bin_s: the site's ``thresholds.time_bin_s``.
        caused_by: id of the event this one follows from, where that one is known.
    """
    signal = event.signal
    return Event(
        v=event.v,
        id=id,
        seq=seq,
        site=event.site,
        node=event.node,
        rule=event.rule,
        outcome=event.outcome,
        time=bin_start(event.time, time_bin_s),
        time_sigma_s=_sigma(event.time_sigma_s, steps_per_unit("time_sigma_s")),
        place=event.place,
        road_user=event.road_user,
        road_user2=event.road_user2,
        signal=None
        if signal is None
        else WireSignal(group=signal.group, state=signal.state, source=signal.source),
        measures={name: _rounded(name, measure) for name, measure in event.measures.items()},
        clip=event.clip,
        detector=event.detector,
        software=event.software,
        caused_by=caused_by,
    )


def bin_start(time: datetime, time_bin_s: int) -> datetime:
    """Return the start of the bin an instant lies in; bins are counted from the epoch, UTC."""
    return datetime.fromtimestamp(math.floor(time.timestamp() / time_bin_s) * time_bin_s, UTC)


def _rounded(name: str, measure: Measure) -> Measure:
    steps = steps_per_unit(name)
    return Measure(value=on_grid(measure.value, steps), sigma=_sigma(measure.sigma, steps))


def _sigma(sigma: float | None, steps: float) -> float | None:
    """Return an error on the grid: to the nearest step, yet never nothing where there was something."""
    if sigma is None:
        return None
    return on_grid(max(sigma, 1 / steps if sigma > 0 else 0.0), steps)
