"""The engine: scenes in, findings out; it knows the order of the rules and nothing about any of them.

Rows are gathered for a beat, then every track is understood half a second behind the newest row, and each
rule sees what happened. What a rule finds depends on the rows alone, not on where beats fall, so a recording
judged in large beats and a street judged in small ones give the same findings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from calibration.site import Crosswalk, Site
from edge.rules.amber_entry import amber_entry
from edge.rules.blocking_box import Box, judge_inside
from edge.rules.crossing_outside_crosswalk import crossing_outside_crosswalk
from edge.rules.crossings import CrossingWatch, Start, Stay
from edge.rules.doubles import is_double
from edge.rules.entries import Entry, EntryWatch
from edge.rules.exposure import ExposureCounts
from edge.rules.failure_to_yield import Claim, failure_to_yield
from edge.rules.finding import Exposure, Finding
from edge.rules.meetings import MeetingWatch
from edge.rules.metric_gate import KEPT_S, MetricGate
from edge.rules.near_miss import near_miss
from edge.rules.path import COLUMNS, DEPTH, LOST_S, TIME, Path
from edge.rules.pedestrian_signal import begun, pedestrian_signal
from edge.rules.places import APPROACH_M, BESIDE_M, BEYOND_M, Places
from edge.rules.red_light_entry import red_light_entry
from edge.rules.right_on_red import held, judge_held
from edge.rules.samples import PEDESTRIAN_CODE, Samples
from edge.rules.ticks import TickBoard, TickTrack, tick_before
from edge.rules.understanding import understand
from edge.rules.wrong_way import WrongWayWatch
from edge.scene import PEDESTRIAN, Scene, Signals, State

BEAT_S = 0.5
# A red-light entry may be behind a near miss that follows within this time.
CAUSE_S = 10.0
# A near miss in which one road user's entry is not yet decided waits this long for it.
DECIDE_S = 20.0


class Engine:
    """Judges one intersection, scene by scene in order of time."""

    def __init__(self, site: Site, *, beat_s: float = BEAT_S, exposure: ExposureCounts | None = None) -> None:
        self._places = Places.of(site)
        self._beat_s = beat_s
        self._scenes: list[Scene] = []
        self._due = -math.inf
        self._now = -math.inf
        self._signals: Signals | None = None
        self._paths: dict[int, Path] = {}
        self._serial = 0
        self._entries = EntryWatch(self._places)
        self._crossings = CrossingWatch(self._places)
        self._wrong_way = WrongWayWatch(self._places)
        self._boxes = Box.all_of(site)
        self._inside: list[Entry] = []
        self._claims: dict[int, list[Claim]] = {}
        self._board = TickBoard()
        self._parts: list[TickTrack] = []
        self._meetings = MeetingWatch(gap_s=site.thresholds.pet_flag_s + 0.5)
        self._held: list[Entry] = []
        self._near_misses: list[tuple[float, Finding]] = []
        self._red_entries: list[Finding] = []
        self._cycles: dict[tuple[int, str], float] = {}
        self._exposure = exposure or ExposureCounts()
        self._metric_gate = MetricGate(site.thresholds.max_position_sigma_m)
        self._finished = False

    def judge(self, scene: Scene) -> list[Finding]:
        """Take the next scene; return the findings that became certain, in order of their time.

        Raises:
            ValueError: a scene older than the one before.
        """
        if scene.time < self._now:
            raise ValueError(f"scene at {scene.time} after one at {self._now}: scenes come in order of time")
        self._now, self._signals = scene.time, scene.signals
        self._scenes.append(scene)
        if scene.time < self._due:
            return []
        self._due = scene.time + self._beat_s
        samples = Samples.of_scenes(self._scenes)
        self._scenes = []
        return self._beat(samples)

    def judge_samples(self, samples: Samples, signals: Signals) -> list[Finding]:
        """Take many rows at once, in order of time: a whole beat of a recording."""
        if not len(samples):
            return []
        self._now, self._signals = float(samples.time[-1]), signals
        return self._beat(samples)

    def finish(self) -> list[Finding]:
        """Return what is left to say after the last scene."""
        if self._signals is None or self._finished:
            return []
        self._finished = True
        samples = Samples.of_scenes(self._scenes)
        self._scenes = []
        findings = self._beat(samples)
        self._now = math.inf
        return [*findings, *self._beat(Samples.of_scenes([]))]

    def exposures(self) -> list[Exposure]:
        """Return the counts of the quarters of an hour that are over, each once; all after ``finish``."""
        return self._exposure.take(self._now - DECIDE_S)

    def _beat(self, samples: Samples) -> list[Finding]:
        ended = self._gather(samples)
        found = [*self._single(ended), *self._pairs(ended)]
        findings = [self._metric_gate.passed(each) for each in found]
        for path in self._paths.values():
            path.prune()
        self._metric_gate.forget(self._now - KEPT_S)
        return sorted(
            findings, key=lambda finding: (finding.time, finding.rule, finding.place, finding.tracks)
        )

    # ----------------------------------------------------------------------------------- rows to tracks

    def _gather(self, samples: Samples) -> list[Path]:
        """Hand each track its rows; return the tracks that ended."""
        ended: list[Path] = []
        if len(samples):
            order = np.argsort(samples.track, kind="stable")
            rows, near = self._rows(samples, order)
            track = samples.track[order]
            self._metric_gate.feed(track, rows)
            other = (np.diff(track) != 0) | (np.diff(rows[:, TIME]) > LOST_S)
            cuts = [0, *(np.flatnonzero(other) + 1).tolist(), len(track)]
            for start, stop in itertools.pairwise(cuts):
                ended += self._hand(int(track[start]), rows[start:stop], near[start:stop])
        for number in [
            number for number, path in self._paths.items() if path.rows[-1, TIME] + LOST_S < self._now
        ]:
            ended.append(self._paths.pop(number))
        for path in ended:
            path.ended = True
        return sorted(ended, key=lambda path: path.serial)

    def _hand(self, number: int, rows: np.ndarray, near: np.ndarray) -> Iterator[Path]:
        """Hand a track rows without a gap; yield the one of the number that was lost before them."""
        path = self._paths.get(number)
        if path is not None and rows[0, TIME] - path.rows[-1, TIME] > LOST_S:
            yield self._paths.pop(number)
            path = None
        if path is None:
            path = self._paths[number] = Path(number, self._serial)
            self._serial += 1
        path.extend(rows, near)

    def _rows(self, samples: Samples, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heading = np.deg2rad(samples.heading_deg)
        table = np.full((len(samples), COLUMNS), np.nan)
        table[:, :11] = np.stack(
            [
                samples.time,
                samples.x,
                samples.y,
                np.cos(heading),
                np.sin(heading),
                samples.length_m,
                samples.width_m,
                samples.sigma_m,
                samples.time_sigma_s,
                samples.trusted,
                samples.kind,
            ],
            axis=-1,
        )
        walking = samples.kind == PEDESTRIAN_CODE
        road = self._places.carriageway
        if road is not None and walking.any():
            table[walking, DEPTH] = road.depth_m(samples.x[walking], samples.y[walking])
        near = np.zeros(len(samples), dtype=np.int64)
        for frame in self._places.lines:
            beyond = frame.beyond_m(samples.x, samples.y)
            beside = frame.beside_m(samples.x, samples.y)
            here = (beyond > -APPROACH_M) & (beyond < BEYOND_M) & (beside < BESIDE_M) & ~walking
            near |= here.astype(np.int64) << frame.index
        return table[order], near[order]

    # ------------------------------------------------------------------------- rules about one road user

    def _single(self, ended: list[Path]) -> Iterator[Finding]:
        assert self._signals is not None
        every = [*ended, *self._paths.values()]
        understood = understand(every, self._now)
        self._parts = self._board.feed(every, understood)
        for path, fresh in zip(every, understood, strict=True):
            for entry in self._entries.feed(path, fresh):
                if not is_double(path, every, entry.instant.time):
                    yield from self._entered(entry, self._signals)
            yield from self._wrong_way.feed(path, fresh)
            for found in self._crossings.feed(path, fresh):
                yield from self._walked(found, self._signals)
        yield from self._decided(self._signals)
        for path in ended:
            self._entries.forget(path)
            self._crossings.forget(path)
            self._wrong_way.forget(path)

    def _entered(self, entry: Entry, signals: Signals) -> Iterator[Finding]:
        line = entry.frame.line
        self._exposure.add(entry.instant.time, line.id, entry.kind)
        if line.signal_group is None:
            return
        amber = amber_entry(entry, signals)
        if amber is not None:
            yield amber
        self._inside.append(entry)
        if held(entry):
            self._held.append(entry)
            return
        finding = red_light_entry(entry, signals)
        if finding is not None:
            yield from self._once_a_cycle(finding, signals)

    def _decided(self, signals: Signals) -> Iterator[Finding]:
        waiting = []
        for entry in self._held:
            known, finding = judge_held(entry, signals, self._places.site)
            if not known:
                waiting.append(entry)
            elif finding is not None:
                yield from self._once_a_cycle(finding, signals)
        self._held = waiting
        inside = []
        for entry in self._inside:
            known, finding = judge_inside(entry, self._boxes, self._board, signals)
            if finding is not None:
                yield finding
            if not known:
                inside.append(entry)
        self._inside = inside

    def _once_a_cycle(self, finding: Finding, signals: Signals) -> Iterator[Finding]:
        into = finding.measures.get("into_red_s")
        began = math.nan if into is None else round(finding.time - into.value, 3)
        key = (finding.tracks[0], finding.place)
        if self._cycles.get(key) == began:
            return
        self._cycles[key] = began
        finding = self._metric_gate.passed(finding)
        if finding.rule == "red_light_entry":
            self._red_entries.append(finding)
        yield finding

    def _walked(self, found: Start | Stay, signals: Signals) -> Iterator[Finding]:
        if isinstance(found, Stay):
            finding = crossing_outside_crosswalk(found, self._places)
            if finding is not None:
                yield finding
            return
        if found.crosswalk is not None:
            self._exposure.add(found.instant.time, found.crosswalk.id, PEDESTRIAN)
            self._claim(found, found.crosswalk, signals)
        yield from pedestrian_signal(found, signals)

    def _claim(self, start: Start, crosswalk: Crosswalk, signals: Signals) -> None:
        """Remember a pedestrian's start, for the vehicles that may have to yield."""
        time, states = start.instant.time, frozenset[State]()
        if crosswalk.signal_group is not None:
            time, states = begun(start, crosswalk.signal_group, signals)
        claim = Claim(time, crosswalk, states)
        self._claims.setdefault(start.path.serial, []).append(claim)

    # ---------------------------------------------------------------------------------- rules about two

    def _pairs(self, ended: list[Path]) -> Iterator[Finding]:
        until = tick_before(self._now - 1.0) if math.isfinite(self._now) else self._last_tick()
        meetings = list(self._meetings.feed(self._parts, self._board, until))
        if not math.isfinite(self._now):
            meetings += self._meetings.finish(self._board)
        for meeting in meetings:
            finding = near_miss(meeting, self._places)
            if finding is not None:
                self._near_misses.append((self._now, finding))
            unyielding = failure_to_yield(meeting, self._claims, self._places)
            if unyielding is not None:
                yield unyielding
        self._forget_ticks(ended, until)
        yield from self._linked()

    def _last_tick(self) -> int:
        return max((track.end for track in self._board.tracks.values()), default=0)

    def _forget_ticks(self, ended: list[Path], until: int) -> None:
        for key in [
            key
            for key, track in self._board.tracks.items()
            if track.path.ended and track.end + 100 < until and not self._meetings.involves(key)
        ]:
            self._board.forget(self._board.tracks[key].path)
            self._claims.pop(key, None)

    def _linked(self) -> Iterator[Finding]:
        """Give out near misses whose road users' entries are decided, naming the entry behind each."""
        undecided = {entry.path.number for entry in self._held}
        waiting = []
        for since, finding in self._near_misses:
            if undecided & set(finding.tracks) and self._now - since < DECIDE_S:
                waiting.append((since, finding))
                continue
            causes = [
                entry
                for entry in self._red_entries
                if entry.tracks[0] in finding.tracks and -1.0 <= finding.time - entry.time <= CAUSE_S
            ]
            yield replace(finding, caused_by=causes[-1]) if causes else finding
        self._near_misses = waiting
        oldest = min((self._now - CAUSE_S - 4 * DECIDE_S, *(finding.time for _, finding in waiting)))
        self._red_entries = [entry for entry in self._red_entries if entry.time > oldest - CAUSE_S]
        if len(self._cycles) > 10_000:
            self._cycles = dict(list(self._cycles.items())[-5_000:])
