"""A camera as a source: real streams, killed, frozen, restarted, changed in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from broker.authority import Authority
from edge.config_source import SourceConfig
from edge.frame import Frame
from edge.sources import live, live_decoder
from edge.sources.camera import Camera
from edge.sources.capture import Captured, CaptureTimes
from edge.sources.host_clock import HostClock
from edge.sources.live import LiveSource
from tests.edge.cameras import MjpegCamera, RtspCamera

SIZE = (320, 240)


class Watched:
    """A source read in a thread, as a node reads it; ``slow_s`` is what each frame costs it."""

    def __init__(self, url: str, *, slow_s: float = 0.0, camera: Camera | None = None) -> None:
        clock = HostClock(sigma_s=0.0)
        self.source = LiveSource(camera or Camera(url), image_size=SIZE, clock=clock)
        self.frames: list[Frame] = []
        self.delays: list[float] = []
        self._slow_s = slow_s
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for frame in self.source:
            self.frames.append(Frame(frame.index, frame.time, frame.time_sigma_s, frame.image[:2, :2]))
            self.delays.append(time.time() - frame.time)
            time.sleep(self._slow_s)

    def until(self, reached: Callable[[], bool], *, what: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}; {self.source.reason}"
            assert self._thread.is_alive()
            time.sleep(0.02)

    def more(self, count: int) -> None:
        wanted = len(self.frames) + count
        self.until(lambda: len(self.frames) >= wanted, what=f"{count} frames")

    def close(self) -> None:
        self.source.stop()
        self._thread.join(5)
        assert not self._thread.is_alive()
        self.source.close()


def test_whatever_goes_wrong_with_a_camera_is_noticed_within_ten_seconds() -> None:
    silent_s = live.SILENT_S + live.GLANCE_S
    stands_still_s = live_decoder.STILL_S + live_decoder.STILL_EVERY_S + live.GLANCE_S
    assert max(silent_s, stands_still_s) <= 10


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setattr(live, "SILENT_S", 2.0)
    monkeypatch.setattr(live, "SETTLING_S", 0.3)
    opened: list[Watched] = []

    def watched(url: str, **options: object) -> Watched:
        opened.append(Watched(url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield watched
    for each in opened:
        each.close()


def test_an_rtsp_camera_tells_its_own_time(watch: Callable[..., Watched]) -> None:
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.until(
            lambda: watched.source.captured is not None and watched.source.captured.kind == "rtcp",
            what="a sender report",
        )
        watched.more(5)
    times = [frame.time for frame in watched.frames]
    assert all(later > earlier for earlier, later in pairwise(times))
    assert {frame.image.shape for frame in watched.frames} == {(2, 2, 3)}
    assert all(0 < frame.time_sigma_s < 1 for frame in watched.frames)


def test_a_camera_killed_and_booted_again_comes_back(watch: Callable[..., Watched]) -> None:
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.more(5)
        camera.kill()
        watched.until(lambda: watched.source.state == "lost", what="noticed")
        camera.restart()
        watched.more(5)
        assert watched.source.state == "live"
    times = [frame.time for frame in watched.frames]
    assert all(later > earlier for earlier, later in pairwise(times))
    assert len(watched.source.gaps) == 1
    assert watched.source.reconnects >= 1


def test_a_camera_that_hangs_is_noticed_and_taken_up_again(watch: Callable[..., Watched]) -> None:
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.more(5)
        camera.freeze()
        watched.until(lambda: watched.source.state == "lost", what="noticed")
        camera.thaw()
        watched.more(5)


def test_times_that_do_not_go_on_begin_anew_and_blind_nobody(
    watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneAhead(CaptureTimes):
        """Puts the twentieth frame an hour ahead: all that come after it would be refused for an hour."""

        frames = 0

        def of(self, **told: Any) -> Captured | None:
            captured = super().of(**told)
            self.frames += 1
            if captured is None or self.frames != 20:
                return captured
            return replace(captured, at_s=captured.at_s + 3600.0)

    monkeypatch.setattr(live, "CaptureTimes", OneAhead)
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.until(lambda: watched.source.clock_was_set, what="noticed")
    assert [frame.time > time.time() + 3000 for frame in watched.frames].count(True) == 1


def test_another_image_size_gives_no_frame_and_says_so(watch: Callable[..., Watched]) -> None:
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.more(5)
        camera.tell("size 160x120")
        watched.until(lambda: watched.source.state == "other_size", what="noticed")
        assert "160×120" in watched.source.reason
        watched.until(lambda: "no metres" in watched.source.reason, what="what follows from it")
        count = len(watched.frames)
        camera.tell("size 320x240")
        watched.more(5)
        assert watched.source.state == "live"
    assert {frame.image.shape for frame in watched.frames[count:]} == {(2, 2, 3)}


def test_another_frame_rate_is_followed(watch: Callable[..., Watched]) -> None:
    with RtspCamera(rate=20) as camera:
        watched = watch(camera.url)
        watched.more(20)
        camera.tell("rate 5")
        watched.more(12)
    steps = [later.time - earlier.time for earlier, later in pairwise(watched.frames)]
    assert steps[5] == pytest.approx(0.05, abs=0.02)
    assert steps[-1] == pytest.approx(0.2, abs=0.05)


def test_a_picture_that_stands_still_is_no_street(
    watch: Callable[..., Watched],
) -> None:
    with RtspCamera() as camera:
        watched = watch(camera.url)
        watched.more(5)
        camera.tell("still")
        watched.until(lambda: watched.source.state == "frozen", what="noticed", timeout_s=40)


def test_who_is_slow_gets_late_frames_never_a_queue(watch: Callable[..., Watched]) -> None:
    with RtspCamera(rate=25) as camera:
        watched = watch(camera.url, slow_s=0.4)
        watched.more(12)
    assert watched.source.frames_dropped >= 12 * 5
    # Three frames of 40 ms, and what a loaded machine adds; not the seconds a queue would have grown to.
    assert max(watched.delays) < 1.5


def test_mjpeg_over_http_has_an_even_clock(watch: Callable[..., Watched]) -> None:
    with MjpegCamera(rate=20) as camera:
        watched = watch(camera.url)
        watched.more(40)
        steps = [later.time - earlier.time for earlier, later in pairwise(watched.frames[20:])]
        assert min(steps) > 0
        assert sum(steps) / len(steps) == pytest.approx(0.05, abs=0.02)
        assert watched.source.captured is not None and watched.source.captured.kind == "cadence"

        camera.sending.clear()
        watched.until(lambda: watched.source.state == "lost", what="noticed")
        camera.sending.set()
        watched.more(5)
        camera.refusing.set()
        watched.until(lambda: watched.source.state == "lost", what="noticed")
        assert "503" not in watched.source.reason and camera.url not in watched.source.reason
        camera.refusing.clear()
        watched.more(5)


def test_an_https_camera_must_prove_itself_unless_told_otherwise(
    watch: Callable[..., Watched], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.create()
    certificate, key = tmp_path / "camera.crt", tmp_path / "camera.key"
    authority.issue("camera", "server", certificate=certificate, key=key, hosts=("127.0.0.1",))
    node = tmp_path / "node.toml"
    with MjpegCamera(certificate=(certificate, key)) as camera:

        def watched(**told: object) -> Watched:
            return watch(camera.url, camera=SourceConfig(url=camera.url, **told).camera(node, SIZE))  # type: ignore[arg-type]

        watched(ca="ca.crt").more(3)
        watched(accept_any_certificate=True).more(3)
        stranger = watched()  # the system's authorities know nothing of it
        stranger.until(lambda: stranger.source.reconnects >= 1, what="a try")
        assert (stranger.source.state, stranger.frames) == ("lost", [])


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("rtsp://user:secret@127.0.0.1:9/street", id="nobody listens"),
        pytest.param("http://user:secret@127.0.0.1:9/street", id="no web server"),
        pytest.param("usb:/dev/no-such-camera", id="no such device"),
        pytest.param("usb:/dev/null", id="a device that is no camera"),
    ],
)
def test_what_cannot_be_opened_is_said_without_its_address(
    url: str, watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    watched = watch(url)
    watched.until(lambda: watched.source.reconnects >= 2, what="two tries")
    assert watched.source.state == "lost"
    assert "cannot be opened" in watched.source.reason
    assert caplog.text.count("the camera is lost") == 1  # a change of state, once
    for secret in ("secret", "127.0.0.1", "/dev/"):
        assert secret not in caplog.text + watched.source.reason
