"""Small recordings made for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def picture(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a noisy image (H, W, 3) whose mean brightness tells its index."""
    width, height = size
    noise = np.random.default_rng(index).integers(-20, 20, (height, width, 3))
    return np.clip(noise + 40 + index, 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    *,
    count: int = 30,
    rate: int = 10,
    pts: Sequence[int] | None = None,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    start: int = 0,
    sound_s: float = 0.0,
) -> Path:
    """Write a recording of ``picture(0)``, ``picture(1)``, ...; ``pts`` in thousandths of a second."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.gop_size = 10
        if codec == "libx264":
            stream.options = {"bf": "0", "preset": "ultrafast", "crf": "18"}
        sound: Any = container.add_stream("aac", rate=8000, layout="mono") if sound_s else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(start + index, size), format="bgr24")
            frame.pts = pts[index] if pts is not None else round(index * 1000 / rate)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _encode_silence(container, sound, sound_s)
    return path


def write_sound(path: Path) -> Path:
    """Write a file that holds sound alone."""
    with av.open(str(path), "w") as container:
        _encode_silence(container, container.add_stream("aac", rate=8000, layout="mono"), 1.0)
    return path


def _encode_silence(container: Any, stream: Any, duration_s: float) -> None:
    for index in range(int(duration_s * 8000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, index * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
