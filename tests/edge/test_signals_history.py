"""Histories of signal groups, and ``signals.csv``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.site import Site
from edge.errors import InputError
from edge.scene import SignalReading, State
from edge.signals.files import load_signals
from edge.signals.history import LiveHistory, Shown, Sightings, SignalHistory, unknown

SITE = Site.model_validate_json(
    """{"site": {"id": "main-5th"},
        "stop_lines": [{"id": "N", "signal_group": "N", "line": [[-6, 13], [0, 13]], "heading_deg": -90}],
        "crosswalks": [{"id": "c", "signal_group": "ped0", "polygon": [[0, 0], [1, 0], [1, 1]]}]}"""
)
STATES = get_args(State)
UTC_2026 = 1_768_000_000.0


def reading(state: State, since: float, group: str = "N") -> SignalReading:
    return SignalReading(group, state, since, 0.1, "file")


HISTORY = SignalHistory([reading("green", 10.0), reading("amber", 20.0), reading("red", 23.0)])


@pytest.mark.parametrize(
    ("time", "state", "since"),
    [
        pytest.param(9.999, "unknown", None, id="before the first change"),
        pytest.param(10.0, "green", 10.0, id="at the change itself"),
        pytest.param(19.999, "green", 10.0, id="just before a change"),
        pytest.param(22.0, "amber", 20.0, id="between two changes"),
        pytest.param(1e9, "red", 23.0, id="long after the last"),
        pytest.param(-math.inf, "unknown", None, id="before all time"),
        pytest.param(math.nan, "unknown", None, id="at no time"),
    ],
)
def test_at(time: float, state: State, since: float | None) -> None:
    HISTORY.at("N", 21.0)
    found = HISTORY.at("N", time)
    assert (found.state, found.since) == (state, since)


def test_a_group_never_heard_of_is_unknown() -> None:
    assert HISTORY.at("S", 21.0) == unknown("S")
    assert HISTORY.changes("S", 0.0, 100.0) == ()


def test_changes_lie_after_the_start_and_up_to_the_end() -> None:
    assert [each.state for each in HISTORY.changes("N", 10.0, 23.0)] == ["amber", "red"]
    assert HISTORY.changes("N", 23.0, 99.0) == ()


def test_a_repeated_state_is_no_change() -> None:
    history = SignalHistory([reading("red", 5.0), reading("red", 9.0)])
    assert history.at("N", 10.0).since == 5.0
    assert len(history.changes("N", 0.0, 99.0)) == 1


def test_a_change_without_its_time_has_no_place() -> None:
    with pytest.raises(ValueError, match="needs its time"):
        SignalHistory([SignalReading("N", "red", None, 0.1, "lamp")])
    with pytest.raises(ValueError, match="no place"):
        SignalHistory([reading("red", math.nan)])


changes = st.lists(
    st.tuples(st.integers(0, 50).map(float), st.sampled_from(STATES)), unique_by=lambda change: change[0]
)


@given(changes, st.lists(st.floats(-5, 60), max_size=20))
def test_at_agrees_with_walking_through_all_changes(
    rows: list[tuple[float, State]], instants: list[float]
) -> None:
    history = SignalHistory([reading(state, time) for time, state in rows])
    for instant in instants:  # the same history asked in any order: no memory of the last answer may show
        state, since = "unknown", None
        for time, shown in sorted(rows):
            if time <= instant and (shown != state or since is None):
                state, since = shown, time
        found = history.at("N", instant)
        assert (found.state, found.since) == (state, since)


@given(changes)
def test_a_live_history_becomes_the_same_as_a_fixed_one(rows: list[tuple[float, State]]) -> None:
    live = LiveHistory()
    for time, state in sorted(rows):
        live.append(reading(state, time))
    assert live.shown("N") == SignalHistory([reading(state, time) for time, state in rows]).shown("N")


@given(changes, st.floats(-5, 60), st.floats(-5, 60))
def test_changes_are_those_at_tells(rows: list[tuple[float, State]], start: float, end: float) -> None:
    history = SignalHistory([reading(state, time) for time, state in rows])
    found = history.changes("N", start, end)
    assert all(each.since is not None and start < each.since <= end for each in found)
    assert all(history.at("N", each.since) == each for each in found if each.since is not None)


def test_a_live_history_forgets_but_keeps_the_state_in_force() -> None:
    live = LiveHistory(keep_s=100.0)
    steps: list[tuple[float, State]] = [(0.0, "red"), (50.0, "green"), (500.0, "amber"), (503.0, "red")]
    for time, state in steps:
        live.append(reading(state, time))
    assert [shown.time for shown in live.shown("N")] == [50.0, 500.0, 503.0]
    assert live.at("N", 450.0).state == "green"
    assert not live.append(reading("green", 502.0))  # too late to count


def test_a_source_that_falls_silent_is_no_longer_believed() -> None:
    live = LiveHistory(stale_after_s=2.0)
    live.append(reading("green", 10.0))
    live.heard("N", 15.0)
    assert live.at("N", 17.0).state == "green"
    assert live.at("N", 17.1).state == "unknown"


def test_a_change_lies_between_two_sightings() -> None:
    sightings = Sightings(source="spat", sigma_s=0.0, stale_after_s=2.0)
    first = sightings.see("N", "green", 10.0)
    change = sightings.see("N", "amber", 10.6)
    assert first == [Shown(10.0, SignalReading("N", "green", None, math.inf, "spat"))]
    assert change[0].reading.since == pytest.approx(10.3)
    assert change[0].reading.sigma_s == pytest.approx(0.6 / 12**0.5)
    assert sightings.see("N", "amber", 11.0) == []


def test_after_a_silence_the_state_is_known_but_its_onset_is_not() -> None:
    sightings = Sightings(source="spat", sigma_s=0.0, stale_after_s=2.0)
    history = LiveHistory()
    steps: list[tuple[State, float]] = [("green", 10.0), ("green", 11.0), ("red", 30.0)]
    for state, time in steps:
        for shown in sightings.see("N", state, time):
            history.append(shown)
    states = [history.at("N", time) for time in (12.9, 13.1, 30.0)]
    assert [(each.state, each.since) for each in states] == [
        ("green", None),
        ("unknown", None),
        ("red", None),
    ]
    assert history.changes("N", 0.0, 99.0) == ()


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "signals.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_read_relative_to_the_start(tmp_path: Path) -> None:
    path = written(tmp_path, "time,signal_group,state,sigma_s\n1.5,N,red,0.05\n2,ped0,green,\n9,N,red,\n")
    history = load_signals(path, site=SITE, start_time=UTC_2026)
    assert history.at("N", UTC_2026 + 99) == SignalReading("N", "red", UTC_2026 + 1.5, 0.05, "file")
    assert history.at("ped0", UTC_2026 + 99) == SignalReading("ped0", "green", UTC_2026 + 2.0, 0.0, "file")


def test_a_time_of_the_clock_is_taken_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, f"\ufefftime,signal_group,state\r\n{UTC_2026 + 3},N,dark\r\n\r\n")
    assert load_signals(path, site=SITE, start_time=5.0).at("N", UTC_2026 + 3).since == UTC_2026 + 3


def test_a_header_alone_says_that_nothing_is_known(tmp_path: Path) -> None:
    path = written(tmp_path, "time,signal_group,state\n")
    assert load_signals(path, site=SITE, start_time=0.0).at("N", 5.0) == unknown("N")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"", ["the file is empty"], id="empty"),
        pytest.param("time,group,state\n1,N,red\n", ["'signal_group' is missing", "'group' is not known"]),
        pytest.param("time,signal_group,state,state\n", ["'state' stands twice"], id="column twice"),
        pytest.param(
            "time,signal_group,state\nnan,N,red\n1,Q,red\n2,N,purple\n3,N\n",
            [
                ":2: time 'nan' is not a finite",
                ":3: signal_group 'Q' is not one of the site's: N, ped0",
                ":4: state 'purple' is not one of red, red_amber",
                ":5: 2 values, expected 3",
            ],
            id="every mistake at once",
        ),
        pytest.param(
            "time,signal_group,state\n5,N,red\n4,N,green\n", [":3: time 4 comes before"], id="unsorted"
        ),
        pytest.param(
            "time,signal_group,state\n5,N,red\n5,ped0,red\n5.0,N,green\n",
            [":4: a second row for signal_group 'N'"],
            id="two states at once",
        ),
        pytest.param(
            "time,signal_group,state,sigma_s\n5,N,red,-1\n6,N,green,x\n",
            [":2: sigma_s -1 is negative", ":3: sigma_s 'x' is not a finite"],
            id="errors that are none",
        ),
        pytest.param(b"time,signal_group,state\n1,N,r\xe9d\n", [":2: byte 6 is not UTF-8"], id="not UTF-8"),
        pytest.param(
            b"time,signal_group,state\n1," + b"N" * 300_000 + b",red\n1,Q,red\n",
            [":2: a line of 300007 bytes, expected at most 10000", ":3: signal_group 'Q'"],
            id="a huge line",
        ),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str | bytes, expected: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_signals(path, site=SITE, start_time=0.0)
    assert len(caught.value.problems) == len(expected)
    for problem, part in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(str(path)) and part in problem


def test_a_file_of_nothing_but_mistakes_stays_readable(tmp_path: Path) -> None:
    path = written(tmp_path, "time,signal_group,state\n" + "x,N,red\n" * 5000)
    with pytest.raises(InputError) as caught:
        load_signals(path, site=SITE, start_time=0.0)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1].endswith("4900 more mistakes")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_signals(tmp_path / "none.csv", site=SITE, start_time=0.0)
