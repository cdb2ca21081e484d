"""A log of capture times is read in three formats, and every mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import InputError
from edge.sources.file import open_video
from edge.sources.timelog import read_times
from tests.edge.videos import write_video


def log(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "times.log"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("lines", "times"),
    [
        pytest.param(
            ("00000 2013 06 06 17:04:39.840", "00001 2013 06 06 17:04:39.900"),
            [1370538279.84, 1370538279.9],
            id="numbered",
        ),
        pytest.param(
            ("# camera 3", "", "2026-11-20T08:15:02.350Z", "2026-11-20T09:15:02.400+01:00"),
            [1795162502.35, 1795162502.4],
            id="RFC 3339",
        ),
        pytest.param(("0.0", "0.04", "1e-1"), [0.0, 0.04, 0.1], id="seconds from the start"),
        pytest.param(("1370538279.84", "1370538280"), [1370538279.84, 1370538280.0], id="seconds UTC"),
    ],
)
def test_formats(tmp_path: Path, lines: tuple[str, ...], times: list[float]) -> None:
    assert read_times(log(tmp_path, *lines), start_time=None).times.tolist() == times


def test_start_moves_relative_times_and_sets_absolute_ones(tmp_path: Path) -> None:
    relative = read_times(log(tmp_path, "2.0", "2.5"), start_time=1e9)
    assert relative.times.tolist() == [1e9 + 2.0, 1e9 + 2.5]
    absolute = read_times(
        log(tmp_path, "00000 2013 06 06 17:04:39.8", "00001 2013 06 06 17:04:40.3"), start_time=1e9
    )
    assert absolute.times.tolist() == pytest.approx([1e9, 1e9 + 0.5])


def test_error_is_the_logs_resolution(tmp_path: Path) -> None:
    coarse = read_times(log(tmp_path, "1.00", "1.04", "1.10"), start_time=None)
    assert coarse.sigma_s == pytest.approx(0.02 / 12**0.5)
    fine = read_times(log(tmp_path, "1.000001", "1.04", "1.10"), start_time=None)
    assert fine.sigma_s == pytest.approx(0.001 / 12**0.5)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    path = log(tmp_path, "0.0", "noon", "0.04", "0.04", "nan", "2026-11-20T08:15:02Z", "1370538279.84", "0.2")
    with pytest.raises(InputError) as caught:
        read_times(path, start_time=None)
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "line 2",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
    ]


def test_numbers_must_count_up(tmp_path: Path) -> None:
    path = log(tmp_path, "00000 2013 06 06 17:04:39.840", "00002 2013 06 06 17:04:39.900")
    with pytest.raises(InputError, match="line 2: frame number 2, expected 1"):
        read_times(path, start_time=None)


def test_a_thousand_mistakes_are_not_a_thousand_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_times(log(tmp_path, *["x"] * 1000), start_time=None)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].endswith("and 980 more lines")


def test_an_endless_line_is_one_mistake(tmp_path: Path) -> None:
    path = tmp_path / "times.log"
    path.write_bytes(b"0" * 3_000_000 + b"\n0.04\n")
    with pytest.raises(InputError) as caught:
        read_times(path, start_time=None)
    assert len(caught.value.problems) == 1
    assert "line 1: longer than 200 characters" in caught.value.problems[0]


def test_empty_and_missing_logs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no time"):
        read_times(log(tmp_path, "# nothing"), start_time=None)
    with pytest.raises(InputError, match="No such file"):
        read_times(tmp_path / "none.log", start_time=None)


def test_log_that_does_not_fit_the_recording_is_refused(tmp_path: Path) -> None:
    path = log(tmp_path, *(f"{index / 10}" for index in range(29)))
    with pytest.raises(InputError, match="29 times for the 30 frames"):
        open_video(write_video(tmp_path / "a.mp4"), times=path)


def test_where_the_file_does_not_count_its_frames_the_misfit_is_a_gap(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mkv")
    with open_video(video, times=log(tmp_path, *(f"{index / 10}" for index in range(25)))) as source:
        assert len(list(source)) == 25
        assert [gap.reason for gap in source.gaps] == [
            "5 frames left out: the log of capture times ends before the recording"
        ]
    with open_video(video, times=log(tmp_path, *(f"{index / 10}" for index in range(33)))) as source:
        assert len(list(source)) == 30
        assert [gap.reason for gap in source.gaps] == ["3 times of the log have no frame"]


def test_mistakes_of_the_log_and_of_the_recording_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_video(tmp_path / "none.mp4", times=log(tmp_path, "noon"))
    assert len(caught.value.problems) == 2
