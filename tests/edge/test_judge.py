"""`nearmiss judge`: a tracks file in, events out, and every mistake in a bad file by name."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.wire import LocalEvent
from edge.errors import InputError
from edge.judge import run
from edge.rules.finding import Finding
from edge.signals.lines import Problems
from edge.tracks import LONGEST_ROW, TracksFile
from tests.scenes import Movement, cross_site, drive, judged, red_at, scenes, walk

HEADER = "time,track,kind,x,y,heading_deg,length_m,width_m"
SITE_TOML = """
[site]
id = "cross"
[[stop_lines]]
id = "A"
signal_group = "A"
line = [[0.0, -13.0], [7.0, -13.0]]
heading_deg = 90.0
[[stop_lines]]
id = "B"
signal_group = "B"
line = [[-13.0, -7.0], [-13.0, 0.0]]
heading_deg = 0.0
[[crosswalks]]
id = "ped0"
signal_group = "P"
polygon = [[-7, -11], [7, -11], [7, -8], [-7, -8]]
[[roadways]]
polygon = [[-60, -7], [60, -7], [60, 7], [-60, 7]]
[[roadways]]
polygon = [[-7, -60], [7, -60], [7, 60], [-7, 60]]
"""
SIGNALS = "time,signal_group,state\n0,A,green\n0,P,red\n97,A,amber\n100,A,red\n130,A,green\n"
STREET = (
    drive(at=(3.5, -13), time=101.25, heading_deg=90),
    walk((95, -12, -9.5), (110, 12, -9.5)),
    drive(at=(3.5, -9.5), time=106.2, heading_deg=90),
)


class Folder:
    """The files of one call."""

    def __init__(self, root: Path) -> None:
        self.site, self.signals = root / "site.toml", root / "signals.csv"
        self.tracks, self.out = root / "tracks.csv", root / "events.jsonl"
        self.site.write_text(SITE_TOML)
        self.signals.write_text(SIGNALS)

    def judge(self, *, start: str | None = None, signals: bool = True) -> list[LocalEvent]:
        code = run(
            self.tracks,
            site=self.site,
            signals=self.signals if signals else None,
            out=self.out,
            start=start,
        )
        assert code == 0
        return [LocalEvent.decode(line) for line in self.out.read_bytes().splitlines()]

    def problems(self) -> list[str]:
        with pytest.raises(InputError) as error:
            self.judge()
        return [
            line.replace(f"{self.tracks}", "tracks").replace(f"{self.site}", "site")
            for line in error.value.problems
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def table(
    movements: tuple[Movement, ...] = STREET, *, offset: float = 0.0, sigma_m: float | None = None
) -> str:
    error = "" if sigma_m is None else f",{sigma_m}"
    rows = [HEADER + (",sigma_m" if error else "")]
    for scene in scenes(movements, red_at(100.0)):
        for user in scene.users:
            rows.append(
                f"{scene.time + offset:.3f},{user.track},{user.kind},{user.x:.4f},{user.y:.4f},"
                f"{user.heading_deg:.2f},{user.length_m},{user.width_m}{error}"
            )
    return "\n".join(rows) + "\n"


def summary(events: list[LocalEvent]) -> list[tuple[str, str, float]]:
    return [(event.rule, event.place, round(event.time.timestamp() % 1e8, 2)) for event in events]


EXPECTED = [
    ("pedestrian_against_signal", "ped0", 98.12),
    ("red_light_entry", "A", 101.25),
    ("red_light_entry", "A", 105.85),
    ("near_miss", "ped0", 106.17),
]


def test_a_street_becomes_events(folder: Folder) -> None:
    folder.tracks.write_text(table())
    events = folder.judge()
    assert [each for each in summary(events) if each[0] != "failure_to_yield"] == EXPECTED
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    miss = next(event for event in events if event.rule == "near_miss")
    entry = next(event for event in events if event.n == miss.caused_by)
    assert (entry.rule, round(entry.time.timestamp(), 2)) == ("red_light_entry", 105.85)


METRIC = {"speed_mps", "pet_s", "ttc_s", "drac_mps2", "conflict_speed_mps", "outside_m", "gap_s"}


def test_where_places_are_too_uncertain_there_is_no_speed_no_pet_and_no_verdict(folder: Folder) -> None:
    folder.tracks.write_text(table(sigma_m=0.51))
    events = folder.judge()
    assert {"red_light_entry", "near_miss", "pedestrian_against_signal"} <= {each.rule for each in events}
    assert {event.outcome for event in events} == {"undecidable"}
    assert not METRIC & {name for event in events for name in event.measures}
    # Times are no metres: into red the entry still tells, with an error that says how well.
    entry = next(event for event in events if event.rule == "red_light_entry")
    assert set(entry.measures) == {"into_red_s"} and entry.measures["into_red_s"].sigma > 0.02


def test_the_limit_is_the_sites_own(folder: Folder) -> None:
    folder.tracks.write_text(table(sigma_m=0.51))
    folder.site.write_text(SITE_TOML + "[thresholds]\nmax_position_sigma_m = 0.6\n")
    events = folder.judge()
    assert "occurred" in {event.outcome for event in events}
    assert METRIC & {name for event in events for name in event.measures}


def test_within_the_default_limit_speeds_are_told(folder: Folder) -> None:
    folder.tracks.write_text(table(sigma_m=0.05))
    assert {"speed_mps", "pet_s", "conflict_speed_mps"} <= {
        name for event in folder.judge() for name in event.measures
    }


def test_the_same_tracks_give_the_same_bytes(folder: Folder) -> None:
    folder.tracks.write_text(table())
    folder.judge()
    first = folder.out.read_bytes()
    folder.judge()
    assert folder.out.read_bytes() == first


def test_judge_and_a_live_engine_agree(folder: Folder) -> None:
    """The file is judged in large beats, a street in small ones."""
    folder.tracks.write_text(table())
    live: list[Finding] = judged(cross_site(), scenes(STREET, _signals()), beat_s=0.5)
    found = folder.judge()
    assert [(each.rule, each.place) for each in live] == [(each.rule, each.place) for each in found]
    # An event's time is that of a finding to a millisecond.
    times = [event.time.timestamp() % 1e8 for event in found]
    assert [each.time for each in live] == pytest.approx(times, abs=0.001)


def _signals():  # type: ignore[no-untyped-def]  # a ListSignals
    from tests.scenes import ListSignals

    return ListSignals(
        {"A": [(0.0, "green"), (97.0, "amber"), (100.0, "red"), (130.0, "green")], "P": [(0.0, "red")]}
    )


def test_gzip_reads_the_same(folder: Folder) -> None:
    folder.tracks.write_text(table())
    plain = summary(folder.judge())
    folder.tracks = folder.tracks.with_name("tracks.csv.gz")
    folder.tracks.write_bytes(gzip.compress(table().encode()))
    assert summary(folder.judge()) == plain


def test_start_gives_relative_times_their_date(folder: Folder) -> None:
    folder.tracks.write_text(table())
    events = folder.judge(start="2026-11-20T08:00:00Z")
    assert events[0].time.isoformat(timespec="milliseconds") == "2026-11-20T08:01:38.125+00:00"
    assert events[0].signal is not None
    assert events[0].signal.since is not None
    assert events[0].signal.since.isoformat() == "2026-11-20T08:00:00+00:00"


def test_times_in_utc_need_no_start(folder: Folder) -> None:
    folder.tracks.write_text(table(offset=1.7e9))
    folder.signals.write_text(
        "time,signal_group,state\n" + "".join(f"{1.7e9 + t},{rest}\n" for t, rest in
        ((0, "A,green"), (0, "P,red"), (97, "A,amber"), (100, "A,red"), (130, "A,green")))
    )  # fmt: skip
    assert [each for each in summary(folder.judge()) if each[0] != "failure_to_yield"] == EXPECTED


def test_without_signals_no_signal_is_judged(folder: Folder) -> None:
    folder.tracks.write_text(table())
    assert {event.rule for event in folder.judge(signals=False)} <= {"near_miss", "failure_to_yield"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text.rstrip("\n"), id="no line end at the end"),
        pytest.param(lambda text: text.replace("\n", "\n\n"), id="blank lines"),
        pytest.param(lambda text: text.replace(",1,car", ",veh_a.1,car"), id="tracks by name"),
        pytest.param(lambda text: text.replace(",90.00,", ",,"), id="headings left empty"),
        pytest.param(lambda text: text.replace(",90.00,", ",nan,"), id="headings not known"),
        pytest.param(
            lambda text: "\n".join(
                line + (",sigma_m" if line.startswith("time") else ",0.02") for line in text.splitlines()
            ),
            id="with sigma",
        ),
        pytest.param(
            lambda text: "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines()),
            id="columns in another order",
        ),
    ],
)
def test_other_hands_write_it_otherwise(folder: Folder, change: Callable[[str], str]) -> None:
    folder.tracks.write_text(change(table()))
    found = [each for each in summary(folder.judge()) if each[0] != "failure_to_yield"]
    assert [each[:2] for each in found] == [each[:2] for each in EXPECTED]
    assert [each[2] for each in found] == pytest.approx([each[2] for each in EXPECTED], abs=0.02)


def test_a_header_alone_is_an_empty_street(folder: Folder) -> None:
    folder.tracks.write_text(HEADER + "\n")
    assert folder.judge() == []


ROW = "1.0,1,car,0.0,0.0,90,4.5,1.8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "tracks: the file is empty, expected the columns", id="empty file"),
        pytest.param("time,track,kind,x\n", "tracks:1: column 'y' is missing", id="missing column"),
        pytest.param(f"{HEADER},colour\n", "tracks:1: column 'colour' is not known", id="unknown column"),
        pytest.param(f"{HEADER},x\n", "tracks:1: column 'x' stands twice", id="column twice"),
        pytest.param("0.5,1,car,0,0,90,4.5,1.8", "tracks:3: time 0.5 comes before", id="unsorted"),
        pytest.param("2,1,tram,0,0,90,4.5,1.8", "tracks:3: kind 'tram' is not one of pedestrian", id="kind"),
        pytest.param("2,1,car,nan,0,90,4.5,1.8", "tracks:3: x 'nan' is not a finite number", id="NaN"),
        pytest.param("2,1,car,0,inf,90,4.5,1.8", "tracks:3: y 'inf' is not a finite number", id="infinite"),
        pytest.param("2,1,car,0,0,inf,4.5,1.8", "tracks:3: heading_deg 'inf'", id="infinite heading"),
        pytest.param("nan,1,car,0,0,90,4.5,1.8", "tracks:3: time 'nan' is not a finite", id="NaN time"),
        pytest.param("2,1,car,0,0,90,-4.5,1.8", "tracks:3: length_m -4.5 is not between 0", id="length"),
        pytest.param("2,1,car,x,0,90,4.5,1.8", "tracks:3: x 'x' is not a finite number", id="text"),
        pytest.param("2,1,car,1_0,0,90,4.5,1.8", "tracks:3: x '1_0' is not a finite number", id="1_0"),
        pytest.param("2,1,car,9e9,0,90,4.5,1.8", "tracks:3: x 9e9 is not between", id="far away"),
        pytest.param("2,,car,0,0,90,4.5,1.8", "tracks:3: track is empty", id="no track"),
        pytest.param("2,1,car,0,0", "tracks:3: 5 values, expected 8", id="short row"),
        pytest.param(ROW, "tracks:3: a second row for track '1' at time 1.0", id="twice"),
        pytest.param(f"{HEADER},sigma_m\n{ROW},-1\n", "tracks:2: sigma_m -1 is not", id="negative sigma"),
    ],
)
def test_a_mistake_is_named_and_nothing_written(folder: Folder, text: str, expected: str) -> None:
    """The text is a whole file, or one row after a sound one."""
    folder.tracks.write_text(text if "\n" in text or not text else f"{HEADER}\n{ROW}\n{text}\n")
    folder.out.write_text("what was there before")
    problems = folder.problems()
    assert any(problem.startswith(expected) for problem in problems), problems
    assert folder.out.read_text() == "what was there before"
    assert [path.name for path in folder.out.parent.glob(".*")] == []


def test_every_mistake_in_every_file_at_once(folder: Folder) -> None:
    folder.tracks.write_text(f"{HEADER}\n1,1,tram,0,0,90,4,2\n2,1,car,nan,0,90,4,2\n1,1,car,0,0,90,4,2\n")
    folder.signals.write_text("time,signal_group,state\n0,Z,green\n")
    problems = folder.problems()
    assert len(problems) == 4
    assert any("'Z' is not one of the site's: A, B, P" in problem for problem in problems)
    folder.site.write_text("[site]\nid = 'UPPER'\n")
    assert any(problem.startswith("site: site.id") for problem in folder.problems())


def test_many_mistakes_are_counted_not_listed(folder: Folder) -> None:
    folder.tracks.write_text(HEADER + "\n" + "1,1,tram,0,0,90,4,2\n" * 5000)
    problems = folder.problems()
    assert len(problems) == 101
    assert problems[-1].endswith("4900 more mistakes")


def test_bytes_that_are_no_text(folder: Folder) -> None:
    folder.tracks.write_bytes(f"{HEADER}\n{ROW}\n".encode() + b"2.0,1,car,0\xff,0,90,4.5,1.8\n")
    assert folder.problems() == ["tracks:3: byte 12 is not UTF-8"]


def test_a_damaged_gzip_file(folder: Folder) -> None:
    folder.tracks = folder.tracks.with_name("tracks.csv.gz")
    folder.tracks.write_bytes(gzip.compress(table().encode())[:-200])
    (problem,) = folder.problems()
    assert "damaged or cut off" in problem
    folder.tracks.write_bytes(b"not gzip at all")
    assert "damaged or cut off" in folder.problems()[0]


def test_a_missing_file(folder: Folder) -> None:
    assert folder.problems() == ["tracks: cannot be read: No such file or directory"]


def test_a_start_without_a_zone(folder: Folder) -> None:
    folder.tracks.write_text(table())
    with pytest.raises(InputError, match="lacks its zone"):
        folder.judge(start="2026-11-20T08:00:00")


def test_an_endless_line_is_never_held_in_memory(folder: Folder) -> None:
    """300 MB of one line, packed: named with its length, while less than a tenth of it is in memory."""
    import tracemalloc

    folder.tracks = folder.tracks.with_name("tracks.csv.gz")
    with gzip.open(folder.tracks, "wb", compresslevel=1) as file:
        file.write(f"{HEADER}\n{ROW}\n".encode())
        for _ in range(300):
            file.write(b"9" * 1_000_000)
        file.write(b"\n2.0,1,tram,0.0,0.0,90,4.5,1.8\n")
    mistakes = Problems(folder.tracks)
    tracemalloc.start()
    for _ in TracksFile(folder.tracks, mistakes, start_time=0.0):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000
    with pytest.raises(InputError) as error:
        mistakes.raise_if_any()
    assert [problem.split(":", 1)[1] for problem in error.value.problems] == [
        f"3: a line of 300000000 bytes, expected at most {LONGEST_ROW}",
        "4: kind 'tram' is not one of pedestrian, bicycle, motorcycle, car, bus, truck",
    ]


def test_an_instant_is_never_split_over_blocks(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.tracks.write_text(table())
    whole = summary(folder.judge())
    monkeypatch.setattr("edge.tracks.BLOCK_BYTES", 777)
    assert summary(folder.judge()) == whole


def test_events_are_json_with_the_fields_of_the_contract(folder: Folder) -> None:
    folder.tracks.write_text(table())
    folder.judge()
    record = json.loads(folder.out.read_text().splitlines()[1])
    assert list(record) == [
        "v", "n", "site", "node", "rule", "outcome", "time", "time_sigma_s", "place", "road_user", "signal",
        "measures", "clip", "detector", "software",
    ]  # fmt: skip
    assert record["time"].endswith("Z")
