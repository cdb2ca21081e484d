"""The recorder: half a minute of sketches and scenes, from which the seconds around an event are drawn.

It holds no image and takes none.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from dataclasses import dataclass, replace

from broker.drawing import Clip
from calibration.site import Site
from edge.clip import GAP_S, clip_of
from edge.instants import Instant, packed
from edge.rules.finding import Finding
from edge.scene import Scene, Signals
from edge.sketch import Sketch

logger = logging.getLogger(__name__)

RING_S = 30.0


@dataclass(frozen=True, slots=True)
class _Held:
    finding: Finding
    due: float


class Recorder:
    """Keeps 30 s, and gives each finding back with its clip once the seconds after it have passed."""

    def __init__(
        self,
        site: Site,
        *,
        image_size: tuple[int, int],
        before_s: float = 5.0,
        after_s: float = 5.0,
        rng: random.Random,
    ) -> None:
        """
        Args:
            rng: gives the numbers of vulnerable road users in a clip; seeded in a replay, so that the same
                frames give the same bytes, and from the operating system on a node.
        """
        if not (0 < before_s <= 20 and 0 < after_s <= 20):
            raise ValueError(f"before_s {before_s} and after_s {after_s}: expected more than 0, up to 20")
        self._site = site
        self._image_size = image_size
        self._before_s, self._after_s = before_s, after_s
        self._rng = rng
        self._ring: deque[Instant] = deque()
        self._held: list[_Held] = []
        self._signals: Signals | None = None
        self._complained = False

    def add(self, sketch: Sketch, scene: Scene) -> None:
        """Take in one frame; what is older than 30 s is forgotten."""
        if self._ring and sketch.time <= self._ring[-1].time:
            return  # a frame twice, or a clock set back: the ring stays in order
        self._signals = scene.signals
        self._ring.append(packed(sketch, scene))
        while self._ring[0].time < sketch.time - RING_S:
            self._ring.popleft()

    def pass_over(self, time: float, signals: Signals) -> None:
        """Take note of a frame the detector had no need to look at: what was seen last still holds."""
        self._signals = signals
        if self._ring and self._ring[-1].until < time <= self._ring[-1].until + GAP_S:
            self._ring[-1] = replace(self._ring[-1], until=time)

    def hold(self, finding: Finding) -> None:
        """Keep a finding until the seconds after it have passed."""
        self._held.append(_Held(finding, finding.time + self._after_s))

    def due(self, time: float) -> list[tuple[Finding, Clip | None]]:
        """Return the findings whose seconds after have passed, in the order they came due."""
        ready = sorted((held for held in self._held if held.due <= time), key=lambda held: held.due)
        self._held = [held for held in self._held if held.due > time]
        return [(held.finding, self._clip(held.finding)) for held in ready]

    def flush(self) -> list[tuple[Finding, Clip | None]]:
        """Return what is left, each clip with as many seconds after as there were."""
        return self.due(float("inf"))

    def _clip(self, finding: Finding) -> Clip | None:
        """Return the clip of a finding; None where there is no picture to draw it from."""
        if self._signals is None:
            return None
        start, end = finding.time - self._before_s, finding.time + self._after_s
        try:
            return clip_of(
                finding,
                # A second more on either side, to interpolate from.
                [instant for instant in self._ring if start - 1.0 <= instant.time <= end + 1.0],
                site=self._site,
                signals=self._signals,
                image_size=self._image_size,
                before_s=self._before_s,
                after_s=self._after_s,
                rng=self._rng,
            )
        except Exception:  # an event without its drawing is worth more than no event
            if not self._complained:
                logger.exception("a clip could not be drawn; its event goes without")
            self._complained = True
            return None
