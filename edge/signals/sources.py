"""Every signal source a site has, as one: the file given, the lamps in view, the feed, the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.site import Site
from edge.scene import Signals
from edge.signals.crosscheck import Check, CrossChecked
from edge.signals.feed import Feed, feed_of
from edge.signals.files import load_signals
from edge.signals.history import SignalHistory
from edge.signals.plan import PlanSignals

if TYPE_CHECKING:
    from edge.signals.lamp import LampReader


@dataclass(frozen=True)
class Sources:
    """What tells the signals of a site.

    Attributes:
        signals: what a rule may ask.
        any: whether there is a source at all.
        lamps: to be given each frame before the redactor (``lamp.ReadOnTheWay``); None where no head is read.
        feed: to be given each message; None where the site has none.
        checked: the cross-checks, from the first to the last source; empty with one source.
    """

    signals: Signals
    any: bool
    lamps: LampReader | None = None
    feed: Feed | None = None
    checked: tuple[CrossChecked, ...] = ()


def checks(checked: Sequence[CrossChecked], groups: Sequence[str], start: float, end: float) -> list[Check]:
    """Return how the sources got on, one row per group and pair of sources that both spoke."""
    rows = [each.check(group, start, end) for each in checked for group in groups]
    return [row for row in rows if row.agreed_s + row.disagreed_s > 0]


def sentences(checks: Sequence[Check]) -> list[str]:
    """Return what a reader of a report has to know of the checks, a sentence each."""
    said = []
    for check in checks:
        first, second = check.sources
        if check.fit.pairs:
            drift = f", drifting {check.fit.drift * 1e6:+.0f} ppm" if check.fit.drift else ""
            said.append(
                f"Signal group {check.group}: the clock of {second} was corrected by "
                f"{check.fit.offset_s:+.2f} s (± {check.fit.sigma_s:.2f} s{drift}; "
                f"{check.fit.pairs} changes) to that of {first}."
            )
        if check.disagreed_s > 0:
            share = check.disagreed_s / (check.agreed_s + check.disagreed_s)
            said.append(
                f"Signal group {check.group}: {first} and {second} disagreed for {check.disagreed_s:.1f} s "
                f"({share:.1%} of what both tell): nothing was judged by the signal then."
            )
    return said


def sources_of(
    site: Site,
    path: Path | None,
    *,
    start_time: float,
    lamps: bool,
    now: Callable[[], float] | None = None,
) -> Sources:
    """Return the sources of a site, the one in the frames' own clock first.

    Args:
        path: the file given as ``--signals``.
        start_time: seconds UTC of the recording's time 0.
        lamps: whether there are frames to read the site's signal heads from.
        now: the clock, seconds UTC, where messages are to be listened to; None for a recording.

    Raises:
        InputError: the file cannot be used.
    """
    every: list[Signals] = []
    reader = None
    if lamps and any(head.read for head in site.signal_heads):
        # The only one to load numpy, which rules on tracks alone do without.
        from edge.signals.lamp import LampReader

        reader = LampReader(site)
        every.append(reader.history)
    if path is not None:
        every.append(load_signals(path, site=site, start_time=start_time))
    feed = feed_of(site, now=now) if now is not None else None
    if feed is not None:
        every.append(feed.history)
    if site.signal_plan is not None:
        every.append(PlanSignals(site.signal_plan))
    checked: list[CrossChecked] = []
    signals: Signals = every[0] if every else SignalHistory()
    for other in every[1:]:
        checked.append(CrossChecked(signals, other))
        signals = checked[-1]
    return Sources(signals, bool(every), reader, feed, tuple(checked))
