"""A SUMO street judged as `nearmiss judge` does, beside its truth, and the scores of several together."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import edge.evaluate
import edge.judge
from broker.wire import LocalEvent
from tests.sumo.world import World

Pair = tuple[list[LocalEvent], list[LocalEvent]]


def judge(world: World, out: Path, *, tracks: Path | None = None, signals: Path | None = None) -> Pair:
    """Return what `nearmiss judge` finds, of a street's own files or of others, and the truth."""
    with contextlib.redirect_stdout(io.StringIO()):
        done = edge.judge.run(
            tracks or world.tracks, site=world.site, signals=signals or world.signals, out=out, start=None
        )
    assert done == 0
    return edge.evaluate.load_both(out, world.truth)


def compared(pairs: Iterable[Pair], rules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the scores of some streets together, as `nearmiss evaluate --json` has them, by rule."""
    asked = set(rules)
    sides: tuple[list[LocalEvent], list[LocalEvent]] = ([], [])
    for pair in pairs:
        for side, events in zip(sides, pair, strict=True):
            side += [event for event in events if event.rule in asked]
    document: Any = edge.evaluate.as_document(edge.evaluate.evaluate(*sides))
    scores: dict[str, dict[str, Any]] = document["rules"]
    return scores


def good(score: dict[str, Any], *, precision: float = 0.98, recall: float = 0.95) -> bool:
    """Return whether precision and recall are what is asked at least."""
    hits = score["hits"]
    claimed, true = hits + score["false_alarms"], hits + score["misses"]
    return bool(hits >= precision * claimed and hits >= recall * true)
