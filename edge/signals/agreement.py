"""Whether the signal sources of a running node agree: for its status, and once in its log."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

from edge.signals.crosscheck import CrossChecked

logger = logging.getLogger(__name__)

# Looked after so often, each time back to the last; below this share of what both tell it is a change that
# one of them saw late.
EVERY_S = 30.0
LEAST_SHARE = 0.05


class Agreement:
    """Follows the comparisons of two sources while the street is watched.

    Attributes:
        disagreeing: the groups whose sources disagree.
        clocks: as a status tells them, by how much the second source's clock is behind the first's.
    """

    def __init__(self, checked: Sequence[CrossChecked], groups: Sequence[str]) -> None:
        self._checked = checked
        self._groups = sorted(groups)
        self._since = math.inf
        self.disagreeing: tuple[str, ...] = ()
        self.clocks: tuple[dict[str, object], ...] = ()

    def note(self, time: float) -> None:
        """Take the time of a frame, seconds UTC."""
        if not self._checked:
            return
        self._since = min(self._since, time)
        if time - self._since < EVERY_S:
            return
        self.clocks = tuple(self._clocks(time))
        found = tuple(group for group in self._groups if self._disagrees(group, time))
        if found and found != self.disagreeing:
            logger.warning("signal sources disagree about %s: its state is unknown", ", ".join(found))
        elif self.disagreeing and not found:
            logger.info("signal sources agree again")
        self.disagreeing, self._since = found, time

    def _clocks(self, time: float) -> Iterator[dict[str, object]]:
        """Return group, offset and drift of each second clock that could be matched to the first."""
        for group in self._groups:
            fits = [fit for fit in (each.fit(group, time) for each in self._checked) if fit.pairs]
            if fits:
                yield {
                    "group": group,
                    "offset_s": round(fits[0].to_first(time) - time, 1) + 0.0,
                    "drift_ppm": round(fits[0].drift * 1e6),
                }

    def _disagrees(self, group: str, time: float) -> bool:
        checks = [each.check(group, self._since, time) for each in self._checked]
        return any(check.disagreed_s > LEAST_SHARE * (check.agreed_s + check.disagreed_s) for check in checks)
