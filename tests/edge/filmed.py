"""The demo's junction as a film for a test's RTSP camera, and its controller as a sender of messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from broker.mqtt import Session
from edge.demo.draw import Film
from edge.demo.film import write_video
from edge.demo.junction import CYCLE_S, GROUPS, Plan
from edge.demo.movement import Course, Ride, lane_path
from edge.demo.setting import SETTINGS, write_site
from edge.demo.story import FRAME_RATE_HZ, SIZE_M, Actor

TOPIC = "city/junction/signals"
BIN_S = 60
# N is red from 12 s to 34.5 s of a film: of the junction's plan, red comes at 17.5 s.
OFFSET_S = 5.5


def car(name: str, colour: tuple[int, int, int], leg: str, passes_at: float, speed_mps: float) -> Actor:
    length_m = SIZE_M["car"][0]
    ride = Ride(lane_path(leg, "straight"), Course.passing(passes_at, speed_mps), length_m)
    return Actor(name, "car", ride, colour, ride.span_s)


def write_film(folder: Path, actors: Sequence[Actor], *, seconds: float, times: int = 1) -> Path:
    """Write site.toml and a film of the actors, the same again and again; return the film."""
    setting = SETTINGS["afternoon"]
    plan = Plan(offset_s=OFFSET_S, duration_s=seconds)
    drawn = Film(setting.camera, actors, plan, light=setting.light, seed=3)
    path = folder / "film.mp4"
    write_video(
        path,
        (drawn.frame(index / FRAME_RATE_HZ) for index in range(round(seconds * FRAME_RATE_HZ))),
        image_size=setting.camera.image_size,
        frame_rate_hz=FRAME_RATE_HZ,
    )
    if times > 1:
        path = _repeated(path, times)
    write_site(folder / "site.toml", setting.camera)
    with (folder / "site.toml").open("a") as site:
        site.write(f'[signal_feed]\ntopic = "{TOPIC}"\n[thresholds]\ntime_bin_s = {BIN_S}\n')
    return path


def _repeated(path: Path, times: int) -> Path:
    """Return the film so many times in a row, nothing decoded."""
    longer = path.with_name("long-" + path.name)
    with av.open(path) as once, av.open(longer, "w") as container:
        source = once.streams.video[0]
        stream = container.add_stream_from_template(source)
        packets = [packet for packet in once.demux(source) if packet.size]
        assert source.time_base is not None
        step = round(len(packets) * Fraction(1000, round(1000 * FRAME_RATE_HZ)) / source.time_base)
        written = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, written, strict=True):
                assert pts is not None and dts is not None
                packet.pts, packet.dts, packet.time_base = (
                    pts + turn * step,
                    dts + turn * step,
                    source.time_base,
                )
                packet.stream = stream
                container.mux(packet)
    path.unlink()
    return longer


class Controller:
    """Tells what each group shows since when: at each change, and again every second."""

    def __init__(self, city: Session) -> None:
        self._city = city
        self._said: dict[str, tuple[float, str]] = {}
        self._again_s = 0.0

    def turn(self, *, zero_s: float, now_s: float) -> None:
        """Say what is new; a film began at ``zero_s``."""
        # A cycle earlier the plan is the same: what the film begins with has been so for a while.
        begun_s = zero_s - CYCLE_S
        plan = Plan(offset_s=OFFSET_S, duration_s=max(now_s - begun_s, 1.0))
        again = now_s >= self._again_s
        if again:
            self._again_s = now_s + 1.0
        for group in GROUPS:
            at, state = plan.changes(group)[-1]
            if again or self._said.get(group) != (begun_s + at, state):
                self._said[group] = (begun_s + at, state)
                record = {"group": group, "state": state, "time": begun_s + at, "sigma_s": 0.02}
                self._city.publish(TOPIC, json.dumps(record).encode())
