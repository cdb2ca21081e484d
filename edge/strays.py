"""Boxes that no confirmed track stands for, linked from one step to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.instants import Seen

# Shorter rows are what a detector sees for a moment, or a track before it is confirmed.
MIN_STEPS = 5
# Steps a row may miss its box.
_MAX_GAP = 3
# How far a box moves from one step to the next, in widths of itself.
_REACH = 0.75


@dataclass
class _Chain:
    seen: dict[int, Seen]
    last: int


def chains(steps: Sequence[Sequence[Seen]]) -> list[list[Seen | None]]:
    """Return rows of boxes, one entry a step (None: not seen there), each of half a second or longer.

    Nearest first, same kind only; a greedy choice is enough for what is drawn hollow or at the side.
    """
    rows: list[_Chain] = []
    for step, boxes in enumerate(steps):
        open_rows = [row for row in rows if step - row.last <= _MAX_GAP]
        pairs = sorted(
            (away, n, m)
            for n, row in enumerate(open_rows)
            for m, box in enumerate(boxes)
            if (away := _away(row.seen[row.last], box, step - row.last)) is not None
        )
        taken_rows, taken_boxes = set(), set()
        for _, n, m in pairs:
            if n not in taken_rows and m not in taken_boxes:
                taken_rows.add(n)
                taken_boxes.add(m)
                open_rows[n].seen[step] = boxes[m]
                open_rows[n].last = step
        rows += [_Chain({step: box}, step) for m, box in enumerate(boxes) if m not in taken_boxes]
    return [_filled(row, len(steps)) for row in rows if len(row.seen) >= MIN_STEPS]


def _away(earlier: Seen, later: Seen, steps: int) -> float | None:
    if earlier.kind != later.kind:
        return None
    away = math.dist(earlier.px, later.px)
    return away if away <= _REACH * steps * max(earlier.width_px, later.width_px) else None


def _filled(row: _Chain, length: int) -> list[Seen | None]:
    filled: list[Seen | None] = [None] * length
    first, before = min(row.seen), None
    for step in range(first, row.last + 1):
        before = row.seen.get(step, before)
        filled[step] = before
    return filled
