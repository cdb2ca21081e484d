"""`nearmiss run` with cameras: several of them, a new configuration, the service manager, the end."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.embedded import free_port
from edge.outbox import Outbox
from edge.service import Service
from tests.edge.cameras import MjpegCamera
from tests.edge.running import Running

SITE = """
[site]
id = "main-5th"
[[roadways]]
polygon = [[-5, 1], [5, 1], [5, 40], [-5, 40]]
[ground_plane]
image_size = [320, 240]
osd = []
points = [
  { px = [50, 200], m = [-6, 0] }, { px = [270, 200], m = [6, 0] },
  { px = [220, 100], m = [6, 20] }, { px = [100, 100], m = [-6, 20] }, { px = [160, 200], m = [0, 0] },
]
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    (tmp_path / "site.toml").write_text(SITE)
    begun: list[Running] = []

    def run(text: str, **environment: str) -> Running:
        (tmp_path / "node.toml").write_text(text)
        begun.append(Running(tmp_path / "node.toml", environment))
        return begun[-1]

    yield run
    for each in begun:
        each.close()


def one(url: str, **more: Any) -> str:
    extra = "\n".join(f"{name} = {json.dumps(value)}" for name, value in more.items())
    return (
        f'[node]\nid = "cam-n"\nsite = "site.toml"\n[source]\nurl = "{url}"\nclock_sigma_s = 0.01\n{extra}\n'
        f"[broker]\nport = {free_port()}\n"
    )


def listener(folder: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(folder / "notify"))
    sock.settimeout(20)
    return sock


def test_a_camera_is_watched_until_sigterm_with_everything_committed(
    running: Callable[..., Running], tmp_path: Path
) -> None:
    with MjpegCamera() as camera, listener(tmp_path) as notes:
        node = running(one(camera.url), NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
        heard = [notes.recv(4096) for _ in range(3)]
        node.until_said("the camera is live")
        assert node.end() == 0
        notes.settimeout(0.5)
        while b"STOPPING=1" not in heard:
            heard.append(notes.recv(4096))
    assert heard[0] == b"READY=1"
    assert b"WATCHDOG=1" in heard
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert [row.kind for row in outbox.take(math.inf, 10)] == ["plate"]


def test_sighup_takes_a_new_configuration_over_and_leaves_a_bad_one(
    running: Callable[..., Running], tmp_path: Path
) -> None:
    with MjpegCamera() as camera, MjpegCamera() as other:
        node = running(one(camera.url))
        node.until_said("the camera is live")
        good = (tmp_path / "node.toml").read_text()
        bad = good.replace("clock_sigma_s = 0.01", "clock_sigma_s = -1\nlatency_s = 99")
        (tmp_path / "node.toml").write_text(bad)
        node.child.send_signal(signal.SIGHUP)
        node.until_said("keeps running as it was configured before")
        assert sum("not taken over" in line for line in node.said) == 2

        (tmp_path / "node.toml").write_text(good.replace(camera.url, other.url))
        node.child.send_signal(signal.SIGHUP)
        node.until_said("the new configuration counts from now on")
        node.until(lambda: other.sent > 20, what="the other camera")
        assert node.end() == 0
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert {row.kind for row in outbox.take(math.inf, 10)} == {"plate"}


def test_a_broken_camera_stops_no_other(running: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[site]\n")
    with MjpegCamera() as camera:
        node = running(
            f"[broker]\nport = {free_port()}\n"
            f'[[cameras]]\nid = "cam-n"\nsite = "site.toml"\nsource = {{ url = "{camera.url}" }}\n'
            '[[cameras]]\nid = "cam-s"\nsite = "broken.toml"\nsource = { url = "rtsp://127.0.0.1:9/" }\n'
        )
        node.until_said("the camera is live")
        node.until_said("camera cam-s: ended (a mistake in its files)")
        (server,) = Path(f"/proc/{node.child.pid}/task/{node.child.pid}/children").read_text().split()
        forked = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        os.kill(int(forked[0]), signal.SIGKILL)
        node.until_said("camera cam-n: ended (signal 9)")
        node.until_said("the camera is live", times=2)  # it is back by itself
        (tmp_path / "broken.toml").write_text(SITE)
        node.until_said("the camera is lost")  # mended, and begun without a restart
        assert node.end() == 0
    assert sorted(each.name for each in tmp_path.glob("outbox-*.db")) == [
        "outbox-cam-n.db",
        "outbox-cam-s.db",
    ]


def test_without_a_service_manager_nothing_is_said() -> None:
    service = Service({})
    service.ready()
    service.beat()
    assert service.watchdog_s is None
    assert Service({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}).watchdog_s is None
