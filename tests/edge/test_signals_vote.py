"""The vote over frames: labels in, states with their onsets out."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.scene import State
from edge.signals.history import LiveHistory
from edge.signals.vote import Aspects, Label, Vote

Lit = Callable[[float], Label]


def watched(lit: Lit, *, until: float, rate_hz: float, aspects: Aspects = "vehicle") -> LiveHistory:
    history = LiveHistory()
    vote = Vote("N", history, aspects=aspects)
    for index in range(int(until * rate_hz)):
        vote.note(lit(index / rate_hz), index / rate_hz)
    return history


def programme(*steps: tuple[float, Label | str]) -> Lit:
    """From each instant on a lamp is lit; ``red*`` flashes once a second, first on."""

    def lit(time: float) -> Label:
        start, label = max(step for step in steps if step[0] <= time)
        if not label.endswith("*"):
            return label  # type: ignore[return-value]  # one of the labels, as the tables below write them
        return label[:-1] if (time - start) % 1.0 < 0.5 else "none"  # type: ignore[return-value]  # the same

    return lit


def told(history: LiveHistory) -> list[tuple[State, float | None]]:
    return [
        (each.reading.state, None if each.reading.since is None else round(each.reading.since, 2))
        for each in history.shown("N")
    ]


CYCLE = programme((0, "green"), (10.02, "amber"), (13.02, "red"), (40.02, "green"))


@pytest.mark.parametrize("rate_hz", [4.0, 11.0, 25.0, 60.0])
def test_each_change_lies_between_two_frames(rate_hz: float) -> None:
    history = watched(CYCLE, until=45.0, rate_hz=rate_hz)
    changes = history.changes("N", 0.0, 99.0)
    assert [each.state for each in changes] == ["amber", "red", "green"]
    for change, truth in zip(changes, (10.02, 13.02, 40.02), strict=True):
        assert change.since is not None and abs(change.since - truth) <= 0.5 / rate_hz + 1e-9
        assert change.sigma_s == pytest.approx(1 / rate_hz / 12**0.5)


def test_the_onset_before_the_recording_is_not_known() -> None:
    assert told(watched(CYCLE, until=5.0, rate_hz=25.0)) == [("green", None)]


def test_nothing_is_claimed_until_a_change_is_sure() -> None:
    history = watched(CYCLE, until=13.12, rate_hz=25.0)  # three frames of red so far
    assert history.at("N", 12.9).state == "amber"
    assert history.at("N", 13.1).state == "unknown"


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        pytest.param((5.0, 5.08), [("green", None), ("amber", 10.02)], id="two frames"),
        pytest.param((5.0, 7.5), [("green", None), ("amber", 10.02)], id="a truck for 2.5 s"),
        pytest.param(
            (4.0, 8.5),
            [("green", None), ("unknown", None), ("green", None), ("amber", 10.02)],
            id="a long one",
        ),
    ],
)
def test_a_hidden_head(hidden: tuple[float, float], expected: list[tuple[State, float | None]]) -> None:
    def lit(time: float) -> Label:
        return "unsure" if hidden[0] <= time < hidden[1] else CYCLE(time)

    found = told(watched(lit, until=12.0, rate_hz=25.0))
    assert [state for state, _ in found] == [state for state, _ in expected]
    assert found[-1][1] == pytest.approx(10.02, abs=0.03)


def test_while_the_head_is_hidden_nothing_is_known() -> None:
    history = watched(lambda time: "unsure" if time >= 5.0 else CYCLE(time), until=6.0, rate_hz=25.0)
    assert history.at("N", 4.9).state == "green"
    assert history.at("N", 5.0).state == "unknown"


def test_a_change_behind_a_truck_has_the_truck_as_its_error() -> None:
    history = watched(lambda t: "unsure" if 12.0 <= t < 14.0 else CYCLE(t), until=20.0, rate_hz=25.0)
    red = history.changes("N", 11.0, 20.0)[-1]
    assert red.state == "red" and red.since is not None
    assert abs(red.since - 13.02) < 2 * red.sigma_s and red.sigma_s == pytest.approx(2.04 / 12**0.5, rel=0.01)


@pytest.mark.parametrize(
    ("steps", "aspects", "expected"),
    [
        pytest.param(
            [(0, "green"), (10.02, "red*"), (20.02, "red")],
            "pedestrian",
            [("green", None), ("amber", 10.0), ("red", 20.04)],
            id="walk, flashing don't walk, don't walk",
        ),
        pytest.param(
            [(0, "red"), (10.02, "green"), (20.02, "green*"), (25.02, "red")],
            "pedestrian",
            [("red", None), ("green", 10.0), ("amber", 20.5), ("red", 25.04)],
            id="flashing green man",
        ),
        pytest.param([(0, "amber*")], "vehicle", [("flashing_amber", None)], id="flashing amber"),
        pytest.param([(0, "red*")], "vehicle", [("flashing_red", None)], id="flashing red"),
        pytest.param(
            [(0, "green"), (5.0, "none")], "vehicle", [("green", None), ("dark", None)], id="power failure"
        ),
    ],
)
def test_flashing_and_dark(
    steps: list[tuple[float, str]], aspects: Aspects, expected: list[tuple[State, float | None]]
) -> None:
    found = told(watched(programme(*steps), until=30.0, rate_hz=25.0, aspects=aspects))
    assert [state for state, _ in found if state != "unknown"] == [state for state, _ in expected]
    for (_, onset), (_, truth) in zip(
        [each for each in found if each[0] != "unknown"], expected, strict=True
    ):
        assert (onset is None) == (truth is None) or truth is None
        if truth is not None and onset is not None:
            assert onset == pytest.approx(truth, abs=0.55)


def test_the_first_flash_of_the_clearance_is_never_taken_for_the_steady_hand() -> None:
    # Who steps off then is late, not against the signal. Asked at every frame, as it was known then.
    history = LiveHistory()
    vote = Vote("N", history, aspects="pedestrian")
    lit = programme((0, "green"), (10.02, "red*"), (20.02, "red"))
    for index in range(750):
        time = index / 25.0
        vote.note(lit(time), time)
        known = history.at("N", time).state
        assert known != "red" or time > 20.5
        assert known != "green" or time < 10.1


def test_frames_that_stop_leave_nothing_known() -> None:
    history = LiveHistory()
    vote = Vote("N", history, aspects="vehicle")
    for index in range(100):
        vote.note("green", index / 25.0)
    vote.note("red", 60.0)
    assert history.at("N", 30.0).state == "unknown"
    assert history.at("N", 60.0).state == "unknown"


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(8.0, 30.0), st.floats(0.0, 0.08))
def test_noise_never_invents_a_state(seed: int, rate_hz: float, noise: float) -> None:
    """What is claimed about any instant was so, within the error told; noise only makes less known."""
    rng = random.Random(seed)
    labels: tuple[Label, ...] = ("red", "amber", "green", "none", "unsure")

    def noisy(time: float) -> Label:
        return rng.choice(labels) if rng.random() < noise else CYCLE(time)

    history = watched(noisy, until=45.0, rate_hz=rate_hz)
    for tenth in range(20, 440):
        time = tenth / 10
        reading = history.at("N", time)
        near = min(abs(time - change) for change in (10.02, 13.02, 40.02))
        told_s = max((2 * each.sigma_s for each in history.changes("N", time - 2, time + 2)), default=0.0)
        if reading.state != "unknown" and near > max(4.0 / rate_hz + 0.2, told_s):
            assert reading.state == CYCLE(time)
