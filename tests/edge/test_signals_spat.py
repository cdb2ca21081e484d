"""SPaT messages: states, time, revision, files and feeds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.site import Site
from edge.errors import InputError
from edge.scene import State
from edge.signals.feed import feed_of
from edge.signals.files import load_signals
from edge.signals.spat import SpatError, SpatReader, decode, instant, newer

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def site(**tables: Any) -> Site:
    document = {
        "site": {"id": "main-5th"},
        "crosswalks": [
            {"id": name, "signal_group": name, "polygon": [[0, 0], [1, 0], [1, 1]]} for name in ("N", "S")
        ],
        "spat_groups": [{"signal_group": "N", "spat_group": 3}, {"signal_group": "S", "spat_group": 1}],
        **tables,
    }
    return Site.model_validate_json(json.dumps(document))


def message(
    time: float, state: object, *, revision: int = 0, status: object = None, intersection: int = 12101
) -> dict[str, Any]:
    """A message in the JSON encoding rules of J2735, whose group 3 shows a state."""
    minute_s = time - time % 60
    year = datetime.fromtimestamp(time, UTC).year
    return {
        "messageId": 19,
        "value": {
            "intersections": [
                {
                    "id": {"id": intersection},
                    "revision": revision,
                    "status": status if status is not None else "0000",
                    "moy": round((minute_s - datetime(year, 1, 1, tzinfo=UTC).timestamp()) / 60),
                    "timeStamp": round((time - minute_s) * 1000),
                    "states": [{"signalGroup": 3, "state-time-speed": [{"eventState": state}]}],
                }
            ]
        },
    }


def reader(**tables: Any) -> SpatReader:
    return SpatReader(site(**tables), near=lambda: NEW_YEAR)


def written(folder: Path, messages: list[dict[str, Any]]) -> Path:
    path = folder / "spat.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in messages))
    return path


def history(folder: Path, messages: list[dict[str, Any]], **tables: Any) -> Any:
    return load_signals(written(folder, messages), site=site(**tables), start_time=NEW_YEAR)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("stop-And-Remain", "red"),
        ("STOP_AND_REMAIN", "red"),
        ("protected-Movement-Allowed", "green"),
        ("PERMISSIVE_MOVEMENT_ALLOWED", "green"),
        ("permissive-clearance", "amber"),
        ("PROTECTED_CLEARANCE", "amber"),
        ("pre-Movement", "red_amber"),
        ("caution-Conflicting-Traffic", "flashing_amber"),
        ("stop-Then-Proceed", "flashing_red"),
        ("dark", "dark"),
        ("unavailable", "unknown"),
        (6, "green"),
        (3, "red"),
    ],
)
def test_movement_phase_states(event: object, state: State) -> None:
    [decoded] = decode(json.dumps(message(NEW_YEAR, event)))
    assert decoded.groups == {3: state}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param("0000", "red", id="nothing special"),
        pytest.param("1000", "unknown", id="bit 3: preemption"),
        pytest.param("2000", "unknown", id="bit 2: failure flash"),
        pytest.param("0040", "dark", id="bit 9: off"),
        pytest.param("0004", "unknown", id="bit 13: no valid SPaT"),
        pytest.param("8000", "red", id="bit 0: by hand, the lamps still mean what they show"),
        pytest.param({"preemptIsActive": True, "off": False}, "unknown", id="names as JPO ODE writes them"),
        pytest.param(["off"], "dark", id="a list of names"),
    ],
)
def test_what_the_intersection_says_of_itself_comes_first(status: object, state: State) -> None:
    [decoded] = decode(json.dumps(message(NEW_YEAR, "stop-And-Remain", status=status)))
    assert decoded.groups == {3: state}


@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2098, 12, 31)),
    st.timedeltas(timedelta(days=-180), timedelta(days=180)),
)
def test_the_year_is_the_nearest_one(wall: datetime, off: timedelta) -> None:
    moment = wall.replace(tzinfo=UTC, microsecond=wall.microsecond // 1000 * 1000)
    day = moment.timetuple().tm_yday - 1
    minute = (24 * day + moment.hour) * 60 + moment.minute
    millisecond = 1000 * moment.second + moment.microsecond // 1000
    found = instant(minute, millisecond, near=(moment + off).timestamp())
    assert found == pytest.approx(moment.timestamp(), abs=1e-4)


@given(st.floats(1e9, 2e9), st.floats(-29, 29))
def test_without_a_minute_the_nearest_is_taken(time: float, off_s: float) -> None:
    millisecond = math.floor(1000 * (time % 60))
    assert instant(None, millisecond, near=time + off_s) == pytest.approx(time, abs=0.002)


@given(st.integers(0, 127), st.integers(1, 63))
def test_revisions_begin_again_after_127(revision: int, steps: int) -> None:
    later = (revision + steps) % 128
    assert newer(later, revision) and not newer(revision, later) and not newer(revision, revision)


def test_a_change_between_two_messages(tmp_path: Path) -> None:
    messages = [message(NEW_YEAR + 0.1 * i, "dark" if i < 5 else "stop-And-Remain") for i in range(20)]
    found = history(tmp_path, messages)
    reading = found.at("N", NEW_YEAR + 1.0)
    assert (reading.state, reading.source) == ("red", "spat")
    assert reading.since == pytest.approx(NEW_YEAR + 0.45)
    assert reading.sigma_s == pytest.approx(math.hypot(0.1, 0.1 / math.sqrt(12)), rel=1e-4)
    assert found.at("S", NEW_YEAR + 1.0).state == "unknown"  # the messages never name its group
    assert found.at("N", NEW_YEAR + 1.9 + 2.1).state == "unknown"  # the recording has ended


def test_over_new_year(tmp_path: Path) -> None:
    states = ["protected-Movement-Allowed", "protected-clearance", "stop-And-Remain"]
    messages = [message(NEW_YEAR + 0.5 * i, states[min(max(0, i // 4 + 1), 2)]) for i in range(-7, 8)]
    assert messages[0]["value"]["intersections"][0]["moy"] == 525_599
    assert messages[-1]["value"]["intersections"][0]["moy"] == 0
    found = history(tmp_path, messages)
    assert [round(each.since - NEW_YEAR, 3) for each in found.changes("N", 0, 2e9)] == [-0.25, 1.75]


def test_a_sender_that_only_speaks_on_change(tmp_path: Path) -> None:
    messages = [message(NEW_YEAR, "dark"), message(NEW_YEAR + 40.0, "stop-And-Remain")]
    found = history(tmp_path, messages, spat={"sends": "on_change"})
    assert found.at("N", NEW_YEAR + 99.0).since == NEW_YEAR + 40.0
    assert history(tmp_path, messages).at("N", NEW_YEAR + 40.0).since is None


def test_a_message_overtaken_by_a_later_one_changes_nothing() -> None:
    spat = reader()
    read = [
        spat.read(json.dumps(message(NEW_YEAR + time, state, revision=revision)))[0]
        for time, state, revision in [
            (1.0, "dark", 127),
            (1.0, "stop-And-Remain", 126),  # an older revision of the same instant
            (0.9, "stop-And-Remain", 0),
            (1.0, "pre-Movement", 0),  # a newer one: 0 comes after 127
        ]
    ]
    assert [[shown.reading.state for shown in each] for each in read] == [["dark"], [], [], ["red_amber"]]
    assert spat.late == 2


def test_another_intersection_is_not_ours() -> None:
    spat = reader(spat={"intersection": 12101})
    assert spat.read(json.dumps(message(NEW_YEAR, "dark", intersection=7))) == ([], {})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda inner: inner.update(moy=-1), "moy -1", id="minute"),
        pytest.param(lambda inner: inner.update(moy="@MINUTE_OF_YEAR@"), "moy '@MINUTE", id="placeholder"),
        pytest.param(lambda inner: inner.update(timeStamp=65535), "second is not known", id="no second"),
        pytest.param(lambda inner: inner.update(revision=128), "revision 128", id="revision"),
        pytest.param(lambda inner: inner.update(status="xyz"), "not a bit string", id="status"),
        pytest.param(lambda inner: inner.pop("states"), "no states", id="no states"),
        pytest.param(
            lambda inner: inner["states"][0].update(signalGroup=True), "signalGroup True", id="group"
        ),
        pytest.param(
            lambda inner: inner["states"][0]["state-time-speed"][0].update(eventState="gone"),
            "signalGroup 3: eventState 'gone'",
            id="state",
        ),
    ],
)
def test_mistakes_in_a_message(change: Callable[[dict[str, Any]], None], expected: str) -> None:
    wrong = message(NEW_YEAR, "dark")
    change(wrong["value"]["intersections"][0])
    with pytest.raises(SpatError, match=expected):
        decode(json.dumps(wrong))


@pytest.mark.parametrize(
    "text", ["", "[", "3", "[]", "{}", '{"value": 3}', "[" * 100_000, '{"a": NaN}', "\ud800"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SpatError):
        decode(text.encode("utf-8", "surrogatepass"))


def test_every_mistake_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spat.jsonl"
    good = json.dumps(message(NEW_YEAR, "dark"))
    path.write_text(f"{good}\n{{}}\n\n{good[:-9]}\n")
    with pytest.raises(InputError) as caught:
        load_signals(path, site=site(), start_time=NEW_YEAR)
    assert [problem.removeprefix(str(path))[:12] for problem in caught.value.problems] == [
        ":2: no inter",
        ":4: not JSON",
    ]


def test_a_file_needs_a_year_and_a_map(tmp_path: Path) -> None:
    path = written(tmp_path, [message(NEW_YEAR, "dark")])
    with pytest.raises(InputError, match="year is not known"):
        load_signals(path, site=site(), start_time=0.0)
    with pytest.raises(InputError, match="spat_groups"):
        load_signals(path, site=site(spat_groups=[]), start_time=NEW_YEAR)


def test_a_feed_of_spat() -> None:
    now = NEW_YEAR + 1.0
    feed = feed_of(site(signal_feed={"topic": "city/5th/spat", "format": "spat"}), now=lambda: now)
    assert feed is not None and feed.subscriptions == ("city/5th/spat",)
    for time, state in [(0.9, "dark"), (1.0, "stop-And-Remain"), (900.0, "dark")]:
        feed.receive("city/5th/spat", json.dumps(message(NEW_YEAR + time, state)).encode())
    feed.receive("city/5th/spat", b"\xff")
    assert feed.refused == 2  # one far ahead of the clock, one no JSON
    assert feed.history.at("N", NEW_YEAR + 2.9).state == "red"
    assert feed.history.at("N", NEW_YEAR + 3.1).state == "unknown"  # silent for more than two seconds


@pytest.mark.data
def test_the_messages_of_a_real_intersection(data: Path, tmp_path: Path) -> None:
    start = NEW_YEAR - 1.5  # so that the recording passes midnight, and the year
    rows = [
        line.split(",", 2) for line in (data / "signals/conflictmonitor/SPATs.csv").read_text().splitlines()
    ]
    truth: list[tuple[float, dict[int, str]]] = []
    lines = []
    for kind, offset_ms, text in rows:
        time = start + int(offset_ms) / 1000
        wall = datetime.fromtimestamp(time, UTC)
        minute = int((wall - datetime(wall.year, 1, 1, tzinfo=UTC)).total_seconds() // 60)
        millisecond = wall.second * 1000 + wall.microsecond // 1000
        filled = text.replace('"@MINUTE_OF_YEAR@"', str(minute)).replace(
            '"@MILLI_OF_MINUTE@"', str(millisecond)
        )
        lines.append(filled.replace("@ISO_DATE_TIME@", wall.isoformat()))
        movements = json.loads(filled)["payload"]["data"]["intersectionStateList"]["intersectionStatelist"][0]
        truth.append(
            (
                time,
                {
                    each["signalGroup"]: each["state_time_speed"]["movementEventList"][0]["eventState"]
                    for each in movements["states"]["movementList"]
                },
            )
        )
        assert kind == "SPAT"
    path = tmp_path / "spat.jsonl"
    path.write_text("\n".join(lines))
    names = {"STOP_AND_REMAIN": "red", "PROTECTED_MOVEMENT_ALLOWED": "green", "PROTECTED_CLEARANCE": "amber"}
    groups = {f"g{number}": number for number in range(1, 9)}
    places = [{"id": name, "signal_group": name, "polygon": [[0, 0], [1, 0], [1, 1]]} for name in groups]
    mapped = [{"signal_group": name, "spat_group": number} for name, number in groups.items()]
    found = load_signals(path, site=site(crosswalks=places, spat_groups=mapped), start_time=0.0)
    for time, states in truth:
        shown = {number: found.at(name, time + 0.001).state for name, number in groups.items()}
        assert shown == {number: names[state] for number, state in states.items()}
    changed = {name for name in groups if found.changes(name, 0.0, 2e9)}
    assert changed == {
        f"g{number}" for number in range(1, 9) if len({states[number] for _, states in truth}) > 1
    }
    assert len(truth) == 34 and truth[0][0] < NEW_YEAR < truth[-1][0]
