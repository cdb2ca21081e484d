"""How far a piece of work has come, in words."""

from __future__ import annotations

import pytest

from edge import progress
from edge.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 10.0)
    return now


def test_a_plain_line_now_and_then(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("a.mp4", total=1000, unit="frames", speed="fps") as shown:
        for _ in range(200):
            clock[0] += 0.125
            shown.advance()
    assert capsys.readouterr().err.splitlines() == [
        "a.mp4: 80 of 1000 frames, 8.0 fps, 1 min 55 s left",
        "a.mp4: 160 of 1000 frames, 8.0 fps, 1 min 45 s left",
    ]


def test_nobody_knows_how_long_a_stream_without_an_end_takes(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("a.ts", total=None, unit="frames", speed="fps") as shown:
        clock[0] += 10.0
        shown.advance(50)
    assert capsys.readouterr().err == "a.ts: 50 frames, 5.0 fps\n"


def test_what_was_done_before_tells_nothing_about_the_speed(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("judging", total=3600.0, unit="s of video") as shown:
        shown.advance(1800.0, counted=False)
        clock[0] += 10.0
        shown.advance(1.0)
    assert capsys.readouterr().err == "judging: 1801 of 3600 s of video, 4 h 59 min left\n"
