"""A line of events.jsonl reads as the contract writes it, and no field is lost on the way."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from broker.wire import _ORDER, Event, LocalEvent

# The example of the contract, word for word.
CONTRACT = (
    '{"v":1,"n":1,"site":"main-5th","node":"cam-n","rule":"red_light_entry","outcome":"occurred",'
    '"time":"2026-11-20T08:15:02.350Z","time_sigma_s":0.04,"place":"N","road_user":"car",'
    '"signal":{"group":"N","state":"red","since":"2026-11-20T08:15:01.100Z","source":"controller"},'
    '"measures":{"into_red_s":{"value":1.25,"sigma":0.05},"speed_mps":{"value":11.2,"sigma":0.6}},'
    '"clip":null,"detector":"deimv2-femto","software":"nearmiss 0.1.0"}'
)


def test_the_contract_s_example_is_read_and_written_to_the_letter() -> None:
    assert LocalEvent.decode(CONTRACT.encode()).encode().decode() == CONTRACT


def test_no_field_is_lost_in_the_order() -> None:
    assert set(LocalEvent.model_fields) | set(Event.model_fields) == set(_ORDER)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("track", 7, id="a track"),
        pytest.param("plate", "AB 123", id="free text"),
        pytest.param("place", "N" * 41, id="a long place"),
        pytest.param("time_sigma_s", -1, id="a negative error"),
        pytest.param("time", "2026-11-20T08:15:02.350", id="a time without zone"),
        pytest.param("rule", "loitering", id="a rule there is not"),
        pytest.param("road_user2", "car", id="a second road user outside a near miss"),
        pytest.param("n", "1", id="a number as text"),
    ],
)
def test_what_the_contract_does_not_say_is_refused(field: str, value: object) -> None:
    record = {**json.loads(CONTRACT), field: value}
    with pytest.raises(ValidationError):
        LocalEvent.decode(json.dumps(record).encode())
