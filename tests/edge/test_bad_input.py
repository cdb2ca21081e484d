"""Whatever an impatient newcomer gives ``judge`` and ``evaluate``: each mistake in one line, exit 2.

One table a format; a row is a file and every line it must be answered with.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.desk import (
    BYTES,
    CUT,
    ENDED,
    FAR,
    KINDS,
    NEEDED,
    NO_TEXT,
    SILENT,
    SITE,
    TOO_LATE,
    TRACKS,
    Content,
    Desk,
    folder,
    loop,
    rows,
    same,
)
from tests.edge.test_evaluate import event
from tests.edge.test_judge import HEADER, ROW, SIGNALS


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("t.csv", "", [": the file is empty, expected the columns " + HEADER], id="empty"),
        pytest.param("t.csv", folder, [": cannot be read: Is a directory"], id="a folder"),
        pytest.param("t.csv", loop, [": cannot be read: Too many levels of symbolic links"], id="unreadable"),
        pytest.param("t.csv", BYTES, [f": {NO_TEXT}"], id="binary"),
        pytest.param("t.csv", TRACKS.encode("utf-16"), [": is text in UTF-16, expected UTF-8"], id="UTF-16"),
        pytest.param(
            "t.csv",
            rows().replace("\n", "\r"),
            [": its lines end with CR alone, expected LF, or CR and LF"],
            id="CR alone",
        ),
        pytest.param(
            "t.csv",
            TRACKS.replace(",", ";"),
            [":1: its values are separated by semicolons, expected commas"],
            id="semicolons",
        ),
        pytest.param(
            "t.csv",
            TRACKS.replace(",", "\t"),
            [":1: its values are separated by tabs, expected commas"],
            id="tabs",
        ),
        pytest.param(
            "t.csv",
            ROW + "\n",
            [f":1: '1.0,1,car,0.0,0.0,90,4.5,1.8' names no column of this file, {NEEDED}"],
            id="no header",
        ),
        pytest.param(
            "t.csv",
            "Time,trk,kind,x,x,heading_deg,length_m,width_m\n",
            [
                f":1: column 'time' is missing (came: 'Time'), {NEEDED}",
                f":1: column 'track' is missing, {NEEDED}",
                f":1: column 'y' is missing, {NEEDED}",
                f":1: column 'trk' is not known, {NEEDED}",
                f":1: column 'x' stands twice, {NEEDED}",
            ],
            id="every mistake of a header",
        ),
        pytest.param(
            "t.csv.gz", gzip.compress(TRACKS.encode())[:-30], [f": {CUT}{ENDED}"], id="gzip cut off"
        ),
        pytest.param("t.csv.gz", b"\x1f\x8b\x08", [f": {CUT}{ENDED}"], id="three bytes of gzip"),
        pytest.param(
            "t.csv.gz",
            gzip.compress(TRACKS.encode()) + b"more",
            [f": {CUT}Not a gzipped file (b'mo')"],
            id="gzip and more",
        ),
        pytest.param("t.csv.gz", TRACKS, [f": {CUT}not a gzip file, as its name says"], id="not gzip"),
        pytest.param(
            "t.csv",
            rows("1e300,1,car,0,0,90,4.5,1.8", "1.7e12,2,car,0,0,90,4.5,1.8"),
            [f":3: time '1e300' {TOO_LATE}", f":4: time '1.7e12' {TOO_LATE}"],
            id="milliseconds",
        ),
        pytest.param(
            "t.csv",
            rows("1.7e9,1,car,0,0,90,4.5,1.8"),
            [":3: time 1.7e9: seconds from the start and seconds UTC are mixed, expected one"],
            id="relative and UTC mixed",
        ),
        pytest.param(
            "t.csv",
            rows("-1e11,1,car,0,0,90,4.5,1.8"),
            [":3: time '-1e11' lies years before the start, expected seconds from the start or UTC"],
            id="long before",
        ),
        pytest.param(
            "t.csv",
            rows(",,,,,,,"),
            [
                ":3: time '' is not a finite number of seconds",
                f":3: kind '' is not one of {KINDS}",
                ":3: x '' is not a finite number of metres",
                ":3: y '' is not a finite number of metres",
                ":3: length_m '' is not a finite number of metres",
                ":3: width_m '' is not a finite number of metres",
                ":3: track is empty, expected a name or a number",
            ],
            id="a row of nothing",
        ),
        pytest.param(
            "t.csv",
            rows('2,"1,car,0,0,90,4.5,1.8'),
            [":3: not a row of CSV: unexpected end of data"],
            id="a quote left open",
        ),
        pytest.param(
            "t.csv",
            rows("2,1,ca\0r,0,0,90,4.5,1.8"),
            [rf":3: kind 'ca\x00r' is not one of {KINDS}"],
            id="a zero byte",
        ),
        pytest.param(
            "t.csv",
            rows(
                "3,1,car,0,0,90,4.5,1.8",
                "2,2,tram,0,0,90,4.5,1.8",
                "4,1,car,nan,0,90,4.5,1.8",
                "4,3,car,0,0,90,4.5,1.8",
                "4,3,car,0,0,90,4.5,1.8",
            ),
            [
                f":4: kind 'tram' is not one of {KINDS}",
                ":4: time 2 comes before that of the row above, expected sorted rows",
                ":5: x 'nan' is not a finite number of metres",
                ":7: a second row for track '3' at time 4",
            ],
            id="one of each",
        ),
    ],
)
def test_a_bad_tracks_file(desk: Desk, name: str, content: Content, expected: list[str]) -> None:
    desk.put(**{name: content})
    answer = desk.judge(name, "signals.csv")
    assert same(answer, 2, [name + line for line in expected]), answer


WALK = "[[-7, -11], [7, -11], [7, -8], [-7, -8]]"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, [": cannot be read: No such file or directory"], id="none"),
        pytest.param(folder, [": cannot be read: Is a directory"], id="a folder"),
        pytest.param(
            SITE.replace(WALK, "[[-7, -11], [7, -8], [7, -11], [-7, -8]]"),
            [": crosswalks.ped0: polygon: its edges cross each other at [0, -9.5], expected its corners"],
            id="a crosswalk like a bow tie",
        ),
        pytest.param(
            SITE.replace(WALK, "[[-7, -11], [7, -11], [0, -11]]"),
            [": crosswalks.ped0: polygon: its edges cross each other at [0, -11], expected its corners"],
            id="a crosswalk of no width",
        ),
        pytest.param(
            SITE.replace("heading_deg = 90.0", "heading_deg = 0.0"),
            [": stop_lines.A: heading_deg 0 lies 0° from the line's own direction, expected about 90°"],
            id="a heading along the line",
        ),
        pytest.param(
            SITE.replace("-11", "nan").replace('id = "cross"', 'id = "UP"'),
            [
                ": site.id: String should match pattern '^[a-z0-9-]{1,40}$' (came: 'UP')",
                ": crosswalks.0.polygon.0.1: Input should be a finite number (came: nan)",
                ": crosswalks.0.polygon.1.1: Input should be a finite number (came: nan)",
            ],
            id="each mistake once",
        ),
    ],
)
def test_a_bad_site_file(desk: Desk, content: Content, expected: list[str]) -> None:
    (desk.folder / "site.toml").unlink()
    desk.put(site__toml=content)
    answer = desk.judge("tracks.csv", "signals.csv")
    assert same(answer, 2, ["site.toml" + line for line in expected]), answer


GOOD = event(1.0).encode().decode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(folder, ["e.jsonl: cannot be read: Is a directory"], id="a folder"),
        pytest.param(BYTES, [f"e.jsonl: {NO_TEXT}"], id="binary"),
        pytest.param(gzip.compress(GOOD.encode())[:-9], [f"e.jsonl: {CUT}{ENDED}"], id="gzip cut off"),
        pytest.param(
            json.dumps(json.loads(GOOD), indent=1),
            ["e.jsonl:1: an event over several lines, expected one event a line"],
            id="over lines",
        ),
        pytest.param(
            f"{GOOD}\n[1]\n{GOOD[:50]}\n"
            + GOOD.replace('"v":1', '"v":1,"v":1')
            + "\n"
            + GOOD.replace("0.01", "NaN")
            + "\n"
            + GOOD.replace("red_light_entry", "near_miss")
            + "\n",
            [
                "e.jsonl:2: [1] is not an event, expected an object",
                "e.jsonl:3: not JSON: Expecting value: line 1 column 51 (char 50)",
                "e.jsonl:4: not JSON: 'v' stands twice",
                "e.jsonl:5: time_sigma_s: Input should be a finite number (came: nan)",
                "e.jsonl:6: road_user2: missing, and a near miss has two road users",
            ],
            id="one of each",
        ),
    ],
)
def test_a_bad_file_of_events(desk: Desk, content: Content, expected: list[str]) -> None:
    desk.put(**{"e.jsonl": content, "truth.jsonl": GOOD})
    for first, second in (("e.jsonl", "truth.jsonl"), ("truth.jsonl", "e.jsonl")):
        answer = desk.say("evaluate", first, "--truth", second)
        assert same(answer, 2, expected), answer


@pytest.mark.parametrize("tolerance", ["inf", "1e300", "4000"])
def test_a_tolerance_that_matches_anything(desk: Desk, tolerance: str) -> None:
    desk.put(e__jsonl=GOOD)
    code, lines = desk.say("evaluate", "e.jsonl", "--truth", "e.jsonl", "--tolerance", tolerance)
    assert (code, len(lines)) == (2, 1) and "is not between 0 and 3600 seconds" in lines[0]


def test_events_are_never_written_over_an_input(desk: Desk) -> None:
    code, lines = desk.say("judge", "tracks.csv", "--site", "site.toml", "--out", "tracks.csv")
    assert (code, lines) == (
        2,
        ["tracks.csv: is one of the inputs, expected another file to write events to"],
    )
    assert (desk.folder / "tracks.csv").read_text() == TRACKS


@pytest.mark.parametrize("start", ["9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_start_out_of_all_time(desk: Desk, start: str) -> None:
    assert desk.judge("tracks.csv", "signals.csv", "--start", start) == (
        2,
        [f"--start: {start!r} lies outside the years 1970 to 2100"],
    )


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        pytest.param(
            {"s.csv": "time,signal_group,state\n1.7e9,A,red\n"},
            (),
            [f"warning: of A, B, P {SILENT}: do both count from the same instant (--start)?"],
            id="clocks apart",
        ),
        pytest.param({"s.csv": SIGNALS}, (), [f"warning: of B {SILENT}"], id="one group silent"),
        pytest.param(
            {
                "s.csv": SIGNALS.replace("0,A,green", "0,B,red\n0,A,green", 1),
                "t.csv": FAR,
            },
            (),
            [
                "warning: no track comes near the site's places: x 788 to 812, y -55 to 28; "
                "expected metres in the site's frame, x -60 to 60, y -60 to 60 (y north)"
            ],
            id="elsewhere",
        ),
    ],
)
def test_sound_files_that_say_little_together_are_judged_with_a_warning(
    desk: Desk, files: dict[str, Content], options: tuple[str, ...], expected: list[str]
) -> None:
    desk.put(**files)
    code, lines = desk.judge("t.csv" if "t.csv" in files else "tracks.csv", "s.csv", *options)
    assert (code, lines) == (0, expected)


def test_a_site_nobody_tells_the_signals_of(desk: Desk) -> None:
    code, lines = desk.say("judge", "tracks.csv", "--site", "site.toml", "--out", "out.jsonl")
    assert (code, lines) == (0, ["warning: no --signals: nothing is judged against A, B, P"])


def test_what_is_compressed_is_read_as_what_is_in_it(desk: Desk) -> None:
    desk.put(**{"t.dat": gzip.compress(TRACKS.encode()), "s.gz": gzip.compress(SIGNALS.encode())})
    code, _ = desk.judge("t.dat", "s.gz")
    packed = (desk.folder / "out.jsonl").read_bytes()
    assert (code, desk.judge("tracks.csv", "signals.csv")[0]) == (0, 0)
    assert packed == (desk.folder / "out.jsonl").read_bytes()


def test_months_between_two_rows_cost_neither_time_nor_memory(desk: Desk) -> None:
    early = TRACKS.splitlines()[1:]
    far = [f"{float(line.split(',')[0]) + 9e7:.3f},{line.split(',', 1)[1]}" for line in early]
    desk.put(t__csv=TRACKS + "\n".join(far) + "\n")
    assert desk.judge("t.csv", "signals.csv")[0] == 0
    again = [json.loads(line)["rule"] for line in (desk.folder / "out.jsonl").read_text().splitlines()]
    assert again.count("near_miss") == 2


# What a child tells of itself: getrusage would count the pages of the process that started it.
MEASURED = """
from pathlib import Path
from edge.cli import main
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.parametrize(("which", "length"), [("tracks", 2_000_000_000), ("signals", 300_000_000)])
def test_a_line_of_two_gigabytes(desk: Desk, which: str, length: int) -> None:
    """A sparse file: sound rows, then a line without end. Named, in the memory of an ordinary run."""
    sound = {
        "tracks": TRACKS,
        "signals": SIGNALS + "".join(f"{n},A,{'red' if n % 2 else 'green'}\n" for n in range(200, 700)),
    }
    path = desk.folder / f"{which}.csv"
    path.write_text(sound[which])
    size = path.stat().st_size
    os.truncate(path, size + length)
    command = [
        sys.executable, "-c", MEASURED, "judge", "tracks.csv", "--site", "site.toml",
        "--signals", "signals.csv", "--out", "out.jsonl",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=desk.folder, capture_output=True, text=True, timeout=120)
    said = ended.stderr.splitlines()
    longest = {"tracks": 2000, "signals": 10_000}[which]
    number = sound[which].count("\n") + 1
    assert said == [f"nearmiss: {which}.csv:{number}: a line of {length} bytes, expected at most {longest}"]
    assert ended.returncode == 2
    assert int(ended.stdout) < 400_000  # kB
    assert not (desk.folder / "out.jsonl").exists()
