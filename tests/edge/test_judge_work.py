"""Counted work of judging: pairs are measured only where they can meet, tracks understood all at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import measures
from edge.bench import street
from edge.judge import judged
from edge.rules import closing, near_miss, ticks, understanding
from edge.rules.engine import Engine
from edge.rules.gate import Gate
from edge.signals.lines import Problems
from edge.tracks import TracksFile
from tests.scenes import cross_site, drive, red_at, scenes

ROWS = 20_000


def counting(
    monkeypatch: pytest.MonkeyPatch, seen: Counter[str], name: str, *modules: Any, size: Callable[[Any], int]
) -> None:
    """Count what a function of some modules returns."""
    function = getattr(modules[0], name)

    def counted(*given: Any, **named: Any) -> Any:
        found = function(*given, **named)
        seen[name] += size(found)
        return found

    for module in modules:
        monkeypatch.setattr(module, name, counted)


def test_pairs_are_measured_where_they_can_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    counting(monkeypatch, seen, "separation_m", measures, near_miss, size=np.size)
    counting(monkeypatch, seen, "time_to_collision_s", near_miss, closing, size=np.size)
    path = tmp_path / "tracks.csv"
    lasts_s = street.write(path, ROWS, random.Random(7))
    rows = TracksFile(path, Problems(path), start_time=0.0)
    judged(rows, street.site(), street.signals(lasts_s))
    # Counted: 2.5 and 0.26 a row. Whole ways against each other were 41, TTC at every common instant 0.44.
    assert 0 < seen["separation_m"] / rows.rows < 4
    assert 0 < seen["time_to_collision_s"] / rows.rows < 0.4


def test_a_beat_is_understood_at_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for lanes in (2, 40):
        seen: Counter[str] = Counter()
        with monkeypatch.context() as patch:
            counting(patch, seen, "_cleaned", understanding, size=lambda found: 1)
            counting(patch, seen, "_resampled", ticks, size=lambda found: 1)
            cars = [drive(at=(3.0 * lane, -13.0), time=100.0, heading_deg=90) for lane in range(lanes)]
            engine = Engine(cross_site())
            for scene in scenes(cars, red_at(90.0)):
                engine.judge(scene)
        counts.append(dict(seen))
    assert counts[0] == counts[1] and counts[0]["_cleaned"] > 10


@pytest.mark.parametrize("seed", range(20))
def test_many_samples_at_once_pass_a_gate_as_one_by_one(seed: int) -> None:
    chance = np.random.default_rng(seed)
    count = 400
    # Somebody who hangs about a threshold, is out of sight now and then, and stands for a while.
    f = np.cumsum(chance.normal(0.0, 0.15, count)) - 0.5
    times = np.cumsum(chance.choice((0.1, 0.1, 0.1, 1.5), count))
    standing = np.repeat(chance.random(count // 8) < 0.5, 8)
    sigma_m, away = np.full(count, 0.05), chance.random(count) < 0.1
    one, many = (Gate(real_m=1.0, back_m=0.5) for _ in range(2))
    singly = [
        one.feed(float(time), float(at), bool(stands), 0.05, away=bool(elsewhere))
        for time, at, stands, elsewhere in zip(times, f, standing, away, strict=True)
    ]
    together = []
    for start in range(0, count, 80):
        part = slice(start, start + 80)
        together += many.feed_all(times[part], f[part], standing[part], sigma_m[part], away[part])
    assert together == [each for each in singly if each is not None]
    assert repr([getattr(many, name) for name in Gate.__slots__]) == repr(
        [getattr(one, name) for name in Gate.__slots__]
    )
