"""The gate of the ground plane: where places are too uncertain there is no speed, no PET and no verdict.

A position known to a metre gives a speed and a gap to nobody knows what, however sharp its numbers look. The
limit is the site's ``thresholds.max_position_sigma_m``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.rules.finding import Finding
from edge.rules.path import SIGMA, TIME
from edge.rules.samples import Floats, Integers

# What is computed from places on the road; when something happened is told by its own error.
METRIC = frozenset(
    {
        *("speed_mps", "speed_at_onset_mps", "distance_at_onset_m", "min_speed_mps", "outside_m", "pet_s"),
        *("ttc_s", "drac_mps2", "conflict_speed_mps", "wrong_way_m", "gap_s"),
    }
)
# The samples next to the instant a finding is about, at ten a second.
NEXT_S = 0.15
# Entries wait at most so long for what makes them a finding: a phase of the signal.
KEPT_S = 600.0
# A limit as it is written is not above itself.
_ROUNDING = 1.001


class MetricGate:
    """Remembers when which track's place was too uncertain, and holds findings against that."""

    def __init__(self, limit_m: float) -> None:
        self._limit_m = limit_m * _ROUNDING
        self._unsure: dict[int, list[Floats]] = {}

    def feed(self, tracks: Integers, rows: Floats) -> None:
        """Take rows track by track, each in order of time; ``tracks`` (N,) are their numbers."""
        unsure = np.flatnonzero(rows[:, SIGMA] > self._limit_m)
        if not len(unsure):
            return
        tracks, times = tracks[unsure], rows[unsure, TIME]
        cuts = np.flatnonzero(np.diff(tracks)) + 1
        for track, part in zip(tracks[[0, *cuts]].tolist(), np.split(times, cuts), strict=True):
            self._unsure.setdefault(track, []).append(part)

    def passed(self, finding: Finding) -> Finding:
        """Return a finding as it may be told: where a place was too uncertain undecidable, without metres."""
        if not any(self._was_unsure(track, finding.time) for track in finding.tracks):
            return finding
        measures = {name: measure for name, measure in finding.measures.items() if name not in METRIC}
        if finding.outcome == "undecidable" and len(measures) == len(finding.measures):
            return finding  # it is so already; others refer to it as it is
        return replace(finding, outcome="undecidable", measures=measures)

    def forget(self, before: float) -> None:
        """Forget what was before an instant."""
        for track, parts in list(self._unsure.items()):
            kept = [part for part in parts if part[-1] >= before]
            if kept:
                self._unsure[track] = kept
            else:
                del self._unsure[track]

    def _was_unsure(self, track: int, time: float) -> bool:
        return any(
            part[0] - NEXT_S <= time <= part[-1] + NEXT_S and bool((np.abs(part - time) <= NEXT_S).any())
            for part in self._unsure.get(track, ())
        )
