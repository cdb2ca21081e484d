"""What a line gives, told: each finding an event with its number, each quarter of an hour its counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge.dispatch import Dispatch
from edge.events import local_event
from edge.rules.finding import Finding

if TYPE_CHECKING:
    from edge.pipeline import Due
    from edge.rules.engine import Engine

QUARTER_S = 900.0
# Findings a consequence may still name; causes lie seconds back.
FINDINGS_KEPT = 1000


class Telling:
    """Puts what the lines of one node find into its outbox."""

    def __init__(self, dispatch: Dispatch, *, site: str, node: str, detector: str) -> None:
        self._dispatch = dispatch
        self._site, self._node, self._detector = site, node, detector
        self._given: dict[int, tuple[Finding, int]] = {}
        self._number = 0
        self._quarter = -1.0

    def events(self, due: Iterable[Due]) -> None:
        """Put findings and their clips into the outbox."""
        for finding, clip in due:
            self._number += 1
            cause = self._given.get(id(finding.caused_by)) if finding.caused_by is not None else None
            event = local_event(
                self._number,
                finding,
                site=self._site,
                node=self._node,
                detector=self._detector,
                clip=None,  # the outbox names it, once the clip names its plate
                caused_by=cause[1] if cause is not None else None,
            )
            self._given[id(finding)] = (finding, self._number)
            while len(self._given) > FINDINGS_KEPT:
                del self._given[next(iter(self._given))]
            self._dispatch.event(event, clip)

    def counts(self, now: float, engine: Engine) -> None:
        """Put the counts of a quarter of an hour into the outbox once it is over."""
        quarter = now // QUARTER_S
        if quarter != self._quarter:
            if self._quarter >= 0:
                self._dispatch.counts(engine.exposures())
            self._quarter = quarter
