"""Recordings on one line of time, and the stretches it is cut into.

::

    files        |──── a.mp4 ────|──── b.mp4 ────|        |── c.mp4 ──|
    sequences    |──────────── a ────────────────|        |──── c ────|
    stretches        |  08:00  |  08:15  | 08:30          | ...            borders on quarters of the clock
    one of them    ··|=========|·                         decoded from its warm-up to its tail

Files that follow each other without a gap are one sequence, so nothing is lost where a recorder began its
next file. A stretch is judged by itself, from its own warm-up to its own tail, and only what lies between its
borders counts: what is found cannot depend on how many stretches a worker takes, or on how many workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# Recorders leave out some frames between two files; nothing can be said about a longer silence.
ADJOINING_S = 1.0
# A file may end so much later than its neighbour begins, where the clock in its name counts whole seconds.
OVERLAPPING_S = 2.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One file.

    Attributes:
        start: seconds UTC of its first frame; 0 where nobody told it.
        times: log of capture times; None where the file's own timestamps count.
        signals: what tells the signal states; None: what holds for the whole study.
    """

    path: Path
    start: float
    duration_s: float
    image_size: tuple[int, int]
    sha256: str
    dated: bool = False
    times: Path | None = None
    signals: Path | None = None

    @property
    def end(self) -> float:
        return self.start + self.duration_s


@dataclass(frozen=True, slots=True)
class Cut:
    """How a sequence is cut; what is found depends on this, so it is one for all.

    Attributes:
        stretch_s: from border to border; borders are multiples of it, UTC.
        warm_up_s: judged before a stretch and thrown away: tracks and, from lamps, the signals' history.
        tail_s: judged behind it and thrown away: what makes a finding of the last seconds sure.
        margin_s: kept on both sides, so that neighbours can be joined.
    """

    stretch_s: float = 900.0
    warm_up_s: float = 60.0
    tail_s: float = 30.0
    margin_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """What lies between two borders of a sequence; decoded from ``begin`` to ``until``."""

    start: float
    end: float
    begin: float
    until: float


@dataclass(frozen=True, slots=True)
class Sequence:
    """Files of one camera that follow each other without a gap."""

    recordings: tuple[Recording, ...]

    @property
    def name(self) -> str:
        return str(self.recordings[0].path)

    @property
    def start(self) -> float:
        return self.recordings[0].start

    @property
    def end(self) -> float:
        return self.recordings[-1].end

    def stretches(self, cut: Cut) -> list[Stretch]:
        """Return the stretches, in order; the first and the last may be short."""
        borders = [self.start]
        border = (math.floor(self.start / cut.stretch_s) + 1) * cut.stretch_s
        while border < self.end:
            borders.append(border)
            border += cut.stretch_s
        borders.append(self.end)
        return [
            Stretch(
                start,
                end,
                max(self.start, start - cut.warm_up_s),
                min(self.end, end + cut.tail_s),
            )
            for start, end in pairwise(borders)
        ]

    def during(self, begin: float, until: float) -> list[Recording]:
        """Return the files that hold a part of a span, in order."""
        return [each for each in self.recordings if each.start < until and each.end > begin]

    def at(self, time: float) -> Recording:
        """Return the file that holds an instant; the nearest where none does."""
        holding = [each for each in self.recordings if each.start <= time]
        return holding[-1] if holding else self.recordings[0]


def sequences(recordings: Iterable[Recording]) -> list[Sequence]:
    """Return recordings in sequences, in order of time and name.

    A file of unknown start, with a log of its own times or with signals of its own is a sequence alone.
    """
    found: list[list[Recording]] = []
    for each in sorted(recordings, key=lambda recording: (recording.start, str(recording.path))):
        last = found[-1][-1] if found else None
        if last is not None and _goes_on(last, each):
            found[-1].append(each)
        else:
            found.append([each])
    return [Sequence(tuple(each)) for each in found]


def _goes_on(last: Recording, this: Recording) -> bool:
    alike = last.image_size == this.image_size and last.signals == this.signals
    near = -OVERLAPPING_S <= this.start - last.end <= ADJOINING_S and this.start > last.start
    return last.dated and this.dated and last.times is None and this.times is None and alike and near


def in_segments(stretches: list[Stretch], segment_s: float, cut: Cut) -> Iterator[list[Stretch]]:
    """Yield the stretches in runs of about ``segment_s``, at least one: what a worker takes at a time."""
    at_a_time = max(1, round(segment_s / cut.stretch_s))
    for first in range(0, len(stretches), at_a_time):
        yield stretches[first : first + at_a_time]
