"""The segments of a study, each under a key of everything its results are made from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge import __version__
from edge.study.inputs import sha256
from edge.study.ledger import SegmentRow
from edge.study.timeline import Cut, Stretch, in_segments
from edge.study.timeline import Sequence as Files
from edge.study.work import Settings, Task


@dataclass(frozen=True, slots=True)
class Segment:
    """What a worker takes at a time."""

    row: SegmentRow
    task: Task

    @property
    def seconds(self) -> float:
        return self.row.end - self.row.start


def planned(
    sequences: Sequence[Files], settings: Settings, cut: Cut, *, segment_s: float, parts: Path
) -> Iterator[Segment]:
    """Yield the segments of every sequence, in order of time."""
    versions = _versions(settings)
    hashed = cache(sha256)  # a log of times counts for every stretch of its file
    for sequence in sequences:
        own = sequence.recordings[0].signals
        made_from = versions if own is None else {**versions, "signals": hashed(own)}
        for stretches in in_segments(sequence.stretches(cut), segment_s, cut):
            keyed = tuple((_key(made_from, sequence, each, cut, hashed), each) for each in stretches)
            keys = tuple(key for key, _ in keyed)
            row = SegmentRow(
                key=_hash(keys),
                sequence=sequence.name,
                start=stretches[0].start,
                end=stretches[-1].end,
                stretches=keys,
                inputs=json.dumps(made_from, sort_keys=True),
            )
            yield Segment(row, Task(settings, cut, sequence, keyed, parts))


def _versions(settings: Settings) -> Mapping[str, str | None]:
    from calibration.drift import structure_file

    structure = structure_file(settings.site)
    return {
        "software": __version__,
        "site": sha256(settings.site),
        "structure": sha256(structure) if structure.is_file() else None,
        "signals": sha256(settings.signals) if settings.signals else None,
        "model": _model(settings.model),
        "provider": settings.provider,
        "clips": settings.clips,
    }


def _model(name: str) -> str:
    """Return the hash of the weights, and of the card where the file has one of its own beside it."""
    from models.zoo import cards

    if name == "motion":
        return name
    path = Path(name)
    if not path.is_file():
        return str(cards()[name].sha256)  # whatever is loaded from the store is held to it
    card = path.with_suffix(".toml")
    return sha256(path) + (f" {sha256(card)}" if card.is_file() else "")


def _key(
    made_from: Mapping[str, str | None],
    sequence: Files,
    stretch: Stretch,
    cut: Cut,
    hashed: Callable[[Path], str],
) -> str:
    files: list[Any] = [
        [each.sha256, each.start, each.dated, hashed(each.times) if each.times else None]
        for each in sequence.during(stretch.begin, stretch.until)
    ]
    # Relative signal times count from the beginning of the sequence.
    span = [sequence.start, *dataclasses.astuple(stretch)]
    return _hash([made_from, files, span, dataclasses.astuple(cut)])


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
