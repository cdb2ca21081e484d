"""Files become sequences, sequences stretches with borders on the clock."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.study.timeline import Cut, Recording, Sequence, in_segments, sequences

EIGHT = 1_795_161_600.0  # 2026-11-20T08:00:00Z
CUT = Cut(stretch_s=900, warm_up_s=60, tail_s=30, margin_s=10)


def recording(name: str, start: float = EIGHT, *, minutes: float = 10.0, **more: object) -> Recording:
    options: dict[str, object] = {"image_size": (64, 48), "sha256": name, "dated": True}
    return Recording(Path(name), start=start, duration_s=minutes * 60, **(options | more))  # type: ignore[arg-type]


def names(found: list[Sequence]) -> list[list[str]]:
    return [[each.path.name for each in sequence.recordings] for sequence in found]


def test_files_that_follow_each_other_are_one_sequence() -> None:
    a, b = recording("a"), recording("b", EIGHT + 600.4)
    later = recording("c", EIGHT + 3600)
    assert names(sequences([later, b, a])) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("this", "why"),
    [
        pytest.param(recording("b", EIGHT + 602), "a gap", id="over a second later"),
        pytest.param(recording("b", EIGHT + 590), "an overlap", id="ten seconds of both"),
        pytest.param(recording("b", EIGHT + 600, image_size=(32, 24)), "another image", id="other size"),
        pytest.param(recording("b", EIGHT + 600, dated=False), "no start", id="nobody told its start"),
        pytest.param(recording("b", EIGHT + 600, times=Path("t")), "a log", id="its own log of times"),
        pytest.param(recording("b", EIGHT + 600, signals=Path("s")), "signals", id="signals of its own"),
    ],
)
def test_files_that_do_not_go_on_stay_apart(this: Recording, why: str) -> None:
    assert len(sequences([recording("a"), this])) == 2, why


def test_borders_lie_on_quarters_of_the_clock() -> None:
    (sequence,) = sequences([recording("a", EIGHT + 420, minutes=30)])
    stretches = sequence.stretches(CUT)
    assert [(each.start - EIGHT, each.end - EIGHT) for each in stretches] == [
        (420, 900),
        (900, 1800),
        (1800, 2220),
    ]
    assert [(each.begin - EIGHT, each.until - EIGHT) for each in stretches] == [
        (420, 930),
        (840, 1830),
        (1740, 2220),
    ]


@given(start=st.floats(0, 5000), minutes=st.floats(0.1, 300), segment_min=st.floats(1, 500))
def test_every_instant_lies_in_one_stretch_of_one_segment(
    start: float, minutes: float, segment_min: float
) -> None:
    sequence = Sequence((recording("a", start, minutes=minutes),))
    stretches = sequence.stretches(CUT)
    assert [each for run in in_segments(stretches, segment_min * 60, CUT) for each in run] == stretches
    assert stretches[0].start == sequence.start
    assert stretches[-1].end == sequence.end
    for one, following in pairwise(stretches):
        assert one.end == following.start
        assert one.start < one.end <= one.until
        assert following.begin <= following.start
