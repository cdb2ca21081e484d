"""The demo from drawing to receipt, in more than one camera and light."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from broker.wire import LocalEvent
from edge.demo import run
from edge.demo.show import run as show

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_demo_finds_every_event_and_claims_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gif = tmp_path / "demo", tmp_path / "picture.gif"
    assert run(out=out, serve=False, port=free_port(), gif=gif) == 0
    assert "0 claimed in error" in " ".join(capsys.readouterr().out.split())
    events = [LocalEvent.decode(line) for line in (out / "events.jsonl").read_bytes().splitlines()]
    truth = (out / "truth.jsonl").read_bytes().splitlines()
    assert sum(event.outcome == "occurred" for event in events) == len(truth)
    assert "clips" in {path.name for path in out.iterdir()}
    assert (out / "report.html").stat().st_size > 10_000
    assert gif.read_bytes()[:6] == b"GIF89a"
    assert gif.stat().st_size < 3_000_000


def test_another_camera_in_another_light_finds_every_event_too(tmp_path: Path) -> None:
    assert show(out=tmp_path / "demo", serve=False, port=free_port(), gif=None, setting="evening") == 0
