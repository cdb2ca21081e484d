"""A recording of SPaT messages: JSON, one message a line."""

from __future__ import annotations

from pathlib import Path

from calibration.site import Site
from edge.errors import InputError
from edge.signals.history import Shown, SignalHistory
from edge.signals.lines import Problems, text_lines
from edge.signals.spat import LONGEST_MESSAGE, YEAR_2000, SpatError, SpatReader


def load_spat(path: Path, *, site: Site, start_time: float) -> SignalHistory:
    """Read a recording; ``start_time`` tells the year, which SPaT leaves out.

    Raises:
        InputError: every mistake in the file at once, as ``file:line: what came, what was expected``.
    """
    if not site.spat_groups:
        raise InputError(
            f"{path}: SPaT messages, but the site file has no [[spat_groups]] that say which spat_group "
            "is which signal_group"
        )
    problems = Problems(path)
    reader = SpatReader(site, near=lambda: start_time if start_time >= YEAR_2000 else None)
    shown: list[Shown] = []
    heard: set[str] = set()
    lines = 0
    for number, text in text_lines(path, problems, longest=LONGEST_MESSAGE):
        if not text.strip():
            continue
        lines += 1
        if lines == 1 and text.strip() in ("{", "["):
            problems.add(number, "a message over several lines, expected one message a line")
            break
        try:
            changes, groups = reader.read(text)
        except SpatError as error:
            problems.add(number, str(error))
            continue
        shown += changes
        heard |= groups.keys()
    if not lines and not problems:
        problems.add(None, "the file is empty")
    if not heard and not problems:
        problems.add(None, "no message speaks of one of the site's spat_groups at spat.intersection")
    problems.raise_if_any()
    return SignalHistory([*shown, *reader.end()])
