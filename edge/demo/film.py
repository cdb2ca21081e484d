"""The drawn recording as a video file: the only place of the demo that encodes video."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

CODECS = ("libx264", "mpeg4")


def write_video(
    path: Path, images: Iterable[NDArray[np.uint8]], *, image_size: tuple[int, int], frame_rate_hz: float
) -> None:
    """Write pictures (H, W, 3) BGR as a video with exact times; an interrupted file is not left behind."""
    half_written = path.with_name(path.stem + ".part" + path.suffix)
    rate = Fraction(frame_rate_hz).limit_denominator(1000)
    with av.open(half_written, "w") as container:
        stream = container.add_stream(_codec(), rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = image_size
        stream.pix_fmt = "yuv420p"
        stream.thread_type = "AUTO"
        if stream.codec.name == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "25", "g": "50"}
        else:
            stream.bit_rate = 6_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    half_written.replace(path)


def _codec() -> str:
    """Return an encoder this build of FFmpeg has: H.264 where it may, else MPEG-4, which all have."""
    return next(name for name in CODECS if name in av.codecs_available)
