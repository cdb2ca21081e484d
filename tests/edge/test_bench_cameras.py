"""Streams replayed as live beside each other, all looked at by one detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench import cameras, ordinary
from models.shared_process import SharedDetectorProcess


@pytest.mark.data
@pytest.mark.slow
def test_two_streams_share_a_detector(data: Path, tmp_path: Path) -> None:
    ordinary.draw(tmp_path, frame_rate_hz=cameras.RATE_HZ)
    with SharedDetectorProcess(str(data / "weights" / "deimv2-atto.onnx"), threads=1) as shared:
        streams = cameras.replayed(2, street=tmp_path, socket=shared.path, seconds=4.0)
    assert [stream.frames for stream in streams] == [20, 20]
    # Counted, not timed: what the gate leaves out is the same on every machine.
    assert all(stream.looks <= stream.frames for stream in streams)
    assert len({stream.looks for stream in streams}) == 1
