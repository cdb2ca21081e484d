"""A recording played several times over, as one file: packets are copied, nothing is decoded or encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av


def played(video: Path, to: Path, *, times: int) -> Path:
    """Write the video stream of a recording ``times`` over, and return the path it was written to."""
    with av.open(str(to), "w") as container:
        stream: Any = None
        offset = 0
        for _ in range(times):
            with av.open(str(video)) as source:
                template: Any = source.streams.video[0]
                stream = stream or container.add_stream_from_template(template)
                end = 0
                for packet in source.demux(template):
                    if packet.dts is None:
                        continue
                    end = max(end, (packet.pts or 0) + (packet.duration or 0))
                    packet.pts = None if packet.pts is None else packet.pts + offset
                    packet.dts += offset
                    packet.stream = stream
                    container.mux(packet)
                offset += end
    return to
