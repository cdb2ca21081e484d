"""What one camera takes of a machine: `python -m tests.edge.camera_load [640x480 [15]]`.

A real RTSP stream, the whole node with `motion`, and a broker; the figures are from the node's own status.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from broker.embedded import start_broker
from broker.mqtt import Session, wait_until
from broker.wire import Status
from tests.edge.cameras import RtspCamera

SITE = """
[site]
id = "load"
[[roadways]]
polygon = [[-8, 0], [8, 0], [8, 60], [-8, 60]]
[ground_plane]
image_size = [{width}, {height}]
osd = []
points = [
  {{ px = [{a}, {low}], m = [-6, 0] }}, {{ px = [{d}, {low}], m = [6, 0] }},
  {{ px = [{c}, {high}], m = [6, 20] }}, {{ px = [{b}, {high}], m = [-6, 20] }},
  {{ px = [{middle}, {low}], m = [0, 0] }},
]
"""
NODE = """
[node]
id = "cam"
site = "site.toml"
[source]
url = "{url}"
clock_sigma_s = 0.01
[broker]
port = {port}
"""
WAIT_S = 75.0


def main(size: str = "640x480", rate: str = "15") -> None:
    width, height = map(int, size.split("x"))
    came: list[Status] = []
    with (
        tempfile.TemporaryDirectory() as name,
        RtspCamera(size=size, rate=int(rate)) as camera,
        start_broker() as broker,
    ):
        folder = Path(name)
        places = {"a": width // 6, "b": width // 3, "c": width * 2 // 3, "d": width * 5 // 6}
        lines = {"low": height * 5 // 6, "high": height * 2 // 5, "middle": width // 2}
        (folder / "site.toml").write_text(SITE.format(width=width, height=height, **places, **lines))
        (folder / "node.toml").write_text(NODE.format(url=camera.url, port=broker.port))
        node = subprocess.Popen([sys.executable, "-m", "edge", "run", str(folder / "node.toml")])
        watch = Session(
            host=broker.host,
            port=broker.port,
            client_id="watch",
            subscriptions=["nearmiss/v1/+/+/status"],
            on_message=lambda _topic, payload: came.append(Status.decode(payload)),
        )
        begun = time.monotonic()
        wait_until(watch, lambda: time.monotonic() - begun > WAIT_S, timeout_s=WAIT_S + 5)
        watch.close()
        node.send_signal(signal.SIGTERM)
        node.wait(20)
    last = next(each for each in reversed(came) if each.state in ("running", "degraded"))
    print(
        f"{size} at {last.frame_rate_hz} Hz: {last.memory_mb:.0f} MB, {last.cpu_percent:.0f} % of a core, "
        f"{last.frames_dropped} frames dropped, times from {last.time_from} ± {last.time_sigma_s} s"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
