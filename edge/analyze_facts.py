"""What was analysed and how, in the words of its report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from edge import __version__
from edge.scene import Signals
from edge.signals.sources import checks, sentences

if TYPE_CHECKING:
    from edge.analyze import Outcome
    from edge.camera_watch import Move
    from edge.opening import Inputs

# Below it a time counts from the recording's start.
_CALENDAR_S = 1e8


def facts(inputs: Inputs, outcome: Outcome) -> dict[str, str]:
    """Return label and text of each fact, in the order a reader asks."""
    source, detector = inputs.source, inputs.detector
    seen_s = max(outcome.last - source.start_time, 0.0)
    rate_hz = (outcome.frames - 1) / seen_s if seen_s else 0.0
    return {
        "Recording": f"{source.path.name}, {source.image_size[0]}×{source.image_size[1]}",
        "Begins": _begin(source.start_time),
        "Analysed": f"{outcome.frames} frames, {seen_s:.1f} s, {rate_hz:.1f} frames a second",
        "Frame times": f"{source.times_from}, ± {source.time_sigma_s * 1000:.0f} ms",
        "Detector": f"{detector.name} ({detector.provider}"
        + (")" if detector.name == "motion" else f", {counted(inputs.threads, 'thread')})"),
        "Ground plane": _plane_error(inputs),
        "Signals": _signals(inputs),
        "Tracks": counted(outcome.paths.count, "confirmed track"),
        "Software": f"nearmiss {__version__}",
    }


def notes(inputs: Inputs, outcome: Outcome) -> list[str]:
    """Return what a reader has to know beside the facts, a sentence each."""
    said = []
    if outcome.interrupted:
        said.append(
            f"Stopped by hand after {counted(outcome.frames, 'frame')}, at "
            f"{outcome.last - inputs.source.start_time:.1f} s of the recording: the rest was not analysed."
        )
    for pair in inputs.plane.left_out:
        said.append(
            f"Point {pair.index + 1} of the ground plane lies {pair.error_px:.0f} px from where the others "
            "put it, and was left out: mend it or take it away."
        )
    for move in outcome.moves:
        said.append(_moved(move, inputs.source.start_time))
    if outcome.untrusted and not outcome.moves:
        floor = inputs.site.thresholds.min_frame_rate_hz
        said.append(
            f"{counted(outcome.untrusted, 'frame')} came during or within a second of a frame rate under "
            f"{floor:g} Hz: nothing was judged there."
        )
    silent = silent_groups(inputs.signals, inputs.site.signal_groups, inputs.source.start_time, outcome.last)
    if inputs.signals_given and silent:
        said.append(
            f"The signals say nothing about {', '.join(silent)} during the recording "
            f"({_begin(inputs.source.start_time)} to {_begin(outcome.last)})."
        )
    groups = sorted(inputs.site.signal_groups)
    said += sentences(checks(inputs.checked, groups, inputs.source.start_time, outcome.last))
    if outcome.paths.of_every > 1:
        said.append(f"The map shows one of every {outcome.paths.of_every} paths.")
    return said


def _signals(inputs: Inputs) -> str:
    if not inputs.signals_given:
        return "none given: no rule about a signal was judged"
    if inputs.lamps is None:
        return "given"
    beside = " and compared with what was given" if inputs.checked else ""
    return f"read from the lamps of {', '.join(sorted(inputs.lamps.groups))}{beside}"


def _moved(move: Move, start: float) -> str:
    by = (
        "shows another scene than the one its ground plane was fitted on"
        if math.isinf(move.shift.px)
        else f"moved by {move.shift.px:.1f} px ({move.shift.m:.2f} m on the road)"
    )
    until = "to the end" if move.end is None else f"until {move.end - start:.1f} s"
    return (
        f"The camera {by}: from {move.start - start:.1f} s {until} nothing was judged. "
        "`nearmiss calibrate` offers to move the points along."
    )


def silent_groups(signals: Signals, groups: frozenset[str], start: float, end: float) -> Sequence[str]:
    """Return the signal groups whose state is unknown all through a stretch of time."""
    return [
        group
        for group in sorted(groups)
        if signals.at(group, end).state == "unknown"
        and all(change.state == "unknown" for change in signals.changes(group, start, end))
        and signals.at(group, start).state == "unknown"
    ]


def _begin(time: float) -> str:
    if time < _CALENDAR_S:
        return f"{time:.1f} s"
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _plane_error(inputs: Inputs) -> str:
    """Return how far point pairs lie from where the plane puts them."""
    plane = inputs.plane
    for errors, what in (
        (plane.held_out_error_m, "points held out"),
        (plane.fit_error_m, "points, each left out in turn"),
    ):
        known = errors[np.isfinite(errors)]
        if len(known):
            return f"median error {np.median(known):.2f} m, largest {known.max():.2f} m ({len(known)} {what})"
    return "error unknown: four points fit any plane"


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: 1 event, 2 events."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
