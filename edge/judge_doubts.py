"""What a reader of ``nearmiss judge`` has to know: inputs that are sound, yet say little together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from calibration.site import Point, Site
from edge.analyze_facts import silent_groups
from edge.rules.samples import Samples
from edge.scene import Signals

# A row further than this from every place of the site is of another place, or in another frame.
NEAR_M = 50.0
# From so many instants on, how far apart they come tells something.
LEAST_INSTANTS = 10


class Span:
    """What the rows of a file reach over, gathered as they pass."""

    def __init__(self) -> None:
        self.start, self.end = np.inf, -np.inf
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)
        self._steps: list[float] = []

    def add(self, rows: Samples) -> Samples:
        """Take some rows in order of time, and hand them on."""
        if len(rows):
            self.start, self.end = min(self.start, float(rows.time[0])), float(rows.time[-1])
            places = np.stack([rows.x, rows.y])
            self.low = np.minimum(self.low, places.min(axis=1))
            self.high = np.maximum(self.high, places.max(axis=1))
            instants = np.unique(rows.time)
            if len(instants) >= LEAST_INSTANTS:
                self._steps.append(float(np.median(np.diff(instants))))
        return rows

    def __bool__(self) -> bool:
        return self.end >= self.start

    @property
    def step_s(self) -> float:
        """How far apart instants come, where they come closest; 0 where there are too few."""
        return min(self._steps, default=0.0)


def doubts(site: Site, signals: Signals, span: Span, *, told: bool) -> Iterator[str]:
    """Return one line each; none where nothing is odd.

    Args:
        told: whether any source tells the signals.
    """
    groups = sorted(site.signal_groups)
    if groups and not told:
        yield f"no --signals: nothing is judged against {', '.join(groups)}"
    if not span:
        return
    silent = silent_groups(signals, site.signal_groups, span.start, span.end) if told else ()
    if silent:
        perhaps = ": do both count from the same instant (--start)?" if len(silent) == len(groups) else ""
        yield (
            f"of {', '.join(silent)} no state is known at any time of the tracks, "
            f"{_clock(span.start)} to {_clock(span.end)}{perhaps}"
        )
    points = np.asarray(_points(site), dtype=np.float64).reshape(-1, 2)
    if len(points):
        low, high = points.min(axis=0) - NEAR_M, points.max(axis=0) + NEAR_M
        if (span.high < low).any() or (span.low > high).any():
            yield (
                f"no track comes near the site's places: x {span.low[0]:.0f} to {span.high[0]:.0f}, "
                f"y {span.low[1]:.0f} to {span.high[1]:.0f}; expected metres in the site's frame, "
                f"x {low[0] + NEAR_M:.0f} to {high[0] - NEAR_M:.0f}, y {low[1] + NEAR_M:.0f} to "
                f"{high[1] - NEAR_M:.0f} (y north)"
            )
    least_hz = site.thresholds.min_frame_rate_hz
    if span.step_s > 1.25 / least_hz:
        yield (
            f"rows come {span.step_s:.3g} s apart, expected at most {1 / least_hz:.3g} s "
            "(thresholds.min_frame_rate_hz): most is undecidable (are times in seconds?)"
        )


def _points(site: Site) -> list[Point]:
    lines = [point for line in site.stop_lines for point in line.line]
    zones = [zone.polygon for zone in site.crosswalks] + [zone.polygon for zone in site.boxes]
    zones += [zone.polygon for zone in site.roadways]
    return [*lines, *(point for zone in zones for point in zone)]


def _clock(time: float) -> str:
    if time < 1e8:
        return f"{time:.1f} s"
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
