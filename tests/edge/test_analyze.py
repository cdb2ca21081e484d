"""`nearmiss analyze`: whole results or none, every mistake at once, the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from broker.drawing import Clip, Plate
from broker.wire import LocalEvent
from edge import analyze, judge, opening
from edge.errors import InputError
from edge.results import Results, folder_problem
from tests.edge.streets import SITE, CarDetector, car_video, site_file

SIGNALS = "time,signal_group,state\n0,E,green\n3,E,red\n"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return car_video(tmp_path_factory.mktemp("recording") / "car.mp4")


@pytest.fixture(autouse=True)
def red_car(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "detector_of", lambda *_args, **_more: CarDetector())


def run(video: Path, out: Path, folder: Path, **more: object) -> int:
    (folder / "signals.csv").write_text(SIGNALS)
    options: dict[str, object] = {
        "site": site_file(folder),
        "signals": folder / "signals.csv",
        "model": "motion",
        "provider": None,
        "threads": None,
        "out": out,
        "start": None,
        "times": None,
        "clips": "scene",
    }
    return analyze.run(video, **(options | more))  # type: ignore[arg-type]  # options by name


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def events(out: Path) -> list[LocalEvent]:
    return [LocalEvent.decode(line) for line in (out / "events.jsonl").read_bytes().splitlines()]


def test_a_recording_becomes_events_tracks_counts_clips_and_a_report(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(recording, out, tmp_path, start="2026-11-20T08:15:00Z") == 0

    (event,) = events(out)
    assert (event.n, event.rule, event.outcome, event.place) == (1, "red_light_entry", "occurred", "E")
    assert (event.site, event.node, event.detector) == ("test-street", "analyze", "red-car")
    assert abs(event.time.timestamp() - 1795162505.0) < 0.1
    assert event.signal is not None and event.signal.source == "file"
    assert abs(event.measures["into_red_s"].value - 2.0) < 0.1

    clip = (out / "clips" / f"{event.clip}.json").read_bytes()
    assert hashlib.sha256(clip).hexdigest() == event.clip
    assert Clip.decode(clip).plate is None
    assert Plate.decode((out / "plate.json").read_bytes()).site == "test-street"

    with (out / "tracks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "time",
        "track",
        "kind",
        "x",
        "y",
        "heading_deg",
        "length_m",
        "width_m",
        "sigma_m",
    ]
    assert {(row["track"], row["kind"]) for row in rows} == {("1", "car")}
    assert [float(row["time"]) for row in rows] == sorted(float(row["time"]) for row in rows)
    assert float(rows[-1]["time"]) == pytest.approx(1795162505.9)

    assert (out / "counts.csv").read_text() == "start,place,kind,count\n1795162500.000,E,car,1\n"
    page = (out / "report.html").read_text()
    assert "red-car" in page and "60 frames" in page
    assert sorted(path.name for path in out.iterdir()) == [
        "clips",
        "counts.csv",
        "events.jsonl",
        "plate.json",
        "report.html",
        "tracks.csv",
    ]


def test_where_the_ground_plane_is_too_uncertain_nothing_metric_is_told(
    recording: Path, tmp_path: Path
) -> None:
    strict = tmp_path / "strict"
    strict.mkdir()
    site = site_file(strict, SITE + "[thresholds]\nmax_position_sigma_m = 0.01\n")
    assert run(recording, tmp_path / "out", tmp_path, site=site) == 0
    (event,) = events(tmp_path / "out")
    assert (event.rule, event.outcome) == ("red_light_entry", "undecidable")
    assert set(event.measures) == {"into_red_s"}


def test_judging_its_tracks_finds_the_same(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(recording, out, tmp_path, start="2026-11-20T08:15:00Z")
    judge.run(
        out / "tracks.csv",
        site=site_file(tmp_path),
        signals=tmp_path / "signals.csv",
        out=tmp_path / "judged.jsonl",
        start="2026-11-20T08:15:00Z",
    )
    (seen,) = events(out)
    (judged,) = (LocalEvent.decode(line) for line in (tmp_path / "judged.jsonl").read_bytes().splitlines())
    assert (judged.rule, judged.outcome, judged.place) == (seen.rule, seen.outcome, seen.place)
    assert abs(judged.time - seen.time) < timedelta(milliseconds=5)


def test_the_same_recording_gives_the_same_bytes(recording: Path, tmp_path: Path) -> None:
    run(recording, tmp_path / "one", tmp_path)
    run(recording, tmp_path / "two", tmp_path)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_results_of_an_earlier_run_give_way(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(recording, out, tmp_path)
    (out / "notes.txt").write_text("mine")
    old = out / "clips" / f"{'0' * 64}.json"
    old.write_text("{}")
    (out / ".unfinished-4194303").mkdir()
    run(recording, out, tmp_path)
    assert (out / "notes.txt").read_text() == "mine"
    assert not old.exists() and not (out / ".unfinished-4194303").exists()
    assert [path.stem for path in (out / "clips").iterdir()] == [event.clip for event in events(out)]


def test_without_clips_there_is_no_plate(recording: Path, tmp_path: Path) -> None:
    run(recording, tmp_path / "out", tmp_path, clips="none")
    (event,) = events(tmp_path / "out")
    assert event.clip is None or not (tmp_path / "out" / "clips" / f"{event.clip}.json").exists()
    assert not (tmp_path / "out" / "plate.json").exists()


def test_every_mistake_of_every_input_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(SITE.replace('id = "test-street"', 'id = "Test Street"'))
    with pytest.raises(InputError) as caught:
        run(
            tmp_path / "none.mp4",
            tmp_path / "out",
            tmp_path,
            site=tmp_path / "bad.toml",
            start="yesterday",
            clips="blurred",
            times=tmp_path / "none.log",
        )
    told = "\n".join(caught.value.problems)
    for part in (
        "none.mp4: cannot be read",
        "--start: 'yesterday'",
        "--clips: 'blurred'",
        "none.log",
        "bad.toml: site.id",
    ):
        assert part in told
    assert len(caught.value.problems) == 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(SITE[: SITE.index("[ground_plane]")], "ground_plane: missing", id="no ground plane"),
        pytest.param(SITE.replace("[400, 200]", "[800, 400]"), "image_size: 800×400", id="other image size"),
        pytest.param(
            re.sub(r"px = \[(\d+), \d+\]", r"px = [\1, 9]", SITE),
            "ground_plane: the point pairs lie too nearly on one line",
            id="points on a line",
        ),
    ],
)
def test_a_ground_plane_that_does_not_fit_is_told(
    recording: Path, tmp_path: Path, text: str, expected: str
) -> None:
    site = tmp_path / "other.toml"
    site.write_text(text)
    with pytest.raises(InputError, match=expected):
        run(recording, tmp_path / "out", tmp_path, site=site)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in (folder_problem(tmp_path / "file") or "")
    assert "does not allow it" in (folder_problem(tmp_path / "file" / "below") or "")
    assert folder_problem(tmp_path / "new" / "newer") is None


def test_a_start_needs_its_zone() -> None:
    assert opening.start_of("2026-11-20T08:15:00Z") == 1795162500.0
    with pytest.raises(InputError, match="lacks its zone"):
        opening.start_of("2026-11-20T08:15:00")


def test_a_truncated_recording_is_judged_as_far_as_it_goes(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = recording.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    assert run(tmp_path / "cut.mp4", tmp_path / "out", tmp_path) == 0
    told = capsys.readouterr().err
    assert "the file ends after" in told and "of its 60 frames" in told
    assert "of its 60 frames" in (tmp_path / "out" / "report.html").read_text()


def test_signals_of_another_day_are_noticed(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "late.csv").write_text("time,signal_group,state\n100,E,red\n")
    assert run(recording, tmp_path / "out", tmp_path, signals=tmp_path / "late.csv") == 0
    assert "The signals say nothing about E, ped during the recording" in capsys.readouterr().err


def test_a_point_that_does_not_fit_the_others_is_told(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "\n".join(f"  {{ px = [{10 * x}, {10 * y}], m = [{x}, {20 - y}] }}," for x, y in ((5, 3), (30, 9)))
    text = SITE.replace("points = [", f"points = [\n{more}\n  {{ px = [300, 50], m = [30, 5] }},")
    (tmp_path / "typo.toml").write_text(text)
    run(recording, tmp_path / "out", tmp_path, site=tmp_path / "typo.toml")
    assert "Point 3 of the ground plane lies 100 px from" in capsys.readouterr().err


def test_what_ends_badly_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Results(tmp_path / "out"):
        raise RuntimeError("on the way")
    assert not (tmp_path / "out").exists()


# In a process of its own, slow enough to be stopped on the way.
SLOW = """
import sys, time
from pathlib import Path
from edge import analyze, judge, opening
from tests.edge.streets import CarDetector

class Slow(CarDetector):
    def detect(self, image):
        time.sleep(0.1)
        return super().detect(image)

opening.detector_of = lambda *_args, **_more: Slow()
video, site, out = map(Path, sys.argv[1:])
sys.exit(analyze.run(video, site=site, signals=None, model="motion", provider=None, threads=None, out=out,
                     start=None, times=None, clips="scene"))
"""


def stopped_by(number: signal.Signals, video: Path, folder: Path) -> tuple[int, str]:
    out = folder / "out"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(video), str(site_file(folder)), str(out)],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob(".unfinished-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        return process.returncode, told


def test_ctrl_c_leaves_whole_files_and_says_how_far_it_came(recording: Path, tmp_path: Path) -> None:
    code, told = stopped_by(signal.SIGINT, recording, tmp_path)
    assert code == 130
    assert "Stopped by hand after" in told
    out = tmp_path / "out"
    assert not list(out.glob(".unfinished-*"))
    assert (out / "tracks.csv").read_bytes().endswith(b"\n")
    assert "Stopped by hand" in (out / "report.html").read_text()
    assert events(out) == []


def test_kill_leaves_no_half_file_and_earlier_results_as_they_were(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(recording, out, tmp_path)
    before = files(out)
    code, _ = stopped_by(signal.SIGKILL, recording, tmp_path)
    assert code == -signal.SIGKILL
    assert {name: content for name, content in files(out).items() if ".unfinished" not in name} == before


def test_the_command_line_exits_2_with_a_line_per_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "edge", "analyze", "empty.mp4", "--site", "none.toml", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "nearmiss: empty.mp4: is empty, expected a recording",
        "nearmiss: none.toml: cannot be read: No such file or directory",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.data
@pytest.mark.slow
def test_the_strudl_clip_with_its_log_and_motion(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    site = Path(__file__).resolve().parents[2] / "examples" / "strudl" / "site.toml"
    shutil.copy(data / "video" / "strudl_vid0.mp4", tmp_path / "street.mp4")
    for name in ("one", "two"):
        assert (
            run(
                tmp_path / "street.mp4",
                tmp_path / name,
                tmp_path,
                site=site,
                signals=None,
                times=data / "video" / "strudl_vid0.log",
            )
            == 0
        )
    assert files(tmp_path / "one") == files(tmp_path / "two")
    plate = json.loads((tmp_path / "one" / "plate.json").read_bytes())
    assert plate["background"] is None, "four seconds are too few for a plate"
