"""When a frame was captured: from what comes with it, never from its arrival alone, and with an error."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from edge.sources.capture import MOST_APART_S, Captured, CaptureTimes
from edge.sources.host_clock import CONFIRM_S, STEP_S, HostClock

RATE_HZ = 20.0
TRUE_DELAY_S = 0.2


class Stream:
    """A camera whose frames are captured evenly and arrive late by a varying amount."""

    def __init__(self, *, drift: float = 0.0, jitter_s: float = 0.1, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._drift, self._jitter_s = drift, jitter_s

    def frame(self, n: int) -> tuple[float, float, float]:
        """Return when frame n was captured, when it arrived (both monotonic) and its timestamp."""
        captured = 1000.0 + n / RATE_HZ
        arrived = captured + TRUE_DELAY_S + self._rng.uniform(0, self._jitter_s)
        return captured, arrived, 77.0 + n / RATE_HZ * (1 + self._drift)


def known(captured: Captured | None) -> Captured:
    assert captured is not None
    return captured


def errors(times: CaptureTimes, stream: Stream, frames: int, **told: object) -> list[tuple[float, Captured]]:
    found = []
    for n in range(frames):
        captured, arrived, pts = stream.frame(n)
        values = {name: value(captured) if callable(value) else value for name, value in told.items()}
        seen = known(times.of(**{"arrived_s": arrived, "pts_s": pts, **values}))  # type: ignore[arg-type]
        found.append((seen.at_s - captured, seen))
    return found


def test_timestamps_are_even_however_frames_arrive_and_their_zero_has_an_error() -> None:
    times = CaptureTimes(latency_s=TRUE_DELAY_S, latency_sigma_s=0.05)
    found = errors(times, Stream(), 400)[100:]
    steps = [later.at_s - earlier.at_s for (_, earlier), (_, later) in pairwise(found)]
    assert max(abs(step - 1 / RATE_HZ) for step in steps) < 0.002  # arrivals scatter by 100 ms
    assert all(abs(error) < 2 * seen.sigma_s for error, seen in found)
    assert {seen.kind for _, seen in found} == {"timestamps"}


def none_at(n: int, pts: float) -> float | None:
    return None if n in (0, 1, 300) else pts


def ahead(n: int, pts: float) -> float | None:
    return pts + (3600.0 if n > 200 else 0.0)


def back(n: int, pts: float) -> float | None:
    return pts - (3600.0 if n > 200 else 0.0)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(none_at, id="the first ones have none, and one in the middle"),
        pytest.param(ahead, id="the camera's clock is set an hour on"),
        pytest.param(back, id="an hour back"),
    ],
)
def test_timestamps_that_are_missing_or_leap_make_no_time_wrong(
    told: Callable[[int, float], float | None],
) -> None:
    times, stream = CaptureTimes(latency_s=TRUE_DELAY_S, latency_sigma_s=0.05), Stream()
    unknown = []
    for n in range(400):
        captured, arrived, pts = stream.frame(n)
        seen = times.of(arrived_s=arrived, pts_s=told(n, pts))
        if seen is None:
            unknown.append(n)
        elif n >= 2:
            assert abs(seen.at_s - captured) < 0.15
            assert seen.sigma_s < 0.2
    assert unknown == ([300] if told is none_at else [])


def test_a_stream_that_stalls_is_late_and_not_another_clock() -> None:
    times, stream = CaptureTimes(latency_s=TRUE_DELAY_S, latency_sigma_s=0.05), Stream()
    for n in range(400):
        captured, arrived, pts = stream.frame(n)
        late = max(arrived, 1014.5) if 200 <= n < 290 else arrived  # 4.5 s of frames in one gulp
        seen = times.of(arrived_s=late, pts_s=pts)
        assert seen is not None
        assert abs(seen.at_s - captured) < 0.15


def test_a_camera_whose_clock_runs_off_is_followed() -> None:
    times = CaptureTimes(latency_s=TRUE_DELAY_S, latency_sigma_s=0.05)
    found = errors(times, Stream(drift=50e-6), 40_000)  # 33 minutes, in which 50 ppm make 0.1 s
    assert all(abs(error) < 0.05 for error, _ in found[1000:])


def test_the_cameras_own_utc_is_taken_where_it_can_be_right() -> None:
    times = CaptureTimes(latency_s=0.5)  # wrong, and of no account
    found = errors(times, Stream(), 1000, ntp_s=lambda captured: captured)
    error, seen = found[-1]
    assert (seen.kind, abs(error) < 0.001, seen.sigma_s < 0.03) == ("rtcp", True, True)


@pytest.mark.parametrize(
    ("off_s", "kind", "at_least_s"),
    [
        pytest.param(0.3, "rtcp", 0.1, id="ahead of what arrives: wrong by at least that"),
        pytest.param(-1.0, "rtcp", 0.5, id="behind by more than a usual latency"),
        pytest.param(3600.0, "timestamps", 0.1, id="a time zone for UTC"),
        pytest.param(-1.7e9, "timestamps", 0.1, id="never set: 1970"),
    ],
)
def test_a_camera_that_nobody_set_is_doubted_or_left_aside(
    off_s: float, kind: str, at_least_s: float
) -> None:
    times = CaptureTimes()
    _, seen = errors(times, Stream(), 1000, ntp_s=lambda captured: captured + off_s)[-1]
    assert (seen.kind, seen.sigma_s >= at_least_s) == (kind, True)


def test_a_better_word_on_the_zero_is_taken_over_slowly() -> None:
    times, stream = CaptureTimes(latency_s=0.6, latency_sigma_s=0.3), Stream()
    before = errors(times, stream, 100)[-1]
    after = errors(times, Stream(seed=2), 0)
    for n in range(100, 800):
        captured, arrived, pts = stream.frame(n)
        after.append((captured, known(times.of(arrived_s=arrived, pts_s=pts, ntp_s=captured))))
    steps = [later.at_s - earlier.at_s for (_, earlier), (_, later) in pairwise(after)]
    assert before[0] < -0.3
    assert all(0.9 / RATE_HZ < step < 1.1 / RATE_HZ for step in steps)
    assert abs(after[-1][1].at_s - after[-1][0]) < 0.01
    assert after[0][1].sigma_s > 0.3 > after[-1][1].sigma_s  # what is still to be taken over is doubt


def test_a_usb_camera_has_the_kernels_instant() -> None:
    times = CaptureTimes()
    seen = known(times.of(arrived_s=500.04, pts_s=500.0, from_driver=True))
    assert (seen.at_s, seen.kind) == (500.0, "driver")
    foreign = known(times.of(arrived_s=500.04, pts_s=3.0, from_driver=True))  # a clock of its own
    assert foreign.kind == "timestamps"


def test_without_timestamps_the_cadence_is_found_and_scatter_is_doubt() -> None:
    times, stream = CaptureTimes(latency_s=TRUE_DELAY_S, latency_sigma_s=0.05), Stream(jitter_s=0.04)
    found = errors(times, stream, 600, pts_s=None)[200:]
    steps = [later.at_s - earlier.at_s for (_, earlier), (_, later) in pairwise(found)]
    assert all(step > 0 for step in steps)
    assert max(abs(step - 1 / RATE_HZ) for step in steps) < 0.01  # arrivals: up to 0.04
    assert all(abs(error) < 2 * seen.sigma_s for error, seen in found)
    assert {seen.kind for _, seen in found} == {"cadence"}


def test_a_cadence_survives_missing_frames_and_another_rate() -> None:
    times = CaptureTimes(latency_s=0.0)
    arrivals = [n / 20 for n in range(100) if n % 7] + [5.0 + n / 10 for n in range(200)]
    found = [known(times.of(arrived_s=arrived, pts_s=None)).at_s for arrived in arrivals]
    assert all(later > earlier for earlier, later in pairwise(found))
    assert abs(found[-1] - arrivals[-1]) < 0.05


class Hands:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self) -> None:
        self.monotonic_s, self.ahead_s = 100.0, 1_795_000_000.0

    def clock(self, **options: float) -> HostClock:
        return HostClock(
            utc=lambda: self.monotonic_s + self.ahead_s,
            monotonic=lambda: self.monotonic_s,
            kernel=lambda: 0.001,
            **options,
        )

    def pass_s(self, seconds: float, clock: HostClock) -> list[bool]:
        said = []
        for _ in range(round(seconds / 0.25)):
            self.monotonic_s += 0.25
            said.append(clock.look())
        return said


@pytest.mark.parametrize("step_s", [86_400.0, -86_400.0], ids=["a day ahead", "a day back"])
def test_a_clock_that_was_set_leaps_once_and_is_unknown_until_then(step_s: float) -> None:
    hands = Hands()
    clock = hands.clock()
    before = clock.now()
    hands.ahead_s += step_s
    said = hands.pass_s(CONFIRM_S, clock)
    assert not any(said) and clock.set_by_s == pytest.approx(step_s)
    assert clock.now() == pytest.approx(before + CONFIRM_S)  # goes on as if nothing had been set
    assert (math.isinf(clock.sigma_s), clock.kept) == (True, "set")

    assert hands.pass_s(1.0, clock).count(True) == 1
    assert clock.now() == pytest.approx(before + CONFIRM_S + 1.0 + step_s)
    assert (clock.steps, clock.sigma_s, clock.kept) == (1, 0.001, "synchronised")


def test_a_clock_set_and_set_back_costs_nothing() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.ahead_s += 3600
    hands.pass_s(5.0, clock)
    hands.ahead_s -= 3600
    assert not any(hands.pass_s(30.0, clock))
    assert (clock.steps, clock.sigma_s) == (0, 0.001)


def test_a_small_difference_is_followed_slowly_and_is_doubt_meanwhile() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.ahead_s += 0.9 * STEP_S
    times = [clock.now()]
    for _ in range(200):
        hands.monotonic_s += 0.25
        clock.look()
        times.append(clock.now())
    assert all(0.24 < later - earlier < 0.26 for earlier, later in pairwise(times))
    assert clock.now() == pytest.approx(hands.monotonic_s + hands.ahead_s)
    assert clock.sigma_s == pytest.approx(0.001)


def test_a_clock_nothing_keeps_is_unknown_unless_stated() -> None:
    clock = HostClock(kernel=lambda: math.inf)
    assert (clock.sigma_s, clock.kept) == (math.inf, "unsynchronised")
    clock.state_error(0.5)
    assert (clock.sigma_s, clock.kept) == (0.5, "stated")
    assert MOST_APART_S > 1.0  # a camera and a host that agree to a second are told apart from one never set
