"""What may leave the node: times in bins, numbers on a grid."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire import Event, Measure, MeasureName
from edge.events_wire import bin_start, wire_event
from tests.broker.records import BIN_TIME, EVENT_TIME, event, local_event

PREFIX: dict[str, MeasureName] = {"s": "pet_s", "mps": "speed_mps", "m": "outside_m", "mps2": "drac_mps2"}


def test_a_local_event_travels_without_its_instant_and_its_onset() -> None:
    id_ = uuid4()
    assert wire_event(local_event(), id=id_, seq=7, time_bin_s=300) == event(id=id_, seq=7)


@pytest.mark.parametrize(
    ("unit", "came", "left"),
    [
        pytest.param("s", (1.25, 0.05), (1.2, 0.1), id="seconds to 0.1, an error never to nothing"),
        pytest.param("s", (-0.04, 0.0), (0.0, 0.0), id="a small negative to zero, no error stays none"),
        pytest.param("s", (2.38, None), (2.4, None), id="an unknown error stays unknown"),
        pytest.param("mps", (11.2, 0.6), (11.111, 0.556), id="11.2 m/s is 40 km/h"),
        pytest.param("m", (1.3, 0.31), (1.5, 0.5), id="metres to 0.5"),
        pytest.param("mps2", (3.37, 0.2), (3.4, 0.2), id="deceleration to 0.1"),
    ],
)
def test_measures_are_rounded_to_what_their_error_justifies(
    unit: str, came: tuple[float, float | None], left: tuple[float, float | None]
) -> None:
    measures = {PREFIX[unit]: Measure(value=came[0], sigma=came[1])}
    sent = wire_event(
        local_event(measures=measures, rule="near_miss"), id=uuid4(), seq=1, time_bin_s=300
    ).measures[PREFIX[unit]]
    assert (sent.value, sent.sigma) == left


@pytest.mark.parametrize("bin_s", [60, 300, 900, 3600])
def test_times_are_floored_to_the_sites_bin(bin_s: int) -> None:
    start = bin_start(EVENT_TIME, bin_s)
    assert start <= EVENT_TIME
    assert (EVENT_TIME - start).total_seconds() < bin_s
    assert start.timestamp() % bin_s == 0


def test_the_bin_of_its_own_start_is_itself() -> None:
    assert bin_start(BIN_TIME, 300) == BIN_TIME


@given(
    value=st.floats(-10_000, 10_000),
    sigma=st.floats(0, 10_000) | st.none(),
    name=st.sampled_from(sorted(PREFIX.values())),
    second=st.integers(0, 4_000_000_000),
)
def test_whatever_is_measured_travels(
    value: float, sigma: float | None, name: MeasureName, second: int
) -> None:
    local = local_event(
        rule="near_miss",
        measures={name: Measure(value=value, sigma=sigma)},
        time=datetime.fromtimestamp(second, UTC),
    )
    sent = wire_event(local, id=uuid4(), seq=1, time_bin_s=300)
    assert Event.decode(sent.encode()) == sent
    assert b"since" not in sent.encode()
