"""`nearmiss run`: from frames to receipts, and an end in order."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.intake import Intake
from broker.collector.store import Store, stored_events
from broker.collector.tables import blobs, nodes
from broker.embedded import free_port, start_broker
from broker.wire import Event, Status
from calibration.plane import Plane, plane_of
from calibration.site import Site, load_site
from edge import dispatch
from edge.config import NodeConfig, load_node
from edge.daemon import run
from edge.errors import InputError
from edge.frame import Frame, Gap
from edge.node import Node, Outcome
from edge.opening import Inputs
from edge.outbox import Outbox
from edge.scene import Kind, SignalReading
from edge.signals.history import SignalHistory
from models.detections import KINDS, Detections

SITE = """
[site]
id = "main-5th"
[[stop_lines]]
id = "N"
signal_group = "N"
line = [[-4.0, 12.0], [0.0, 12.0]]
heading_deg = -90.0
[[roadways]]
polygon = [[-5, 1], [5, 1], [5, 40], [-5, 40]]
[ground_plane]
image_size = [640, 480]
osd = []
points = [
  { px = [100, 400], m = [-6, 0] }, { px = [540, 400], m = [6, 0] },
  { px = [440, 200], m = [6, 20] }, { px = [200, 200], m = [-6, 20] }, { px = [320, 400], m = [0, 0] },
]
[thresholds]
max_position_sigma_m = 3.0
"""
NODE = """
[node]
id = "cam-n"
site = "site.toml"
[source]
video = "video.mp4"
start = "2026-11-20T08:15:00Z"
[broker]
port = {port}
[outbox]
path = "state/outbox.db"
"""
RECORDING = 'video = "video.mp4"\nstart = "2026-11-20T08:15:00Z"'
START = 1795162500.0  # 2026-11-20T08:15:00Z
RATE_HZ = 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "node.toml").write_text(NODE.format(port=free_port()))
    return tmp_path


class DrawnStreet:
    """Frames without a picture, and a detector that knows where the car is: south over the line, at 8 m/s."""

    name, provider = "drawn", "none"
    image_size = (640, 480)
    gaps: tuple[Gap, ...] = ()

    def __init__(
        self, plane: Plane, *, seconds: float, hangs: bool = False, time_sigma_s: float = 0.01
    ) -> None:
        self._time_sigma_s = time_sigma_s
        self._plane, self._frames, self._hangs = plane, int(seconds * RATE_HZ), hangs
        self._seen = -1
        self.ended = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            yield Frame(index, START + index / RATE_HZ, self._time_sigma_s, np.zeros((480, 640, 3), np.uint8))
        if self._hangs:
            time.sleep(60)

    def detect(self, _image: object) -> Detections:
        self._seen += 1
        y = 28.0 - 8.0 * self._seen / RATE_HZ
        if y < 1.0:
            return Detections.none()
        corners = [(x, y + along) for x in (-2.9, -1.1) for along in (-2.2, 2.2)]
        pixel = self._plane.image(np.asarray(corners))
        scale = float(self._plane.px_per_m(np.asarray([(-2.0, y)]))[0])
        left, bottom = pixel[:, 0].min(), pixel[:, 1].max()
        box = (left, pixel[:, 1].min() - 1.5 * scale, pixel[:, 0].max(), bottom)
        kind: Kind = "car"
        return Detections(
            np.asarray([box], np.float32),
            np.asarray([0.9], np.float32),
            np.asarray([KINDS.index(kind)], np.int8),
        )


def node(
    folder: Path, outbox: Outbox, *, seconds: float = 6.0, hangs: bool = False, time_sigma_s: float = 0.01
) -> Node:
    config: NodeConfig = load_node(folder / "node.toml")
    site: Site = load_site(folder / "site.toml")
    plane = plane_of(site)
    assert plane is not None
    history = SignalHistory([SignalReading("N", "red", START - 5.0, 0.05, "file")])
    street = DrawnStreet(plane, seconds=seconds, hangs=hangs, time_sigma_s=time_sigma_s)
    inputs = Inputs(
        site=site,
        plane=plane,
        signals=history,
        signals_given=True,
        source=street,  # type: ignore[arg-type]  # stands in for a recording
        detector=street,
        mode="schematic",
        threads=1,
    )
    return Node(config, inputs, outbox)


@pytest.mark.broker
def test_a_red_light_entry_reaches_the_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "SPREAD_S", 0.2)  # else a minute
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    store.migrate()
    port = load_node(folder / "node.toml").broker.port
    with start_broker(port=port), Outbox(folder / "outbox.db", retry_s=0.5) as outbox:
        collector = Collector(
            Intake(store, ClipFolder(folder / "clips")), host="127.0.0.1", port=port, client_id="collector"
        )
        collector.start()
        assert collector.ready.wait(10)
        assert node(folder, outbox).run() is Outcome.DONE
        assert outbox.level().rows == 0
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with store.read() as connection:
                told = connection.execute(nodes.select()).mappings().one()["status"]
                status = Status.model_validate_json(json.dumps(told))
            if status.state == "stopped":
                break
            time.sleep(0.05)
        collector.close()
    with store.read() as connection:
        found = stored_events(connection)
        kinds = sorted(row["kind"] for row in connection.execute(blobs.select()).mappings())
    store.close()
    assert [(each.rule, each.place, each.road_user) for each in found] == [("red_light_entry", "N", "car")]
    assert (found[0].time.timestamp(), found[0].detector) == (START, "drawn")
    assert kinds == ["clip", "plate"]
    assert (status.state, status.seq, status.clip_mode) == ("stopped", 1 + 1, "schematic")


def test_sigterm_ends_in_order_with_everything_committed(folder: Path) -> None:
    with Outbox(folder / "outbox.db") as outbox:
        started = node(folder, outbox)
        timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert started.run() is Outcome.DONE  # no broker: it would wait for ever
        timer.join()
        said = started._health.status(0, overdue=False)
        assert (said.state, "red_light_entry" in {each.rule for each in said.rules or ()}) == (
            "stopped",
            True,
        )
        kinds = [row.kind for row in outbox.take(math.inf, 10)]
    assert sorted(kinds) == ["clip", "counts", "event", "plate"]


def test_a_clock_that_nothing_keeps_leaves_red_undecidable(folder: Path) -> None:
    with Outbox(folder / "outbox.db") as outbox:
        started = node(folder, outbox, time_sigma_s=math.inf)
        timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert started.run() is Outcome.DONE
        timer.join()
        (found,) = [Event.decode(row.payload) for row in outbox.take(math.inf, 10) if row.kind == "event"]
    assert (found.rule, found.outcome, found.time_sigma_s) == ("red_light_entry", "undecidable", None)
    assert found.measures["into_red_s"].sigma is None  # unknown is a value


def test_a_source_that_hangs_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ending.PATIENCE_S", 0.3)
    with Outbox(folder / "outbox.db") as outbox:
        started = node(folder, outbox, hangs=True)
        timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert started.run() is Outcome.DONE
        timer.join()
        assert "event" in [row.kind for row in outbox.take(math.inf, 10)]


def video(path: Path, *, frames: int = 20) -> None:
    """Write a grey recording of 10 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "run", str(folder / "node.toml")], stderr=subprocess.PIPE, text=True
    )


def test_the_command_runs_a_recording_and_ends_at_sigterm(folder: Path) -> None:
    video(folder / "video.mp4")
    child = start(folder)
    assert child.stderr is not None
    lines = []
    for line in child.stderr:
        lines.append(line)
        if "the recording has ended" in line:
            break
    child.terminate()
    rest = child.stderr.read()
    child.stderr.close()
    assert child.wait(10) == 0, "".join(lines) + rest
    assert '"event": "stopped; 1 messages wait for their receipt"' in rest
    with Outbox(folder / "state" / "outbox.db") as outbox:
        assert [row.kind for row in outbox.take(math.inf, 10)] == ["plate"]


def test_an_outbox_has_one_user(folder: Path) -> None:
    video(folder / "video.mp4")
    child = start(folder)
    assert child.stderr is not None
    next(line for line in child.stderr if "the recording has ended" in line)
    with pytest.raises(InputError, match="in use by another node"):
        run(folder / "node.toml")
    child.kill()
    child.stderr.close()
    child.wait()


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        pytest.param("node.toml", ("[node]", "[nodes]"), "node: Field required", id="no node"),
        pytest.param(
            "site.toml", ("[640, 480]", "[1280, 720]"), "ground_plane.image_size", id="another camera's site"
        ),
        pytest.param(
            "site.toml", ("heading_deg", "heading"), "heading_deg: Field required", id="a broken site"
        ),
        pytest.param("video.mp4", None, "video.mp4", id="no recording"),
    ],
)
def test_bad_input_is_told_before_anything_starts(
    folder: Path, name: str, change: tuple[str, str] | None, problem: str
) -> None:
    video(folder / "video.mp4")
    if change is None:
        (folder / name).write_bytes(b"no recording")
    else:
        text = (folder / name).read_text()
        assert change[0] in text
        (folder / name).write_text(text.replace(*change))
    with pytest.raises(ValueError, match=problem) as caught:
        run(folder / "node.toml")
    assert getattr(caught.value, "problems", None)
    assert not (folder / "state").exists()
