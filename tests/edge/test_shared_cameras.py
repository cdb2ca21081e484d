"""`nearmiss run` with two cameras that share one process of a network: begun once, killed, and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from broker.embedded import free_port
from tests.edge.cameras import MjpegCamera
from tests.edge.running import Running
from tests.edge.test_daemon import SITE
from tests.models.graphs import card_text, constant_model


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "site.toml").write_text(SITE)
    nobody = np.zeros((1, 6, 2), np.float32)
    (tmp_path / "mine.onnx").write_bytes(constant_model({"output0": nobody}))
    (tmp_path / "mine.toml").write_text(card_text())
    yield tmp_path


def children(pid: int) -> dict[int, str]:
    """Return the children of a process, whichever thread began them, and their command lines."""
    told = " ".join(each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return {
        int(each): Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ").decode() for each in told
    }


def detectors(pid: int) -> list[int]:
    return [each for each, command in children(pid).items() if "models.shared_server" in command]


def canvases(detector: int) -> int:
    """Return from how many cameras a detector has the memory their images lie in."""
    return Path(f"/proc/{detector}/maps").read_text().count("/memfd:")


def test_two_cameras_share_a_network_that_comes_back(folder: Path) -> None:
    with MjpegCamera() as north, MjpegCamera() as south:
        camera = '[[cameras]]\nid = "cam-{}"\nsite = "site.toml"\nsource = {{ url = "{}" }}\n'
        (folder / "node.toml").write_text(
            f"[broker]\nport = {free_port()}\n"
            f'[detector]\nmodel = "{folder / "mine.onnx"}"\nshared = "on"\ngate = "on"\n'
            + camera.format("n", north.url)
            + camera.format("s", south.url)
        )
        node = Running(folder / "node.toml", {})
        try:
            node.until_said("the camera is live", times=2)
            supervisor = node.child.pid
            (detector,) = detectors(supervisor)
            cameras = {pid for pid, command in children(supervisor).items() if "--camera" in command}
            assert len(cameras) == 2
            # None of them holds a runtime or weights of its own, and each yields to the detector.
            for pid in cameras:
                assert "onnxruntime" not in Path(f"/proc/{pid}/maps").read_text()
                assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, detector)
            os.kill(detector, signal.SIGKILL)
            node.until_said("the shared detector ended (-9); it is started again")
            node.until(lambda: detectors(supervisor) not in ([], [detector]), what="another detector")
            (again,) = detectors(supervisor)
            node.until(lambda: canvases(again) >= 2, what="both cameras at the new detector", timeout_s=60.0)
            # Nobody had to begin anew for it.
            assert {pid for pid, command in children(supervisor).items() if "--camera" in command} == cameras
            assert node.end() == 0
        finally:
            node.close()
