"""`nearmiss run` with one car after the other over the line: `busy_node.py NODE.toml FOLDER`.

The daemon, its camera, outbox and publish thread are as they are; the detector alone is made up. A line of
`cars` in FOLDER is a car that has gone over the line, one of `told` the id of an event put into the outbox.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from uuid import UUID

import numpy as np

from broker.drawing import Clip
from broker.wire import LocalEvent
from calibration.plane import Plane
from edge import daemon, dispatch, opening
from models.detections import KINDS, Detections

LINE_Y_M, BEGIN_Y_M, END_Y_M = 12.0, 28.0, 2.0
HALF_M = 2.2  # of a car
STEP_M = 0.7  # a frame; 8.4 m/s at 12 Hz
_event = dispatch.Dispatch.event

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
image_size = [320, 240]
osd = []
points = [
  {{ px = [50, 200], m = [-6, 0] }}, {{ px = [270, 200], m = [6, 0] }},
  {{ px = [220, 100], m = [6, 20] }}, {{ px = [100, 100], m = [-6, 20] }}, {{ px = [160, 200], m = [0, 0] }},
]
[thresholds]
max_position_sigma_m = 3.0
time_bin_s = 60
[signal_plan]
epoch = {epoch}
cycle_s = 600.0
sigma_s = 0.05
[[signal_plan.groups]]
signal_group = "N"
changes = [{{ at_s = 0.0, state = "green" }}, {{ at_s = 1.0, state = "red" }}]
"""


class Cars:
    """A detector that sees a car drive south, whatever the picture: the next one begins where it ends."""

    name, provider = "cars", "none"

    def __init__(self, plane: Plane, gone: Path) -> None:
        self._plane, self._gone = plane, gone
        self._y_m = BEGIN_Y_M
        self._pause = 0

    def detect(self, _image: object) -> Detections:
        if self._pause:
            self._pause -= 1
            return Detections.none()
        before, self._y_m = self._y_m, self._y_m - STEP_M
        if before > LINE_Y_M + HALF_M >= self._y_m:
            with self._gone.open("a") as file:
                file.write("gone\n")
        if self._y_m < END_Y_M:
            # The next comes when this one's track has ended.
            self._y_m, self._pause = BEGIN_Y_M, 18
        return self._seen(self._y_m)

    def _seen(self, y_m: float) -> Detections:
        corners = [(x, y_m + along) for x in (-2.9, -1.1) for along in (-HALF_M, HALF_M)]
        pixel = self._plane.image(np.asarray(corners))
        high = 1.5 * float(self._plane.px_per_m(np.asarray([(-2.0, y_m)]))[0])
        box = (pixel[:, 0].min(), pixel[:, 1].min() - high, pixel[:, 0].max(), pixel[:, 1].max())
        return Detections(
            np.asarray([box], np.float32),
            np.asarray([0.9], np.float32),
            np.asarray([KINDS.index("car")], np.int8),
        )


def main(node: Path, folder: Path) -> int:
    def event(self: dispatch.Dispatch, event: LocalEvent, clip: Clip | None) -> UUID:
        id_ = _event(self, event, clip)
        with (folder / "told").open("a") as file:
            file.write(f"{id_}\n")
        return id_

    if "LD_PRELOAD" in os.environ:
        # Under libfaketime 0.9.10 clock_nanosleep to an instant fails with EINVAL; select does as ever.
        time.sleep = lambda seconds: select.select([], [], [], seconds)  # type: ignore[assignment]
    dispatch.Dispatch.event = event  # type: ignore[method-assign]
    dispatch.SETTLE_S, dispatch.SPREAD_S = 1.0, 2.0
    opening.detector_of = lambda _model, plane, _source, **_: Cars(plane, folder / "cars")  # type: ignore[assignment]
    return daemon.run(node)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
