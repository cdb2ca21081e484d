"""How well drawn lamps are read: wrong states, onsets against their stated errors, how much is unknown."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import process_time

import numpy as np

from calibration.site import Site
from edge.scene import SignalReading, State
from edge.signals.history import LiveHistory
from edge.signals.lamp import LampReader
from tests.lamps.scenes import Scene

# Rules ask so long behind the frames (edge/rules/path.py).
BEHIND_S = 0.5
# A state is none before it was seen for so long: at the beginning everything is unknown.
BEGINNING_S = 3.0


@dataclass
class Score:
    """What reading one scene came to.

    Attributes:
        asked: how often, once a frame.
        wrong: answers that were neither true nor unknown, further from a change than its error allows.
        unknown: answers that were unknown after the beginning, in what was in sight.
        changes: true changes after the beginning; ``seen`` of them have an onset.
        errors: of onsets, in stated sigmas.
        spent_s: processor time of reading the lamps, over ``frames``.
    """

    scene: str
    asked: int = 0
    wrong: list[tuple[float, State, State]] = field(default_factory=list)
    in_sight: int = 0
    unknown: int = 0
    changes: int = 0
    seen: int = 0
    errors: list[float] = field(default_factory=list)
    errors_s: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    frames: int = 0


def read(scene: Scene, seed: int) -> Score:
    """Draw a scene and read it, as a rule would half a second behind, and in hindsight."""
    site = Site.model_validate_json(json.dumps({"site": {"id": "lamps"}, "signal_heads": [scene.head.row]}))
    reader = LampReader(site)
    score = Score(scene.name)
    truth: list[tuple[float, State]] = []
    asked: list[tuple[float, State]] = []
    for time, picture, state in scene.frames(seed):
        begun_s = process_time()
        reader.observe(picture, time)
        score.spent_s += process_time() - begun_s
        score.frames += 1
        truth.append((time, state))
        asked.append((time - BEHIND_S, reader.history.at("N", time - BEHIND_S).state))
    changes = _changes(truth, scene)
    instants = [time for time, _ in truth]
    for (time, said), hindsight in ((each, reader.history.at("N", each[0]).state) for each in asked):
        if time < instants[0]:
            continue
        true = scene.programme(time)[0]
        near = _slack(reader.history, changes, time, scene)
        score.asked += 1
        score.wrong += [
            (time, answer, true)
            for answer in {said, hindsight}
            if answer not in ("unknown", true) and not near
        ]
        if time > BEGINNING_S and not _hidden(scene, time):
            score.in_sight += 1
            score.unknown += said == "unknown"
    _onsets(score, reader.history, changes, scene)
    return score


def _changes(truth: Sequence[tuple[float, State]], scene: Scene) -> list[tuple[float, State]]:
    """Return the true changes to a thousandth of a second, found between the frames."""
    found = []
    for (before, old), (after, new) in itertools.pairwise(truth):
        if old == new:
            continue
        low, high = before, after
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if scene.programme(middle)[0] == old else (low, middle)
        found.append((high, new))
    return found


def _slack(history: LiveHistory, changes: Iterable[tuple[float, State]], time: float, scene: Scene) -> bool:
    """Whether a change is so near that its stated error allows either state."""
    for instant, state in changes:
        onset = _onset(history, instant, state)
        sigma_s = onset.sigma_s if onset is not None else 1 / scene.rate_hz / math.sqrt(12)
        if abs(time - instant) <= 2 * sigma_s + 1e-3:
            return True
    return False


def _onset(history: LiveHistory, instant: float, state: State) -> SignalReading | None:
    near = [
        each
        for each in history.changes("N", instant - 2.0, instant + 2.0)
        if each.state == state and each.since is not None and math.isfinite(each.sigma_s)
    ]
    return min(near, key=lambda each: abs((each.since or 0.0) - instant), default=None)


def _onsets(score: Score, history: LiveHistory, changes: Sequence[tuple[float, State]], scene: Scene) -> None:
    for instant, state in changes:
        if instant < BEGINNING_S or instant > scene.seconds - 2.0 or _hidden(scene, instant):
            continue
        score.changes += 1
        onset = _onset(history, instant, state)
        if onset is not None and onset.since is not None:
            score.seen += 1
            score.errors_s.append(onset.since - instant)
            score.errors.append((onset.since - instant) / onset.sigma_s)


def _hidden(scene: Scene, time: float) -> bool:
    return scene.hidden is not None and scene.hidden[0] <= time <= scene.hidden[1] + 1.5


def calibration(scores: Iterable[Score]) -> tuple[float, float, float]:
    """Return the root of the mean square of errors over their sigmas, and the shares within 1 and 2 sigma."""
    errors = np.abs(np.array([error for score in scores for error in score.errors]))
    if not len(errors):
        return math.nan, math.nan, math.nan
    return float(np.sqrt((errors**2).mean())), float((errors <= 1).mean()), float((errors <= 2.001).mean())
