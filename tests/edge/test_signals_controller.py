"""A controller's high-resolution log, made and real."""

from __future__ import annotations

import csv
import itertools
import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from calibration.site import Site
from edge.errors import InputError
from edge.scene import State
from edge.signals.controller import Event, read_events
from edge.signals.controller_log import load_controller_log

OUTPUTS = {"veh": {"phase": 2}, "walk": {"pedestrian_phase": 2}, "arrow": {"overlap": 5}}
DENVER = ZoneInfo("America/Denver")
UDOT = Path("signals/udot_5306")
TWO_CONTROLLERS = (
    "Signal Id,Timestamp,Event Code,Event Parameter\n1,01/31/2019 12:00:00,1,2\n2,01/31/2019 12:00:05,1,2\n"
)


def site(
    outputs: dict[str, dict[str, int]] = OUTPUTS, zone: str = "America/Denver", **controller: int
) -> Site:
    places = [{"id": name, "signal_group": name, "polygon": [[0, 0], [1, 0], [1, 1]]} for name in outputs]
    return Site.model_validate_json(
        json.dumps(
            {
                "site": {"id": "udot-5306", "timezone": zone},
                "crosswalks": places,
                "controller": controller,
                "controller_phases": [{"signal_group": name, **which} for name, which in outputs.items()],
            }
        )
    )


def shown(events: Sequence[tuple[float, int, int]], group: str) -> list[tuple[float, State, float | None]]:
    history = read_events([Event(*event) for event in events], site()).history
    return [(each.time, each.reading.state, each.reading.since) for each in history.shown(group)]


def test_a_vehicle_phase_cycles() -> None:
    events = [
        (0.0, 1, 2),
        (30.0, 8, 2),
        (34.0, 9, 2),
        (34.0, 10, 2),
        (35.5, 11, 2),
        (80.0, 1, 2),
        (81.0, 81, 9),
    ]
    assert shown(events, "veh") == [
        (0.0, "green", 0.0),
        (30.0, "amber", 30.0),
        (34.0, "red", 34.0),
        (80.0, "green", 80.0),
        (81.1, "unknown", None),  # the log ends with a detector's row: nobody knows what came after it
    ]


def test_the_error_of_a_change_is_that_of_the_tenths_and_of_the_clock() -> None:
    history = read_events([Event(0.0, 1, 2), Event(30.0, 8, 2)], site()).history
    assert history.at("veh", 30.0).sigma_s == pytest.approx(math.hypot(0.1 / math.sqrt(12), 0.1))
    assert history.at("veh", 30.0).source == "controller"


@pytest.mark.parametrize(
    ("codes", "group", "states"),
    [
        pytest.param([(21, 2), (22, 2), (23, 2)], "walk", ["green", "amber", "red"], id="pedestrian phase"),
        pytest.param([(61, 5), (62, 5), (63, 5), (64, 5), (65, 5)], "arrow", ["green", "amber", "red"]),
        pytest.param([(66, 5), (63, 5), (65, 5), (66, 5)], "arrow", ["dark", "amber", "red", "dark"]),
        pytest.param([(1, 3), (8, 3)], "veh", ["unknown"], id="another phase says nothing"),
        pytest.param([(1, 2), (8, 2), (10, 2)], "veh", ["green", "amber", "red"], id="code 9 not logged"),
    ],
)
def test_codes(codes: list[tuple[int, int]], group: str, states: list[State]) -> None:
    events = [(10.0 * index, code, number) for index, (code, number) in enumerate(codes)]
    found = [state for _, state, _ in shown(events, group)]
    assert (found if states == ["unknown"] else found[:-1]) == states


def test_a_log_that_begins_in_red_clearance_does_not_know_the_onset() -> None:
    assert shown([(5.0, 11, 2)], "veh")[0] == (5.0, "red", None)


def test_a_lost_green_is_not_taken_for_red() -> None:
    # The rows of the green and the amber are missing: red from 34 to 124 would accuse everybody who drove.
    events = [(0.0, 1, 2), (30.0, 8, 2), (34.0, 9, 2), (34.0, 10, 2), (124.0, 9, 2), (150.0, 1, 2)]
    found = shown(events, "veh")
    assert found[2:4] == [(34.0, "unknown", None), (124.0, "red", 124.0)]
    assert read_events([Event(*event) for event in events], site()).lost == 1


def test_the_same_row_twice_is_no_loss() -> None:
    events = [(0.0, 1, 2), (0.0, 1, 2), (30.0, 8, 2), (30.0, 8, 2)]
    assert read_events([Event(*event) for event in events], site()).lost == 0


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param([(10.0, 102, 3)], (50.0, 104, 3), id="a preemption called"),
        pytest.param([(10.0, 102, 3), (12.0, 105, 3), (40.0, 104, 3)], (50.0, 111, 3), id="and entered"),
        pytest.param([(10.0, 173, 5)], (50.0, 173, 2), id="flash by the fault monitor"),
        pytest.param([(10.0, 182, 0)], (50.0, 184, 0), id="power failure"),
    ],
)
def test_nothing_is_known_while_the_programme_is_suspended(
    begin: list[tuple[float, int, int]], end: tuple[float, int, int]
) -> None:
    events = sorted([(0.0, 1, 2), *begin, (30.0, 8, 2), (34.0, 9, 2), end, (90.0, 1, 2)])
    assert shown(events, "veh")[:4] == [
        (0.0, "green", 0.0),
        (10.0, "unknown", 10.0),
        (
            50.0,
            "red",
            None,
        ),  # the log goes on telling the state, but an onset under preemption counts for none
        (90.0, "green", 90.0),
    ]


def test_a_suspension_without_an_end_lasts() -> None:
    assert shown([(0.0, 1, 2), (10.0, 102, 3), (30.0, 8, 2), (34.0, 9, 2)], "veh") == [
        (0.0, "green", 0.0),
        (10.0, "unknown", 10.0),
    ]


def log(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "Signal Id,Timestamp,Event Code,Event Parameter\n5306,01/31/2019 12:00:10.500,21,2\n",
        "DeviceId,TimeStamp,EventId,Parameter\n5306,2019-01-31 12:00:10.5,21,2\n",
        "timestamp,eventCode,eventParam\n2019-01-31T19:00:10.500Z,21,2\n",
        "SignalID,Timestamp,EventCode,EventParam,Note\n5306,1/31/2019 12:00:10.5 PM,21.0,2,x\n",
    ],
    ids=["UDOT", "atspm", "with a zone", "twelve-hour clock"],
)
def test_layouts(tmp_path: Path, text: str) -> None:
    reading = load_controller_log(log(tmp_path, text), site=site(), start_time=0.0)
    onset = datetime(2019, 1, 31, 19, 0, 10, 500_000, tzinfo=UTC).timestamp()
    assert reading.history.at("walk", onset).since == onset


def test_the_hour_that_autumn_has_twice(tmp_path: Path) -> None:
    rows = ["11/03/2024 01:50:00.0,21,2", "11/03/2024 01:05:00.0,22,2", "11/03/2024 02:10:00.0,23,2"]
    path = log(tmp_path, "\n".join(["Timestamp,Event Code,Event Parameter", *rows, ""]))
    history = load_controller_log(path, site=site(), start_time=0.0).history
    walk, clearance, steady = (each.time for each in history.shown("walk")[:3])
    assert (clearance - walk, steady - clearance) == (15 * 60.0, 65 * 60.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", ["the log is empty"], id="empty"),
        pytest.param("Timestamp,Event\n", ["no column for the event's code", "event's parameter"]),
        pytest.param(
            "Timestamp,Event Code,Event Parameter\nyesterday,1,2\n01/31/2019 12:00:00,x,2\n"
            "01/31/2019 12:00:00,1,nan\n01/31/2019 25:00:00,1,2\n1,2\n",
            [
                ":2: time 'yesterday'",
                ":3: event code 'x'",
                ":4: event parameter 'nan'",
                ":5: time '01/31/2019 25:00:00'",
                ":6: 2 values, expected 3",
            ],
            id="every mistake at once",
        ),
        pytest.param(
            "Timestamp,Event Code,Event Parameter\n01/31/2019 12:00:01,1,2\n01/31/2019 12:00:00,8,2\n",
            [":3: time 01/31/2019 12:00:00 comes before"],
            id="unsorted",
        ),
        pytest.param(
            "Timestamp,Event Code,Event Parameter\n03/10/2024 02:30:00,1,2\n",
            [":2: time '03/10/2024 02:30:00' is not a date and time: the time zone America/Denver skips"],
            id="an hour that spring skips",
        ),
        pytest.param(
            TWO_CONTROLLERS,
            ["a log of several controllers (1, 2), expected controller.device"],
            id="two controllers",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_controller_log(log(tmp_path, text), site=site(), start_time=0.0)
    assert len(caught.value.problems) == len(expected)
    for problem, part in zip(caught.value.problems, expected, strict=True):
        assert part in problem


def test_one_controller_of_several(tmp_path: Path) -> None:
    text = TWO_CONTROLLERS
    history = load_controller_log(log(tmp_path, text), site=site(device=2), start_time=0.0).history
    assert history.shown("veh")[0].time == datetime(2019, 1, 31, 12, 0, 5, tzinfo=DENVER).timestamp()
    with pytest.raises(InputError, match=r"no rows of controller.device 3, only of 1, 2"):
        load_controller_log(log(tmp_path, text), site=site(device=3), start_time=0.0)


def test_a_log_needs_a_map_in_the_site_file(tmp_path: Path) -> None:
    path = log(tmp_path, "Timestamp,Event Code,Event Parameter\n")
    with pytest.raises(InputError, match="controller_phases"):
        load_controller_log(path, site=site({}), start_time=0.0)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.data
def test_udot_crossings_agree_with_the_log_read_another_way(data: Path) -> None:
    # videos.csv gives crosswalk X2 = E the phase P2 = 2; the south crosswalk X3 has none (P3 = NA).
    outputs = {"E": {"pedestrian_phase": 2}, "S": {"pedestrian_phase": 64}}
    [video] = rows_of(data / UDOT / "5306_2019-01-31_videos.csv")
    assert (video["X2"], video["P2"], video["X3"], video["P3"]) == ("E", "2", "S", "NA")
    path = data / UDOT / "5306_2019-01-31_ControllerEventLogs.csv"
    reading = load_controller_log(path, site=site(outputs, device=5306), start_time=0.0)

    walks = [
        (row["Timestamp"][11:], row["Event Code"])  # one day, 24-hour clock: the text sorts by time
        for row in rows_of(path)
        if row["Event Code"] in ("21", "22", "23") and row["Event Parameter"] == "2"
    ]
    counted: Counter[tuple[str, State]] = Counter()
    for crossing in rows_of(data / UDOT / "5306_2019-01-31_events.csv"):
        crosswalk = "S" if crossing["X3PED"] == "1" else "E"
        wall = datetime.fromisoformat(crossing["TIME"])
        found = reading.history.at(crosswalk, wall.replace(tzinfo=DENVER).timestamp())
        last = bisect_right(walks, (f"{wall:%H:%M:%S}.000", "99")) - 1
        independent = {"21": "green", "22": "amber", "23": "red"}[walks[last][1]]
        assert found.state == (independent if crosswalk == "E" else "unknown")
        counted[crosswalk, found.state] += 1
    assert counted == {("E", "green"): 21, ("E", "amber"): 3, ("E", "red"): 1, ("S", "unknown"): 1}
    assert reading.lost == 2  # at 14:55:49 and 15:00:21 phase 2 skips a code


@pytest.mark.data
def test_every_change_of_the_atspm_sample_is_found_by_sql_too(data: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra [parquet] is not installed")
    path = data / "signals/atspm/sample_raw_data.parquet"
    outputs = {f"p{number}": {"phase": number} for number in (2, 5, 6, 8)}
    reading = load_controller_log(path, site=site(outputs, zone="UTC"), start_time=0.0)
    duration_s: Counter[tuple[str, State]] = Counter()
    for group in outputs:
        entries = reading.history.shown(group)
        for entry, after in itertools.pairwise(entries):
            duration_s[group, entry.reading.state] += round(10 * (after.time - entry.time))
    rows = duckdb.connect().execute(
        """
        WITH log AS (SELECT epoch_us("TimeStamp") / 1e6 AS time, * FROM read_parquet(?)),
        changes AS (
            SELECT Parameter AS phase, time, EventId AS code, lead(EventId) OVER w AS next_code,
                   coalesce(lead(time) OVER w, (SELECT max(time) + 0.1 FROM log)) AS until
            FROM log WHERE EventId IN (1, 8, 9, 11) AND Parameter IN (2, 5, 6, 8)
            WINDOW w AS (PARTITION BY Parameter ORDER BY time, EventId))
        SELECT phase, least(code, 9) AS code, sum(until - time) FROM changes
        WHERE next_code IS NULL OR (code, next_code) IN ((1, 8), (8, 9), (9, 11), (11, 1))
        GROUP BY ALL""",
        [str(path)],
    )
    states: dict[int, State] = {1: "green", 8: "amber", 9: "red"}
    independent = {(f"p{phase}", states[code]): round(10 * total) for phase, code, total in rows.fetchall()}
    known = {key: tenths for key, tenths in duration_s.items() if key[1] != "unknown"}
    assert known == independent
    assert reading.lost == 4  # phases 2, 5 and 6 once lack code 8, phase 8 its codes 9 and 10
