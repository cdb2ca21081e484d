"""Signal states read from the lamps themselves, as the camera sees them.

The only source of signals that is given pixels, where detector and redactor are given them. It keeps no
image: of each head a few numbers per lamp, and how bright the housing around the lamps usually is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.site import Site
from edge.frame import Frame, Gap, Source
from edge.signals.history import LiveHistory
from edge.signals.lamp_head import Head
from edge.signals.vote import SILENCE_S, Label, Vote


class LampReader:
    """Reads the signal heads of a site marked ``read``; ``history`` satisfies ``edge.scene.Signals``."""

    def __init__(self, site: Site) -> None:
        self.history = LiveHistory(stale_after_s=SILENCE_S)
        self._heads: dict[str, list[Head]] = {}
        self._votes: dict[str, Vote] = {}
        for head in site.signal_heads:
            if not head.read:
                continue
            group = head.signal_group
            self._heads.setdefault(group, []).append(Head(head))
            self._votes.setdefault(group, Vote(group, self.history, aspects=head.aspects))

    @property
    def groups(self) -> frozenset[str]:
        """The groups with a head in view."""
        return frozenset(self._heads)

    def observe(self, image: NDArray[np.uint8], time: float) -> None:
        """Read one frame (H, W, 3), uint8, BGR, captured at ``time``; frames come in order.

        Raises:
            InputError: a head's region lies outside the image.
        """
        for group, heads in self._heads.items():
            self._votes[group].note(_together([head.label(image, time) for head in heads]), time)


class ReadOnTheWay:
    """A source whose frames pass the lamp reader before they go on."""

    def __init__(self, source: Source, reader: LampReader) -> None:
        self._source = source
        self._reader = reader

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self._reader.observe(frame.image, frame.time)
            yield frame

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self._source.gaps


def _together(labels: Sequence[Label]) -> Label:
    """Return what several heads of one group show; heads that contradict each other show nothing."""
    sure = {label for label in labels if label not in ("unsure", "dim")}
    if sure == {"none", "black"}:
        return "black"
    if not sure and "dim" in labels:
        return "dim"
    return sure.pop() if len(sure) == 1 else "unsure"
