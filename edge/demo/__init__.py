"""The demo: a drawn junction with known truth, sent through the whole chain."""

from __future__ import annotations

from pathlib import Path


def run(*, out: Path, serve: bool, port: int, gif: Path | None) -> int:
    """Run ``nearmiss demo``; return 0 only if every true event was found and nothing else claimed."""
    from edge.demo.show import run as show

    return show(out=out, serve=serve, port=port, gif=gif)
