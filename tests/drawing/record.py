"""Claims recorded as findings are: drawn street, decoder, detector, redactor, tracker, recorder."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from broker.drawing import Clip, Plate
from edge.analyze import line_of
from edge.demo.junction import START
from edge.demo.recording import open_recording, write_recording
from edge.demo.setting import SETTINGS
from edge.demo.story import DURATION_S, SIZE_M, Actor
from edge.rules.finding import Finding
from edge.scene import VULNERABLE, RoadUser, Scene
from tests.drawing.claims import Claim, plan

# A claim is made when the rules would make theirs: a little after the instant.
JUDGED_AFTER_S = 0.6
FURTHEST_M = 3.0
# So long before and after two are near each other their paths may cross.
MEETING_S = 4.0


@dataclass(frozen=True)
class Recorded:
    """A claim with its clip; None where nobody was tracked at its place."""

    claim: Claim
    clip: Clip | None
    plate: Plate


class Claims:
    """Stands where the rules' engine stands, and says what was staged."""

    def __init__(self, claims: Sequence[Claim], start_time: float) -> None:
        self._waiting = sorted(claims, key=lambda claim: claim.time)
        self._start_time = start_time
        self._scenes: deque[Scene] = deque(maxlen=40)
        self.made: dict[int, Claim] = {}

    def judge(self, scene: Scene) -> list[Finding]:
        self._scenes.append(scene)
        found = []
        while self._waiting and scene.time - self._start_time >= self._waiting[0].time + JUDGED_AFTER_S:
            claim = self._waiting.pop(0)
            finding = self._finding(claim)
            if finding is not None:
                self.made[id(finding)] = claim
                found.append(finding)
        return found

    def finish(self) -> list[Finding]:
        return []

    def _finding(self, claim: Claim) -> Finding | None:
        when = self._start_time + claim.time
        scene = min(self._scenes, key=lambda each: abs(each.time - when))
        first = _nearest(scene, claim.actor, claim.time)
        second = None if claim.second is None else _nearest(scene, claim.second, claim.time)
        if first is None or (claim.second is not None and second is None):
            return None
        users = [user for user in (first, second) if user is not None]
        x, y = _spot(claim, first)
        return Finding(
            rule=claim.rule,
            outcome="occurred",
            time=when,
            time_sigma_s=0.04,
            place=claim.place,
            road_user=claim.actor.kind,
            signal=None,
            measures={},
            x=x,
            y=y,
            tracks=tuple(user.track for user in users),
            road_user2=None if claim.second is None else claim.second.kind,
        )


def _spot(claim: Claim, user: RoadUser) -> tuple[float, float]:
    """Return where the rules would say it was: where paths meet, a vehicle's front, a pedestrian's feet."""
    if claim.second is not None:
        return _meeting(claim.actor, claim.second, claim.time)
    if claim.rule != "red_light_entry":
        return user.x, user.y
    (x, y), heading_deg = (np.asarray(value) for value in claim.actor.movement.at(claim.time))
    ahead, half = math.radians(float(heading_deg)), SIZE_M[claim.actor.kind][0] / 2
    return float(x) + half * math.cos(ahead), float(y) + half * math.sin(ahead)


def _meeting(first: Actor, second: Actor, time: float) -> tuple[float, float]:
    """Return where the two paths come nearest, at whatever times: the middle of the conflict area."""
    times = np.arange(time - MEETING_S, time + MEETING_S, 0.1)
    ways = [np.asarray(actor.movement.at(times)[0]) for actor in (first, second)]
    apart = np.linalg.norm(ways[0][:, None] - ways[1][None], axis=2)
    one, other = np.unravel_index(int(np.nanargmin(apart)), apart.shape)
    x, y = (ways[0][one] + ways[1][other]) / 2
    return float(x), float(y)


def _nearest(scene: Scene, actor: Actor, time: float) -> RoadUser | None:
    (x, y), _ = (value for value in actor.movement.at(time))
    vulnerable = actor.kind in VULNERABLE
    near = [
        user
        for user in scene.users
        if (user.kind in VULNERABLE) == vulnerable and math.dist((user.x, user.y), (x, y)) < FURTHEST_M
    ]
    return min(near, key=lambda user: math.dist((user.x, user.y), (x, y)), default=None)


def recorded(claims: Sequence[Claim], folder: Path) -> list[Recorded]:
    """Draw the street once per recording, send it down the line, and return each claim with its clip."""
    found: list[Recorded] = []
    for recording in sorted({claim.recording for claim in claims}):
        here = [claim for claim in claims if claim.recording == recording]
        found += _recorded(here, folder / f"recording-{recording}", recording)
    order = {id(each.claim): each for each in found}
    return [order[id(claim)] for claim in claims]


def _recorded(claims: Sequence[Claim], folder: Path, recording: int) -> list[Recorded]:
    folder.mkdir(parents=True, exist_ok=True)
    setting, lamps = SETTINGS["afternoon"], plan(recording)
    last = min(max(claim.time for claim in claims) + 6.0, DURATION_S)
    write_recording(folder, setting, lamps, until_s=last, seed=setting.seed + recording)
    inputs = open_recording(folder)
    staged = Claims(claims, datetime.fromisoformat(START).timestamp())
    clips: dict[int, Clip | None] = {}
    with inputs.source:
        line, redactor, _ = line_of(inputs)
        line._engine = staged  # type: ignore[assignment]  # what is staged takes the rules' place
        for moment in line:
            clips.update((id(staged.made[id(finding)]), clip) for finding, clip in moment.due)
        clips.update((id(staged.made[id(finding)]), clip) for finding, clip in line.finish())
        plate = redactor.plate(inputs.site)
    assert plate is not None
    return [Recorded(claim, clips.get(id(claim)), plate) for claim in claims]
