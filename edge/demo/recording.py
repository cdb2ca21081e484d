"""The drawn recording in a folder of its own, as an analysis is given one: video, site and signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from edge.demo.draw import Film
from edge.demo.film import write_video
from edge.demo.junction import START, Plan
from edge.demo.setting import Setting, write_signals, write_site
from edge.demo.story import DURATION_S, FRAME_RATE_HZ, actors
from edge.opening import Inputs, opened


def write_recording(
    folder: Path,
    setting: Setting,
    plan: Plan,
    *,
    until_s: float = DURATION_S,
    seed: int | None = None,
    watched: Callable[[range], Iterable[int]] = iter,
) -> None:
    """Film the story under a signal plan.

    Args:
        until_s: how much of it.
        seed: of the picture's noise, where not the setting's own.
        watched: goes over the numbers of the frames, such as a progress bar.
    """
    write_site(folder / "site.toml", setting.camera)
    write_signals(folder / "signals.csv", plan)
    film = Film(
        setting.camera, actors(), plan, light=setting.light, seed=setting.seed if seed is None else seed
    )
    write_video(
        folder / "video.mp4",
        (film.frame(index / FRAME_RATE_HZ) for index in watched(range(round(until_s * FRAME_RATE_HZ)))),
        image_size=setting.camera.image_size,
        frame_rate_hz=FRAME_RATE_HZ,
    )


def open_recording(folder: Path, *, start: str = START) -> Inputs:
    """Open it as `nearmiss analyze` would, with scene clips; ``start`` is when it was filmed, RFC 3339."""
    return opened(
        folder / "video.mp4",
        site=folder / "site.toml",
        signals=folder / "signals.csv",
        model="motion",
        provider=None,
        threads=None,
        out=folder,
        start=start,
        times=None,
        clips="scene",
    )
