"""`nearmiss run` with two cameras that share a network, and all that is loaded: begun, killed, and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from broker.embedded import free_port
from edge.bench.cameras import pss_mb
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


def two_cameras(folder: Path, north: str, south: str, detector: str = "") -> Path:
    """Write a node.toml of cameras at two addresses; ``detector``: its table, where one is named."""
    cameras = (
        f'[[cameras]]\nid = "cam-{name}"\nsite = "site.toml"\nsource = {{ url = "{url}" }}\n'
        for name, url in (("n", north), ("s", south))
    )
    config = folder / "node.toml"
    config.write_text(f"[broker]\nport = {free_port()}\n{detector}{''.join(cameras)}")
    return config


def children(pid: int) -> dict[int, str]:
    """Return the children of a process, whichever thread began them, and their command lines."""
    told = " ".join(each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return {
        int(each): Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ").decode() for each in told
    }


def cameras_of(supervisor: int) -> dict[str, int]:
    """Return the processes of its cameras, by their names, as `ps` shows them."""
    return {
        command.split()[-1]: pid
        for server in servers(supervisor)
        for pid, command in children(server).items()
        if "--camera" in command
    }


def servers(pid: int) -> list[int]:
    return [each for each, command in children(pid).items() if "edge.fork_server" in command]


def detectors(pid: int) -> list[int]:
    return [each for each, command in children(pid).items() if "models.shared_server" in command]


def canvases(detector: int) -> int:
    """Return from how many cameras a detector has the memory their images lie in."""
    return Path(f"/proc/{detector}/maps").read_text().count("/memfd:")


def test_two_cameras_share_a_network_that_comes_back(folder: Path) -> None:
    with MjpegCamera() as north, MjpegCamera() as south:
        table = f'[detector]\nmodel = "{folder / "mine.onnx"}"\nshared = "on"\ngate = "on"\n'
        node = Running(two_cameras(folder, north.url, south.url, table), {})
        try:
            node.until_said("the camera is live", times=2)
            supervisor = node.child.pid
            (detector,) = detectors(supervisor)
            cameras = cameras_of(supervisor)
            assert set(cameras) == {"cam-n", "cam-s"}
            # None of them holds a runtime or weights of its own, and each yields to the detector.
            for pid in cameras.values():
                assert "onnxruntime" not in Path(f"/proc/{pid}/maps").read_text()
                assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, detector)
            os.kill(detector, signal.SIGKILL)
            node.until_said("the shared detector ended (-9); it is started again")
            node.until(lambda: detectors(supervisor) not in ([], [detector]), what="another detector")
            (again,) = detectors(supervisor)
            node.until(lambda: canvases(again) >= 2, what="both cameras at the new detector", timeout_s=60.0)
            # Nobody had to begin anew for it.
            assert cameras_of(supervisor) == cameras
            assert node.end() == 0
        finally:
            node.close()


def test_cameras_are_forked_from_what_is_loaded_once_and_come_back(folder: Path) -> None:
    with MjpegCamera() as north, MjpegCamera() as south:
        node = Running(two_cameras(folder, north.url, south.url), {})
        try:
            node.until_said("the camera is live", times=2)
            supervisor = node.child.pid
            (server,) = servers(supervisor)
            # A fork of it is whole: it has no thread but the one that forks.
            assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1
            before = cameras_of(supervisor)
            for pid in before.values():
                decoder_mb = sum(pss_mb(each) for each in children(pid))
                assert decoder_mb > 0
                assert pss_mb(pid) + decoder_mb < 150.0

            os.kill(before["cam-n"], signal.SIGKILL)
            node.until_said("camera cam-n: ended (signal 9)")
            node.until_said("the camera is live", times=3)
            after = cameras_of(supervisor)
            assert after["cam-s"] == before["cam-s"]
            assert after["cam-n"] != before["cam-n"]

            # Without the process they are forked from they end, and all of it comes back.
            os.kill(server, signal.SIGKILL)
            node.until_said("the process cameras are forked from ended (-9)")
            node.until_said("the camera is live", times=5)
            assert set(cameras_of(supervisor)) == {"cam-n", "cam-s"}
            assert servers(supervisor) != [server]
            assert node.end() == 0
            assert not any(Path(f"/proc/{pid}").exists() for pid in after.values())
        finally:
            node.close()


def test_sigterm_while_a_shared_network_loads_ends_at_once_and_leaves_nothing(folder: Path) -> None:
    (folder / "temporary").mkdir()
    nowhere = "http://127.0.0.1:9/"
    config = two_cameras(
        folder, nowhere, nowhere, f'[detector]\nmodel = "{folder / "mine.onnx"}"\nshared = "on"\n'
    )
    node = Running(config, {"TMPDIR": str(folder / "temporary")})
    try:
        node.until(lambda: detectors(node.child.pid) != [], what="the detector's process")
        (detector,) = detectors(node.child.pid)
        os.kill(detector, signal.SIGSTOP)  # it loads for ever
        assert node.end() == 0
        assert list((folder / "temporary").glob("nearmiss-*")) == []
    finally:
        node.close()
