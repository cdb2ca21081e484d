"""Fixed-time plans."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.site import SignalPlan, Site
from edge.errors import InputError
from edge.scene import State
from edge.signals.files import load_signals
from edge.signals.plan import PlanSignals, load_plan

SITE = Site.model_validate_json(
    """{"site": {"id": "main-5th"},
        "stop_lines": [{"id": "N", "signal_group": "N", "line": [[-6, 13], [0, 13]], "heading_deg": -90}],
        "crosswalks": [{"id": "c", "signal_group": "ped0", "polygon": [[0, 0], [1, 0], [1, 1]]}]}"""
)
TEXT = """
epoch = 2026-01-01T00:00:00Z
offset_s = 12.5
cycle_s = 90.1
[[groups]]
signal_group = "N"
changes = [{ at_s = 5.0, state = "green" }, { at_s = 40.0, state = "amber" }, { at_s = 43.3, state = "red" }]
[[groups]]
signal_group = "ped0"
changes = [{ at_s = 0.0, state = "dark" }]
"""
START = datetime(2026, 1, 1, 0, 0, 12, 500_000, tzinfo=UTC).timestamp()


def plan(folder: Path, text: str = TEXT) -> PlanSignals:
    path = folder / "plan.toml"
    path.write_text(text)
    return load_plan(path, site=SITE)


@pytest.mark.parametrize(
    ("into_s", "state", "since_s"),
    [
        pytest.param(4.9, "red", 43.3 - 90.1, id="what the cycle before left"),
        pytest.param(5.0, "green", 5.0, id="at a change"),
        pytest.param(42.0, "amber", 40.0, id="between changes"),
        pytest.param(90.1 * 1000 + 41.0, "amber", 90.1 * 1000 + 40.0, id="a thousand cycles on"),
        pytest.param(-90.1 + 6.0, "green", -90.1 + 5.0, id="before the epoch"),
    ],
)
def test_a_plan_is_read_and_repeats(tmp_path: Path, into_s: float, state: State, since_s: float) -> None:
    reading = plan(tmp_path).at("N", START + into_s)
    assert (reading.state, reading.source, reading.sigma_s) == (state, "plan", 1.0)
    assert reading.since == pytest.approx(START + since_s, abs=1e-6)


def test_a_group_that_never_changes_has_no_onset(tmp_path: Path) -> None:
    signals = plan(tmp_path)
    assert (signals.at("ped0", START).state, signals.at("ped0", START).since) == ("dark", None)
    assert signals.changes("ped0", START, START + 900) == ()
    assert signals.at("S", START).state == "unknown"


def made(cycle_s: float, at_s: list[float], offset_s: float) -> PlanSignals:
    states = ["green", "amber", "red", "dark"]
    changes = [{"at_s": at, "state": states[index]} for index, at in enumerate(sorted(at_s))]
    groups = [{"signal_group": "N", "changes": changes}]
    document = {"epoch": "2020-02-29T12:00:00Z", "offset_s": offset_s, "cycle_s": cycle_s, "groups": groups}
    return PlanSignals(SignalPlan.model_validate_json(json.dumps(document)))


@given(
    st.floats(20, 200),
    st.lists(st.floats(0, 19.9).map(lambda x: round(x, 2)), min_size=2, max_size=4, unique=True),
    st.floats(-100, 100),
    st.floats(1.5e9, 2e9),
)
def test_at_and_changes_tell_the_same_story(
    cycle_s: float, at_s: list[float], offset_s: float, time: float
) -> None:
    signals = made(cycle_s, at_s, offset_s)
    changes = signals.changes("N", time, time + 3 * cycle_s)
    assert abs(len(changes) - 3 * len(at_s)) <= 1  # rounding may let one in or out at an end
    onsets = [change.since for change in changes if change.since is not None]
    assert onsets == sorted(set(onsets))
    assert [signals.at("N", onset) for onset in onsets] == list(changes)
    reading = signals.at("N", time)
    assert reading.since is not None and reading.since <= time < onsets[0]
    assert onsets[0] - reading.since <= cycle_s + 1e-6


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("cycle_s = 90.1", "cycle_s = 41", "43.3 s, past cycle_s", id="past the cycle"),
        pytest.param("at_s = 40.0", "at_s = 4.0", "at_s must rise", id="out of order"),
        pytest.param('"dark"', '"violet"', "groups.1.changes.0.state", id="unknown state"),
        pytest.param("2026-01-01T00:00:00Z", '"2026-01-01T00:00:00"', "timezone", id="epoch without a zone"),
        pytest.param('signal_group = "N"', 'signal_group = "Q"', "'Q' is not one of the site's: N, ped0"),
        pytest.param("cycle_s = 90.1", "cycle_s = ", "not a TOML file", id="not TOML"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        plan(tmp_path, TEXT.replace(old, new))


def test_a_plan_may_be_given_as_signals(tmp_path: Path) -> None:
    plan(tmp_path)
    assert load_signals(tmp_path / "plan.toml", site=SITE, start_time=0.0).at("N", START + 6).state == "green"
