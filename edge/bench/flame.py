"""Where a frame's time goes, as a picture: each process and thread a lane, each stage as wide as it takes.

::

    detector's thread   ▉▉▉▉▉▉▉▉▉▉▉▉▉▉▉▉▉▉ detect
    the line's thread   ▉▉ fetch ▉▉▉ redact ▉ track ▉▉ place ...
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

WIDTH_PX, ROW_PX, LEFT_PX, TOP_PX = 860, 34, 150, 46
# From the detector's red to the bookkeeping's yellow, as flames go.
_COLOURS = ("#c7402d", "#d9622b", "#e68a2e", "#eda63a", "#f2bd4b", "#f5cf6b", "#dca24e", "#cf7a3c")
_NARROW_PX = 46


def picture(lanes: Mapping[str, Sequence[tuple[str, float]]], *, title: str, inference_ms: float) -> str:
    """Return an SVG of stages (name, ms a frame), one lane a thread; ``inference_ms`` is marked."""
    longest = max([inference_ms, *(sum(ms for _, ms in stages) for stages in lanes.values())])
    scale = (WIDTH_PX - LEFT_PX - 20) / max(longest, 1e-6)
    height = TOP_PX + 2 * ROW_PX * len(lanes) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{WIDTH_PX}" height="{height}" fill="#fffdf8"/>',
        f'<text x="12" y="22" font-size="14" fill="#222">{html.escape(title)}</text>',
    ]
    for lane, (name, stages) in enumerate(lanes.items()):
        top = TOP_PX + 2 * ROW_PX * lane
        parts.append(f'<text x="12" y="{top + 22}" fill="#222">{html.escape(name)}</text>')
        parts += _lane(stages, top, scale)
    x, bottom = LEFT_PX + inference_ms * scale, TOP_PX + 2 * ROW_PX * len(lanes) - 8
    parts.append(
        f'<path d="M{x:.1f} {TOP_PX - 6}V{bottom}" stroke="#1b3b6f" stroke-width="1.5" '
        'stroke-dasharray="5 3" fill="none"/>'
    )
    # To the side of the mark that has room.
    anchor, shift = ("end", -5) if x > WIDTH_PX - 190 else ("start", 5)
    parts.append(
        f'<text x="{x + shift:.1f}" y="{bottom + 16}" text-anchor="{anchor}" fill="#1b3b6f">'
        f"one inference {inference_ms:.1f} ms</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lane(stages: Sequence[tuple[str, float]], top: int, scale: float) -> list[str]:
    parts, left = [], float(LEFT_PX)
    under = 0
    for number, (stage, ms) in enumerate(sorted(stages, key=lambda each: -each[1])):
        width = ms * scale
        said = f"{stage} {ms:.2f}"
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{max(width, 0.5):.1f}" height="{ROW_PX - 2}" '
            f'fill="{colour}" stroke="#fffdf8"><title>{html.escape(said)} ms</title></rect>'
        )
        if width > _NARROW_PX + 6 * max(len(said) - 8, 0):
            dark = number < 2
            ink = "#fff" if dark else "#222"
            parts.append(f'<text x="{left + 5:.1f}" y="{top + 21}" fill="{ink}">{html.escape(said)}</text>')
        elif ms >= 0.1 and under < 7:  # too narrow for its words: under it, in their order
            x = LEFT_PX + under * 100
            parts.append(
                f'<rect x="{x}" y="{top + ROW_PX + 6}" width="9" height="9" fill="{colour}"/>'
                f'<text x="{x + 13}" y="{top + ROW_PX + 15}" font-size="11" fill="#444">'
                f"{html.escape(said)}</text>"
            )
            under += 1
        left += width
    return parts
