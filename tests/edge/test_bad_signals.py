"""A file of signals nobody can use, of every format: each mistake in one line, exit 2, nothing written.

One table; a row is a file and every line it must be answered with, by its beginning.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.edge.desk import (
    BYTES,
    CUT,
    ENDED,
    NO_TEXT,
    SIGNAL_COLUMNS,
    START,
    STATES,
    TOO_LATE,
    Content,
    Desk,
    folder,
    loop,
    same,
)
from tests.edge.test_judge import SIGNALS


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def signal_rows(*lines: str) -> str:
    return "\n".join(("time,signal_group,state", *lines)) + "\n"


LOG = "Signal Id,Timestamp,Event Code,Event Parameter\n5306,11/20/2026 08:00:00.0,1,2\n"
PLAN = """epoch = 2026-01-01T00:00:00Z
cycle_s = 90.0
[[groups]]
signal_group = "A"
changes = [{ at_s = 5.0, state = "green" }, { at_s = 44.0, state = "red" }]
"""


def spat(**fields: object) -> str:
    movement = {"signalGroup": 2, "state-time-speed": [{"eventState": 3}]}
    message = {"id": {"id": 1}, "revision": 1, "moy": 465_600, "timeStamp": 1000, "states": [movement]}
    return json.dumps({"intersections": [message | fields]}) + "\n"


def phase(number: object) -> dict[str, object]:
    return {"signalGroup": 2, "state-time-speed": [{"eventState": number}]}


SECONDS = "time {} is not a finite number of seconds"
LONG = "a line of 200005 bytes, expected at most 10000"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        # signals.csv
        pytest.param(
            "s.csv", "", [": the file is empty, expected the columns time,signal_group,state"], id="empty"
        ),
        pytest.param("s.csv", folder, [": cannot be read: Is a directory"], id="a folder"),
        pytest.param("s.csv", loop, [": cannot be read: Too many levels of symbolic links"], id="unreadable"),
        pytest.param("s.csv", BYTES, [f": {NO_TEXT}"], id="binary"),
        pytest.param("s.csv", SIGNALS.encode("utf-16"), [": is text in UTF-16, expected UTF-8"], id="UTF-16"),
        pytest.param(
            "s.csv",
            SIGNALS.replace(",", ";"),
            [":1: its values are separated by semicolons, expected commas"],
            id="semicolons",
        ),
        pytest.param("s.csv", gzip.compress(SIGNALS.encode())[:-9], [f": {CUT}{ENDED}"], id="gzip cut off"),
        pytest.param(
            "s.csv",
            "time,group,state\n",
            [
                f":1: column 'signal_group' is missing, {SIGNAL_COLUMNS}",
                f":1: column 'group' is not known, {SIGNAL_COLUMNS}",
            ],
            id="a column by another name",
        ),
        pytest.param(
            "s.csv",
            signal_rows(
                "nan,A,red", ",A,red", "1,Z,RED", "2,A,red", "1,A,green", "1.7e12,A,red", "2,A,green", "3,A"
            ),
            [
                ":2: " + SECONDS.format("'nan'"),
                ":3: " + SECONDS.format("''"),
                ":4: signal_group 'Z' is not one of the site's: A, B, P",
                f":4: state 'RED' is not one of {STATES}",
                ":6: time 1 comes before that of the row above, expected sorted rows",
                f":7: time '1.7e12' {TOO_LATE}",
                ":8: a second row for signal_group 'A' at time 2",
                ":9: 2 values, expected 3 (time,signal_group,state)",
            ],
            id="one of each",
        ),
        pytest.param("s.csv", signal_rows("0,A," + "x" * 200_000), [f":2: {LONG}"], id="a long line"),
        pytest.param(
            "s.csv",
            "time,signal_group,state,sigma_s\n0,A,red,-1\n1,A,green,x\n",
            [":2: sigma_s -1 is negative", ":3: sigma_s 'x' is not a finite number of seconds"],
            id="sigma",
        ),
        # a controller's log
        pytest.param("l.csv", LOG.split("\n")[0] + "\n", [": the log is empty"], id="log without rows"),
        pytest.param(
            "l.csv",
            "Event Code\n1\n",
            [
                ":1: no column for the event's time, expected one of timestamp, time, datetime, eventtime",
                ":1: no column for the event's parameter, expected one of eventparameter, eventparam",
            ],
            id="log without its columns",
        ),
        pytest.param(
            "l.csv",
            LOG.replace(",", ";"),
            [":1: its values are separated by semicolons, expected commas"],
            id="log with semicolons",
        ),
        pytest.param(
            "l.csv",
            LOG
            + "5306,2026-13-45,1,2\n,,,\n5306,11/20/2026 07:00:00,x,-1\n"
            + "5306,11/20/2026 07:00:00,1,2\n"
            + "5306,9999-12-31T00:00:00,1,2\n",
            [
                ":3: time '2026-13-45' is not a date and time",
                ":4: the device is empty, expected its number",
                ":5: event code 'x' is not a whole number",
                ":5: event parameter '-1' is not a whole number",
                ":6: time 11/20/2026 07:00:00 comes before that of the row above, expected sorted rows",
                ":7: time '9999-12-31T00:00:00' lies outside the years 1970 to 2100",
            ],
            id="log, one of each",
        ),
        pytest.param(
            "l.csv",
            LOG + "5307,11/20/2026 08:00:00.0,1,2\n",
            [": a log of several controllers (5306, 5307), expected controller.device in the site file"],
            id="log of two controllers",
        ),
        pytest.param("l.parquet", BYTES, [f": {NO_TEXT}"], id="no Parquet"),
        pytest.param(
            "l.parquet",
            b"PAR1" + BYTES,
            [": not a Parquet file that can be read: "],
            id="half a Parquet file",
        ),
        # SPaT
        pytest.param(
            "j.jsonl",
            json.dumps(json.loads(spat()), indent=1),
            [":1: a message over several lines, expected one message a line"],
            id="SPaT over lines",
        ),
        pytest.param(
            "j.jsonl", "[" + spat().strip() + "]", [":1: expected a JSON object"], id="SPaT in a list"
        ),
        pytest.param(
            "j.jsonl",
            spat() + spat()[:40] + "\n",
            [":2: not JSON: Unterminated string starting at: line 1 column 38 (char 37)"],
            id="SPaT cut off",
        ),
        pytest.param(
            "j.jsonl",
            spat(revision=200)
            + spat(moy=600_000)
            + spat(timeStamp=65_535)
            + spat(status=5)
            + spat(states=[phase("go")])
            + spat(states=[phase(True)])
            + spat(states=[phase(3), phase(6)])
            + spat(states=[1]),
            [
                ":1: revision 200 is not a whole number from 0 to 127",
                ":2: moy 600000 is not a whole number from 0 to 527040",
                ":3: timeStamp of the intersection is 65535: the second is not known",
                ":4: status 5 is not a bit string",
                ":5: signalGroup 2: eventState 'go' is not a MovementPhaseState",
                ":6: signalGroup 2: eventState True is not a MovementPhaseState",
                ":7: signalGroup 2 stands twice, as red and as green",
                ":8: signalGroup None is not a whole number from 0 to 255",
            ],
            id="SPaT, one of each",
        ),
        pytest.param(
            "j.jsonl",
            spat(states=[{**phase(3), "signalGroup": 9}]),
            [": no message speaks of one of the site's spat_groups at spat.intersection"],
            id="SPaT of others",
        ),
        pytest.param(
            "j.jsonl",
            "{" * 100_000,
            [":1: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"],
            id="SPaT of braces",
        ),
        pytest.param(
            "j.jsonl",
            '{"a":' * 100_000,
            [":1: not JSON: maximum recursion depth exceeded"],
            id="SPaT too deep",
        ),
        # a plan
        pytest.param(
            "p.toml",
            "",
            [": epoch: Field required", ": cycle_s: Field required", ": groups: Field required"],
            id="an empty plan",
        ),
        pytest.param(
            "p.toml",
            BYTES,
            [": not a TOML file: 'utf-8' codec can't decode byte 0x80 in position 128: invalid start byte"],
            id="a binary plan",
        ),
        pytest.param(
            "p.toml",
            PLAN.replace("90.0", "nan").replace('"green"', '"go"').replace('"A"', '"Z"'),
            [
                ": cycle_s: Input should be a finite number (came: nan)",
                ": groups.0.changes.0.state: Input should be 'red', 'red_amber', 'amber', 'green'",
                ": signal_group 'Z' is not one of the site's: A, B, P",
            ],
            id="a plan, one of each",
        ),
    ],
)
def test_a_bad_file_of_signals(desk: Desk, name: str, content: Content, expected: list[str]) -> None:
    desk.put(**{name: content})
    answer = desk.judge("tracks.csv", name, *START)
    assert same(answer, 2, [name + line for line in expected]), answer
