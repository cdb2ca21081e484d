"""Streams replayed as live beside each other, all looked at by one detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench import cameras, ordinary


@pytest.mark.data
@pytest.mark.slow
def test_two_streams_share_a_detector(data: Path, tmp_path: Path) -> None:
    ordinary.draw(tmp_path, frame_rate_hz=cameras.RATE_HZ)
    load = cameras.loaded(data / "weights" / "deimv2-atto.onnx", 2, street=tmp_path, seconds=4.0)
    assert [stream.frames for stream in load.streams] == [20, 20]
    # Counted, not timed: what the gate leaves out is the same on every machine.
    assert all(stream.looks <= stream.frames for stream in load.streams)
    assert len({stream.looks for stream in load.streams}) == 1
    assert load.stream_s == 8.0
    # Each part took some of the processor, and no more than there is of it.
    assert all(part > 0 for part in load.cpu_s)
    assert load.cores < 2 * 3


def test_capacity_is_the_time_of_all_processes_by_stream_and_second() -> None:
    stream = cameras.Stream(
        frames=50, looks=25, early_lag_s=0.1, late_lag_s=0.3, pss_mb=60.0, line_s=0.5, decoder_s=0.1
    )
    load = cameras.Load([stream] * 4, detector_s=2.0, detector_mb=100.0)
    assert load.cpu_s == pytest.approx((0.05, 0.05, 0.01))
    assert load.cores == pytest.approx(0.44)
    assert load.looked_share == 0.5
    assert load.lag_s("late") == 0.3
