"""A study gives the same bytes whoever does the work, goes on where it ended, and leaves bad files out."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from edge import study
from edge.errors import InputError
from edge.study.timeline import Cut
from edge.study.when import rate
from tests.conftest import ROOT
from tests.edge.streets import car_image, site_file

CUT = Cut(stretch_s=10, warm_up_s=8, tail_s=5, margin_s=3)
SIGNALS = "time,signal_group,state\n1795162400,E,green\n1795162490,E,red\n"
FRAMES = 160
START = 1_795_162_491.0  # 2026-11-20T08:14:51Z: nine seconds to the quarter of an hour


def cars(path: Path, *, first: int, count: int) -> Path:
    """Write frames of a street on which a car drives east every five seconds, 10 frames a second."""
    noise = np.random.default_rng(5).integers(0, 6, (200, 400, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 400, 200, "yuv420p", 10
        stream.options = {"bf": "0", "preset": "ultrafast", "crf": "12"}
        for index in range(first, first + count):
            image = car_image(index % 50, step_px=10) + noise
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two recordings that follow each other, one that is none, and their site."""
    folder = tmp_path_factory.mktemp("street")
    cars(folder / "cam_2026-11-20_08-14-51.mp4", first=0, count=FRAMES)
    cars(folder / "cam_2026-11-20_08-15-07.mp4", first=FRAMES, count=FRAMES)
    (folder / "cam_2026-11-20_08-16-00.mp4").write_bytes(b"not a video" * 100)
    (folder / "signals.csv").write_text(SIGNALS)
    site_file(folder)
    return folder


def run(street: Path, out: Path, **more: Any) -> int:
    options: dict[str, Any] = {
        "site": street / "site.toml",
        "signals": street / "signals.csv",
        "model": "motion",
        "provider": None,
        "threads": 1,
        "clips": "schematic",
        "out": out,
        "start_pattern": "cam_%Y-%m-%d_%H-%M-%S",
        "segment_min": 1 / 6,
        "engine": "local",
        "workers": 2,
        "address": None,
        "cut": CUT,
    }
    return study.run(sorted(street.glob("*.mp4")), **(options | more))


def results(out: Path) -> dict[str, bytes]:
    """Return every file of the results: what lies beside the ledger and the stretches."""
    found = (path for path in sorted(out.rglob("*")) if path.is_file())
    names = {str(path.relative_to(out)): path for path in found}
    return {
        name: path.read_bytes() for name, path in names.items() if not name.startswith(("ledger", "parts/"))
    }


@pytest.fixture(scope="module")
def studied(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("studied") / "out"
    assert run(street, out) == 1  # one file is no recording
    return out


def test_events_lie_in_their_files_and_are_told_once(studied: Path) -> None:
    import duckdb

    found = duckdb.sql(
        "SELECT n, recording, rule, outcome, into_red_s"
        f" FROM read_parquet('{studied / 'events.parquet'}') ORDER BY n"
    ).fetchall()
    assert [n for n, *_ in found] == list(range(1, len(found) + 1))
    red = [row for row in found if row[2] == "red_light_entry"]
    # A car is over the line every five seconds, from 2.45 s on; the first ones the detector has not learnt.
    assert len(red) >= 5
    told = [row for row in red if row[3] == "occurred"]
    assert len(told) >= 3
    assert all(later[4] - earlier[4] > 4 for earlier, later in pairwise(told))
    for _, recording, _, _, into_red_s in told:
        assert recording.endswith("08-15-07.mp4" if into_red_s >= 17 else "08-14-51.mp4")


def test_a_track_goes_on_over_borders_and_files(studied: Path) -> None:
    import duckdb

    longest = duckdb.sql(
        "SELECT max(n) FROM (SELECT count(*) AS n"
        f" FROM read_parquet('{studied}/tracks/*.parquet') GROUP BY track)"
    ).fetchall()
    doubled = duckdb.sql(
        f"SELECT count(*) FROM (SELECT 1 FROM read_parquet('{studied}/tracks/*.parquet') GROUP BY time, track"
        " HAVING count(*) > 1)"
    ).fetchall()
    assert doubled == [(0,)]
    assert 30 <= longest[0][0] <= 50


def test_a_file_that_is_no_recording_is_told_and_the_rest_finished(
    studied: Path, street: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = (studied / "report.html").read_text()
    assert "cam_2026-11-20_08-16-00.mp4: not a recording that can be read" in report
    with sqlite3.connect(studied / "ledger.db") as ledger:
        states = ledger.execute("SELECT state, attempts, problem FROM segments").fetchall()
        files = ledger.execute("SELECT path, problem FROM files WHERE problem IS NOT NULL").fetchall()
    assert states == [("done", 1, None)] * 4
    assert [Path(path).name for path, _ in files] == ["cam_2026-11-20_08-16-00.mp4"]


def test_the_same_bytes_whatever_the_segments_and_workers(
    studied: Path, street: Path, tmp_path: Path
) -> None:
    assert run(street, tmp_path / "out", segment_min=5.0, workers=1) == 1
    assert results(tmp_path / "out") == results(studied)


def test_what_is_done_is_not_done_again(street: Path, studied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(studied)
    monkeypatch.setattr(study, "ended", lambda *_: pytest.fail("a segment was judged again"))
    monkeypatch.setattr("edge.study.inputs.read", lambda *_: pytest.fail("a file was read again"))
    assert run(street, studied) == 1
    assert results(studied) == before


@pytest.mark.slow
def test_the_same_bytes_on_ray_which_listens_on_loopback_alone(
    studied: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="the extra [batch] is not installed")
    script = tmp_path / "study.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tests.edge.study import test_study as t\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(t.run(Path(sys.argv[1]), Path(sys.argv[2]), engine='ray', segment_min=5.0))\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(street), str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    listening: set[str] = set()
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        listening |= _listening(process.pid)
        time.sleep(0.5)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1, said.decode()
    assert results(tmp_path / "out") == results(studied)
    assert listening, "Ray was never seen to listen"
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _listening(pid: int) -> set[str]:
    """Return the addresses on which a process and its children listen."""
    try:
        pids = {pid} | {child.pid for child in psutil.Process(pid).children(recursive=True)}
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return set()
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN and each.pid in pids}


@pytest.mark.slow
def test_kill_9_in_the_middle_and_the_same_command_again(street: Path, studied: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "study.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tests.edge.study import test_study as t\n"
        "sys.exit(t.run(Path(sys.argv[1]), Path(sys.argv[2]), workers=1))\n"
    )
    command = [sys.executable, str(script), str(street), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((out / "parts").glob("[0-9a-f]*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in (out / "parts").glob("[0-9a-f]*")}
    assert 1 <= len(done) < 4
    assert (
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 1
    )
    assert results(out) == results(studied)
    assert {name: (out / "parts" / name).stat().st_mtime_ns for name in done} == done


def test_a_worker_that_dies_is_tried_three_times_and_then_told(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.study import engines
    from edge.study.engines import Done

    monkeypatch.setattr(
        engines,
        "worker",
        lambda key, _text, **_more: Done(key, "the worker ended unexpectedly", crashed=True),
    )
    assert run(street, tmp_path / "out") == 1
    assert "the worker ended unexpectedly" in capsys.readouterr().err
    with sqlite3.connect(tmp_path / "out" / "ledger.db") as ledger:
        assert ledger.execute("SELECT DISTINCT state, attempts FROM segments").fetchall() == [("failed", 3)]


def test_every_mistake_at_once_and_nothing_written(street: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "files.csv"
    manifest.write_text("video,start\nnone.mp4,2026-11-20T08:00:00Z\nsite.toml,yesterday\n")
    with pytest.raises(InputError) as error:
        run(street, tmp_path / "out", site=tmp_path / "no.toml", engine="spark", clips="scene", model="eyes")
    said = "\n".join(error.value.problems)
    for part in ("no.toml: cannot be read", "--engine: 'spark'", "--clips: 'scene'", "'eyes'"):
        assert part in said
    with pytest.raises(InputError) as error:
        study.run(
            [manifest],
            site=street / "site.toml",
            signals=None,
            model="motion",
            provider=None,
            threads=1,
            clips="none",
            out=tmp_path / "out",
            start_pattern=None,
            segment_min=60,
            engine="local",
            workers=1,
            address=None,
        )
    assert error.value.problems == (
        f"{manifest}:2: {tmp_path / 'none.mp4'}: no such file",
        f"{manifest}:3: start: 'yesterday' is no RFC 3339 time such as 2026-11-20T08:15:00Z",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.391)],
)
def test_the_exact_interval_of_a_rate(count: int, low: float, high: float) -> None:
    """Garwood's table for a 95 % interval."""
    found = rate(count, 1.0)
    assert found is not None
    assert found[0] == count
    assert found[1] == pytest.approx(low, abs=2e-3)
    assert found[2] == pytest.approx(high, abs=2e-3)
    assert rate(count, 0.0) is None
