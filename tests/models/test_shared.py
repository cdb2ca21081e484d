"""A detector shared by several cameras: the same boxes to the bit, fair, and back after a kill."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from models import shared_process, shared_wire
from models.card import ModelError
from models.decode import Candidates
from models.onnx import OnnxDetector
from models.shared import DetectorGoneError, SharedDetector
from models.shared_process import SharedDetectorProcess
from models.shared_server import Server
from models.zoo import load
from tests.models.graphs import card_text, constant_model

# Two rows of an ultralytics head: a person and a car, in the 64 x 64 input.
ROWS = np.array([[[20, 44], [20, 40], [8, 16], [16, 12], [0.9, 0.1], [0.1, 0.8]]], np.float32)


def picture(seed: int, size: tuple[int, int] = (120, 90)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "mine.onnx").write_bytes(constant_model({"output0": ROWS}))
    (folder / "mine.toml").write_text(card_text())
    return folder / "mine.onnx"


@pytest.fixture(scope="module")
def process(model: Path) -> Iterator[SharedDetectorProcess]:
    with SharedDetectorProcess(str(model), threads=1) as running:
        yield running


def test_it_sees_what_the_detector_itself_sees(model: Path, process: SharedDetectorProcess) -> None:
    own, shared = load(str(model), threads=1), SharedDetector(process.path)
    for seed, size in ((1, (120, 90)), (2, (90, 120)), (3, (64, 64))):
        expected, found = own.detect(picture(seed, size)), shared.detect(picture(seed, size))
        assert len(found) == 2
        for field in ("boxes_px", "scores", "kinds"):
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    assert (shared.name, shared.provider) == (own.name, own.provider)
    shared.close()


@pytest.mark.data
def test_it_sees_the_same_with_a_real_network(data: Path) -> None:
    weights = str(data / "weights" / "deimv2-atto.onnx")
    image = picture(4, (640, 480))
    with SharedDetectorProcess(weights, threads=1) as running:
        shared = SharedDetector(running.path)
        found = shared.detect(image)
        shared.close()
    expected = load(weights, threads=1, score=0.25).detect(image)
    np.testing.assert_array_equal(found.boxes_px, expected.boxes_px)


def test_every_camera_gets_its_turn(process: SharedDetectorProcess) -> None:
    looks = [0] * 4

    def watch(camera: int) -> None:
        shared = SharedDetector(process.path)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            shared.detect(picture(camera))
            looks[camera] += 1
        shared.close()

    threads = [threading.Thread(target=watch, args=(camera,)) for camera in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(looks) >= 0.3 * max(looks) > 0


def test_killed_it_comes_back_and_the_frame_is_looked_at(model: Path) -> None:
    with SharedDetectorProcess(str(model), threads=1) as running:
        shared = SharedDetector(running.path, back_within_s=60.0)
        shared.detect(picture(1))
        assert running.pid is not None
        os.kill(running.pid, signal.SIGKILL)
        assert len(shared.detect(picture(2))) == 2
        assert shared.restarts == 1 and running.restarts == 1
        shared.close()


def test_hanging_it_is_ended_and_the_frame_is_looked_at(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_process, "HANGS_AFTER_S", 0.5)
    monkeypatch.setattr(shared_process, "_ASK_EVERY_S", 0.2)
    with SharedDetectorProcess(str(model), threads=1) as running:
        shared = SharedDetector(running.path, back_within_s=60.0)
        shared.detect(picture(1))
        hanging = running.pid
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        assert len(shared.detect(picture(2))) == 2
        assert running.pid != hanging and running.restarts >= 1
        shared.close()


def test_cameras_that_wait_are_looked_at_in_one_run(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = load(str(model), threads=1)
    batches: list[int] = []
    both_asked = threading.Event()

    class Open:
        """The model as if its file left the number of images open."""

        card, provider, most_at_once = detector.card, detector.provider, 4

        def candidates(self, canvases: list[NDArray[np.uint8]]) -> list[Candidates]:
            batches.append(len(canvases))
            both_asked.wait(10.0)  # meanwhile the others ask
            return [detector.candidates([canvas])[0] for canvas in canvases]

    server = Server(tmp_path / "socket", cast("OnnxDetector", Open()))
    near, far = os.pipe()
    server.end_with(near)
    serving = threading.Thread(target=server.run)
    serving.start()
    cameras = [SharedDetector(tmp_path / "socket") for _ in range(4)]
    answers: list[Any] = [None] * 4

    def ask(number: int) -> None:
        answers[number] = cameras[number].detect(picture(number))

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    asking[0].start()
    while not batches:
        time.sleep(0.01)
    for each in asking[1:]:
        each.start()
    while any(not each.is_alive() for each in asking[1:]):
        time.sleep(0.01)
    time.sleep(0.3)  # their requests lie in the socket
    both_asked.set()
    for each in asking:
        each.join()
    os.close(far)
    serving.join()
    assert batches == [1, 3]
    for number, found in enumerate(answers):
        np.testing.assert_array_equal(found.boxes_px, detector.detect(picture(number)).boxes_px)
    for camera in cameras:
        camera.close()
    os.close(near)


def test_gone_for_good_it_is_told(tmp_path: Path, model: Path) -> None:
    with pytest.raises(DetectorGoneError, match="no shared detector is there"):
        SharedDetector(tmp_path / "nobody")
    with SharedDetectorProcess(str(model), threads=1) as running:
        shared = SharedDetector(running.path, back_within_s=0.5)
    with pytest.raises(DetectorGoneError, match="gone"):
        shared.detect(picture(1))
    shared.close()


def test_who_does_not_keep_to_the_form_is_left_and_others_are_not(process: SharedDetectorProcess) -> None:
    good = SharedDetector(process.path)
    for word in (b"nonsense", b"look\x07" + bytes(20), b""):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(10)
        channel.connect(str(process.path))
        channel.recv(shared_wire.MAX_PACKET)
        channel.send(word or b"\0")
        assert channel.recv(16) == b""
        channel.close()
    assert len(good.detect(picture(5))) == 2
    good.close()


def test_canvases_that_could_be_pulled_away_are_refused() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    unsealed = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(unsealed, shared_wire.SLOTS * 4 * 4 * 3)
    shared_wire.send_canvases(near, unsealed)
    with pytest.raises(shared_wire.BadPacketError, match="cannot be shrunk"):
        shared_wire.received_canvases(far, (4, 4, 3))
    os.close(unsealed)
    near.close()
    far.close()


def test_a_reply_holds_what_was_seen() -> None:
    seen = Candidates(np.ones((3, 4), np.float32), np.array([0, 5, 2]), np.array([0.5, 0.25, 1], np.float32))
    number, back = shared_wire.replied(shared_wire.reply(7, seen))
    assert number == 7 and isinstance(back, Candidates)
    np.testing.assert_array_equal(back.boxes, seen.boxes)
    np.testing.assert_array_equal(back.classes, seen.classes)
    assert shared_wire.replied(shared_wire.failure(8, "no")) == (8, "no")


def test_a_model_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="cannot be read"),
        SharedDetectorProcess(str(tmp_path / "none.onnx")),
    ):
        pass
